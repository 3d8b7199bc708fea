"""One client link and its server link around a Session: carries out commands, one write per step and side.

It must not know what the bytes mean. Backpressure: a side that is slow to take stops the reading of the other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, cast

from proxy.clock import monotonic_us
from proxy.net.server_side import WRITE_BUFFER_BYTES, ServerSide
from proxy.net.sockets import address_of, has_room, keep_alive, set_reading, turn_away
from proxy.net.surroundings import AnyLink, CancelKey, LinkSettings, Surroundings
from proxy.net.timers import Timers
from proxy.net.tls import ALPN, client_channel, selected_alpn
from proxy.purses import MAY
from proxy.session.phase import Phase
from proxy.session.ports import (
    AwaitPurse,
    BorrowServer,
    CancelOther,
    CancelUpstream,
    Chunk,
    CloseLinks,
    Command,
    ConnectUpstream,
    CostQuery,
    Estimate,
    EstimateCost,
    FinishServer,
    QueueForLane,
    RefreshCatalog,
    RegisterKey,
    ReturnServer,
    StartTimer,
    StartTls,
    StopTimer,
)
from proxy.session.reports import fatal_bytes
from proxy.session.session import Session
from proxy.wire import messages as m
from proxy.wire.codec import encode

# A client that has shut down its side may still read; one that vanished looks alike, and what it left is cancelled.
_EOF_GRACE_S: Final = 5.0
_LOOK_S: Final = 0.02
_LONGEST_LOOK_S: Final = 1.0
_TERMINATE: Final = encode(m.Terminate())

log = logging.getLogger("pgwarden.net")


class ClientLink(ServerSide, asyncio.Protocol):
    def __init__(
        self, make_session: Callable[[str], Session], surroundings: Surroundings, settings: LinkSettings
    ) -> None:
        super().__init__(surroundings, settings)
        self._make_session = make_session
        self._session: Session | None = None
        self._timers = Timers(self, settings.handshake_s)
        self._is_securing = False  # nothing may be read: it belongs to the TLS handshake
        self._is_cancelling = False

    @property
    def session(self) -> Session:
        assert self._session is not None, "the link is connected before anybody asks"
        return self._session

    @property
    def key(self) -> CancelKey | None:
        return self._key

    # the client's transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.client_transport = cast(asyncio.Transport, transport)
        if not has_room(transport):
            turn_away(self.client_transport, fatal_bytes("53300", "sorry, too many clients already"))
            return
        self.client_transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        keep_alive(transport, self._settings.keepalive)
        self._session = self._make_session(address_of(transport))
        self._surroundings.opened(self)
        self._timers.start_handshake()
        if transport.get_extra_info("ssl_object") is not None:
            self._tls_came_first()

    def _tls_came_first(self) -> None:
        """Direct TLS. Without a request before it, only ALPN says that PostgreSQL's protocol was meant."""
        assert self.client_transport is not None
        if selected_alpn(self.client_transport) != ALPN:
            log.info("direct TLS without ALPN")
            self.client_transport.abort()
            return
        self.session.tls_started(client_channel(self.client_transport, self._settings.binding))

    def client_came(self, data: bytes) -> None:
        if self._is_securing and self.lane is None:
            # It came in the clear and would be taken for something that came through TLS.
            self._abort_client()
            return
        self.session.client_data(data)
        self._carry_out()

    def eof_received(self) -> bool:
        """As the server does, what was asked before the end is answered. Through TLS asyncio can't."""
        self.session.client_finished()
        self._carry_out()
        is_half_open = not self._is_closed and self.session.channel is None
        if is_half_open:
            asyncio.get_running_loop().call_later(_EOF_GRACE_S, self._abort_client)
        return is_half_open

    def connection_lost(self, exc: Exception | None) -> None:
        self._timers.closed(self.client_transport)
        if self._session is None:
            return
        is_busy = not self.session.is_between_transactions
        self.session.client_lost()
        self._carry_out()
        self._close()
        if is_busy and self._key is not None:
            # Nobody reads the answer any more; the server would work on it to the end.
            self._surroundings.spawn(self.cancel_at_server())
        self._surroundings.closed(self)

    def pause_writing(self) -> None:
        self._is_client_full = True
        self._regulate()

    def resume_writing(self) -> None:
        self._is_client_full = False
        self._regulate()

    # the server's side

    def server_came(self, data: bytes) -> None:
        self.session.server_data(data)
        self._carry_out()

    def link_wanted(self) -> None:
        assert self.lane is not None
        self._borrow(self.lane.link_kind, is_first=False)

    def link_given_back(self) -> None:
        self._return_server()

    def lane_failed(self) -> None:
        self.session.failed()
        self._carry_out()

    # from the listener

    def hold_for_catalog(self, database: str) -> bool:
        return self._session is not None and self._session.hold_for_catalog(database)

    def catalog_refreshed(self) -> None:
        self.session.catalog_refreshed()
        self._carry_out()

    def drain(self) -> None:
        self.session.drain()
        self._carry_out()

    def end(self) -> None:
        self.session.end_by_operator()
        self._carry_out()

    def end_without_key(self, flaw_of: Callable[[str, str], str]) -> None:
        """Ends a session whose API key is no good any more, and what it has under way."""
        if self._session is None:
            return
        is_busy = not self.session.is_between_transactions
        if self.session.end_without_key(flaw_of):
            self._carry_out()
            if is_busy and self._key is not None:
                self._surroundings.spawn(self.cancel_at_server())

    # carrying out

    def _carry_out(self) -> None:
        outbox = self.session.take_outbox()
        if outbox.to_server:
            self.write_server(_joined(outbox.to_server))
        if outbox.to_client:
            self.write_client(_joined(outbox.to_client))
        for command in outbox.commands:
            self._do(command)
        if self.session.phase is Phase.OPEN:
            self._timers.stop_handshake()
            self.lane = self.session.lane
            self.is_strict = self._surroundings.wait_synced is not None
        self._regulate()

    def _do(self, command: Command) -> None:
        match command:
            case StartTls():
                self._is_securing = True
                self._surroundings.spawn(self._start_tls())
            case ConnectUpstream(database):
                self._timers.stop_handshake()
                self._leave_server()
                self._surroundings.spawn(self._connect(database))
            case RegisterKey(process_id, secret_key, server_key):
                self._key = CancelKey(process_id, secret_key, server_key)
                self._surroundings.register(self, self._key)
            case CancelUpstream():
                self._surroundings.spawn(self._cancel_and_tell())
            case CancelOther(process_id, secret_key):
                self._is_cancelling = True
                self._surroundings.spawn(self._cancel_other(process_id, secret_key))
            case StartTimer() | StopTimer():
                self._timers.do(command)
            case RefreshCatalog(database):
                # Before anybody else's next message is read: who knows of the change may have told them.
                held = self._surroundings.hold_for_catalog(database)
                self._surroundings.spawn(self._refresh_catalog(database, held))
            case EstimateCost() | AwaitPurse():
                self._surroundings.spawn(self._find_out(command))
            case BorrowServer(kind, is_first, is_elsewhere):
                if self.session.is_asking:
                    self._borrow(kind, is_first, is_elsewhere)
            case QueueForLane(lane, is_urgent):
                self._queue_for(lane, is_urgent)
            case _:
                self._do_at_end(command)

    def _do_at_end(self, command: Command) -> None:
        """What is done with a side's link: it goes back, says no more, or is closed."""
        match command:
            case ReturnServer():
                self._return_server()
            case FinishServer():
                self._finish_server()
            case CloseLinks():
                # The client of a CancelRequest waits for the end: it must not come before the cancel is there.
                if not self._is_cancelling:
                    self._close()

    async def _refresh_catalog(self, database: str, held: Sequence[AnyLink]) -> None:
        is_awaited = self.session.is_catalog_awaited
        try:
            await self._surroundings.catalog_refreshed(database, held, is_awaited=is_awaited)
        finally:
            self.catalog_refreshed()

    async def _find_out(self, command: EstimateCost | AwaitPurse) -> None:
        if isinstance(command, AwaitPurse):
            await self._await_purse(command)
        else:
            await self._estimate(command.query, command.user)

    async def _estimate(self, query: CostQuery, user: str) -> None:
        estimate = Estimate(None, "the gateway is shutting down")
        try:
            estimate = await self._surroundings.cost_estimated(query, user)
        finally:
            self.session.cost_estimated(query, estimate)
            self._carry_out()

    async def _await_purse(self, wanted: AwaitPurse) -> None:
        """Looks ever less often: the longest waits are for tomorrow."""
        loop = asyncio.get_running_loop()
        until, pause_s = loop.time() + wanted.limit_s, _LOOK_S
        while loop.time() < until and not self._is_closed and self.session.is_waiting_for_money:
            if wanted.purse.look(wanted.nano, monotonic_us()) == MAY:
                break
            await asyncio.sleep(min(pause_s, max(0.0, until - loop.time())))
            pause_s = min(pause_s * 1.5, _LONGEST_LOOK_S)
        if not self._is_closed and self.session.is_waiting_for_money:
            self.session.purse_looked_at()
            self._carry_out()

    # TLS, cancelling

    async def _start_tls(self) -> None:
        assert self.client_transport is not None
        assert self._settings.tls is not None
        loop = asyncio.get_running_loop()
        try:
            secured = await loop.start_tls(
                self.client_transport,
                self,
                self._settings.tls,
                server_side=True,
                ssl_handshake_timeout=self._settings.handshake_s,
            )
        except (OSError, TimeoutError) as error:
            log.info("a client's TLS handshake failed", extra={"fields": {"reason": type(error).__name__}})
            self.client_transport.abort()
            self.connection_lost(None)
            return
        if secured is None or self._is_closed:
            return
        self.client_transport = secured
        secured.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._is_securing = False
        self.session.tls_started(client_channel(secured, self._settings.binding))
        self._regulate()

    async def _cancel_and_tell(self) -> None:
        await self.cancel_at_server()
        self.session.cancel_done()
        self._carry_out()

    async def _cancel_other(self, process_id: int, secret_key: bytes) -> None:
        await self._surroundings.cancel_by_key(process_id, secret_key)
        self._close()

    # timers

    def timer_fired(self, token: int) -> None:
        self.session.timer_fired(token)
        self._carry_out()

    def handshake_timed_out(self) -> None:
        self.session.handshake_timed_out()
        self._carry_out()

    # pace

    def _regulate(self) -> None:
        """Reads from a side only while the other takes."""
        if self._is_closed:
            return
        is_client_wanted = not self._is_server_full and not self._is_securing and self.session.wants_client_data
        set_reading(self.client_transport, is_client_wanted)
        if self._server is not None:
            set_reading(self._server.transport, not self._is_client_full)

    def _abort_client(self) -> None:
        if self.client_transport is not None:
            self.client_transport.abort()

    # closing

    def _close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._timers.stop_all()
        if self._work_queue is not None:
            self._work_queue.forget(self)
        if self._pool is not None:
            self._leave_pool(self._pool)
        self.send_server(_TERMINATE)
        server = self._server.transport if self._server is not None else None
        for transport in (self.client_transport, server):
            if transport is not None:
                self._timers.close(transport)


def _joined(chunks: Sequence[Chunk]) -> Chunk:
    # One write per step: small answers leave in one packet. A single slice goes out without a copy.
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
