"""Settings that a restricted statement may read and change."""

from __future__ import annotations

import pytest

from policies.compile.builtins import SETTING_READABLE, SETTINGS_SETTABLE


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("client_encoding", "UTF8", "LATIN1"),
        ("datestyle", "ISO, MDY", "German"),
        ("bytea_output", "hex", "escape"),
        ("standard_conforming_strings", "on", "off"),
        ("client_min_messages", "warning", "log"),
        ("statement_timeout", "30s", "30s; DROP TABLE x"),
        ("timezone", "Europe/London", "UTC'; --"),
        ("transaction_isolation", "Serializable", "none"),
    ],
)
def test_settings(name: str, good: str, bad: str) -> None:
    assert SETTINGS_SETTABLE[name](good)
    assert not SETTINGS_SETTABLE[name](bad)


def test_settings_that_would_widen_what_a_client_may_do() -> None:
    widening = {"role", "session_authorization", "search_path", "enable_seqscan"}
    assert not widening & set(SETTINGS_SETTABLE)
    assert not {"data_directory", "hba_file", "config_file", "primary_conninfo", "log_directory"} & SETTING_READABLE
