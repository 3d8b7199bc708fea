"""The end of a chain that is being written: the mapped segment, the last hash, the next id. Knows no durability.

What is done for every statement is done here, in one call under one lock. What is rare (another segment, a disk
that is full or has failed) is left to the journal: then `intent` and `outcome` give nothing and write nothing.
"""

from __future__ import annotations

import hashlib
import mmap
import threading
from collections.abc import Callable

from audit.errors import JournalError
from audit.ids import Clock, Ids
from audit.lines import Lines
from audit.recovery import ChainState
from audit.segment import HEADER_BYTES, MAX_BODY_BYTES, SegmentHeader, frame_bytes, write_frame

_SHA256 = hashlib.sha256()  # copied: cheaper than making one


class Tail:
    """Where a journal's next record goes. All but `intent` and `outcome` is for who holds `lock`.

    `is_open`: the journal has nothing to say against writing. `is_sync_due`: `wake` was called since the last sync.
    """

    def __init__(self, clock: Clock, ids: Ids, wake: Callable[[], None]) -> None:
        self.lock = threading.Lock()
        self.is_open = False
        self.is_sync_due = False
        self._clock = clock
        self._ids = ids
        self._wake = wake
        self.needed_bytes = 0  # by what was refused last
        self._map: mmap.mmap | None = None
        self.start(ChainState())

    @property
    def position(self) -> int:
        """The journal position behind the last record."""
        return self._base + self.end

    @property
    def state(self) -> ChainState:
        """The end of the chain. A segment without a record isn't in it yet."""
        is_begun = self.end > HEADER_BYTES
        return ChainState(
            self._sequence + 1 if is_begun else self._sequence,
            self.position if is_begun else self._base,
            self.records,
            self._hash,
            self._record_id.decode("ascii"),
        )

    def start(self, state: ChainState) -> None:
        """Goes on behind this state; there is no segment to write to yet."""
        self.records = state.records
        self._hash = state.hash
        self._record_id = state.record_id.encode("ascii")
        self._sequence, self._base = state.next_sequence, state.position
        self.end = 0
        self.leave()

    def move_to(self, header: SegmentHeader, mapping: mmap.mmap) -> None:
        """Goes on in this segment; `mapping` is all of it."""
        self._map, self._size = mapping, len(mapping)
        self._sequence, self._base = header.sequence, header.base
        self.end = HEADER_BYTES

    def leave(self) -> None:
        """The segment is written no more."""
        self._map, self._size = None, 0

    def has_room(self, needed_bytes: int) -> bool:
        return self._map is not None and self.end + needed_bytes <= self._size

    def write(self, record_id: bytes, body: bytes) -> None:
        """Appends one record; the caller has made sure of the room."""
        hasher = _SHA256.copy()
        hasher.update(self._hash + body)
        own_hash = hasher.digest()
        assert self._map is not None
        self.end = write_frame(self._map, self.end, self._hash, own_hash, body)
        self._hash, self._record_id = own_hash, record_id
        self.records += 1

    def intent(self, lines: Lines, sql_text: bytes) -> str | None:
        """Appends a statement's intent and gives the statement's id; None when the journal must look into it."""
        self.lock.acquire()
        try:
            now = self._clock()
            record_id = self._ids.next_at(now)
            is_written = self._try_write(record_id, lines.intent_body(record_id, now, sql_text))
        finally:
            self.lock.release()
        if not is_written:
            return None
        self.call_for_sync()
        return record_id.decode("ascii")

    def outcome(
        self,
        lines: Lines,
        statement_id: str,
        rows: int | None,
        bytes_out: int,
        duration_us: int,
        sqlstate: str,
    ) -> bool:
        """Appends a statement's outcome; False when the journal must look into it."""
        self.lock.acquire()
        try:
            now = self._clock()
            record_id = self._ids.next_at(now)
            statement = statement_id.encode("utf-8")
            body = lines.outcome_body(record_id, statement, now, rows, bytes_out, duration_us, sqlstate)
            is_written = self._try_write(record_id, body)
        finally:
            self.lock.release()
        if is_written:
            self.call_for_sync()
        return is_written

    def call_for_sync(self) -> None:
        """Wakes who syncs, once between two syncs."""
        if not self.is_sync_due:
            self.is_sync_due = True
            self._wake()

    def _try_write(self, record_id: bytes, body: bytes) -> bool:
        if len(body) > MAX_BODY_BYTES:
            raise JournalError("the record is too long")
        needed = frame_bytes(len(body))
        if not self.is_open or not self.has_room(needed):
            self.needed_bytes = needed
            return False
        self.write(record_id, body)
        return True
