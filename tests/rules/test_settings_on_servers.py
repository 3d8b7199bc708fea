"""Settings whose names are known only when the statement runs."""

from tests.rules.conftest import Guarded


async def test_only_readable_settings_are_told(guarded: Guarded) -> None:
    names = "('server_version'), ('SERVER_VERSION'), ('data_directory'), ('hba_file'), ('session_preload_libraries')"
    text = guarded.text(f"SELECT current_setting(name) FROM (VALUES {names}) AS v(name)")
    version, again, *others = (row[0] for row in guarded.run(text))
    assert version is not None
    assert version == again
    assert others == [None, None, None]
