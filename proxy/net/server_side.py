"""The server's side of a client's link: connecting or borrowing, sending once records are durable, cancelling.

It must not know what the bytes mean, nor what a session's commands are: `link` carries those out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from audit.errors import JournalError
from policies.decision import Refusal
from proxy.net.cancels import Canceller
from proxy.net.pool import AnyPool
from proxy.net.pooled_link import PooledLink
from proxy.net.relay import Relay
from proxy.net.sockets import set_reading
from proxy.net.surroundings import CancelKey, LinkSettings, Surroundings
from proxy.net.timers import Timers
from proxy.net.upstream import Attempt, Route, ServerLink, UpstreamUnreachable, send_cancel
from proxy.net.work_queue import WorkQueue
from proxy.session.ports import Chunk
from proxy.session.session import Session
from proxy.session.shared_link import LinkKind
from proxy.work_lanes import WorkLane

WRITE_BUFFER_BYTES: Final = 1 << 20

log = logging.getLogger("pgwarden.net")


class ServerSide(Relay):
    """`session`, `_timers` and `_carry_out` are the link's."""

    _timers: Timers

    def __init__(self, surroundings: Surroundings, settings: LinkSettings) -> None:
        super().__init__()
        self._surroundings = surroundings
        self._settings = settings
        self._server: ServerLink | None = None
        self._route: Route | None = None
        self._attempt: Attempt | None = None
        self._canceller: Canceller | None = None
        self._key: CancelKey | None = None
        self._unsynced: list[tuple[int, Chunk]] = []
        self._is_syncing = False
        self._is_client_full = False
        self._is_server_full = False
        self._is_closed = False
        self._pool: AnyPool | None = None
        self._work_queue: WorkQueue | None = None
        self._last_lent: PooledLink | None = None

    @property
    def session(self) -> Session:
        raise NotImplementedError

    def _carry_out(self) -> None:
        """What the session wants sent and done."""
        raise NotImplementedError

    def _regulate(self) -> None:
        """Reads from a side only while the other takes."""
        raise NotImplementedError

    # from the server's link

    def server_lost(self) -> None:
        self._timers.closed(self._server.transport if self._server is not None else None)
        self._take_server(None)
        self.session.upstream_lost()
        self._carry_out()

    def server_is_full(self, is_full: bool) -> None:
        self._is_server_full = is_full
        self._regulate()

    # sending

    def write_server(self, data: Chunk) -> None:
        wait_synced = self._surroundings.wait_synced
        if wait_synced is None:
            self.send_server(data)
            return
        self._unsynced.append((self.session.journal_position, data))
        if not self._is_syncing:
            self._is_syncing = True
            self._surroundings.spawn(self._send_synced(wait_synced))

    async def _send_synced(self, wait_synced: Callable[[int], Awaitable[None]]) -> None:
        try:
            while self._unsynced:
                position, data = self._unsynced[0]
                await wait_synced(position)
                self._unsynced.pop(0)
                self.send_server(data)
        except JournalError:
            log.error("the journal can't be synced: a session ends")
            self.session.upstream_failed("the audit journal can't be synced")
            self._carry_out()
        finally:
            self._is_syncing = False

    def _finish_server(self) -> None:
        self.is_server_finished = True
        transport = self._server.transport if self._server is not None else None
        if transport is not None and transport.can_write_eof():
            transport.write_eof()
        elif transport is not None:
            transport.close()  # TLS knows no half of it

    # a link of its own

    async def _connect(self, database: str) -> None:
        try:
            if self._route is None:
                upstream = await asyncio.to_thread(self._surroundings.upstream, database)
                await self._surroundings.catalog_ready(database)
                self._route = Route(upstream, self._settings.keepalive)
            server, attempt = await self._route.next()
        except UpstreamUnreachable as error:
            log.warning("the server can't be reached: %s", error, extra={"fields": {"database": database}})
            self.session.upstream_failed(str(error))
            self._carry_out()
            return
        except Exception:
            log.exception("the way to the server is not configured well")
            self.session.upstream_failed("the gateway's configuration is incomplete")
            self._carry_out()
            return
        self._begin(server, attempt)

    def _begin(self, server: ServerLink, attempt: Attempt) -> None:
        assert server.transport is not None
        if self._is_closed:
            server.abandon()
            return
        server.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._take_server(server)
        self._attempt = attempt
        self._timers.start_handshake()
        server.attach(self)
        self.session.upstream_connected(server.channel, is_last=self._route is None or self._route.is_at_end)
        self._carry_out()

    def _take_server(self, server: ServerLink | None) -> None:
        self._server = server
        self.server_transport = None if server is None else server.transport

    def _leave_server(self) -> None:
        """Another host may do where this one didn't."""
        server = self._server
        self._take_server(None)
        if server is not None:
            server.abandon()

    # a link that others use, too

    def _borrow(self, kind: LinkKind, is_first: bool, is_elsewhere: bool = False) -> None:
        if self.lent is not None:
            return  # it came before the session knew that it would
        if self._pool is None:
            self._timers.stop_handshake()
            self._pool = self._surroundings.pool(self.session.database)
            assert self._pool is not None, "sessions that borrow know that there is a pool"
        self._pool.borrow(self, kind, self._last_lent, is_first, is_elsewhere)

    def server_lent(self, link: PooledLink) -> None:
        self.lent = self._last_lent = link
        self._take_server(link.server)
        self._is_server_full = False
        link.server.attach(self)
        if self.lent is link and not self._is_taken_by_lane(link):  # it wasn't lost meanwhile
            self.session.server_lent(link.shared)
            self._carry_out()

    def _is_taken_by_lane(self, link: PooledLink) -> bool:
        """Whether the lane needs no more than the link for what it keeps."""
        lane = self.lane
        if lane is None or not lane.is_waiting:
            return False
        try:
            sent = lane.lent(link.shared)
        except Exception:  # noqa: BLE001 - told there: the session ends
            self.lane_failed()
            return True
        if sent is not None:
            self.write_server(sent)
        return sent is not None

    def lend_failed(self, sqlstate: str, message: str) -> None:
        self.session.lend_failed(sqlstate, message)
        self._carry_out()

    def lend_again(self) -> None:
        self.session.lend_again()
        self._carry_out()

    def _return_server(self) -> None:
        link, self.lent = self.lent, None
        self._take_server(None)
        if link is not None and self._pool is not None:
            if self._is_client_full:
                set_reading(link.server.transport, True)
            self._pool.give_back(link)

    async def _cancel_lent(self, pool: AnyPool) -> None:
        """For the link that the session has now; it goes to nobody else before the request is at the server."""
        link = self.lent
        if link is None:
            return
        try:
            await link.cancel(self._settings.keepalive)
        finally:
            pool.cancel_done(link)

    def _leave_pool(self, pool: AnyPool) -> None:
        """A link that the session still has at its end isn't fit for anybody else."""
        pool.forget(self)
        if self.lent is not None:
            pool.discard(self.lent)

    # a turn in a workload lane

    def _queue_for(self, lane: WorkLane, is_urgent: bool) -> None:
        if self._work_queue is None:
            self._work_queue = self._surroundings.work_queue(self.session.database)
            assert self._work_queue is not None, "sessions that queue know that there are lanes"
        self._work_queue.wait(self, lane, is_urgent=is_urgent)

    def turn_came(self, lane: WorkLane) -> None:
        if self.session.is_ended:
            assert self._work_queue is not None
            self._work_queue.leave(lane)
            return
        self.session.turn_came(lane)
        self._carry_out()

    def turn_refused(self, refusal: Refusal) -> None:
        self.session.turn_refused(refusal)
        self._carry_out()

    # cancelling

    async def cancel_at_server(self) -> None:
        """Cancels what runs at the server for this link, if anything does."""
        if self._work_queue is not None and self._work_queue.forget(self):
            self.session.turn_refused(None)
            self._carry_out()
        elif self.session.is_waiting_for_money or (self._pool is not None and self._pool.forget(self)):
            self.session.wait_cancelled()
            self._carry_out()
        elif self._key is not None and (self._attempt is not None or self.lent is not None):
            if self._canceller is None:
                self._canceller = Canceller(self._send_cancel, self._surroundings.cancel_slots)
            await self._canceller.cancel()

    async def _send_cancel(self) -> None:
        if self._pool is not None:
            await self._cancel_lent(self._pool)
        elif self._key is not None and self._attempt is not None:
            keepalive = self._settings.keepalive
            await send_cancel(self._attempt, keepalive, self._key.process_id, self._key.server_key)
