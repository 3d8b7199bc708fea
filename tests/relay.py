"""A TCP relay on loopback before a server that may move, whose links can be cut wherever that hurts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from proxy.embedded import EmbeddedError

_PORT = re.compile(r"(?<=127\.0\.0\.1:)\d+")


class Relay:
    """`port` gives the server's port at each new link.

    `last_word`: when a client has said it, what the server says is kept back. `left_bytes`: links are cut when clients
    have said so much more.
    """

    def __init__(self, port: Callable[[], int]) -> None:
        self._port = port
        self._links: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.last_word: bytes | None = None
        self._is_mute = False
        self.left_bytes: int | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.here: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks)

    def dsn(self, dsn: str) -> str:
        """The same database by way of this relay."""
        return _PORT.sub(str(self.here), dsn)

    def cut(self) -> None:
        """Cuts all links; the next ones are sound."""
        self.last_word, self._is_mute, self.left_bytes = None, False, None
        for writer in self._links:
            writer.transport.abort()

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._links.add(to_client)
        try:
            with suppress(OSError, EmbeddedError):  # it may be away
                server, to_server = await asyncio.open_connection("127.0.0.1", self._port())
                self._links.add(to_server)
                await asyncio.gather(self._ask(client, to_server), self._answer(server, to_client))
                self._links.discard(to_server)
        finally:
            self._links.discard(to_client)
            to_client.transport.abort()
            self._tasks.discard(task)

    async def _ask(self, client: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await client.read(1 << 16):
                if self.left_bytes is not None and len(data) >= self.left_bytes:
                    server.write(data[: self.left_bytes])
                    await server.drain()
                    self.cut()
                    return
                self._is_mute = self._is_mute or (self.last_word is not None and self.last_word in data)
                self.left_bytes = None if self.left_bytes is None else self.left_bytes - len(data)
                server.write(data)
                await server.drain()
        server.close()

    async def _answer(self, server: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await server.read(1 << 16):
                if not self._is_mute:
                    client.write(data)
                    await client.drain()
        client.close()
