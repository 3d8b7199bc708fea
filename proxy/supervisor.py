"""Starts what one sidecar consists of, in order, and ends it in reverse: places to listen at, embedded PostgreSQL,
audit store, workers, admin port. It decides nothing about statements and touches no client's bytes.

The store may be away: statements go on, records wait in the journals, and shipping tries again. The journals may not:
without them nothing starts.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import pickle
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Final
from uuid import uuid4

from prometheus_client import CollectorRegistry

from admin.app import Check, Version, make_app
from admin.server import AdminServer
from audit.record import Verdict
from audit.store import Store
from proxy.admin_calls import AdminCalls
from proxy.board import Board
from proxy.budget_keeping import BudgetKeeping
from proxy.build import build_kind, commit, package_version
from proxy.chronicle import WORKER as OWN_JOURNAL
from proxy.chronicle import Chronicle
from proxy.config import Address, Config, UnixAddress
from proxy.control import Begin
from proxy.crew import Crew
from proxy.demo.databases import ensure_database
from proxy.demo.shop import ensure_shop
from proxy.embedded import EmbeddedServer
from proxy.inheritance import FORMER_S, Inheritance
from proxy.key_keeping import KeyKeeping
from proxy.key_source import read_key
from proxy.key_watch import KeyWatch
from proxy.lane_board import LaneBoard
from proxy.logs import LogFormat
from proxy.metrics import Memory, Metrics
from proxy.net.places import Places
from proxy.places import STORE_DATABASE, embedded_directory, needs_embedded, needs_embedded_store, upstreams_of
from proxy.quotas import Quotas
from proxy.seal_watch import SealWatch
from proxy.server_links import lane_count
from proxy.settings_text import settings_text
from proxy.shipping import Shipping
from proxy.tallies import Tallies
from proxy.ways import BusWay, StoreWay
from proxy.ways_out import WaysOut

DRAIN_S: Final = 30.0
_TRY_AGAIN_S: Final = 0.1
_JOURNAL_FAILED: Final = "records can't be written, statements are refused"

log = logging.getLogger("pgwarden.supervisor")


@dataclass(frozen=True, slots=True)
class Running:
    """What stands after `start`: where clients and operators connect, and the names of the databases."""

    listen: tuple[Address | UnixAddress, ...]
    admin: Address
    databases: tuple[str, ...]
    store_dsn: str


class Supervisor:
    """One sidecar. `start`, then `run` until a signal or `request_stop`; `stop` is always safe to call."""

    def __init__(
        self,
        config: Config,
        environment: Mapping[str, str],
        log_format: LogFormat = LogFormat.HUMAN,
        log_level: int = logging.INFO,
    ) -> None:
        """`log_format` and `log_level` are those of the workers."""
        self._config = config
        self._environment = environment
        self._log_format = log_format
        self._log_level = log_level
        self._stack = AsyncExitStack()
        self._end = asyncio.Event()
        self._is_draining = False
        self._embedded: EmbeddedServer | None = None
        self._shop_dsn = ""
        self._places: Places | None = None
        self._crew: Crew | None = None
        self._shipping: Shipping | None = None
        self._ways_out: WaysOut | None = None
        self._chronicle: Chronicle | None = None
        self._seal_watch: SealWatch | None = None
        self._keys: KeyWatch | None = None
        self._budgets: BudgetKeeping | None = None

    @property
    def chronicle(self) -> Chronicle:
        """Where events of no worker are recorded, once started."""
        assert self._chronicle is not None, "a supervisor is started before it has anything to tell"
        return self._chronicle

    async def start(self) -> Running:
        """Raises ConfigError, PolicyFileError, JournalError, EmbeddedError or OSError; what had started is ended."""
        try:
            return await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> Running:
        places, listen = await self._bound()
        crew = await self._start_crew(places)
        await self._start_embedded()
        store_dsn = self._store_dsn()
        await self._start_shipping(store_dsn)
        keys = self._keys = await self._start_keys(store_dsn, crew)
        await crew.begin(Begin(pickle.dumps(self._config), self._shop_dsn))
        await keys.first()
        assert self._budgets is not None
        self._budgets.start(store_dsn, self.chronicle.note)
        self._stack.push_async_callback(self._budgets.stop)
        places.listen()
        crew.listen()
        admin = await self._start_admin()
        self._tell_start()
        log.info("ready", extra={"fields": {"listen": ", ".join(map(str, listen)), "admin": str(admin)}})
        return Running(listen, admin, tuple(upstreams_of(self._config, self._shop_dsn)), store_dsn)

    async def run(self) -> None:
        """Returns after a signal, when everything has ended. SIGTERM drains, SIGINT stops at once, SIGHUP reloads."""
        await self._end.wait()
        if self._is_draining and self._crew is not None and self._places is not None:
            log.info("draining", extra={"fields": {"limit_s": DRAIN_S}})
            self._places.close()
            await self._crew.drain(DRAIN_S)
        await self.stop()

    def _tell_start(self) -> None:
        """What a later reader of the records must know: which program ran, and with which settings (no secrets)."""
        text = f"pgwarden {package_version()} ({commit()}) serves with {settings_text(self._config)}"
        self.chronicle.note("start", text, policy_version=self._version().policy_fingerprint)

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
        crew, self._crew = self._crew, None
        if self._places is not None:
            self._places.close()
        if crew is not None:
            await crew.stop()
            self._tell_stop()
        await self._stack.aclose()

    def _tell_stop(self) -> None:
        if self._chronicle is not None:
            self._chronicle.note("stop", "pgwarden ends" + " after its sessions" * self._is_draining)

    def _request_reload(self) -> None:
        if self._crew is not None:
            self.chronicle.note("reload", "SIGHUP: policies, catalogs and certificates are read again")
            self._crew.reload()

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
        if needs_embedded_store(self._config):
            await asyncio.to_thread(ensure_database, server.dsn(), STORE_DATABASE)
        if self._config.databases is None:
            self._shop_dsn = await asyncio.to_thread(ensure_shop, server)

    def _store_dsn(self) -> str:
        """Empty where records go to a bus and no store is named: then this sidecar sees none."""
        audit = self._config.audit
        return audit.store or ("" if audit.bus is not None else self._embedded_dsn(STORE_DATABASE))

    def _embedded_dsn(self, database: str) -> str:
        assert self._embedded is not None, "asked for only when something was left out"
        return self._embedded.dsn(database)

    async def _bound(self) -> tuple[Places, tuple[Address | UnixAddress, ...]]:
        """Raises OSError. Workers whose supervisor was killed may need a moment to let go of a place."""
        loop = asyncio.get_running_loop()
        until = loop.time() + FORMER_S
        while True:
            try:
                return self._bind()
            except OSError as error:
                if error.errno != errno.EADDRINUSE or loop.time() > until:
                    raise
                await asyncio.sleep(_TRY_AGAIN_S)

    def _bind(self) -> tuple[Places, tuple[Address | UnixAddress, ...]]:
        """Takes the places where clients connect, so that nobody else can; nobody is let in yet."""
        places = Places()
        listen: list[Address | UnixAddress] = []
        try:
            for place in self._config.listen:
                if isinstance(place, UnixAddress):
                    places.bind_unix(place.path, self._config.unix_socket_permissions)
                    listen.append(place)
                else:
                    listen.append(Address(place.host, places.bind_tcp(place.host, place.port)))
        except OSError:
            places.close()
            raise
        self._places = places
        return places, tuple(listen)

    async def _start_crew(self, places: Places) -> Crew:
        """First of all, as interpreters take their time; they wait for `begin`."""
        workers = self._config.workers
        board = Board.make(workers)
        self._stack.callback(board.close)
        lanes = LaneBoard.make(workers, lane_count(self._config))
        self._stack.callback(lanes.close)
        keeping = self._budgets = BudgetKeeping(self._config.audit.directory, workers, uuid4())
        self._stack.callback(keeping.close)
        doors = tuple((door.socket.fileno(), door.is_local) for door in places.doors)
        log_as = self._log_format.value, self._log_level
        given = Inheritance(0, workers, -1, -1, board.file, lanes.file, keeping.file, doors, *log_as)
        born_with = [replace(given, number=number) for number in range(1, workers + 1)]
        crew = self._crew = Crew(born_with, self._environment, board, lanes, self._worker_changed)
        for child in crew.children:
            child.on_budgets = keeping.learn
        await crew.start()
        return crew

    async def _start_keys(self, store_dsn: str, crew: Crew) -> KeyWatch:
        assert self._shipping is not None
        shipping, directory = self._shipping, self._config.audit.directory
        quotas = await asyncio.to_thread(Quotas.prepare, directory)
        self._stack.callback(quotas.close)
        note = self.chronicle.note
        keeping = KeyKeeping(Store(store_dsn), quotas, directory, crew.tell, note, time.time, time.monotonic)
        keys = KeyWatch(keeping, self._config.keys, lambda: crew.wants_keys, lambda: shipping.is_store_ready)
        self._stack.push_async_callback(keys.stop)
        keys.start()
        return keys

    def _worker_changed(self, worker: int, is_there: bool) -> None:
        if is_there and self._keys is not None and self._crew is not None:
            for order in self._keys.orders():
                self._crew.children[worker - 1].send(order)
        if self._shipping is not None:
            (self._shipping.take if is_there else self._shipping.leave)(worker)

    async def _start_shipping(self, store_dsn: str) -> None:
        audit = self._config.audit
        key = read_key(audit.signing_key, self._environment)
        limit = audit.journal_limit and audit.journal_limit // self._config.workers
        way = StoreWay(store_dsn, key) if audit.bus is None else BusWay(audit.bus.settings, key, limit)
        shipping = Shipping(audit.directory, way, self._written, store_dsn, audit.retention_days)
        self._shipping = shipping
        self._stack.push_async_callback(shipping.stop)
        self._ways_out = WaysOut(audit.directory, store_dsn, audit.export, audit.alarms)
        self._stack.push_async_callback(self._ways_out.stop)
        self._chronicle = await Chronicle.open(audit.directory, signing_key=key)
        self._stack.push_async_callback(self._chronicle.close)
        await shipping.start(self._config.workers)
        shipping.take(OWN_JOURNAL)
        self._seal_watch = SealWatch(self._seal_problems, self._chronicle)
        watching = asyncio.create_task(self._seal_watch.run(), name="seals")
        self._stack.callback(watching.cancel)
        if audit.export is not None:
            text = f"all records go to daily files in {audit.export.directory} as {audit.export.format}"
            self._chronicle.note("audit_export", text, Verdict.ALLOW)
        self._ways_out.start()

    def _written(self, worker: int) -> int:
        """How far this one's journal has been written."""
        if worker == OWN_JOURNAL:
            return self.chronicle.position
        return 0 if self._crew is None else self._crew.children[worker - 1].state.position

    def _memory(self) -> Memory:
        crew, shipping = self._crew, self._shipping
        if crew is None or shipping is None:
            return Memory()
        is_failed = any(child.state.is_journal_failed for child in crew.children)
        return Memory(replace(shipping.state, seal_problems=len(self._seal_problems())), is_failed)

    def _tallies(self) -> Tallies:
        return Tallies() if self._crew is None else self._crew.tallies()

    async def _refresh(self) -> None:
        if self._crew is not None:
            await self._crew.refresh()

    async def _start_admin(self) -> Address:
        wanted = self._config.admin.listen
        metrics = Metrics(CollectorRegistry(), self._tallies, self._memory)
        if self._ways_out is not None:
            metrics.add(self._ways_out.metrics)
        if self._keys is not None:
            metrics.add(self._keys.metrics)
        assert self._budgets is not None
        metrics.add(self._budgets.metrics)
        calls = AdminCalls(self.chronicle, time.monotonic)
        server = AdminServer(make_app(metrics.registry, self._checks, self._version, self._refresh, calls.note))
        port = await server.start(wanted.host, wanted.port)
        self._stack.push_async_callback(server.stop)
        return Address(wanted.host, port)

    async def _checks(self) -> Sequence[Check]:
        crew, shipping = self._crew, self._shipping
        if crew is None or shipping is None:
            return ()
        await crew.refresh()
        silent = crew.silent()
        states = {child.number: child.state for child in crew.children if child.number not in silent}
        policies = {number: state.policy_problem for number, state in states.items()}
        away = {number: _listed(state.unreachable) for number, state in states.items()}
        failed = {number: _JOURNAL_FAILED * state.is_journal_failed for number, state in states.items()}
        problem = shipping.problem
        keys = () if self._keys is None or not crew.wants_keys else (self._keys.check,)
        return [
            *keys,
            _check("policies", policies, len(crew.children)),
            _check("upstream", away, len(crew.children)),
            Check(shipping.state.way, not problem, problem),
            _check("journal", failed, len(crew.children)),
            *(() if self._seal_watch is None else (self._seal_watch.check,)),
            Check("workers", not silent, "; ".join(f"worker {number}: {why}" for number, why in silent.items())),
        ]

    def _seal_problems(self) -> list[str]:
        stored = [] if self._shipping is None else self._shipping.seal_problems
        children = [] if self._crew is None else self._crew.children
        return [*stored, *(child.state.signing_problem for child in children if child.state.signing_problem)]

    def _version(self) -> Version:
        fingerprint = "" if self._crew is None else self._crew.children[0].state.fingerprint
        return Version(package_version(), commit(), build_kind(), fingerprint)


def _listed(problems: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in problems.items())


def _check(name: str, problems: Mapping[int, str], workers: int) -> Check:
    """What all workers say alike is said once."""
    told = {number: problem for number, problem in problems.items() if problem}
    if len(told) == workers and len(set(told.values())) == 1:
        return Check(name, False, next(iter(told.values())))
    return Check(name, not told, "; ".join(f"worker {number}: {problem}" for number, problem in told.items()))
