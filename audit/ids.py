"""Makes identifiers that sort by time (UUID version 7, RFC 9562 §6.2 method 3). Knows nothing of what they
name.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

Clock = Callable[[], int]  # microseconds since 1970-01-01 UTC
RandomBytes = Callable[[int], bytes]

_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62
_RANDOM_MASK = (1 << 62) - 1


def system_clock_us() -> int:
    """Microseconds since 1970-01-01 UTC by the machine's clock."""
    return time.time_ns() // 1000


class Ids:
    """Ids of one process, each greater than the one before, also when the clock stands still or goes back.

    Not to be shared by threads without a lock.
    """

    __slots__ = ("_clock", "_last_tick", "_random")

    def __init__(self, clock: Clock = system_clock_us, random: RandomBytes = os.urandom) -> None:
        self._clock = clock
        self._random = random
        self._last_tick = 0

    def go_on_after(self, record_id: str) -> None:
        """Makes every later id greater than `record_id`, whatever the clock says."""
        self._last_tick = max(self._last_tick, _tick_of(record_id))

    def next(self) -> str:
        """A new id: 32 lower-case hex digits."""
        milliseconds, rest_us = divmod(self._clock(), 1000)
        tick = (milliseconds << 12) | (rest_us * 4096 // 1000)
        tick = self._last_tick = max(tick, self._last_tick + 1)
        noise = int.from_bytes(self._random(8), "big") & _RANDOM_MASK
        value = ((tick >> 12) << 80) | _VERSION | ((tick & 0xFFF) << 64) | _VARIANT | noise
        return f"{value:032x}"


def _tick_of(record_id: str) -> int:
    """The 60 bits of time and sequence in an id."""
    value = int(record_id, 16)
    return ((value >> 80) << 12) | ((value >> 64) & 0xFFF)
