"""Collects a chain's records for the bus, as they stand in the journal, and puts up runs of them. Knows no files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from audit.copy_rows import RowWriter

NumberedRecord = tuple[int, bytes]  # its number in the chain, and its hashes and body

_OVERHEAD_BYTES = 16  # of a record in a message, at most


class RunWriter(RowWriter):
    """Translates too, so that what no store can hold isn't sent. `records` belong to who took them."""

    def __init__(self, chain: str) -> None:
        self.records: list[NumberedRecord] = []
        super().__init__(chain)

    def begin(self) -> None:
        super().begin()
        self.records = []

    def add(self, number: int, record: bytes) -> None:
        super().add(number, record)
        self.records.append((number, record))


def cut_up(records: Sequence[NumberedRecord], most_bytes: int) -> Iterator[tuple[NumberedRecord, ...]]:
    """Runs that fit into so many bytes; a longer record is alone in its own."""
    run: list[NumberedRecord] = []
    size = 0
    for one in records:
        needed = len(one[1]) + _OVERHEAD_BYTES
        if run and size + needed > most_bytes:
            yield tuple(run)
            run, size = [], 0
        run.append(one)
        size += needed
    if run:
        yield tuple(run)
