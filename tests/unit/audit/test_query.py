import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from audit_samples import intent, outcome

from audit.errors import FilterError
from audit.query import TABLE_COLUMNS, as_csv, as_json_lines, as_table, parse_decision, parse_moment
from audit.record import FIELD_NAMES, Verdict

NOW = datetime(2025, 6, 15, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("1h", timedelta(hours=1)),
        ("2d", timedelta(days=2)),
        (" 3W ", timedelta(weeks=3)),
        ("250ms", timedelta(milliseconds=250)),
    ],
)
def test_ages_count_back_from_now(text: str, age: timedelta) -> None:
    assert parse_moment(text, NOW) == NOW - age


def test_iso_times_are_utc_unless_they_say_otherwise() -> None:
    assert parse_moment("2025-06-01", NOW) == datetime(2025, 6, 1, tzinfo=UTC)
    assert parse_moment("2025-06-01T10:00:00Z", NOW) == datetime(2025, 6, 1, 10, tzinfo=UTC)
    east = timezone(timedelta(hours=2))
    assert parse_moment("2025-06-01 10:00+02:00", NOW) == datetime(2025, 6, 1, 10, tzinfo=east)


@pytest.mark.parametrize("text", ["", "1", "h", "1y", "-1h", "yesterday", "2025-13-01", "99999999999w"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(FilterError):
        parse_moment(text, NOW)


def test_decisions_are_known_by_name() -> None:
    assert parse_decision(" Deny ") is Verdict.DENY
    with pytest.raises(FilterError, match="allow, rewrite, deny, hold"):
        parse_decision("refuse")


def test_json_lines_bear_the_designs_names_and_jsons_types() -> None:
    records = [intent("s1", at=1_750_000_000_000_001), outcome("s1", cost=Decimal("0.000000001"))]
    first, second = (json.loads(line) for line in as_json_lines(records).splitlines())
    assert tuple(first) == FIELD_NAMES
    assert first["at"] == "2025-06-15T15:06:40.000001Z"
    assert first["tables"] == ["shop.customers"]
    assert first["decision"] == "rewrite"
    assert first["rows"] is None
    assert second["cost"] == 1e-9
    assert second["rows"] == 3


def test_csv_quotes_what_texts_contain() -> None:
    text = "select \"a\", 'b'\nfrom t"
    header, row = csv.reader(io.StringIO(as_csv([intent("s1", sql_text=text)])))
    assert tuple(header) == FIELD_NAMES
    assert row[FIELD_NAMES.index("sql_text")] == text
    assert row[FIELD_NAMES.index("rows")] == ""


def test_the_table_sends_no_control_characters_to_a_terminal() -> None:
    table = as_table([intent("s1", sql_text="select '\x1b[2J\x9b1m\x07'", user="a\u202eb")])
    assert all(char.isprintable() or char == "\n" for char in table)
    assert table.splitlines()[0].split() == list(TABLE_COLUMNS)
    assert r"\x1b[2J" in table


def test_the_table_folds_and_shortens_sql() -> None:
    line = as_table([outcome("s1", sql_text="select\n  " + "x" * 200)], sql_width=20).splitlines()[1]
    assert line.endswith("select " + "x" * 12 + "…")
    assert "1.5" in line
    assert "0.000000750 USD" in line
