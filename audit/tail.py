"""The end of a chain that is being written: the mapped segment, the last hash, the next id. Knows no durability.

What is done for every statement is done here, in one call under one lock. What is rare (another segment, a disk
that is full or has failed) is left to the journal: then `intent` and `outcome` give nothing and write nothing.
"""

from __future__ import annotations

import hashlib
import mmap
import threading
from collections.abc import Callable

from audit import octets
from audit.errors import JournalError
from audit.ids import Clock, Ids, system_clock_us
from audit.libraries import Functions, found
from audit.lines import Lines
from audit.recovery import ChainState
from audit.segment import FRAME_HEAD_BYTES, HEADER_BYTES, MAX_BODY_BYTES, SegmentHeader, frame_bytes, write_frame

_SHA256 = hashlib.sha256()  # copied: cheaper than making one
_DRAFT_BYTES = 1 << 15  # longer records are made of objects
_HASH_BYTES = 32
_HASHED_AT = 8  # behind length and checksum, which covers what follows, and the length
_HASH_AT = 40


class Tail:
    """Where a journal's next record goes. All but `intent` and `outcome` is for who holds `lock`.

    `is_open`: the journal has nothing to say against writing. `is_sync_due`: `wake` was called since the last sync.
    """

    def __init__(self, clock: Clock, ids: Ids, wake: Callable[[], None], functions: Functions | None = None) -> None:
        self.lock = threading.Lock()
        self.is_open = False
        self.is_sync_due = False
        self._clock = clock
        self._is_system_clock = clock is system_clock_us
        self._ids = ids
        self._wake = wake
        self._functions = functions or found()
        self._draft = memoryview(bytearray(_DRAFT_BYTES))
        self._draft_room = _DRAFT_BYTES - FRAME_HEAD_BYTES if self._functions.is_complete else 0
        self.needed_bytes = 0  # by what was refused last
        self._map: mmap.mmap | None = None
        self._view: memoryview | None = None  # of it
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
        self._map, self._view, self._size = mapping, memoryview(mapping), len(mapping)
        self._sequence, self._base = header.sequence, header.base
        self.end = HEADER_BYTES

    def leave(self) -> None:
        """The segment is written no more."""
        if self._view is not None:
            self._view = None  # a mapping can't be closed while it is looked at
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

    def intent(self, lines: Lines, sql_text: bytes) -> bytes | None:
        """Appends a statement's intent and gives the statement's id; None when the journal must look into it."""
        self.lock.acquire()
        try:
            now = self._now()
            record_id = self._ids.next_at(now)
            end = lines.put_intent(self._draft, FRAME_HEAD_BYTES, self._draft_room, record_id, now, sql_text)
            if end > 0:
                is_written = self._try_publish(record_id, end)
            else:
                is_written = self._try_write(record_id, lines.intent_body(record_id, now, sql_text))
        finally:
            self.lock.release()
        if not is_written:
            return None
        self.call_for_sync()
        return record_id

    def plain_outcome(self, lines: Lines, statement_id: bytes, rows: int, bytes_out: int, duration_us: int) -> bool:
        """Appends the outcome of a statement without an error; False when the journal must look into it."""
        self.lock.acquire()
        try:
            now = self._now()
            record_id = self._ids.next_at(now)
            end = lines.put_outcome(
                self._draft,
                FRAME_HEAD_BYTES,
                self._draft_room,
                record_id,
                statement_id,
                now,
                rows,
                bytes_out,
                duration_us,
            )
            if end > 0:
                is_written = self._try_publish(record_id, end)
            else:
                body = lines.outcome_body(record_id, statement_id, now, rows, bytes_out, duration_us, "")
                is_written = self._try_write(record_id, body)
        finally:
            self.lock.release()
        if is_written:
            self.call_for_sync()
        return is_written

    def outcome(
        self,
        lines: Lines,
        statement_id: bytes,
        rows: int | None,
        bytes_out: int,
        duration_us: int,
        sqlstate: str,
    ) -> bool:
        """Appends any statement's outcome; False when the journal must look into it."""
        if rows is not None and not sqlstate:
            return self.plain_outcome(lines, statement_id, rows, bytes_out, duration_us)
        self.lock.acquire()
        try:
            now = self._now()
            record_id = self._ids.next_at(now)
            body = lines.outcome_body(record_id, statement_id, now, rows, bytes_out, duration_us, sqlstate)
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

    def _now(self) -> int:
        return octets.clock_us() if self._is_system_clock else self._clock()

    def _try_publish(self, record_id: bytes, end: int) -> bool:
        """Appends the draft, whose body ends at `end`: the same bytes as `write` gives, without an object for each."""
        length = end - FRAME_HEAD_BYTES
        needed = frame_bytes(length)
        if not self.is_open or not self.has_room(needed):
            self.needed_bytes = needed
            return False
        draft, functions = self._draft, self._functions
        _put_little_endian(draft, 0, length)
        octets.put(draft, _HASHED_AT, self._hash)
        octets.put_sha256(functions, draft, _HASH_AT, self._hash, FRAME_HEAD_BYTES, length)
        checksum = octets.crc32(functions, draft, 0, 4, 0)
        _put_little_endian(draft, 4, octets.crc32(functions, draft, _HASHED_AT, end - _HASHED_AT, checksum))
        assert self._view is not None
        octets.publish(self._view, self.end, draft, end)
        self.end += needed
        self._hash, self._record_id = octets.take(draft, _HASH_AT, _HASH_BYTES), record_id
        self.records += 1
        return True


def _put_little_endian(into: memoryview, at: int, value: int) -> None:
    """32 bits."""
    for place in range(4):
        into[at + place] = value & 0xFF
        value >>= 8
