"""Starts what one sidecar consists of, in order, and ends it in reverse: embedded PostgreSQL, audit store, journal,
worker, shipper, admin port. It decides nothing about statements and touches no client's bytes.

The store may be away: statements go on, records wait in the journal, and the shipper's task tries again. The
journal may not: without it nothing starts.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry

from admin.app import Check, Version, make_app
from admin.server import AdminServer
from audit.errors import AuditError
from audit.journal import Journal
from audit.shipper import Shipper
from audit.store import Store
from proxy.build import build_kind, commit, package_version
from proxy.config import Address, Config, UnixAddress
from proxy.demo.databases import ensure_database
from proxy.demo.shop import ensure_shop
from proxy.dsn import Upstream, parse_dsn
from proxy.embedded import EmbeddedServer
from proxy.metrics import Memory, Metrics
from proxy.places import SHOP_DATABASE, STORE_DATABASE, embedded_directory, needs_embedded
from proxy.tallies import Tallies
from proxy.worker import Worker

DRAIN_S: Final = 30.0
_WORKER: Final = 1
_STORE_RETRY_S: Final = 2.0
_LAST_SHIPPING_S: Final = 5.0

log = logging.getLogger("pgwarden.supervisor")


@dataclass(frozen=True, slots=True)
class Running:
    """What stands after `start`: where clients and operators connect, and the names of the databases."""

    listen: tuple[Address | UnixAddress, ...]
    admin: Address
    databases: tuple[str, ...]
    store_dsn: str
    upstreams: Mapping[str, Callable[[], Upstream]]


class Supervisor:
    """One sidecar. `start`, then `run` until a signal or `request_stop`; `stop` is always safe to call."""

    def __init__(self, config: Config, environment: Mapping[str, str]) -> None:
        self._config = config
        self._environment = environment
        self._tallies = Tallies()
        self._metrics = Metrics(CollectorRegistry(), lambda: self._tallies, self._memory)
        self._stack = AsyncExitStack()
        self._end = asyncio.Event()
        self._is_draining = False
        self._embedded: EmbeddedServer | None = None
        self._shop_dsn = ""
        self._store_problem = ""
        self._worker: Worker | None = None
        self._journal: Journal | None = None
        self._shipper: Shipper | None = None
        self._shipping: asyncio.Task[None] | None = None
        self._reloads: set[asyncio.Task[None]] = set()

    async def start(self) -> Running:
        """Raises ConfigError, PolicyFileError, JournalError, EmbeddedError or OSError; what had started is ended."""
        try:
            return await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> Running:
        await self._start_embedded()
        upstreams = self._upstreams()
        store_dsn = self._config.audit.store or self._embedded_dsn(STORE_DATABASE)
        journal = self._open_journal()
        places = await self._start_worker(upstreams, journal)
        self._start_shipping(Store(store_dsn), journal)
        admin = await self._start_admin()
        listen = ", ".join(map(str, places))
        log.info("ready", extra={"fields": {"listen": listen, "admin": str(admin)}})
        return Running(places, admin, tuple(upstreams), store_dsn, upstreams)

    async def run(self) -> None:
        """Returns after a signal, when everything has ended. SIGTERM drains, SIGINT stops at once, SIGHUP reloads."""
        await self._end.wait()
        if self._is_draining and self._worker is not None:
            log.info("draining", extra={"fields": {"limit_s": DRAIN_S}})
            await self._worker.drain(DRAIN_S)
        await self.stop()

    def request_stop(self, *, drain: bool = False) -> None:
        self._is_draining = drain and not self._end.is_set()
        self._end.set()

    async def ended(self) -> None:
        """Returns when somebody asked for the end."""
        await self._end.wait()

    def listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: self.request_stop(drain=True))
        loop.add_signal_handler(signal.SIGINT, self.request_stop)
        loop.add_signal_handler(signal.SIGHUP, self._request_reload)

    async def stop(self) -> None:
        """Ends sessions first, then ships what they left, then the rest."""
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.stop()
            await self._ship_rest()
        await self._stack.aclose()

    async def _ship_rest(self) -> None:
        """The last records, if the store takes them at once; else the next start ships them."""
        shipping, self._shipping = self._shipping, None
        if shipping is None or self._shipper is None:
            return
        await _cancelled(shipping)
        with suppress(AuditError, TimeoutError):
            await asyncio.wait_for(self._shipper.ship_available(), _LAST_SHIPPING_S)

    def _request_reload(self) -> None:
        if self._worker is not None:
            task = asyncio.create_task(self._worker.reload(), name="reload")
            self._reloads.add(task)
            task.add_done_callback(self._reloads.discard)

    async def _start_embedded(self) -> None:
        if not needs_embedded(self._config):
            return
        server = EmbeddedServer(embedded_directory(self._config))
        self._embedded = server
        await asyncio.to_thread(server.start)
        self._stack.push_async_callback(asyncio.to_thread, server.stop)
        log.info("embedded PostgreSQL runs", extra={"fields": {"port": server.port, "folder": str(server.directory)}})
        await self._fill_embedded(server)

    async def _fill_embedded(self, server: EmbeddedServer) -> None:
        if self._config.audit.store is None:
            await asyncio.to_thread(ensure_database, server.dsn(), STORE_DATABASE)
        if self._config.databases is None:
            self._shop_dsn = await asyncio.to_thread(ensure_shop, server)

    def _embedded_dsn(self, database: str) -> str:
        assert self._embedded is not None, "asked for only when something was left out"
        return self._embedded.dsn(database)

    def _upstreams(self) -> dict[str, Callable[[], Upstream]]:
        """By the name that clients use. Called anew for each connection: passwords may have been rotated."""
        if self._config.databases is None:
            shop = parse_dsn(self._shop_dsn)
            return {SHOP_DATABASE: lambda: shop}
        return {name: database.read_server for name, database in self._config.databases.items()}

    def _open_journal(self) -> Journal:
        settings = self._config.audit
        journal = Journal.open(settings.directory, _WORKER, durability=settings.durability)
        self._stack.push_async_callback(asyncio.to_thread, journal.close)
        self._journal = journal
        return journal

    async def _start_worker(
        self, upstreams: Mapping[str, Callable[[], Upstream]], journal: Journal
    ) -> tuple[Address | UnixAddress, ...]:
        worker = Worker(self._config, upstreams, journal, self._tallies, self._environment)
        places = await worker.start()
        self._worker = worker
        return places

    def _start_shipping(self, store: Store, journal: Journal) -> None:
        shipper = Shipper(self._config.audit.directory, _WORKER, store, written_position=lambda: journal.position)
        self._shipper = shipper
        self._stack.push_async_callback(store.close)
        self._shipping = self._start_task(self._ship(store, shipper), "shipper")

    def _start_task(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._stack.push_async_callback(_cancelled, task)
        return task

    async def _ship(self, store: Store, shipper: Shipper) -> None:
        """Migrates when the store is there, then ships until cancelled."""
        while not await self._is_migrated(store):
            await asyncio.sleep(_STORE_RETRY_S)
        await shipper.run()

    async def _is_migrated(self, store: Store) -> bool:
        try:
            version = await store.migrate()
        except AuditError as error:
            if not self._store_problem:
                log.warning("audit store is away, records wait in the journal: %s", error)
            self._store_problem = str(error)
            return False
        log.info("audit store is ready", extra={"fields": {"schema": version}})
        self._store_problem = ""
        return True

    def _memory(self) -> Memory:
        journal, shipper = self._journal, self._shipper
        if journal is None or shipper is None:
            return Memory()
        return Memory(shipper.lag_bytes, journal.is_failed, shipper.is_store_reachable)

    async def _start_admin(self) -> Address:
        wanted = self._config.admin.listen
        server = AdminServer(make_app(self._metrics.registry, self._checks, self._version))
        port = await server.start(wanted.host, wanted.port)
        self._stack.push_async_callback(server.stop)
        return Address(wanted.host, port)

    async def _checks(self) -> Sequence[Check]:
        worker, journal, shipper = self._worker, self._journal, self._shipper
        if worker is None or journal is None or shipper is None:
            return ()
        away = worker.unreachable
        return [
            Check("policies", not worker.policy_problem, worker.policy_problem),
            Check("upstream", not away, "; ".join(f"{name}: {reason}" for name, reason in away.items())),
            Check("store", shipper.is_store_reachable, shipper.last_error or self._store_problem or "not asked yet"),
            Check("journal", not journal.is_failed, "records can't be written, statements are refused"),
        ]

    def _version(self) -> Version:
        fingerprint = self._worker.policy_fingerprint if self._worker is not None else ""
        return Version(package_version(), commit(), build_kind(), fingerprint)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
