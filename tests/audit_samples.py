"""Records and small helpers for the tests of the memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from audit.journal import Journal, worker_directory
from audit.record import Record, Stage, Verdict
from audit.segment import Frame, SegmentReader, segment_path, sequences_in

START_US = 1_750_000_000_123_456


@dataclass
class TickingClock:
    """A clock that goes on by `step_us` at each look; `now_us` may be set."""

    now_us: int = START_US
    step_us: int = 10

    def __call__(self) -> int:
        self.now_us += self.step_us
        return self.now_us


def intent(statement_id: str = "", **fields: object) -> Record:
    values: dict[str, object] = {
        "tenant": "acme",
        "team": "finance",
        "user": "ada",
        "database": "shop",
        "sql_text": "select id from shop.customers",
        "decision": Verdict.REWRITE,
        "rule_ids": ("analysts/rows/1",),
        "tables": ("shop.customers",),
        "filtered_tables": ("shop.customers",),
        "masked_columns": ("shop.customers.email",),
    }
    return Record(stage=Stage.INTENT, statement_id=statement_id, **{**values, **fields})


def outcome(statement_id: str, **fields: object) -> Record:
    values: dict[str, object] = {
        "tenant": "acme",
        "user": "ada",
        "rows": 3,
        "bytes_out": 120,
        "duration_us": 1500,
        "cost": Decimal("0.000000750"),
        "currency": "USD",
    }
    return Record(stage=Stage.OUTCOME, statement_id=statement_id, **{**values, **fields})


def fill(directory: Path, statements: int, segment_bytes: int = 1 << 16) -> None:
    """A closed journal of worker 0 with an intent and an outcome per statement."""
    journal = Journal.open(directory, 0, segment_bytes=segment_bytes)
    try:
        for number in range(statements):
            journal.append([intent(f"s{number}")])
            journal.append([outcome(f"s{number}")])
    finally:
        journal.close()


def frames_of(directory: Path, worker: int = 0) -> list[tuple[Path, Frame]]:
    """Every whole frame of a worker's journal with its file, in order."""
    return list(_frames(worker_directory(directory, worker)))


def _frames(folder: Path) -> Iterator[tuple[Path, Frame]]:
    for sequence in sequences_in(folder):
        with SegmentReader(segment_path(folder, sequence)) as reader:
            for frame in reader.frames():
                yield reader.path, frame


def overwrite(path: Path, offset: int, data: bytes) -> None:
    """Edits a file in place, as somebody with write access would."""
    with open(path, "r+b") as stream:
        stream.seek(offset)
        stream.write(data)
