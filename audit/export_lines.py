"""The forms in which records leave: JSON Lines and CSV, each with the record's place in its chain. Pure.

A line has all that was hashed, so that who holds an export can verify it. `record_schema` describes it.
"""

from __future__ import annotations

import csv
import io
from enum import StrEnum
from typing import Any, Final

import msgspec

from audit.query import is_formula
from audit.record import FIELD_NAMES, Record, at_datetime
from audit.record_schema import SCHEMA_VERSION
from audit.store_rows import ChainedRecord

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_LISTS: Final = msgspec.json.Encoder()
_AT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
_HEAD: Final = ("schema", "chain", "sequence")


class Form(StrEnum):
    """`jsonl`: one JSON object a line, exact. `csv`: with a header, for spreadsheets."""

    JSONL = "jsonl"
    CSV = "csv"


def header_of(form: Form) -> bytes:
    """What stands before the first record."""
    return _csv_line([*_HEAD, *FIELD_NAMES]) if form is Form.CSV else b""


def line_of(form: Form, chained: ChainedRecord) -> bytes:
    """One record with its line end. In CSV lists are JSON, and a text that a spreadsheet would run as a formula has an
    apostrophe before it.
    """
    fields = exported(chained)
    if form is Form.JSONL:
        return _ENCODER.encode(fields) + b"\n"
    return _csv_line([_cell(value) for value in fields.values()])


def exported(chained: ChainedRecord) -> dict[str, Any]:
    """The record under its field names, `at` ISO 8601 in UTC, cost exact."""
    record = chained.record
    head = {"schema": SCHEMA_VERSION, "chain": chained.chain, "sequence": chained.sequence}
    return head | {name: _plain(name, record) for name in FIELD_NAMES}


def _plain(name: str, record: Record) -> Any:
    return at_datetime(record).strftime(_AT) if name == "at" else getattr(record, name)


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case tuple():
            return _LISTS.encode(value).decode() if value else ""
        case str():
            return f"'{value}" if is_formula(value) else value
        case int():
            return str(value)
        case _:
            return f"{value:f}"


def _csv_line(cells: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()
