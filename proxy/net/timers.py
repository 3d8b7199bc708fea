"""The timers of one link: its session's own, by token, the one that ends a handshake, those that end what lingers.

They know their link weakly: links hold their timers, and what holds itself in a circle waits for the collector.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import Final, Protocol

from proxy.session.ports import StartTimer, StopTimer

LINGER_S: Final = 5.0


class Timed(Protocol):
    """Who hears of the timers."""

    def timer_fired(self, token: int) -> None: ...

    def handshake_timed_out(self) -> None: ...


class Timers:
    def __init__(self, link: Timed, handshake_s: float) -> None:
        self._link = weakref.ref(link)
        self._handshake_s = handshake_s
        self._lingering: dict[asyncio.Transport, asyncio.TimerHandle] = {}
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
        link = self._link()
        if link is not None:
            link.timer_fired(token)

    def _fire_handshake(self) -> None:
        link = self._link()
        if link is not None:
            link.handshake_timed_out()

    def start_handshake(self) -> None:
        self.stop_handshake()
        self._handshake = asyncio.get_running_loop().call_later(self._handshake_s, self._fire_handshake)

    def stop_handshake(self) -> None:
        if self._handshake is not None:
            self._handshake.cancel()
            self._handshake = None

    def close(self, transport: asyncio.Transport) -> None:
        """Closes it; a peer that doesn't read would keep the socket for ever, so it is cut off after a while."""
        transport.close()
        loop = asyncio.get_running_loop()
        self._lingering[transport] = loop.call_later(LINGER_S, _abort, transport)

    def closed(self, transport: asyncio.Transport | None) -> None:
        """It is gone: nothing is held for its sake any more."""
        timer = self._lingering.pop(transport, None) if transport is not None else None
        if timer is not None:
            timer.cancel()

    def stop_all(self) -> None:
        self.stop_handshake()
        for timer in self._running.values():
            timer.cancel()
        self._running.clear()


def _abort(transport: asyncio.Transport) -> None:
    transport.abort()
