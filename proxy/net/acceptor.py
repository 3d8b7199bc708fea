"""Accepts TCP connections whose first byte says whether TLS begins at once or after a request for it.

The byte stays in the socket: a handshake has to be read from its beginning, so nothing may read before it is known.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Final

from proxy.net.sockets import is_low, listening
from proxy.net.tls import CLIENT_HELLO

_PAUSE_S: Final = 0.5  # when no descriptor is left

log = logging.getLogger("pgwarden.net")


class Acceptor:
    """`make_link` makes the protocol of one link; `spawn` runs what a link needs before it has one.

    `tls` gives the context of now: certificates are renewed while links come.
    """

    def __init__(
        self,
        make_link: Callable[[], asyncio.Protocol],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        tls: Callable[[], ssl.SSLContext | None],
        handshake_s: float,
    ) -> None:
        self._make_link = make_link
        self._spawn = spawn
        self._tls = tls
        self._handshake_s = handshake_s
        self._sockets: list[socket.socket] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._is_closed = False

    async def start(self, host: str, port: int) -> int:
        """Listens on all addresses of `host`; gives the port. Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                self._sockets.append(listening(family, address))
        except OSError:
            self.close()
            raise
        self._tasks = [loop.create_task(self._accept(each)) for each in self._sockets]
        return int(self._sockets[0].getsockname()[1])

    def close(self) -> None:
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        for each in self._sockets:
            each.close()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except ConnectionError:
                continue  # it went away before it was taken
            except OSError as error:
                log.error("no connection can be taken", extra={"fields": {"reason": error.strerror}})
                await asyncio.sleep(_PAUSE_S)
                continue
            if is_low(accepted.fileno()):
                self._spawn(self._begin(accepted))
            else:
                log.warning("a client is turned away: no more files may be open")
                accepted.close()

    async def _begin(self, accepted: socket.socket) -> None:
        try:
            accepted.setblocking(False)
            async with asyncio.timeout(self._handshake_s):
                first = await _first_byte(accepted)
            if self._is_closed:
                accepted.close()
                return
            await self._hand_over(accepted, is_tls=first == CLIENT_HELLO)
        except (OSError, TimeoutError) as error:
            log.info("a link ended before it began", extra={"fields": {"reason": type(error).__name__}})
            accepted.close()
        except asyncio.CancelledError:
            accepted.close()
            raise

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
