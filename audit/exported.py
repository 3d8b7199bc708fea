"""Records back from the JSON that exports are made of, exactly as they were hashed. Knows no files and no store."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from audit.cost import rounded_cost
from audit.errors import CorruptJournalError
from audit.record import FIELD_NAMES, Record, Stage, microseconds_of
from audit.store_rows import ChainedRecord

_DEFAULTS = msgspec.structs.asdict(Record(stage=Stage.EVENT))

_NEEDED = {"id", "stage", "at", "prev_hash", "hash"}


def chained_record_of_json(values: dict[str, Any]) -> ChainedRecord:
    """The record of one exported line. Without `chain` and `sequence` these are "" and 0: its place isn't known.

    Raises CorruptJournalError.
    """
    if not values.keys() >= _NEEDED:
        raise CorruptJournalError("this is no record")
    try:
        fields = [_value(name, values.get(name, _DEFAULTS[name])) for name in FIELD_NAMES]
        record = msgspec.convert(fields, Record)
        return ChainedRecord(str(values.get("chain", "")), int(values.get("sequence", 0)), record)
    except (msgspec.ValidationError, TypeError, ValueError, ArithmeticError) as error:
        raise CorruptJournalError("this is no record") from error


def _value(name: str, value: Any) -> Any:
    match name, value:
        case "at", str():
            return microseconds_of(datetime.fromisoformat(value))
        case "cost", int() | float() | str():
            return rounded_cost(Decimal(str(value)))
        case _:
            return value
