"""Reads a worker's journal in batches from a position on, while it is written. Knows no store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from audit.copy_rows import RowWriter
from audit.errors import CorruptJournalError
from audit.segment import HEADER_BYTES, Scan, SegmentReader, segment_path, sequences_in
from audit.shipped import ShippedPosition


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in order as rows for the store, the position behind them, and how many damaged ones were passed over.

    `days`: see `Store.copy_rows`. `opened` and `closed`: see RowWriter.
    """

    rows: list[bytes]
    position: ShippedPosition
    days: set[int]
    opened: dict[str, int]
    closed: list[str]
    damaged: int = 0


def read_batch(directory: Path, writer: RowWriter, position: ShippedPosition, limit_bytes: int) -> Batch:
    """The next records behind `position`, about `limit_bytes` of them; none when everything has been read.

    A record whose hash isn't that of its bytes was edited: it isn't passed on, `audit verify` names it.
    """
    while True:
        scan = _scan(directory, position, limit_bytes)
        if scan is not None and scan.frames:
            return _batch_of(writer, position, scan)
        # Only if a later segment was there before this one had nothing more, nothing more can come.
        behind = [sequence for sequence in sequences_in(directory) if sequence > position.sequence]
        if not behind:
            return Batch([], position, set(), {}, [])
        scan = _scan(directory, position, limit_bytes)
        if scan is not None and scan.frames:
            return _batch_of(writer, position, scan)
        position = _start_of(directory, behind[0], position)


def _scan(directory: Path, position: ShippedPosition, limit_bytes: int) -> Scan | None:
    try:
        with SegmentReader(segment_path(directory, position.sequence)) as reader:
            return reader.read(position.offset, limit_bytes)
    except (FileNotFoundError, CorruptJournalError):
        return None


def _start_of(directory: Path, sequence: int, position: ShippedPosition) -> ShippedPosition:
    """The place before a segment's first record, by its own header."""
    try:
        with SegmentReader(segment_path(directory, sequence)) as reader:
            header = reader.header
    except CorruptJournalError:
        return msgspec.structs.replace(position, sequence=sequence, offset=HEADER_BYTES)
    return ShippedPosition(
        sequence=sequence,
        offset=HEADER_BYTES,
        position=header.base + HEADER_BYTES,
        records=header.records_before,
        hash=header.prev_hash.hex(),
    )


def _batch_of(writer: RowWriter, position: ShippedPosition, scan: Scan) -> Batch:
    writer.begin()
    damaged = 0
    for number, frame in enumerate(scan.frames, position.records + 1):
        try:
            if not frame.is_hash_true():
                raise CorruptJournalError("the record was edited")
            writer.add(number, frame.prev_hash, frame.hash, frame.body)
        except CorruptJournalError:
            damaged += 1
    behind = ShippedPosition(
        sequence=position.sequence,
        offset=scan.offset,
        position=position.position + scan.offset - position.offset,
        records=position.records + len(scan.frames),
        hash=scan.frames[-1].hash.hex(),
    )
    return Batch(writer.rows, behind, writer.days, writer.opened, writer.closed, damaged)
