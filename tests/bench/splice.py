"""The floor of any proxy in this language: a uvloop that hands chunks on and looks at none.

`python -m tests.bench.splice LISTEN_PORT SERVER_PORT`, on loopback.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import uvloop

from proxy.embedded import find_free_port
from tests.bench.waiting import can_connect, until


class _Ahead(asyncio.Protocol):
    """The link to the server: what arrives goes to the client."""

    def __init__(self, client: asyncio.Transport) -> None:
        self._client = client

    def data_received(self, data: bytes) -> None:
        self._client.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.close()


class _Behind(asyncio.Protocol):
    """The link to a client: what arrives goes to the server, once there is one."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._early = bytearray()
        self._server: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._task = asyncio.ensure_future(self._connect(cast(asyncio.Transport, transport)))

    async def _connect(self, client: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: _Ahead(client), "127.0.0.1", self._server_port)
        self._server = transport
        if self._early:
            transport.write(bytes(self._early))

    def data_received(self, data: bytes) -> None:
        if self._server is None:
            self._early += data
        else:
            self._server.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._server is not None:
            self._server.close()


@dataclass(frozen=True, slots=True)
class Splice:
    """A running one."""

    pid: int
    port: int


@contextmanager
def run_splice(server_port: int) -> Iterator[Splice]:
    port = find_free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.splice", str(port), str(server_port)])
    try:
        until(lambda: can_connect(port), "the splice's start")
        yield Splice(process.pid, port)
    finally:
        process.kill()
        process.wait()


async def _serve(port: int, server_port: int) -> None:
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: _Behind(server_port), "127.0.0.1", port)
    await listener.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
