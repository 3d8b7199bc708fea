"""Questions that are under way over a control channel: each waits for its answer for a bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

_LONGEST_S: Final = 5.0


class Questions:
    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._last = 0

    async def ask(self, send: Callable[[int], None], limit_s: float = _LONGEST_S) -> None:
        """`send` is given the question's number. Returns when it was answered, or when time is up."""
        self._last += 1
        number = self._last
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            send(number)
            with suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    await waiting
        finally:
            del self._waiting[number]

    def answered(self, number: int) -> None:
        waiting = self._waiting.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def give_up(self) -> None:
        """Nobody is left who could answer."""
        for number in tuple(self._waiting):
            self.answered(number)
