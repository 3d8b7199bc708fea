"""A man in the middle of two TLS links: shows clients a certificate of his own, and may change what servers say."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.unit.net.certificates import Pair

SSL_REQUEST = struct.pack("!ii", 8, 80877103)


@dataclass
class Middleman:
    """Between a client and the port `port` behind him. A context manager with a thread of its own.

    `change` sees each chunk that the server sends.
    """

    port: int
    shown: Pair
    change: Callable[[bytes], bytes] = bytes
    here: int = 0
    _loop: asyncio.AbstractEventLoop | None = None
    _end: asyncio.Event | None = None
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._stand(started)))
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop is not None
        assert self._end is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    async def _stand(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.here = server.sockets[0].getsockname()[1]
        started.set()
        await self._end.wait()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            assert await reader.readexactly(8) == SSL_REQUEST
            onward_writer.write(SSL_REQUEST)
            assert await onward_reader.readexactly(1) == b"S"
            trusting = ssl.create_default_context()
            trusting.check_hostname = False
            trusting.verify_mode = ssl.CERT_NONE
            await onward_writer.start_tls(trusting)
            own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            own.load_cert_chain(self.shown.certificate, self.shown.key)
            writer.write(b"S")
            await writer.start_tls(own)
            await asyncio.gather(
                self._pump(reader, onward_writer, bytes), self._pump(onward_reader, writer, self.change)
            )
        finally:
            for end in (writer, onward_writer):
                end.transport.abort()

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, change: Callable[[bytes], bytes]
    ) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            while data := await source.read(65536):
                target.write(change(data))
        target.close()
