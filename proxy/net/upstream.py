"""Opens links to a server: TCP or unix socket, TLS as the DSN says. It speaks no more protocol than that."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Protocol, cast

from proxy.dsn import Upstream
from proxy.net.tls import DEMANDING, OFFERING, upstream_context
from proxy.wire import messages as m
from proxy.wire.codec import encode


class UpstreamUnreachable(Exception):
    """The server can't be reached. The text is for clients: a reason without addresses and secrets."""


class Receiver(Protocol):
    """Who gets what the server sends."""

    def server_data(self, data: bytes) -> None: ...

    def server_lost(self) -> None: ...

    def server_is_full(self, is_full: bool) -> None: ...


class ServerLink(asyncio.Protocol):
    """One connection to a server. Until `attach`, the answer to SSLRequest is all that is read."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._receiver: Receiver | None = None
        self._tls_answer: asyncio.Future[bytes] | None = None
        self._early = b""
        self._is_lost = False
        self.closed = asyncio.get_running_loop().create_future()

    def attach(self, receiver: Receiver) -> None:
        self._receiver = receiver
        if self._is_lost:
            receiver.server_lost()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._receiver is not None:
            self._receiver.server_data(data)
        elif self._tls_answer is not None and not self._tls_answer.done():
            self._tls_answer.set_result(data)
        else:
            self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        if not self.closed.done():
            self.closed.set_result(None)
        if self._tls_answer is not None and not self._tls_answer.done():
            self._tls_answer.set_result(b"")
        if self._receiver is not None:
            self._receiver.server_lost()

    def pause_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.server_is_full(True)

    def resume_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.server_is_full(False)

    async def ask_for_tls(self) -> bytes:
        """Sends SSLRequest; the answer is S, N, or anything from a server that isn't one."""
        assert self.transport is not None
        self._tls_answer = asyncio.get_running_loop().create_future()
        self.transport.write(encode(m.SSLRequest()))
        return await self._tls_answer


async def connect(upstream: Upstream, timeout_s: float | None = None) -> ServerLink:
    """A link ready for the StartupMessage or CancelRequest. Raises UpstreamUnreachable."""
    try:
        async with asyncio.timeout(timeout_s or upstream.connect_timeout_s):
            return await _connect(upstream)
    except TimeoutError:
        raise UpstreamUnreachable("the connection timed out") from None
    except ssl.SSLError as error:
        raise UpstreamUnreachable("TLS with the database server failed") from error
    except OSError as error:
        raise UpstreamUnreachable(_reason(error)) from error


def _reason(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return (error.strerror or "the network failed") if error.errno and error.errno > 0 else "the network failed"


async def _connect(upstream: Upstream) -> ServerLink:
    link = await _open(upstream)
    try:
        await _upgrade(link, upstream)
    except BaseException:
        if link.transport is not None:
            link.transport.abort()
        raise
    return link


async def _open(upstream: Upstream) -> ServerLink:
    loop = asyncio.get_running_loop()
    make: Callable[[], ServerLink] = ServerLink
    if upstream.is_unix:
        path = f"{upstream.host}/.s.PGSQL.{upstream.port}"
        _, link = await loop.create_unix_connection(make, path)
    else:
        _, link = await loop.create_connection(make, upstream.host, upstream.port)
    return link


async def _upgrade(link: ServerLink, upstream: Upstream) -> None:
    if upstream.is_unix or upstream.sslmode not in OFFERING:
        return
    answer = await link.ask_for_tls()
    if answer == b"N":
        if upstream.sslmode in DEMANDING:
            raise UpstreamUnreachable("the database server offers no TLS")
        return
    # Anything after the S came unencrypted: it may be an attacker's (CVE-2021-23222).
    if answer != b"S":
        raise UpstreamUnreachable("the database server doesn't speak PostgreSQL's protocol")
    assert link.transport is not None
    context = await asyncio.to_thread(upstream_context, upstream)
    name = upstream.host if context.check_hostname or not _is_address(upstream.host) else None
    loop = asyncio.get_running_loop()
    secured = await loop.start_tls(link.transport, link, context, server_hostname=name or "")
    if secured is None:
        raise UpstreamUnreachable("TLS with the database server failed")
    link.transport = secured


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


async def send_cancel(upstream: Upstream, process_id: int, secret_key: bytes) -> None:
    """Cancels at the server; returns once the server has taken it. Raises UpstreamUnreachable."""
    link = await connect(upstream)
    assert link.transport is not None
    link.transport.write(encode(m.CancelRequest(process_id, secret_key)))
    try:
        async with asyncio.timeout(upstream.connect_timeout_s):
            await link.closed
    except TimeoutError:
        raise UpstreamUnreachable("the cancel request timed out") from None
    finally:
        link.transport.close()
