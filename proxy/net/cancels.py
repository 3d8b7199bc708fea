"""Carries cancel requests to servers, so that a storm of them at our door stays a trickle at the servers'."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from proxy.net.upstream import UpstreamUnreachable

AT_ONCE: Final = 16  # connections for cancelling, of one worker

log = logging.getLogger("pgwarden.net")


class Canceller:
    """For one link: however many ask, one request is under way and one waits.

    `send` carries one request to the server and returns once it is there. `slots` is shared by the links of a worker.
    """

    def __init__(self, send: Callable[[], Awaitable[None]], slots: asyncio.Semaphore) -> None:
        self._send = send
        self._slots = slots
        self._lock = asyncio.Lock()
        self._waiting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def cancel(self) -> None:
        """Returns after a request that began after this call; callers that wait for the same one share it."""
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_task(self._send_next())
            self._tasks.add(self._waiting)
            self._waiting.add_done_callback(self._tasks.discard)
        await asyncio.shield(self._waiting)

    async def _send_next(self) -> None:
        async with self._lock, self._slots:
            self._waiting = None
            try:
                await self._send()
            except UpstreamUnreachable as error:
                log.warning("a cancel did not reach the server: %s", error)
