"""Makes identifiers that sort by time (UUID version 7, RFC 9562 §6.2 method 3). Knows nothing of what they
name.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable

from audit import octets

Clock = Callable[[], int]  # microseconds since 1970-01-01 UTC
RandomBytes = Callable[[int], bytes]

_VERSION = 0x7 << 12
_VARIANT = 0b10 << 62
_RANDOM_MASK = (1 << 62) - 1
_DIGITS = b"0123456789abcdef"
_BLOCK = struct.Struct(">64Q")  # randomness for so many ids is drawn at once: each drawing is a system call


def system_clock_us() -> int:
    """Microseconds since 1970-01-01 UTC by the machine's clock."""
    return time.time_ns() // 1000


class Ids:
    """Ids of one process, each greater than the one before, also when the clock stands still or goes back.

    Not to be shared by threads without a lock, nor by processes: what fork copies would make the same ids.
    """

    def __init__(self, clock: Clock = system_clock_us, random: RandomBytes = os.urandom) -> None:
        self._clock = clock
        self._random = random
        self._made = memoryview(bytearray(32))
        self._last_tick = 0
        self._noise: tuple[int, ...] = ()
        self._used = 0

    def go_on_after(self, record_id: str) -> None:
        """Makes every later id greater than `record_id`, whatever the clock says."""
        self._last_tick = max(self._last_tick, _tick_of(record_id))

    def next(self) -> str:
        """A new id: 32 lower-case hex digits."""
        return self.next_at(self._clock()).decode("ascii")

    def next_at(self, now_us: int) -> bytes:
        """A new id of this moment, as ASCII bytes: for whoever has read the clock already."""
        self.put_next(self._made, now_us)
        return octets.take(self._made, 0, 32)

    def put_next(self, into: memoryview, now_us: int) -> None:
        """The same, put into the first 32 bytes."""
        if self._used == len(self._noise):
            self._noise, self._used = _BLOCK.unpack(self._random(_BLOCK.size)), 0
        tick = ((now_us // 1000) << 12) | (now_us % 1000 * 4096 // 1000)
        if tick <= self._last_tick:
            tick = self._last_tick + 1
        self._last_tick = tick
        noise = self._noise[self._used] & _RANDOM_MASK
        self._used += 1
        _put_hex(into, 0, (tick >> 12) << 16 | _VERSION | (tick & 0xFFF))
        _put_hex(into, 16, _VARIANT | noise)


def _put_hex(into: memoryview, at: int, value: int) -> None:
    """16 digits."""
    place = at + 16
    while place > at:
        place -= 1
        into[place] = _DIGITS[value & 0xF]
        value >>= 4


def _tick_of(record_id: str) -> int:
    """The 60 bits of time and sequence in an id."""
    value = int(record_id, 16)
    return ((value >> 80) << 12) | ((value >> 64) & 0xFFF)
