"""What the workers of one sidecar write for each other to see: memory that all of them have mapped.

Three things: how many links each worker has, which only it writes; loads: what principals with limits have under way,
all workers together; and the words of token buckets, which `proxy.buckets` reads and writes. A load or a bucket is
looked at and counted under a lock that the system takes from a process that dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import tempfile
import time
from contextlib import AbstractContextManager
from typing import Final

from policies.limits import HOUR_US, MINUTE_US, SLICES, Load, Loads, Window

AWAY: Final = 1 << 40  # as a number of links: this worker takes none
_SLOTS: Final = 8192  # user × database, and user × database × column, where a policy limits them
_TRIES: Final = 64  # places in which a slot may be, from the one that its key names on
_RING: Final = SLICES + 1
_WORD_BYTES: Final = 8
# A slot's words: two of its key, the span and the newest slice of its window, the window's sum, its slices, and how
# many sessions of each worker are running.
_SPAN: Final = 2
_NEWEST: Final = 3
_TOTAL: Final = 4
_COUNTS: Final = 5
_RUNNING: Final = _COUNTS + _RING
_FULL: Final = 1 << 40
BUCKETS: Final = 8192  # those with something taken from them
BUCKET_WORDS: Final = 3
BUCKET_TRIES: Final = 16
_LOADS_LOCK: Final = 0  # bytes of the file that stand for locks
_BUCKETS_LOCK: Final = 1

Words = memoryview  # of signed 64 bits


class ByteLock(AbstractContextManager[None]):
    """One process at a time: a lock on a byte of a file, which the system takes from a process that dies."""

    def __init__(self, file: int, byte: int) -> None:
        self._file = file
        self._byte = byte

    def __enter__(self) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, self._byte)

    def __exit__(self, *_: object) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, self._byte)


class Board:
    """`make` in the supervisor; `Board(file, workers)` in a worker that inherited the file."""

    def __init__(self, file: int, workers: int) -> None:
        self.file = file
        self.workers = workers
        self.slot_words = _RUNNING + workers
        self._loads_lock = ByteLock(file, _LOADS_LOCK)
        self._buckets_lock = ByteLock(file, _BUCKETS_LOCK)
        self._map = mmap.mmap(file, _bytes_of(workers))
        self.words: Words = memoryview(self._map).cast("q")
        self.buckets: Words = self.words[_bytes_of(workers) // _WORD_BYTES - BUCKETS * BUCKET_WORDS :]

    @classmethod
    def make(cls, workers: int) -> Board:
        """All zeros, and no worker takes links yet. Raises OSError."""
        file = anonymous_file()
        os.ftruncate(file, _bytes_of(workers))
        board = cls(file, workers)
        for worker in range(1, workers + 1):
            board.set_links(worker, AWAY)
        return board

    def close(self) -> None:
        self.buckets.release()
        self.words.release()
        self._map.close()
        os.close(self.file)

    # links

    def set_links(self, worker: int, count: int) -> None:
        self.words[worker - 1] = count

    def lead(self, worker: int) -> int:
        """How many links it has more than the worker with the fewest."""
        return self.words[worker - 1] - min(self.words[: self.workers])

    # loads

    def locked(self) -> AbstractContextManager[None]:
        """Of all processes, one at a time; for a few microseconds. Not to be nested."""
        return self._loads_lock

    def buckets_locked(self) -> AbstractContextManager[None]:
        """The same for buckets."""
        return self._buckets_lock

    def forget(self, worker: int) -> None:
        """It has died: it has no links, and what it had under way is over."""
        self.set_links(worker, AWAY)
        with self.locked():
            for slot in range(_SLOTS):
                self.words[self._at(slot) + _RUNNING + worker - 1] = 0

    def slot_of(self, key: tuple[int, int], span_us: int, now_us: int) -> int | None:
        """The first word of this key's slot, which is made if need be; None when there is no room. Under the lock."""
        free = None
        for step in range(_TRIES):
            at = self._at((key[0] + step) % _SLOTS)
            if (self.words[at], self.words[at + 1]) == key:
                return at
            is_new = self.words[at] == 0
            if free is None and (is_new or self._is_over(at, now_us)):
                free = at
            if is_new:
                break
        if free is not None:
            self._clear(free, key, span_us)
        return free

    def holds(self, at: int, key: tuple[int, int]) -> bool:
        return (self.words[at], self.words[at + 1]) == key

    def _at(self, slot: int) -> int:
        return self.workers + slot * self.slot_words

    def _is_over(self, at: int, now_us: int) -> bool:
        """Nothing of it counts any more."""
        words = self.words
        slice_us = words[at + _SPAN] // SLICES
        if now_us // slice_us - words[at + _NEWEST] <= SLICES:
            return False
        return not any(words[at + _RUNNING : at + self.slot_words])

    def _clear(self, at: int, key: tuple[int, int], span_us: int) -> None:
        for word in range(self.slot_words):
            self.words[at + word] = 0
        self.words[at], self.words[at + 1], self.words[at + _SPAN] = *key, span_us


