"""The timers of one link: its session's own, by token, and the one that ends a handshake."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.session.ports import StartTimer, StopTimer


class Timers:
    def __init__(self, fired: Callable[[int], None], handshake_over: Callable[[], None], handshake_s: float) -> None:
        self._fired = fired
        self._handshake_over = handshake_over
        self._handshake_s = handshake_s
        self._running: dict[int, asyncio.TimerHandle] = {}
        self._handshake: asyncio.TimerHandle | None = None

    def do(self, command: StartTimer | StopTimer) -> None:
        match command:
            case StartTimer(token, seconds):
                self._running[token] = asyncio.get_running_loop().call_later(seconds, self._fire, token)
            case StopTimer(token):
                timer = self._running.pop(token, None)
                if timer is not None:
                    timer.cancel()

    def _fire(self, token: int) -> None:
        self._running.pop(token, None)
        self._fired(token)

    def start_handshake(self) -> None:
        self.stop_handshake()
        self._handshake = asyncio.get_running_loop().call_later(self._handshake_s, self._handshake_over)

    def stop_handshake(self) -> None:
        if self._handshake is not None:
            self._handshake.cancel()
            self._handshake = None

    def stop_all(self) -> None:
        self.stop_handshake()
        for timer in self._running.values():
            timer.cancel()
        self._running.clear()
