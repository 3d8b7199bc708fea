"""Opens links to a server: TCP or unix socket, TLS as the DSN says. It speaks no more protocol than that."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, cast

from proxy.dsn import Upstream
from proxy.net.relay import Receiver, ServerFeed
from proxy.net.sockets import SERVERS_SPARE, Keepalive, has_room, keep_alive
from proxy.net.tls import ALPN, selected_alpn, server_channel, upstream_context
from proxy.session.ports import Channel
from proxy.wire import messages as m
from proxy.wire.codec import encode


class UpstreamUnreachable(Exception):
    """The server can't be reached. The text is for clients: a reason without addresses and secrets."""


class TlsFailed(UpstreamUnreachable):
    """It can be reached, but not through TLS."""


class Encryption(Enum):
    """`WANTED`: a server without TLS will do."""

    NONE = auto()
    WANTED = auto()
    NEEDED = auto()


# What libpq tries, one after the other (manual, 34.19.3): a server may refuse the one and take the other.
_TRIED: Final = {
    "disable": (Encryption.NONE,),
    "allow": (Encryption.NONE, Encryption.NEEDED),
    "prefer": (Encryption.WANTED, Encryption.NONE),
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One host of a DSN, with or without TLS."""

    upstream: Upstream
    encryption: Encryption


def attempts(upstream: Upstream) -> list[Attempt]:
    """All that may be tried, in libpq's order. A unix socket has no TLS."""
    found: list[Attempt] = []
    for host in upstream.candidates:
        tried = (Encryption.NONE,) if host.is_unix else _TRIED.get(host.sslmode, (Encryption.NEEDED,))
        found += [Attempt(host, encryption) for encryption in tried]
    return found


class Route:
    """The attempts of one DSN, each made once."""

    def __init__(self, upstream: Upstream, keepalive: Keepalive) -> None:
        self._left = deque(attempts(upstream))
        self._keepalive = keepalive

    @property
    def is_at_end(self) -> bool:
        return not self._left

    async def next(self) -> tuple[ServerLink, Attempt]:
        """The first of those left that can be connected to. Raises UpstreamUnreachable with the last one's reason."""
        reason = UpstreamUnreachable("no other host is left")
        while self._left:
            attempt = self._left.popleft()
            try:
                return await connect(attempt, self._keepalive), attempt
            except UpstreamUnreachable as error:
                reason = error
            if not isinstance(reason, TlsFailed):
                self._leave_host(attempt.upstream)
        raise reason

    def _leave_host(self, upstream: Upstream) -> None:
        """What can't be reached can't be reached without TLS, or with it, either."""
        while self._left and self._left[0].upstream == upstream:
            self._left.popleft()


class ServerLink(ServerFeed, asyncio.Protocol):
    """One connection to a server. Until `attach`, the answer to SSLRequest is all that is read.

    `channel` is there when it is encrypted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.transport: asyncio.Transport | None = None
        self.channel: Channel | None = None
        self._tls_answer: asyncio.Future[bytes] | None = None
        self._is_lost = False
        self.closed = asyncio.get_running_loop().create_future()

    @property
    def is_lost(self) -> bool:
        return self._is_lost

    def attach(self, receiver: Receiver) -> None:
        self.hand_to(receiver)
        if self._is_lost:
            receiver.server_lost()

    def abandon(self) -> None:
        """Nobody wants to hear of it any more."""
        self.hand_to(None)
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def unheard(self, data: bytes) -> None:
        if self._tls_answer is not None and not self._tls_answer.done():
            self._tls_answer.set_result(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        if not self.closed.done():
            self.closed.set_result(None)
        if self._tls_answer is not None and not self._tls_answer.done():
            self._tls_answer.set_result(b"")
        receiver = self.receiver
        self.hand_to(None)
        if receiver is not None:
            receiver.server_lost()

    def pause_writing(self) -> None:
        if self.receiver is not None:
            self.receiver.server_is_full(True)

    def resume_writing(self) -> None:
        if self.receiver is not None:
            self.receiver.server_is_full(False)

    async def ask_for_tls(self) -> bytes:
        """Sends SSLRequest; the answer is S, N, or anything from a server that isn't one."""
        assert self.transport is not None
        self._tls_answer = asyncio.get_running_loop().create_future()
        self.transport.write(encode(m.SSLRequest()))
        return await self._tls_answer


async def connect(attempt: Attempt, keepalive: Keepalive) -> ServerLink:
    """A link ready for the StartupMessage or CancelRequest. Raises UpstreamUnreachable."""
    try:
        async with asyncio.timeout(attempt.upstream.connect_timeout_s):
            return await _connect(attempt, keepalive)
    except TimeoutError:
        raise UpstreamUnreachable("the connection timed out") from None
    except OSError as error:
        raise UpstreamUnreachable(_reason(error)) from error


def _reason(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return (error.strerror or "the network failed") if error.errno and error.errno > 0 else "the network failed"


async def _connect(attempt: Attempt, keepalive: Keepalive) -> ServerLink:
    link = await _open(attempt.upstream)
    assert link.transport is not None
    try:
        if not has_room(link.transport, SERVERS_SPARE):
            raise UpstreamUnreachable("the gateway may open no more files")
        keep_alive(link.transport, keepalive)
        if attempt.encryption is not Encryption.NONE:
            await _secure(link, attempt)
    except BaseException:
        link.abandon()
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


async def _secure(link: ServerLink, attempt: Attempt) -> None:
    upstream = attempt.upstream
    if upstream.sslnegotiation == "direct" or await _is_tls_offered(link, attempt.encryption):
        await _start_tls(link, upstream)


async def _is_tls_offered(link: ServerLink, encryption: Encryption) -> bool:
    answer = await link.ask_for_tls()
    if answer == b"N":
        if encryption is Encryption.NEEDED:
            raise TlsFailed("the database server offers no TLS")
        return False
    # Anything after the S came unencrypted: it may be an attacker's (CVE-2021-23222).
    if answer != b"S":
        raise UpstreamUnreachable("the database server doesn't speak PostgreSQL's protocol")
    return True


async def _start_tls(link: ServerLink, upstream: Upstream) -> None:
    assert link.transport is not None
    context = await asyncio.to_thread(upstream_context, upstream)
    name = upstream.host if context.check_hostname or not _is_address(upstream.host) else None
    loop = asyncio.get_running_loop()
    try:
        secured = await loop.start_tls(link.transport, link, context, server_hostname=name or "")
    except OSError as error:
        raise TlsFailed("TLS with the database server failed") from error
    if secured is None:
        raise TlsFailed("TLS with the database server failed")
    link.transport = secured
    selected = selected_alpn(secured)
    # Without a request before it, ALPN alone says that the other end means PostgreSQL's protocol.
    if selected != ALPN and (selected is not None or upstream.sslnegotiation == "direct"):
        raise TlsFailed("the database server speaks another protocol through TLS")
    link.channel = server_channel(secured)


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


async def send_cancel(attempt: Attempt, keepalive: Keepalive, process_id: int, secret_key: bytes) -> None:
    """Cancels at the server; returns once the server has taken it. Raises UpstreamUnreachable."""
    link = await connect(attempt, keepalive)
    assert link.transport is not None
    link.transport.write(encode(m.CancelRequest(process_id, secret_key)))
    try:
        async with asyncio.timeout(attempt.upstream.connect_timeout_s):
            await link.closed
    except TimeoutError:
        raise UpstreamUnreachable("the cancel request timed out") from None
    finally:
        link.transport.close()
