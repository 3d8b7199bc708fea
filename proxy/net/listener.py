"""All links of one worker: takes them from the listening sockets, finds them by cancel key, drains them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from proxy.dsn import Upstream
from proxy.net.acceptor import Acceptor
from proxy.net.cancels import AT_ONCE
from proxy.net.catalogs import Catalogs
from proxy.net.link import ClientLink
from proxy.net.neighbours import Neighbours, Nobody
from proxy.net.places import Door
from proxy.net.pool import AnyPool
from proxy.net.surroundings import AnyLink, CancelKey, LinkSettings
from proxy.net.work_queue import WorkQueue
from proxy.session.ports import CostQuery, Estimate
from proxy.session.session import Session

OTHERS_S: Final = 1.0  # how long sessions wait for the catalog to follow another session's DDL
_DRAIN_STEP_S: Final = 0.05
_CLOSING_S: Final = 1.0

log = logging.getLogger("pgwarden.net")


class Listener:
    """Implements `Surroundings`. `count_sessions` hears +1 and -1.

    `make_session` takes the client's address and whether it came through a unix socket.
    """

    def __init__(
        self,
        make_session: Callable[[str, bool], Session],
        upstreams: Mapping[str, Callable[[], Upstream]],
        catalogs: Catalogs,
        count_sessions: Callable[[int], None],
        estimate: Callable[[CostQuery, str], Awaitable[Estimate]],
        settings: LinkSettings | None = None,
        wait_synced: Callable[[int], Awaitable[None]] | None = None,
        pools: Mapping[str, AnyPool] | None = None,
        neighbours: Neighbours | None = None,
        work_queues: Mapping[str, WorkQueue] | None = None,
    ) -> None:
        self._make_session = make_session
        self._upstreams = upstreams
        self._catalogs = catalogs
        self._count_sessions = count_sessions
        self._estimate = estimate
        self._settings = settings or LinkSettings()
        self._wait_synced = wait_synced
        self._pools = pools or {}
        self._neighbours = neighbours or Nobody()
        self._work_queues = work_queues or {}
        self._acceptors: list[Acceptor] = []
        self._beginning = 0  # connections that are no links yet
        self._links: set[AnyLink] = set()
        self._keys: dict[tuple[int, bytes], AnyLink] = {}
        self._cancel_slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def wait_synced(self) -> Callable[[int], Awaitable[None]] | None:
        return self._wait_synced

    def start(self, doors: Iterable[Door]) -> None:
        """Takes links from these sockets, which listen already."""
        for door in doors:
            make_link = self._make_local_link if door.is_local else self._make_link
            acceptor = Acceptor(
                door.socket,
                make_link,
                self.spawn,
                _no_tls if door.is_local else lambda: self._settings.tls,
                self._settings.handshake_s,
                self._neighbours.lead,
                self._count_beginning,
            )
            self._acceptors.append(acceptor)
            acceptor.start()
        self.tell_links()

    def renew(self, settings: LinkSettings) -> None:
        """For links that come from now on: other certificates. Whether TLS is offered at all stays."""
        if (settings.tls is None) is (self._settings.tls is None):
            self._settings = settings

    def close(self) -> None:
        """No new links."""
        for acceptor in self._acceptors:
            acceptor.close()
        self._acceptors.clear()
        self._neighbours.is_away()

    async def drain(self, limit_s: float) -> None:
        """Ends links as they come to rest between transactions; returns when none is left or time is up."""
        self.close()
        loop = asyncio.get_running_loop()
        until = loop.time() + limit_s
        while self._links and loop.time() < until:
            for link in tuple(self._links):
                link.drain()
            await asyncio.sleep(_DRAIN_STEP_S)

    def end_without_keys(self, flaw_of: Callable[[str, str], str]) -> None:
        """Ends the sessions whose API keys are no good any more; `flaw_of` takes a key's id and its user."""
        for link in tuple(self._links):
            link.end_without_key(flaw_of)

    async def stop(self) -> None:
        """Ends all links at once."""
        self.close()
        for link in tuple(self._links):
            link.end()
        until = asyncio.get_running_loop().time() + _CLOSING_S
        while (self._links or self._tasks) and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(_DRAIN_STEP_S / 5)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _make_link(self) -> ClientLink:
        return ClientLink(lambda address: self._make_session(address, False), self, self._settings)

    def _make_local_link(self) -> ClientLink:
        plain = replace(self._settings, tls=None)
        return ClientLink(lambda address: self._make_session(address, True), self, plain)

    # Surroundings

    @property
    def cancel_slots(self) -> asyncio.Semaphore:
        return self._cancel_slots

    def upstream(self, database: str) -> Upstream:
        return self._upstreams[database]()

    def pool(self, database: str) -> AnyPool | None:
        return self._pools.get(database)

    def work_queue(self, database: str) -> WorkQueue | None:
        return self._work_queues.get(database)

    async def catalog_ready(self, database: str) -> None:
        await self._catalogs.ready(database)

    def hold_for_catalog(self, database: str) -> list[AnyLink]:
        return [link for link in self._links if link.hold_for_catalog(database)]

    async def catalog_refreshed(self, database: str, held: Sequence[AnyLink], *, is_awaited: bool) -> None:
        await asyncio.gather(
            self._neighbours.catalog_changed(database), self._follow_change(database, held, is_awaited=is_awaited)
        )

    async def catalog_changed(self, database: str) -> None:
        """Returns when the sessions of this worker know what was committed before the call."""
        await self._follow_change(database, self.hold_for_catalog(database), is_awaited=False)

    async def _follow_change(self, database: str, held: Sequence[AnyLink], *, is_awaited: bool) -> None:
        if not held and not is_awaited:
            self._catalogs.request(database)
            return
        await asyncio.gather(self._catalogs.read_anew(database), self._release(held, database))

    async def cost_estimated(self, query: CostQuery, user: str) -> Estimate:
        return await self._estimate(query, user)

    async def _release(self, held: Sequence[AnyLink], database: str) -> None:
        """Others see the change at once, too, but don't wait for a reading that a lock holds up."""
        try:
            await self._catalogs.read_anew(database, OTHERS_S)
        finally:
            for link in held:
                link.catalog_refreshed()

    def register(self, link: AnyLink, key: CancelKey) -> None:
        self._keys[key.process_id, key.secret_key] = link

    async def cancel_by_key(self, process_id: int, secret_key: bytes) -> None:
        if not await self.cancel_here(process_id, secret_key):
            await self._neighbours.cancel(process_id, secret_key)

    async def cancel_here(self, process_id: int, secret_key: bytes) -> bool:
        """Whether the key is that of a link of this worker; the request has been carried out then."""
        # Process ids of two servers may be equal, so the secret is part of the key.
        link = self._keys.get((process_id, secret_key))
        if link is not None:
            await link.cancel_at_server()
            return True
        return False

    def opened(self, link: AnyLink) -> None:
        self._links.add(link)
        self._count_sessions(1)
        self.tell_links()

    def closed(self, link: AnyLink) -> None:
        if link not in self._links:
            return
        self._links.discard(link)
        self._count_sessions(-1)
        self.tell_links()
        if link.key is not None:
            self._keys.pop((link.key.process_id, link.key.secret_key), None)

    def _count_beginning(self, change: int) -> None:
        self._beginning += change
        self.tell_links()

    def tell_links(self) -> None:
        """Tells the other workers how many links there are, so that those with fewer take the next ones."""
        if self._acceptors:
            self._neighbours.has_links(len(self._links) + self._beginning)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a task of a link failed", exc_info=task.exception())


def _no_tls() -> None:
    """As PostgreSQL: nobody else can listen to a unix socket."""
