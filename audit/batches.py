"""Reads a worker's journal in batches from a position on, while it is written. Knows no store."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import msgspec

from audit.copy_rows import RowWriter
from audit.errors import CorruptJournalError
from audit.frame_rows import FrameRows
from audit.segment import HEADER_BYTES, End, SegmentHeader, SegmentReader, segment_path, sequences_in
from audit.shipped import ShippedPosition

_READ_BYTES = 1 << 17  # at once: what isn't written yet would be read as zeros


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in order as a stream of binary COPY, how many, the position behind them, and how many damaged ones were
    passed over.

    `days`: see `Store.copy_stream`. `opened` and `closed`: see RowWriter. `is_more`: it isn't all there was.
    """

    stream: bytearray
    count: int
    position: ShippedPosition
    days: set[int]
    opened: dict[bytes, int]
    closed: list[bytes]
    damaged: int = 0
    is_more: bool = False


class BatchReader:
    """Reads one worker's folder; keeps open the segment that it is in. `writer`: who else is to see the records."""

    def __init__(self, directory: Path, chain: str, writer: RowWriter | None = None) -> None:
        self._directory = directory
        self._writer = writer or RowWriter(chain)
        self._frames = FrameRows(self._writer)
        self._segment: SegmentReader | None = None
        self._damage: tuple[int, int] | None = None  # seen before: segment and offset
        self._lock = threading.Lock()  # a thread whose task was cancelled may still be reading

    def close(self) -> None:
        with self._lock:
            self._leave()

    def has_more(self, position: ShippedPosition) -> bool:
        """Whether anything stands behind `position`, or may: a look that costs next to nothing."""
        with self._lock:
            return self._has_more(position)

    def read(self, position: ShippedPosition, limit_bytes: int) -> Batch:
        """The next records behind `position`, about `limit_bytes` of them; none when everything has been read.

        What isn't what was written isn't passed on, and `audit verify` names it: a record whose hash isn't that of its
        bytes was edited; a frame whose checksum isn't is damaged.
        """
        with self._lock:
            return self._read(position, limit_bytes)

    def _has_more(self, position: ShippedPosition) -> bool:
        try:
            segment = self._opened(position.sequence)
        except (FileNotFoundError, CorruptJournalError):
            return bool(self._behind(position))
        if any(segment.bytes_at(position.offset, 4)):
            return True
        if segment.is_deleted():
            self._leave()
        return bool(self._behind(position))

    def _read(self, position: ShippedPosition, limit_bytes: int) -> Batch:
        self._writer.begin()
        damaged = 0
        while True:
            reached, edited, end = self._read_segment(position, limit_bytes)
            if reached.records > position.records:
                return self._batch(reached, damaged + edited, is_more=end is None or bool(self._behind(position)))
            # Only if a later segment was there before this one had nothing more, nothing more can come.
            behind = self._behind(position)
            reached, edited, end = self._read_segment(position, limit_bytes)
            if reached.records > position.records:
                return self._batch(reached, damaged + edited, is_more=True)
            later = _header(self._directory, behind[0]) if behind else None
            passed = self._past_damage(position, later) if end is End.DAMAGED else None
            if passed is not None:
                position, damaged = passed, damaged + 1
            elif behind:
                position = _start_of(behind[0], later, position)
            else:
                return self._batch(position, damaged, is_more=False)

    def _batch(self, position: ShippedPosition, damaged: int, *, is_more: bool) -> Batch:
        writer = self._writer
        return Batch(
            writer.stream(), writer.count, position, writer.days, writer.opened, writer.closed, damaged, is_more
        )

    def _read_segment(self, position: ShippedPosition, limit_bytes: int) -> tuple[ShippedPosition, int, End | None]:
        """How far the frames of one segment go, how many were edited, and what ended them (None: the limit)."""
        frames, start, edited, needed_bytes = self._frames, position.offset, 0, 0
        try:
            segment = self._opened(position.sequence)
        except (FileNotFoundError, CorruptJournalError):
            return position, 0, End.CLEAN
        while position.offset - start < limit_bytes:
            size = max(_READ_BYTES, needed_bytes)
            data = segment.bytes_at(position.offset, size)
            behind = frames.take(data, position.records + 1, len(data) == size)
            if frames.frames:
                position = _moved(position, behind, frames)
                edited += frames.edited
            if frames.end is not None:
                return position, edited, frames.end
            needed_bytes = frames.needed_bytes
        return position, edited, None

    def _past_damage(self, position: ShippedPosition, later: SegmentHeader | None) -> ShippedPosition | None:
        """The place behind a damaged frame, if the chain goes on there; None if it doesn't, or may yet become whole.

        A journal that was recovered goes on in a later segment, with the number of the damaged record.
        """
        assert self._segment is not None
        behind = self._segment.offset_behind(position.offset)
        is_left = later is not None and later.records_before <= position.records
        place = (position.sequence, position.offset)
        if behind is None or is_left or (later is None and self._damage != place):
            self._damage = place
            return None
        moved = behind - position.offset
        return msgspec.structs.replace(
            position, offset=behind, position=position.position + moved, records=position.records + 1
        )

    def _opened(self, sequence: int) -> SegmentReader:
        """Raises FileNotFoundError or CorruptJournalError."""
        if self._segment is None or self._segment.header.sequence != sequence:
            self._leave()
            self._segment = SegmentReader(segment_path(self._directory, sequence))
        return self._segment

    def _leave(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()

    def _behind(self, position: ShippedPosition) -> list[int]:
        return [sequence for sequence in sequences_in(self._directory) if sequence > position.sequence]


def _moved(position: ShippedPosition, by: int, frames: FrameRows) -> ShippedPosition:
    return ShippedPosition(
        sequence=position.sequence,
        offset=position.offset + by,
        position=position.position + by,
        records=position.records + frames.frames,
        hash=frames.last_hash.hex(),
    )


def _header(directory: Path, sequence: int) -> SegmentHeader | None:
    """None if it is damaged, or gone."""
    try:
        with SegmentReader(segment_path(directory, sequence)) as reader:
            return reader.header
    except (FileNotFoundError, CorruptJournalError):
        return None


def _start_of(sequence: int, header: SegmentHeader | None, position: ShippedPosition) -> ShippedPosition:
    """The place before a segment's first record, by its own header."""
    if header is None:
        return msgspec.structs.replace(position, sequence=sequence, offset=HEADER_BYTES)
    return ShippedPosition(
        sequence=sequence,
        offset=HEADER_BYTES,
        position=header.base + HEADER_BYTES,
        records=header.records_before,
        hash=header.prev_hash.hex(),
    )
