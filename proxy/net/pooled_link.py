"""One server link of a pool: its login, and what it hears while nobody has it. It knows no waiters and no sizes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from proxy.net.relay import Receiver
from proxy.net.sockets import Keepalive, set_reading
from proxy.net.upstream import Attempt, ServerLink, UpstreamUnreachable, send_cancel
from proxy.session.conversation import SessionEnds, Unexpected
from proxy.session.link_greeting import LinkGreeting
from proxy.session.ports import Gateway
from proxy.session.setup import note_report
from proxy.session.shared_link import LinkKind, SharedLink
from proxy.wire import messages as m
from proxy.wire.codec import encode
from proxy.wire.errors import ProtocolViolation, WireError
from proxy.wire.frames import FrameCutter

WRITE_BUFFER_BYTES: Final = 1 << 20
_TERMINATE: Final = encode(m.Terminate())
_LINGER_S: Final = 5.0
_RANDOM_BYTES: Final = 22
_PARAMETER, _NOTICE = ord("S"), ord("N")


class PooledLink:
    """Lent or idle. `until_s`: its lifetime's end by the loop's clock; `idle_since_s`: since when nobody has it.

    `lost` is called when it ends while nobody has it.
    """

    def __init__(
        self,
        server: ServerLink,
        attempt: Attempt,
        shared: SharedLink,
        until_s: float,
        lost: Callable[[PooledLink], None],
    ) -> None:
        self.server = server
        self.attempt = attempt
        self.shared = shared
        self.until_s = until_s
        self.idle_since_s = 0.0
        self.is_lost = False
        self.is_waiting_for_cancels = False
        self.cancels = 0
        self._lost = lost
        self._cutter = FrameCutter()

    def rest(self) -> None:
        """From now on it is heard here: settings that the server reloads, and its end."""
        self._cutter = FrameCutter()
        set_reading(self.server.transport, True)
        self.server.attach(self)

    def close(self) -> None:
        """Nobody hears of it any more."""
        self.server.attach(_Nobody())
        transport = self.server.transport
        if transport is not None and not transport.is_closing():
            transport.write(_TERMINATE)
            transport.close()
            asyncio.get_running_loop().call_later(_LINGER_S, transport.abort)

    async def cancel(self, keepalive: Keepalive) -> None:
        """Returns once the server has taken it. Raises UpstreamUnreachable; then it may still come."""
        self.cancels += 1
        try:
            await send_cancel(self.attempt, keepalive, self.shared.process_id, self.shared.secret_key)
        except BaseException:
            self.shared.is_spent = True
            raise
        finally:
            self.cancels -= 1

    # Receiver, while nobody has it

    def server_data(self, data: bytes) -> None:
        try:
            self._cutter.feed(data)
            for type_byte, start, end in self._cutter:
                if type_byte == _PARAMETER:
                    note_report(self.shared.reported, self._cutter.buffer[start + 5 : end])
                elif type_byte != _NOTICE:
                    self._end()  # an error is its last word, and anything else wasn't asked for
                    return
        except ProtocolViolation:
            self._end()

    def server_lost(self) -> None:
        self._end()

    def server_is_full(self, is_full: bool) -> None:
        """Nothing is sent meanwhile."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or is about to."""
        transport = self.server.transport
        return self.is_lost or self.server.is_lost or transport is None or transport.is_closing()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come in part."""
        return not self._cutter.unread_bytes

    def _end(self) -> None:
        if not self.is_lost:
            self.is_lost = True
            self._lost(self)


class _Nobody:
    def server_data(self, data: bytes) -> None:
        """Too late."""

    def server_lost(self) -> None:
        """As it should."""

    def server_is_full(self, is_full: bool) -> None:
        """Its last word is on its way."""


class _Login:
    """Plays a LinkGreeting on a link; `done` has the result."""

    def __init__(self, server: ServerLink, greeting: LinkGreeting) -> None:
        self._server = server
        self._greeting = greeting
        self.done: asyncio.Future[SharedLink] = asyncio.get_running_loop().create_future()

    def server_data(self, data: bytes) -> None:
        if self.done.done():
            return
        try:
            answer = self._greeting.receive(data)
        except (SessionEnds, Unexpected, WireError) as error:
            self.done.set_exception(error)
            return
        if answer and self._server.transport is not None:
            self._server.transport.write(answer)
        if self._greeting.link is not None:
            self.done.set_result(self._greeting.link)

    def server_lost(self) -> None:
        if not self.done.done():
            self.done.set_exception(UpstreamUnreachable("the connection was lost"))

    def server_is_full(self, is_full: bool) -> None:
        """A login is short."""


async def log_in(
    server: ServerLink, gateway: Gateway, kind: LinkKind, random_bytes: Callable[[int], bytes], limit_s: float
) -> SharedLink:
    """Raises SessionEnds (ServerUnfit where another server may do), UpstreamUnreachable; the link is abandoned then."""
    assert server.transport is not None
    server.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
    greeting = LinkGreeting(gateway, server.channel, kind, random_bytes(_RANDOM_BYTES))
    login = _Login(server, greeting)
    server.attach(login)
    server.transport.write(greeting.startup_packet())
    try:
        async with asyncio.timeout(limit_s):
            return await login.done
    except TimeoutError:
        server.abandon()
        raise UpstreamUnreachable("the login took too long") from None
    except (Unexpected, WireError):
        server.abandon()
        raise UpstreamUnreachable("the database server doesn't speak PostgreSQL's protocol") from None
    except BaseException:
        server.abandon()
        raise


__all__ = ["WRITE_BUFFER_BYTES", "PooledLink", "Receiver", "log_in"]
