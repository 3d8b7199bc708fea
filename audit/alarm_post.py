"""Takes alarms to one receiver, in order, for as long as it takes; never makes anybody wait. Knows no protocol."""

from __future__ import annotations

import asyncio
import logging
import random as random_module
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from audit.alarm import Alarm

ROOM: Final = 10_000
BATCH: Final = 100
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 60.0

log = logging.getLogger("pgwarden.audit")


class SendError(Exception):
    """`is_final`: the receiver doesn't want these alarms, now or later. The text quotes none of them."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


class Sender(Protocol):
    """`name` is for logs and metrics: it holds no secret."""

    @property
    def name(self) -> str: ...

    async def send(self, alarms: Sequence[Alarm]) -> None:
        """Returns when the receiver has them all, as far as its protocol tells. Raises SendError or OSError."""

    async def close(self) -> None: ...


class Post:
    """One receiver's queue. When it is full, the oldest are lost, and counted in `lost`."""

    def __init__(
        self,
        sender: Sender,
        *,
        room: int = ROOM,
        random: Callable[[], float] = random_module.random,
        first_pause_s: float = _FIRST_PAUSE_S,
    ) -> None:
        self._sender = sender
        self._room = room
        self._random = random
        self._first_pause_s = first_pause_s
        self._waiting: deque[Alarm] = deque()
        self._has_any = asyncio.Event()
        self.offered = 0
        self.sent = 0
        self.lost = 0
        self.problem: str | None = None

    @property
    def name(self) -> str:
        return self._sender.name

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def offer(self, alarm: Alarm) -> None:
        if len(self._waiting) >= self._room:
            self._waiting.popleft()
            self.lost += 1
        self.offered += 1
        self._waiting.append(alarm)
        self._has_any.set()

    async def run(self) -> None:
        """Until cancelled."""
        failures = 0
        try:
            while True:
                await self._has_any.wait()
                failures = 0 if await self._send_next() else failures + 1
                if failures:
                    await asyncio.sleep(self._pause_s(failures))
        finally:
            await self._sender.close()

    async def finish(self, limit_s: float) -> None:
        """What waits is sent, if the receiver takes it at once. `run` has ended before."""
        try:
            async with asyncio.timeout(limit_s):
                while self._waiting and await self._send_next():
                    pass
        except TimeoutError:
            pass
        await self._sender.close()

    async def _send_next(self) -> bool:
        """Whether the next ones needn't be tried again. They stay in the queue meanwhile, and may be lost from it."""
        batch = [self._waiting[index] for index in range(min(BATCH, len(self._waiting)))]
        try:
            await self._sender.send(batch)
        except (SendError, OSError, TimeoutError) as error:
            return self._has_failed(batch, error)
        self.problem = None
        self.sent += self._let_go(batch)
        return True

    def _has_failed(self, batch: Sequence[Alarm], error: Exception) -> bool:
        reason = str(error) or type(error).__name__
        if self.problem is None:
            log.warning("alarms don't reach %s: %s", self.name, reason)
        self.problem = reason
        is_final = isinstance(error, SendError) and error.is_final
        if is_final:
            self.lost += self._let_go(batch)
        return is_final

    def _let_go(self, batch: Sequence[Alarm]) -> int:
        """How many of these were still waiting: others came while they were sent, perhaps too many."""
        gone = 0
        for alarm in batch:
            if self._waiting and self._waiting[0] is alarm:
                self._waiting.popleft()
                gone += 1
        if not self._waiting:
            self._has_any.clear()
        return gone

    def _pause_s(self, failures: int) -> float:
        plain_s: float = min(_LONGEST_PAUSE_S, self._first_pause_s * 2.0 ** min(failures - 1, 20))
        return plain_s * (0.5 + self._random())
