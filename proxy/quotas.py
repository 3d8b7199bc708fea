"""What API keys have begun and cost, counted by all workers of one sidecar: a file that they have mapped.

It is a real file, so that a killed sidecar goes on counting where it was; a power cut may cost what the store hasn't
been told yet. A count is looked at and changed under a lock that the system takes from a process that dies.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from policies.tiers import Uses
from proxy.board import ByteLock

FILE_NAME: Final = "key-quotas"
_MAGIC: Final = int.from_bytes(b"pgwquot1", "big")
_HEADER: Final = struct.Struct("=q16s")  # in the machine's order: no other machine reads it
_HEADER_WORDS: Final = 4
_CONFIRMED: Final = 3
_SLOTS: Final = 8192  # keys in use in a month
_TRIES: Final = 64
_ID_BYTES: Final = 16
_WORD_BYTES: Final = 8
# A slot's words: two of the id, the month as 202611, statements, cost, when it was used last (microseconds).
_MONTH: Final = 2
_STATEMENTS: Final = 3
_COST: Final = 4
_LAST: Final = 5
_SLOT_WORDS: Final = 6
_BYTES: Final = (_HEADER_WORDS + _SLOTS * _SLOT_WORDS) * _WORD_BYTES

log = logging.getLogger("pgwarden.keys")


@dataclass(frozen=True, slots=True)
class Counted:
    """One key in one month, by this sidecar."""

    id: str
    month: date
    uses: Uses
    last_used_us: int


class Slot:
    """One key's in one month, to be looked at and changed under its `lock`: one process at a time."""

    __slots__ = ("_at", "_known_by", "_words", "lock")

    def __init__(self, words: memoryview, at: int, known_by: tuple[int, int, int], lock: ByteLock) -> None:
        self._words = words
        self._at = at
        self._known_by = known_by
        self.lock = lock

    @property
    def is_mine(self) -> bool:
        """Whether it is still that of this key and month."""
        words, at = self._words, self._at
        return (words[at], words[at + 1], words[at + _MONTH]) == self._known_by

    @property
    def uses(self) -> Uses:
        return Uses(self._words[self._at + _STATEMENTS], self._words[self._at + _COST])

    def add(self, statements: int, cost_nano: int = 0) -> None:
        if statements:
            self._words[self._at + _STATEMENTS] += statements
        if cost_nano:
            self._words[self._at + _COST] += cost_nano

    def touch(self, now_us: int) -> None:
        """It is used now."""
        self._words[self._at + _LAST] = now_us


class Quotas:
    """`prepare` in the supervisor, `open` in its workers. `counter` names this file among all sidecars'."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._map = mmap.mmap(file, _BYTES)
        self._words = memoryview(self._map).cast("q")
        self._making = ByteLock(file, 0)
        self.counter = UUID(bytes=_HEADER.unpack_from(self._map)[1])

    @classmethod
    def prepare(cls, directory: Path) -> Quotas:
        """The file of an earlier start, or a new one where there is none that can be read. Raises OSError."""
        path = directory / FILE_NAME
        if not _is_sound(path):
            fresh = path.with_suffix(".new")
            # Written out: a full disk is told now, not by a signal later.
            fresh.write_bytes(_HEADER.pack(_MAGIC, uuid4().bytes).ljust(_BYTES, b"\0"))
            fresh.chmod(0o600)
            fresh.replace(path)
        return cls.open(directory)

    @classmethod
    def open(cls, directory: Path) -> Quotas:
        """Raises OSError."""
        return cls(os.open(directory / FILE_NAME, os.O_RDWR | os.O_CLOEXEC))

    @property
    def confirmed_s(self) -> int:
        """When the keys that are kept beside it were true last, seconds since 1970; 0: unknown."""
        return self._words[_CONFIRMED]

    @confirmed_s.setter
    def confirmed_s(self, at_s: int) -> None:
        self._words[_CONFIRMED] = at_s

    def close(self) -> None:
        self._words.release()
        self._map.close()
        os.close(self._file)

    def counted(self) -> Iterator[Counted]:
        """All that stands there."""
        words = self._words
        for at in range(_HEADER_WORDS, len(words), _SLOT_WORDS):
            if words[at] > 0 and 1 <= words[at + _MONTH] % 100 <= 12:
                yield self._counted_at(at)

    def add(self, key: str, month: date, uses: Uses) -> None:
        """What is known to be lacking. A file without room lacks it further."""
        slot = self.slot(key, month)
        if slot is not None:
            with slot.lock:
                slot.add(uses.statements, uses.cost_nano)

    def slot(self, key: str, month: date) -> Slot | None:
        """The slot of a key in a month; it is made where there is none. None: there is no room.

        Raises ValueError for a text that no key's id can be.
        """
        first, second = _words_of(key)
        number = month.year * 100 + month.month
        with self._making:
            at = self._place(first, second, number)
        return None if at is None else Slot(self._words, at, (first, second, number), ByteLock(self._file, at))

    def _place(self, first: int, second: int, month: int) -> int | None:
        words, free = self._words, None
        start = zlib.crc32(struct.pack("=qqq", first, second, month))
        for step in range(_TRIES):
            at = _HEADER_WORDS + (start + step) % _SLOTS * _SLOT_WORDS
            if (words[at], words[at + 1], words[at + _MONTH]) == (first, second, month):
                return at
            is_new = words[at] == 0
            # The month before may be still on its way to the store.
            if free is None and (is_new or words[at + _MONTH] < _month_before(month)):
                free = at
            if is_new:
                break
        if free is not None:
            for word, value in enumerate((first, second, month, 0, 0, 0)):
                words[free + word] = value
        return free

    def _counted_at(self, at: int) -> Counted:
        words = self._words
        key = b"".join(words[at + word].to_bytes(_WORD_BYTES, "big") for word in range(2)).rstrip(b"\0")
        year, month = divmod(words[at + _MONTH], 100)
        uses = Uses(words[at + _STATEMENTS], words[at + _COST])
        return Counted(key.decode("ascii", "replace"), date(year, month, 1), uses, words[at + _LAST])


def _is_sound(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            is_sound = (
                os.fstat(file.fileno()).st_size == _BYTES and _HEADER.unpack(file.read(_HEADER.size))[0] == _MAGIC
            )
    except FileNotFoundError:
        return False
    except (OSError, struct.error):
        is_sound = False
    if not is_sound:
        log.warning("%s can't be read: what keys have used since the store was told last is forgotten", path.name)
    return is_sound


def _words_of(key: str) -> tuple[int, int]:
    """Raises ValueError for a text that no key's id can be."""
    data = key.encode("ascii").ljust(_ID_BYTES, b"\0")
    if len(data) != _ID_BYTES or data[0] == 0:
        raise ValueError("this is no id of an API key")
    return int.from_bytes(data[:_WORD_BYTES], "big"), int.from_bytes(data[_WORD_BYTES:], "big")


def _month_before(number: int) -> int:
    year, month = divmod(number, 100)
    return number - 1 if month > 1 else (year - 1) * 100 + 12
