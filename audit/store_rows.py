"""Records as rows of the store and back, without losing a byte of what was hashed. Knows no connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from audit.cost import rounded_cost
from audit.record import FIELD_NAMES, Record, ShadowDecision, Stage, Verdict, microseconds_of

COLUMNS: tuple[str, ...] = ("chain", "sequence", *FIELD_NAMES)
_LISTS = ("rule_ids", "tables", "filtered_tables", "masked_columns", "shadow_rule_ids", "raw_columns", "parameters")


class Row(Protocol):
    """A row of the store, its values by column name."""

    def __getitem__(self, name: str, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class ChainedRecord:
    """A record with its place: the chain (one per journal and worker) and its number there, from 1."""

    chain: str
    sequence: int
    record: Record


def chained_record_of(row: Row) -> ChainedRecord:
    """A row of the store as the record it was."""
    values = {name: row[name] for name in FIELD_NAMES}
    values["id"] = row["id"].hex
    values["stage"] = Stage(row["stage"])
    values["decision"] = Verdict(row["decision"]) if row["decision"] is not None else None
    shadow = row["shadow_decision"]
    values["shadow_decision"] = ShadowDecision(shadow) if shadow is not None else None
    values["at"] = microseconds_of(row["at"])
    values["cost"] = rounded_cost(row["cost"]) if row["cost"] is not None else None
    values.update({name: tuple(row[name]) for name in _LISTS})
    values.update(prev_hash=row["prev_hash"].hex(), hash=row["hash"].hex())
    return ChainedRecord(row["chain"], row["sequence"], Record(**values))
