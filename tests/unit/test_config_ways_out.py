from pathlib import Path

import pytest

from audit.alarm import Choice
from proxy.config import Config, ConfigError, load_config

GOOD = """\
audit:
  export: {directory: daily, keep_days: 30}
  alarms:
    - {syslog: "udp://logs.internal", send: [denials]}
    - {webhook: "https://hooks.internal/t0ken", secret_file: secret, sql_text: true}
"""


def load(folder: Path, text: str) -> Config:
    (folder / "secret").write_text("s")
    (folder / "pgwarden.yaml").write_text(text)
    return load_config(folder / "pgwarden.yaml", {}, secrets=folder / "none")


def test_what_is_said_is_read_with_places_from_the_files_folder(tmp_path: Path) -> None:
    audit = load(tmp_path, GOOD).audit
    assert audit.export is not None
    assert (audit.export.directory, audit.export.format, audit.export.keep_days) == (tmp_path / "daily", "jsonl", 30)
    first, second = audit.alarms
    assert (first.syslog, first.send, first.sql_text) == ("udp://logs.internal", (Choice.DENIALS,), False)
    assert (second.secret_file, second.send) == (tmp_path / "secret", (Choice.DENIALS, Choice.ALARMS))
    assert "t0ken" not in repr(audit)


@pytest.mark.parametrize(
    ("alarm", "problem"),
    [
        ("{}", "name either syslog or webhook"),
        ('{syslog: "udp://a", webhook: "https://a", secret_file: secret}', "name either syslog or webhook"),
        ('{syslog: "logs:514"}', "expected udp://host:port"),
        ('{webhook: "https://a/"}', "webhook needs secret_file"),
        ('{webhook: "http://elsewhere/", secret_file: secret}', "expected https://host/path"),
        ('{webhook: "https://a/", secret_file: gone}', "no such file"),
        ('{webhook: "https://a/", secret_file: secret, facility: user}', "facility: of use for syslog alone"),
        ('{syslog: "udp://a", secret_file: secret}', "secret_file: of use for webhook alone"),
        ('{syslog: "tcp://a", ca: secret}', "of use for tls:// and https:// alone"),
        ('{syslog: "udp://a", send: []}', "at least 1 item"),
        ('{syslog: "udp://a", send: [everything]}', "'denials', 'alarms' or 'events'"),
        ('{syslog: "udp://a", facility: kern}', "Input should be 'user'"),
        ('{syslog: "udp://a", sendd: [events]}', "unknown key; known here: syslog, facility, webhook"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, alarm: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"audit:\n  alarms:\n    - {alarm}\n")
    assert problem in str(caught.value)
    assert all("pgwarden.yaml:3:" in told or "pgwarden.yaml:2:" in told for told in caught.value.problems)
    assert all("audit.alarms.0" in told for told in caught.value.problems)


@pytest.mark.parametrize("text", ["{}", "{directory: a, format: xml}", "{directory: a, keep_days: 0}", "{dir: a}"])
def test_an_export_that_cant_be_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"pgwarden\.yaml:2"):
        load(tmp_path, f"audit:\n  export: {text}\n")
