"""Fixtures come in families, one file each."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

pytest_plugins = ["tests.fix_build", "tests.fix_servers", "tests.fix_pgwarden", "tests.fix_standby"]


def pytest_configure(config: pytest.Config) -> None:
    """As root, servers keep their data outside pytest's private folders: in one of this run, gone at its end."""
    if os.geteuid() != 0:
        return
    state = Path(tempfile.mkdtemp(prefix="pgwarden-tests-", dir="/var/tmp"))
    state.chmod(0o711)
    os.environ["STATE_DIRECTORY"] = str(state)
    config.add_cleanup(lambda: shutil.rmtree(state, ignore_errors=True))
