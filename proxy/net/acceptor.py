"""Takes connections from one listening socket, which several processes may share, and makes links of them.

Where TLS is offered, the first byte of a TCP connection says whether it begins at once or after a request for it. The
byte stays in the socket: a handshake has to be read from its beginning, so nothing may read before it is known.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Final

from proxy.net.sockets import is_low
from proxy.net.tls import CLIENT_HELLO

_PAUSE_S: Final = 0.5  # when no descriptor is left
_YIELD_S: Final = 0.002  # to others, for each link that they have less
_LONGEST_YIELD_S: Final = 0.05  # who is busy or stopped keeps no client waiting for long
_AT_ONCE: Final = 16  # then the links that are there have their turn

log = logging.getLogger("pgwarden.net")


class Acceptor:
    """`make_link` makes the protocol of one link; `spawn` runs what a link needs before it has one.

    `tls` gives the context of now: certificates are renewed while links come; None takes links without a look.
    `lead`: how many links this process has more than others; `count` hears +1 and -1 for each that isn't a link yet.
    """

    def __init__(
        self,
        listening: socket.socket,
        make_link: Callable[[], asyncio.Protocol],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        tls: Callable[[], ssl.SSLContext | None],
        handshake_s: float,
        lead: Callable[[], int] = lambda: 0,
        count: Callable[[int], None] = lambda change: None,
    ) -> None:
        self._listening = listening
        self._make_link = make_link
        self._spawn = spawn
        self._tls = tls
        self._handshake_s = handshake_s
        self._lead = lead
        self._count = count
        self._waiting: asyncio.TimerHandle | None = None
        self._is_closed = False

    def start(self) -> None:
        asyncio.get_running_loop().add_reader(self._listening, self._take)

    def close(self) -> None:
        """This process takes no more. Harmless when closed already."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._waiting is not None:
            self._waiting.cancel()
        asyncio.get_running_loop().remove_reader(self._listening)
        self._listening.close()

    def _take(self) -> None:
        """Somebody waits to be taken: by others, if they have fewer links and come for it soon."""
        if (lead := self._lead()) > 0:
            self._wait(min(_LONGEST_YIELD_S, _YIELD_S * lead))
            return
        for _ in range(_AT_ONCE):
            if not self._take_one() or self._lead() > 0:
                return

    def _take_one(self) -> bool:
        """Whether to look for another one at once."""
        try:
            accepted, _ = self._listening.accept()
        except BlockingIOError:
            return False
        except ConnectionError:
            return True  # it went away before it was taken
        except OSError as error:
            log.error("no connection can be taken", extra={"fields": {"reason": error.strerror}})
            self._wait(_PAUSE_S)
            return False
        if self._tls() is not None and not is_low(accepted.fileno()):
            log.warning("a client is turned away: no more files may be open")  # a plain one is told by its link
            accepted.close()
            return True
        self._count(+1)
        self._spawn(self._begin(accepted))
        return True

    def _wait(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listening)
        self._waiting = loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        """Who waits still was left to us."""
        self._waiting = None
        self.start()
        self._take_one()

    async def _begin(self, accepted: socket.socket) -> None:
        try:
            accepted.setblocking(False)
            if accepted.family != socket.AF_UNIX:
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # not every loop does it
            is_tls = self._tls() is not None and await self._begins_with_tls(accepted)
            if self._is_closed:
                accepted.close()
                return
            await self._hand_over(accepted, is_tls=is_tls)
        except (OSError, TimeoutError) as error:
            log.info("a link ended before it began", extra={"fields": {"reason": type(error).__name__}})
            accepted.close()
        except asyncio.CancelledError:
            accepted.close()
            raise
        finally:
            self._count(-1)

    async def _begins_with_tls(self, accepted: socket.socket) -> bool:
        async with asyncio.timeout(self._handshake_s):
            return await _first_byte(accepted) == CLIENT_HELLO

    async def _hand_over(self, accepted: socket.socket, *, is_tls: bool) -> None:
        loop = asyncio.get_running_loop()
        if is_tls:
            limit_s = self._handshake_s
            await loop.connect_accepted_socket(
                self._make_link, accepted, ssl=self._tls(), ssl_handshake_timeout=limit_s
            )
        else:
            await loop.connect_accepted_socket(self._make_link, accepted)


async def _first_byte(accepted: socket.socket) -> bytes:
    """Empty when the peer has ended."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            return accepted.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            await _readable(loop, accepted)


async def _readable(loop: asyncio.AbstractEventLoop, accepted: socket.socket) -> None:
    ready = loop.create_future()

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(accepted, tell)
    try:
        await ready
    finally:
        loop.remove_reader(accepted)
