"""Questions to the records and the forms of the answers: filters in, text out. Pure: knows no SQL and no
clock."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from audit.errors import FilterError
from audit.record import FIELD_NAMES, Record, Stage, Verdict, at_datetime

DEFAULT_LIMIT = 100
TABLE_COLUMNS = (
    "at", "stage", "tenant", "user", "decision", "rows", "ms", "cost", "sqlstate", "rule_ids", "sql_text",
)  # fmt: skip

_AGE = re.compile(r"(\d+)(us|ms|s|m|h|d|w)")
_UNIT_US = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}


@dataclass(frozen=True, slots=True)
class Filters:
    """Which records are wanted; what is None doesn't matter. `since` counts, `until` doesn't (aware
    datetimes).

    `table` ("customers" or "shop.customers") is a table the statement used; `column` one that was masked. `statement`
    is a statement's id: its intent and its outcome.
    """

    tenant: str | None = None
    user: str | None = None
    decision: Verdict | None = None
    stage: Stage | None = None
    since: datetime | None = None
    until: datetime | None = None
    table: str | None = None
    column: str | None = None
    workload: str | None = None
    statement: str | None = None
    limit: int = DEFAULT_LIMIT


def matches(filters: Filters, record: Record) -> bool:
    """Whether the store would give the record for these filters; `limit` doesn't count."""
    at = at_datetime(record)
    return (
        filters.tenant in (None, record.tenant)
        and filters.user in (None, record.user)
        and filters.decision in (None, record.decision)
        and filters.stage in (None, record.stage)
        and filters.workload in (None, record.workload)
        and filters.statement in (None, record.statement_id)
        and (filters.since is None or at >= filters.since)
        and (filters.until is None or at < filters.until)
        and (filters.table is None or _is_named(filters.table, (*record.tables, *record.filtered_tables)))
        and (filters.column is None or _is_named(filters.column, record.masked_columns))
    )


def _is_named(wanted: str, names: Sequence[str]) -> bool:
    """By the whole name or by its last parts."""
    return any(name == wanted or name.endswith(f".{wanted}") for name in names)


def parse_moment(text: str, now: datetime) -> datetime:
    """A moment from "90s", "1h", "2d" (that long before `now`) or from ISO 8601; without a zone it is UTC.

    Raises FilterError for anything else.
    """
    if match := _AGE.fullmatch(text.strip().lower()):
        return _before(now, int(match[1]) * _UNIT_US[match[2]], text)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise FilterError(f"{text!r} is neither an age such as 1h or 2d nor an ISO 8601 time") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_decision(text: str) -> Verdict:
    """A decision by its name. Raises FilterError."""
    try:
        return Verdict(text.strip().lower())
    except ValueError as error:
        raise FilterError(f"{text!r} is no decision: {', '.join(Verdict)}") from error


def as_dict(record: Record) -> dict[str, Any]:
    """The record under its field names, in their order, with JSON's types: `at` ISO 8601 in UTC, cost a
    number."""
    return {name: _plain(name, getattr(record, name), record) for name in FIELD_NAMES}


def as_json_lines(records: Iterable[Record]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(as_dict(record), ensure_ascii=False) + "\n" for record in records)


def as_csv(records: Iterable[Record]) -> str:
    """CSV with a header of the field names; lists are joined by spaces, unknown values are empty. A text that a
    spreadsheet would run as a formula has an apostrophe before it.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELD_NAMES)
    for record in records:
        writer.writerow([_cell(value) for value in as_dict(record).values()])
    return text.getvalue()


def table_row(record: Record, sql_width: int = 80) -> tuple[str, ...]:
    """One row of TABLE_COLUMNS for a terminal: control characters are shown as escapes, never sent."""
    duration = "" if record.duration_us is None else f"{record.duration_us / 1000:.1f}"
    cells = (
        at_datetime(record).strftime("%Y-%m-%d %H:%M:%S"),
        record.stage,
        record.tenant,
        record.user,
        record.decision or "",
        _cell(record.rows),
        duration,
        "" if record.cost is None else f"{record.cost:f} {record.currency}".rstrip(),
        record.sqlstate,
        ", ".join(record.rule_ids),
        _shortened(" ".join(record.sql_text.split()), sql_width),
    )
    return tuple(_printable(str(cell)) for cell in cells)


def as_table(records: Sequence[Record], sql_width: int = 80) -> str:
    """Plain text columns under a header, for terminals and pipes."""
    rows = [TABLE_COLUMNS, *(table_row(record, sql_width) for record in records)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(TABLE_COLUMNS))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(line.rstrip() + "\n" for line in lines)


def _before(now: datetime, age_us: int, text: str) -> datetime:
    try:
        return now - timedelta(microseconds=age_us)
    except OverflowError as error:
        raise FilterError(f"{text!r} is longer ago than time goes back") from error


def _plain(name: str, value: Any, record: Record) -> Any:
    match value:
        case int() if name == "at":
            return at_datetime(record).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        case Decimal():
            return float(value)
        case tuple():
            return list(value)
        case _:
            return value


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case list():
            return " ".join("NULL" if part is None else part for part in value)
        case float():
            return f"{value:.9f}"
        case str():
            return f"'{value}" if is_formula(value) else value
        case _:
            return str(value)


def is_formula(text: str) -> bool:
    """Whether a spreadsheet would run the text as a formula: clients choose some of the texts."""
    return text.startswith(("=", "+", "-", "@", "\t", "\r"))


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _printable(text: str) -> str:
    """Escapes what could drive a terminal: the texts come from clients."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