class SharedWindow:
    """As `policies.limits.SlidingWindow`, in a slot of the board. To be used under the board's lock only."""

    def __init__(self, board: Board, name: str, span_us: int) -> None:
        self._board = board
        self._words = board.words
        self._key = key_of(name)
        self._span_us = span_us
        self._slice_us = span_us // SLICES
        self._slot: int | None = None

    def at(self, now_us: int) -> int | None:
        """Where its slot begins: somebody else's may stand there since nothing of this one counted any more."""
        if self._slot is None or not self._board.holds(self._slot, self._key):
            self._slot = self._board.slot_of(self._key, self._span_us, now_us)
        return self._slot

    def count(self, now_us: int) -> int:
        at = self._moved(now_us)
        return _FULL if at is None else self._words[at + _TOTAL]

    def add(self, now_us: int, events: int = 1) -> None:
        at = self._moved(now_us)
        if at is not None:
            self._words[at + _COUNTS + self._words[at + _NEWEST] % _RING] += events
            self._words[at + _TOTAL] += events

    def wait_us(self, now_us: int, events: int, limit: int) -> int | None:
        """As `SlidingWindow`; a board without room lets nothing begin."""
        left = self.count(now_us) + events - limit
        if events > limit:
            return None
        if left <= 0:
            return 0
        if self._slot is None:
            return self._span_us
        newest = self._words[self._slot + _NEWEST]
        for number in range(newest - SLICES, newest + 1):
            left -= self._words[self._slot + _COUNTS + number % _RING]
            if left <= 0:
                return (number + SLICES + 1) * self._slice_us - now_us
        return self._span_us

    def _moved(self, now_us: int) -> int | None:
        """Its slot, with what is too old taken out."""
        at, number = self.at(now_us), now_us // self._slice_us
        if at is None:
            return None
        newest = self._words[at + _NEWEST]
        for old in range(newest + 1, min(number, newest + _RING) + 1):
            place = at + _COUNTS + old % _RING
            self._words[at + _TOTAL] -= self._words[place]
            self._words[place] = 0
        self._words[at + _NEWEST] = max(newest, number)
        return at


class SharedLoad(Load):
    """One principal on one database, the sessions of all workers together."""

    def __init__(self, board: Board, worker: int, user: str, database: str) -> None:
        super().__init__()
        self._board = board
        self._worker = worker
        self._name = f"{user}\0{database}"
        self._statements = SharedWindow(board, self._name, MINUTE_US)
        self._slot: int | None = None  # while sessions of this worker are running, the slot stays theirs

    @property
    def running(self) -> int:
        """Under the lock."""
        at = self._statements.at(monotonic_us())
        if at is None:
            return _FULL
        return sum(self._board.words[at + _RUNNING : at + self._board.slot_words])

    @property
    def minute(self) -> Window:
        return self._statements

    def enter(self) -> None:
        """Under the lock."""
        self._running += 1
        self._slot = self._statements.at(monotonic_us())
        self._show()

    def leave(self) -> None:
        """Only this worker writes its own number, so no lock is needed."""
        self._running -= 1
        self._show()

    def alone(self) -> AbstractContextManager[None]:
        return self._board.locked()

    def _show(self) -> None:
        if self._slot is not None:
            self._board.words[self._slot + _RUNNING + self._worker - 1] = self._running

    def _new_probes(self, column: str) -> Window:
        return SharedWindow(self._board, f"{self._name}\0{column}", HOUR_US)


class SharedLoads(Loads):
    """What the sessions of one worker count, and see of the others."""

    def __init__(self, board: Board, worker: int) -> None:
        super().__init__(lambda user, database: SharedLoad(board, worker, user, database))


def monotonic_us() -> int:
    """The same clock in all processes of one machine."""
    return time.monotonic_ns() // 1000


def _bytes_of(workers: int) -> int:
    return (workers + _SLOTS * (_RUNNING + workers) + BUCKETS * BUCKET_WORDS) * _WORD_BYTES


def key_of(name: str) -> tuple[int, int]:
    """Two numbers, the first above 0."""
    digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
    first, second = int.from_bytes(digest[:8], "big") >> 1, int.from_bytes(digest[8:], "big") >> 1
    return first or 1, second


def anonymous_file() -> int:
    """A file that processes share by its descriptor, and nobody finds by a name. Raises OSError."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("pgwarden")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
