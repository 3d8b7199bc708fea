"""How many statements the workers of one sidecar have in each workload lane, and who of them waits longest: in memory
that all of them have mapped, so that a lane's concurrency holds for all of them together.

A place is taken under a lock that the system takes from a process that dies; each worker writes its own words alone.
It must not know statements, nor how somebody waits.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from proxy.board import anonymous_file

_WORD_BYTES: Final = 8
_SILENT_US: Final = 1_000_000  # who hasn't looked for so long holds up nobody else's turn
# A worker's words of one lane: statements that run, sessions that wait, the first one's rank, and when it looked last.
_RUNNING: Final = 0
_WAITING: Final = 1
_RANK: Final = 2
_LOOKED: Final = 3
_WORDS: Final = 4


class LaneBoard:
    """`make` in the supervisor; `LaneBoard(file, workers, lanes)` in a worker that inherited the file."""

    def __init__(self, file: int, workers: int, lanes: int) -> None:
        self.file = file
        self.workers = workers
        self.lanes = lanes
        self._map = mmap.mmap(file, _bytes_of(workers, lanes))
        self.words = memoryview(self._map).cast("q")

    @classmethod
    def make(cls, workers: int, lanes: int) -> LaneBoard:
        """All zeros. `lanes`: of all databases together. Raises OSError."""
        file = anonymous_file()
        os.ftruncate(file, _bytes_of(workers, lanes))
        return cls(file, workers, lanes)

    def close(self) -> None:
        self.words.release()
        self._map.close()
        os.close(self.file)

    @contextmanager
    def locked(self) -> Generator[None, None, None]:
        """Of all processes, one at a time; for a few microseconds."""
        fcntl.lockf(self.file, fcntl.LOCK_EX, 1)
        try:
            yield
        finally:
            fcntl.lockf(self.file, fcntl.LOCK_UN, 1)

    def forget(self, worker: int) -> None:
        """It has died: what it had in the lanes is over."""
        for lane in range(self.lanes):
            at = self.at(lane, worker)
            for word in range(_WORDS):
                self.words[at + word] = 0

    def at(self, lane: int, worker: int) -> int:
        return (lane * self.workers + worker - 1) * _WORDS


class LanePlaces:
    """One lane's places as one worker takes them. `limit`: statements at once, of all workers; None without end.

    Ranks are moments in microseconds of a clock that all workers share; the smallest has the next turn.
    """

    def __init__(self, board: LaneBoard, lane: int, worker: int, limit: int | None) -> None:
        self._board = board
        self._words = board.words
        self._limit = limit
        self._mine = board.at(lane, worker)
        self._all = [board.at(lane, number) for number in range(1, board.workers + 1)]

    def take(self, rank: int, now_us: int) -> bool:
        """A place, unless all are taken or somebody in another worker comes first."""
        with self._board.locked():
            if not self._is_free() or self._first_elsewhere(now_us) < rank:
                return False
            self._words[self._mine + _RUNNING] += 1
            return True

    def take_anyway(self) -> None:
        """Counts, whether a place is free or not."""
        self._words[self._mine + _RUNNING] += 1

    def leave(self) -> None:
        self._words[self._mine + _RUNNING] -= 1

    def show_waiting(self, count: int, rank: int, now_us: int) -> None:
        """To the other workers: so many wait here, the first of them with this rank."""
        words, mine = self._words, self._mine
        words[mine + _RANK], words[mine + _LOOKED], words[mine + _WAITING] = rank, now_us, count

    @property
    def running(self) -> int:
        """Of all workers."""
        return sum(self._words[at + _RUNNING] for at in self._all)

    @property
    def waiting(self) -> int:
        """Of all workers."""
        return sum(self._words[at + _WAITING] for at in self._all)

    def _is_free(self) -> bool:
        return self._limit is None or self.running < self._limit

    def _first_elsewhere(self, now_us: int) -> int:
        words = self._words
        ranks = [
            words[at + _RANK]
            for at in self._all
            if at != self._mine and words[at + _WAITING] and now_us - words[at + _LOOKED] < _SILENT_US
        ]
        return min(ranks, default=_NOBODY)


_NOBODY: Final = (1 << 63) - 1


def _bytes_of(workers: int, lanes: int) -> int:
    return max(1, workers * lanes * _WORDS) * _WORD_BYTES
