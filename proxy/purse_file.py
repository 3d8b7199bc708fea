"""The memory that purses live in: a file beside the journal that supervisor and workers have mapped.

It is a file so that a start after kill -9 finds what was spent: the kernel keeps what processes wrote before they died.
It isn't synced: after a power cut its content isn't believed, which the system's boot id tells.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import UUID

from policies.budgets import Budget, OnExceeded
from proxy.purses import ASKED_AND_USED, BASE, KEY, STARTS_AT, WORDS, Purse

SLOTS: Final = 4096
NAME: Final = "budgets-{}.purses"
_MAGIC: Final = 0x70757273  # with the layout's number
_HEADER: Final = 8  # words: magic, workers, holder (2), boot (2)
_WORD_BYTES: Final = 8
_BOOT_FILE: Final = Path("/proc/sys/kernel/random/boot_id")
_NO_BOOT: Final = UUID(int=0)


class PurseFile:
    """`make` in the supervisor; `PurseFile(file, workers)` in a worker that inherited the descriptor.

    The first slot is nobody's: a purse that stands there is never filled.
    """

    def __init__(self, file: int, workers: int, path: Path | None = None) -> None:
        self.file = file
        self._path = path
        self.workers = workers
        self._slot_words = WORDS + ASKED_AND_USED * workers
        self._map = mmap.mmap(file, _bytes_of(workers))
        self.words: memoryview = memoryview(self._map).cast("q")

    @classmethod
    def make(cls, directory: Path, workers: int, holder: UUID, boot: UUID | None = None) -> PurseFile:
        """All zeros. The room is taken at once, so that a full disk is told here. Raises OSError."""
        path = directory / NAME.format(holder.hex)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(file, 0, _bytes_of(workers))
            made = cls(file, workers, path)
        except BaseException:
            os.close(file)
            raise
        words = made.words
        words[0], words[1] = _MAGIC, workers
        words[2], words[3] = _halves(holder)
        words[4], words[5] = _halves(boot_id() if boot is None else boot)
        return made

    def close(self) -> None:
        self.words.release()
        self._map.close()
        os.close(self.file)

    def unlink(self) -> None:
        """Nothing is left to settle."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def snapshot(self) -> bytes:
        """Equal to the last one: nothing has happened."""
        return self._map[:]

    def slot_of(self, key: str) -> int:
        """The first word of the purse with this key, which is made if need be. The first slot when all are taken."""
        name = _key_of(key)
        found = self._find(name)
        if found is not None:
            return found
        fcntl.lockf(self.file, fcntl.LOCK_EX, 1)
        try:
            return self._find(name) or self._take(name)
        finally:
            fcntl.lockf(self.file, fcntl.LOCK_UN, 1)

    def purse(self, budget: Budget, worker: int) -> Purse:
        """As this worker, from 1 on, sees it."""
        is_binding = budget.on_exceeded is not OnExceeded.SHADOW
        return Purse(budget, self.words, self.slot_of(budget.key), worker, self.workers, is_binding)

    def _find(self, name: tuple[int, int]) -> int | None:
        for at in self._places(name):
            if self.words[at + KEY] == 0:
                return None
            if (self.words[at + KEY], self.words[at + KEY + 1]) == name:
                return at
        return None

    def _take(self, name: tuple[int, int]) -> int:
        for at in self._places(name):
            if self.words[at + KEY] == 0:
                self.words[at + KEY + 1] = name[1]
                self.words[at + KEY] = name[0]
                return at
        return _HEADER

    def _places(self, name: tuple[int, int]) -> Iterator[int]:
        for step in range(SLOTS - 1):
            yield _HEADER + (1 + (name[0] + step) % (SLOTS - 1)) * self._slot_words


class LeftPurses:
    """The file of a sidecar that has ended without giving back what it held."""

    def __init__(self, path: Path, words: memoryview) -> None:
        self.path = path
        workers = words[1]
        self._words = words
        self._slot_words = WORDS + ASKED_AND_USED * workers
        self._workers = workers
        self.holder = UUID(int=_whole(words[2], words[3]))
        self._boot = UUID(int=_whole(words[4], words[5]))

    def spent(self, key: str, starts_at_us: int, boot: UUID) -> int | None:
        """In the period that began then; None when nobody can say."""
        if boot != self._boot or boot == _NO_BOOT:
            return None
        name, words = _key_of(key), self._words
        for step in range(SLOTS - 1):
            at = _HEADER + (1 + (name[0] + step) % (SLOTS - 1)) * self._slot_words
            if words[at + KEY] == 0:
                return None
            if (words[at + KEY], words[at + KEY + 1]) == name:
                return spent_in(words, at, self._workers, starts_at_us)
        return None

    def forget(self) -> None:
        """All of it has been settled."""
        with suppress(FileNotFoundError):
            self.path.unlink()


def left_purses(directory: Path, own: UUID) -> list[LeftPurses]:
    """Of earlier sidecars on this folder. A file that can't be read is no use to anybody and is taken away."""
    found = []
    for path in sorted(directory.glob(NAME.format("*"))):
        if path.name == NAME.format(own.hex):
            continue
        content = path.read_bytes()
        words = memoryview(content[: len(content) // _WORD_BYTES * _WORD_BYTES]).cast("q")
        if len(words) > _HEADER and words[0] == _MAGIC and len(content) == _bytes_of(words[1]):
            found.append(LeftPurses(path, words))
        else:
            path.unlink()
    return found


def spent_in(words: memoryview, at: int, workers: int, starts_at_us: int) -> int | None:
    """What all workers have used since the period began; None when the purse is in another one."""
    if words[at + STARTS_AT] != starts_at_us:
        return None
    return sum(words[at + WORDS : at + WORDS + workers]) - words[at + BASE]


def boot_id() -> UUID:
    """Of the running system; all zeros where it has none."""
    try:
        return UUID(_BOOT_FILE.read_text("ascii").strip())
    except (OSError, ValueError):
        return _NO_BOOT


def _bytes_of(workers: int) -> int:
    return (_HEADER + SLOTS * (WORDS + ASKED_AND_USED * workers)) * _WORD_BYTES


def _key_of(key: str) -> tuple[int, int]:
    """Two numbers, the first above 0."""
    digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
    first, second = int.from_bytes(digest[:8], "big") >> 1, int.from_bytes(digest[8:], "big") >> 1
    return first or 1, second


def _halves(number: UUID) -> tuple[int, int]:
    """As signed words."""
    raw = number.bytes
    return int.from_bytes(raw[:8], "big", signed=True), int.from_bytes(raw[8:], "big", signed=True)


def _whole(first: int, second: int) -> int:
    return int.from_bytes(first.to_bytes(8, "big", signed=True) + second.to_bytes(8, "big", signed=True), "big")
