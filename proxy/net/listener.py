"""The listening socket and all links of one worker: accepts, finds links by cancel key, drains."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from proxy.dsn import Upstream
from proxy.net.acceptor import Acceptor
from proxy.net.cancels import AT_ONCE
from proxy.net.catalogs import Catalogs
from proxy.net.link import ClientLink
from proxy.net.pool import Pool
from proxy.net.sockets import UnixSocket
from proxy.net.surroundings import AnyLink, CancelKey, LinkSettings
from proxy.session.ports import CostQuery, Estimate
from proxy.session.session import Session

OTHERS_S: Final = 1.0  # how long sessions wait for the catalog to follow another session's DDL
_DRAIN_STEP_S: Final = 0.05
_CLOSING_S: Final = 1.0
_BACKLOG: Final = 1024

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
        pools: Mapping[str, Pool] | None = None,
    ) -> None:
        self._make_session = make_session
        self._upstreams = upstreams
        self._catalogs = catalogs
        self._count_sessions = count_sessions
        self._estimate = estimate
        self._settings = settings or LinkSettings()
        self._wait_synced = wait_synced
        self._pools = pools or {}
        self._servers: list[asyncio.Server | Acceptor] = []
        self._unix_sockets: list[UnixSocket] = []
        self._links: set[AnyLink] = set()
        self._keys: dict[tuple[int, bytes], AnyLink] = {}
        self._cancel_slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def wait_synced(self) -> Callable[[int], Awaitable[None]] | None:
        return self._wait_synced

    async def start_tcp(self, host: str, port: int) -> int:
        """Listens; gives the port. Raises OSError."""
        settings = self._settings
        if settings.tls is not None:
            acceptor = Acceptor(self._make_link, self.spawn, lambda: self._settings.tls, settings.handshake_s)
            self._servers.append(acceptor)
            return await acceptor.start(host, port)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._make_link, host, port, backlog=_BACKLOG)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def start_unix(self, path: Path, permissions: int) -> None:
        """Listens at `path`, which is removed at the end. Raises OSError."""
        made = await asyncio.to_thread(UnixSocket, path, permissions)
        self._unix_sockets.append(made)
        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_unix_server(self._make_local_link, sock=made.socket))

    def renew(self, settings: LinkSettings) -> None:
        """For links that come from now on: other certificates. Whether TLS is offered at all stays."""
        if (settings.tls is None) is (self._settings.tls is None):
            self._settings = settings

    def close(self) -> None:
        """No new links."""
        for server in self._servers:
            server.close()
        for unix_socket in self._unix_sockets:
            unix_socket.close()

    async def drain(self, limit_s: float) -> None:
        """Ends links as they come to rest between transactions; returns when none is left or time is up."""
        self.close()
        loop = asyncio.get_running_loop()
        until = loop.time() + limit_s
        while self._links and loop.time() < until:
            for link in tuple(self._links):
                link.drain()
            await asyncio.sleep(_DRAIN_STEP_S)

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
        # As PostgreSQL: nobody else can listen to a unix socket, so there is no TLS.
        plain = replace(self._settings, tls=None)
        return ClientLink(lambda address: self._make_session(address, True), self, plain)

    # Surroundings

    @property
    def cancel_slots(self) -> asyncio.Semaphore:
        return self._cancel_slots

    def upstream(self, database: str) -> Upstream:
        return self._upstreams[database]()

    def pool(self, database: str) -> Pool | None:
        return self._pools.get(database)

    async def catalog_ready(self, database: str) -> None:
        await self._catalogs.ready(database)

    async def catalog_refreshed(self, database: str, *, is_awaited: bool) -> None:
        held = [link for link in self._links if link.hold_for_catalog(database)]
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
        # Process ids of two servers may be equal, so the secret is part of the key.
        link = self._keys.get((process_id, secret_key))
        if link is not None:
            await link.cancel_at_server()

    def opened(self, link: AnyLink) -> None:
        self._links.add(link)
        self._count_sessions(1)

    def closed(self, link: AnyLink) -> None:
        if link not in self._links:
            return
        self._links.discard(link)
        self._count_sessions(-1)
        if link.key is not None:
            self._keys.pop((link.key.process_id, link.key.secret_key), None)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a task of a link failed", exc_info=task.exception())
