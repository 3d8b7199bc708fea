"""Runs the admin application in an event loop that somebody else owns: no signals, no logs, no exit."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator
from typing import Final

import uvicorn
from starlette.applications import Starlette

_GRACE_S: Final = 2


class AdminServer:
    """Listens from `start` to `stop`."""

    def __init__(self, app: Starlette) -> None:
        # Uvicorn's own signal handling would replace the supervisor's, and its log set-up ours.
        self._server = _QuietServer(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Binds and serves; returns the port, also when 0 was asked for. Raises OSError when it is taken."""
        listener = _listener(host, port)
        self._task = asyncio.create_task(self._server.serve([listener]), name="admin")
        while not self._server.started and not self._task.done():
            await asyncio.sleep(0.005)
        bound: int = listener.getsockname()[1]
        return bound

    async def stop(self) -> None:
        if self._task is not None:
            self._server.should_exit = True
            await self._task
            self._task = None


class _QuietServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(64)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
