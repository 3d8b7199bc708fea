"""Reads a worker's journal in batches from a position on, while it is written. Knows no store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from audit.errors import CorruptJournalError
from audit.record import Record, record_of
from audit.segment import HEADER_BYTES, Frame, Scan, SegmentReader, segment_path, sequences_in
from audit.shipped import ShippedPosition
from audit.store_rows import ChainedRecord


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in order, the position behind them, and how many damaged ones were passed over."""

    records: tuple[ChainedRecord, ...]
    position: ShippedPosition
    damaged: int = 0


def read_batch(directory: Path, chain: str, position: ShippedPosition, limit_bytes: int) -> Batch:
    """The next records behind `position`, about `limit_bytes` of them; none when everything has been read.

    A record whose hash isn't that of its bytes was edited: it isn't passed on, `audit verify` names it.
    """
    while True:
        sequences = sequences_in(directory)
        behind = [sequence for sequence in sequences if sequence > position.sequence]
        scan = _scan(directory, position, limit_bytes)
        if scan is not None and scan.frames:
            return _batch_of(chain, position, scan)
        # Only now that a later segment was there before this one had nothing more, nothing more can come.
        if not behind:
            return Batch((), position)
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


def _batch_of(chain: str, position: ShippedPosition, scan: Scan) -> Batch:
    records = []
    for number, frame in enumerate(scan.frames, position.records + 1):
        record = _sound_record(frame)
        if record is not None:
            records.append(ChainedRecord(chain, number, record))
    behind = ShippedPosition(
        sequence=position.sequence,
        offset=scan.offset,
        position=position.position + scan.offset - position.offset,
        records=position.records + len(scan.frames),
        hash=scan.frames[-1].hash.hex(),
    )
    return Batch(tuple(records), behind, len(scan.frames) - len(records))


def _sound_record(frame: Frame) -> Record | None:
    if not frame.is_hash_true():
        return None
    try:
        return record_of(frame.body, frame.prev_hash, frame.hash)
    except CorruptJournalError:
        return None
