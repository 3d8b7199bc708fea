"""Reads what is new in a worker's journal, for those who must know at once and can't wait for the store. Knows nobody.

Only records with one of some marks in their bytes are decoded: most are passed over at the cost of a search.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from audit.errors import CorruptJournalError
from audit.record import Record, record_of
from audit.segment import HEADER_BYTES, End, Frame, Scan, SegmentReader, segment_path, sequences_in


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Everything before `offset` of segment `sequence` has been read."""

    sequence: int = 0
    offset: int = HEADER_BYTES


class JournalTail:
    """One worker's folder. `place` None: only what comes from now on is of interest."""

    def __init__(self, directory: Path, marks: Sequence[bytes], place: Place | None = None) -> None:
        self._directory = directory
        self._marks = tuple(marks)
        self._segment: SegmentReader | None = None
        self.place = place or Place()
        if place is None:
            self._pass_all()

    def close(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()

    def read(self) -> list[tuple[Place, Record]]:
        """The marked records that are new, in order, each with the place behind it, of some megabytes at most: [] isn't
        always the end, but it comes.

        What the shipper has let go of already is passed over. Raises OSError.
        """
        scan = self._scan()
        if scan is None or not (scan.frames or scan.end is End.CLEAN):
            self._pass_damage(scan)
            return []
        if not scan.frames:
            self._go_on()
            return []
        sequence = self.place.sequence
        self.place = Place(sequence=sequence, offset=scan.offset)
        marked = ((frame.end, self._record(frame)) for frame in scan.frames)
        return [(Place(sequence=sequence, offset=end), record) for end, record in marked if record is not None]

    def _pass_all(self) -> None:
        """To the end of what is there."""
        sequences = sequences_in(self._directory)
        if not sequences:
            return
        self.place = Place(sequence=sequences[-1])
        while (scan := self._scan()) is not None and scan.frames:
            self.place = Place(sequence=self.place.sequence, offset=scan.offset)

    def _scan(self) -> Scan | None:
        """The next frames; None when their segment isn't there, or isn't one."""
        try:
            if self._segment is None:
                self._segment = SegmentReader(segment_path(self._directory, self.place.sequence))
        except (FileNotFoundError, CorruptJournalError):
            return None
        return self._segment.read(self.place.offset)

    def _go_on(self) -> None:
        """To the next segment, if there is one, and nothing came to this one meanwhile: it is written no more then."""
        later = self._later()
        if later is None:
            return
        scan = self._scan()
        if scan is None or not scan.frames:
            self._move(later)

    def _pass_damage(self, scan: Scan | None) -> None:
        """`audit verify` names it. A frame that is being written isn't damage: what comes behind it says so."""
        behind = None
        if scan is not None and self._segment is not None:
            behind = self._segment.offset_behind(scan.offset)
        if behind is not None:
            self.place = Place(sequence=self.place.sequence, offset=behind)
        elif (later := self._later()) is not None:
            self._move(later)
        elif scan is None and (sequences := sequences_in(self._directory)) and sequences[-1] < self.place.sequence:
            self._move(sequences[0])  # somebody has begun the journal anew

    def _later(self) -> int | None:
        return next((one for one in sequences_in(self._directory) if one > self.place.sequence), None)

    def _move(self, sequence: int) -> None:
        self.close()
        self.place = Place(sequence=sequence)

    def _record(self, frame: Frame) -> Record | None:
        body = frame.body
        if not any(mark in body for mark in self._marks):
            return None
        try:
            return record_of(body, frame.prev_hash, frame.hash)
        except CorruptJournalError:
            return None
