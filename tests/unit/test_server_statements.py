import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.reconciliation import Ran
from proxy.server_statements import UnreadableError, read_logs

AT = "2025-06-15 15:06:40.123 UTC"


def csv_log(path: Path, *lines: tuple[str, str, str]) -> Path:
    with path.open("w", newline="") as stream:
        for user, database, message in lines:
            csv.writer(stream).writerow([AT, user, database, *[""] * 10, message, *[""] * 9])
    return path


def test_statements_are_read_from_a_csvlog(tmp_path: Path) -> None:
    file = csv_log(
        tmp_path / "a.csv",
        ("gateway", "shop", "statement: select 1;\nselect 'a;b'"),
        ("dba", "shop", "execute <unnamed>: select $1"),
        ("dba", "other", "statement: select 9"),
        ("dba", "shop", "duration: 1.5 ms"),
        ("dba", "shop", 'AUDIT: SESSION,1,1,READ,SELECT,TABLE,shop.customers,"select ""x"", 1 from customers",<none>'),
    )
    found = read_logs([file], "shop")
    assert found.since == datetime(2025, 6, 15, 15, 6, 40, 123_000, UTC)
    assert sorted(found.ran, key=lambda one: one.sql) == [
        Ran("dba", 'select "x", 1 from customers', 1),
        Ran("dba", "select $1", 1),
        Ran("gateway", "select 'a;b'", 1),
        Ran("gateway", "select 1", 1),
    ]


def test_statements_are_read_from_a_jsonlog(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    line = {"timestamp": AT, "user": "dba", "dbname": "shop", "message": "statement: select 1"}
    file.write_text(
        json.dumps(line) + "\n" + json.dumps({"timestamp": AT, "message": "ready"}) + "\n" + json.dumps(line)
    )
    assert read_logs([file], "shop").ran == (Ran("dba", "select 1", 2),)


@pytest.mark.parametrize("text", ["", "no log\n", '{"message": 3}', "2025-06-15 15:06:40.123 CEST,a,b\n"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(text)
    with pytest.raises(UnreadableError):
        read_logs([file], "shop")


def test_times_of_another_zone_are_refused_with_a_remedy(tmp_path: Path) -> None:
    file = csv_log(tmp_path / "a.csv", ("dba", "shop", "statement: select 1"))
    file.write_text(file.read_text().replace("UTC", "CEST"))
    with pytest.raises(UnreadableError, match="log_timezone"):
        read_logs([file], "shop")
