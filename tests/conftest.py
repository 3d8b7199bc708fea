"""Fixtures come in families, one file each."""

pytest_plugins = ["tests.fix_build", "tests.fix_servers", "tests.fix_pgwarden"]
