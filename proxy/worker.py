"""The composition root of one worker: policies, catalogs, compiler, sessions and their listener, wired together.

It decides nothing and moves no bytes. Journal and tallies come from the supervisor, which outlives workers.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from audit.errors import JournalError
from audit.journal import Journal
from policies.compile import Compiler
from policies.limits import Loads
from policies.model import PolicySet
from proxy.allowances import Allowances
from proxy.config import ClientCertificates, Config, ConfigError, TlsMode
from proxy.dsn import Upstream
from proxy.key_ring import KeyRing
from proxy.lane_board import LaneBoard
from proxy.net.catalogs import Catalogs
from proxy.net.estimates import Estimates
from proxy.net.known_names import KnownNames
from proxy.net.listener import Listener
from proxy.net.names_file import FILE_NAME, NamesFileError
from proxy.net.neighbours import Neighbours
from proxy.net.places import Door
from proxy.net.plan_weights import PlanWeights
from proxy.net.policies import PolicyHolder
from proxy.net.pricing import Pricing, price_function
from proxy.net.services import WorkerServices, policy_load_event
from proxy.net.sockets import Keepalive
from proxy.net.surroundings import LinkSettings
from proxy.net.tls import client_side_context, own_binding
from proxy.purse_book import PurseBook
from proxy.server_links import Ground, ServerLinks, lane_count
from proxy.session.epoch import Epoch
from proxy.session.ports import Rules
from proxy.session.session import Session
from proxy.tallies import Tallies
from proxy.wire.frames import FrameLimits
from proxy.wire.scram import KnownKeys

log = logging.getLogger("pgwarden.worker")


def _known_names(config: Config, policies: Callable[[], PolicySet | None]) -> KnownNames:
    try:
        return KnownNames(config.audit.directory / FILE_NAME, policies)
    except NamesFileError as error:
        raise ConfigError([str(error)]) from error


class Worker:
    """`upstreams`: by the name that clients use; called anew for each connection. `now_s`: the clock of policies."""

    def __init__(
        self,
        config: Config,
        upstreams: Mapping[str, Callable[[], Upstream]],
        journal: Journal,
        tallies: Tallies,
        environment: Mapping[str, str],
        now_s: Callable[[], float] = time.time,
        loads: Loads | None = None,
        allowances: Allowances | None = None,
        keys: KeyRing | None = None,
        neighbours: Neighbours | None = None,
        lanes: LaneBoard | None = None,
        number: int = 1,
        purse_book: PurseBook | None = None,
    ) -> None:
        self._config = config
        self._neighbours = neighbours
        self._keys = keys
        self._purse_book = purse_book or PurseBook()
        self._upstreams = upstreams
        self._journal = journal
        self._tallies = tallies
        self._names = _known_names(config, lambda: self._policies.loaded)
        epoch = Epoch()
        self._catalogs = Catalogs(upstreams, fill=self._names.fill, epoch=epoch)
        self._policies = PolicyHolder(
            config.policies, environment, upstreams, self._catalogs.all, self._policies_loaded, now_s, epoch
        )
        self._estimates = Estimates(upstreams, tallies.count_estimate, time.monotonic)
        self._weights = PlanWeights(self._estimates.make, epoch)
        self._pricing = Pricing(self._policies, now_s, price_function)
        known_keys = KnownKeys()
        board = lanes or LaneBoard.make(1, lane_count(config))
        self._servers = ServerLinks(
            Ground(config, upstreams, self._catalogs, known_keys, tallies, self._spawn, board, number)
        )
        self._services = WorkerServices(
            self._policies,
            self._catalogs,
            Compiler(),
            journal,
            tallies,
            upstreams,
            self._estimates,
            self._pricing,
            self._weights,
            config.audit.sql_text,
            config.audit.parameters,
            loads=loads or Loads(),
            allowances=allowances or Allowances(),
            keys=keys,
            pools=self._servers.pools,
            work_queues=self._servers.work_queues,
            known_keys=known_keys,
            purse_book=self._purse_book,
        )
        self._listener: Listener | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._opening: set[asyncio.Task[None]] = set()  # links of pools

    @property
    def unreachable(self) -> Mapping[str, str]:
        """Databases that can't be reached now, and why."""
        return self._catalogs.problems

    @property
    def policy_problem(self) -> str:
        """Why the folder's present content isn't what holds; empty when it is."""
        return self._policies.problem or self._names.problem

    @property
    def policy_fingerprint(self) -> str:
        return self._policies.fingerprint

    @property
    def wants_keys(self) -> bool:
        """Whether a principal may log in by API keys of the store."""
        policies = self._policies.loaded
        return policies is not None and any(one.has_stored_keys for one in policies.principals.values())

    def end_without_keys(self) -> None:
        """Ends the sessions that logged in by keys of the store which are no good any more."""
        self.listener.end_without_keys(self._flaw_of)

    def _flaw_of(self, key: str, user: str) -> str:
        policies = self._policies.loaded
        principal = None if policies is None else policies.principals.get(user)
        if self._keys is None or principal is None or not principal.has_stored_keys:
            return "is of no use any more"
        return self._keys.flaw_of(key, user)

    @property
    def tallies(self) -> Tallies:
        return self._services.all_tallies()

    async def start(self) -> None:
        """Loads and watches; `listen` lets clients in. Raises PolicyFileError or ConfigError."""
        await asyncio.gather(*(self._catalogs.read(name) for name in self._upstreams))
        await self._policies.load()
        if self._names.problem:
            raise ConfigError([self._names.problem])  # a rename would be forgotten at the next start
        is_strict = self._config.audit.durability == "strict"
        links = self._link_settings()
        self._listener = Listener(
            self._session_maker(is_tls_offered=links.tls is not None),
            self._upstreams,
            self._catalogs,
            self._tallies.count_sessions,
            self._estimates.make,
            links,
            self._journal.wait_synced if is_strict else None,
            self._servers.pools,
            self._neighbours,
            self._servers.work_queues,
        )
        self._start_task(self._policies.watch(), "policies")
        self._start_task(self._pricing.run(), "prices")
        self._start_task(self._weights.run(), "estimates for prices")
        for name in self._upstreams:
            self._start_task(self._catalogs.keep_reading(name), f"catalog of {name}")
        for name in self._servers.replicated:
            self._start_task(self._servers.keep_reading(name), f"catalog of {name}'s bulk lane")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def listen(self, doors: Iterable[Door]) -> None:
        """Takes clients from these sockets, once started."""
        self.listener.start(doors)

    @property
    def is_started(self) -> bool:
        return self._listener is not None

    @property
    def listener(self) -> Listener:
        assert self._listener is not None, "a worker is started before it is asked for anything"
        return self._listener

    def _session_maker(self, *, is_tls_offered: bool) -> Callable[[str, bool], Session]:
        wanted = self._config.session
        rules = Rules(
            is_tls_offered=is_tls_offered,
            is_tls_required=self._config.tls.mode is TlsMode.REQUIRE,
            idle_s=wanted.idle_timeout,
            idle_in_transaction_s=wanted.idle_in_transaction_timeout,
            mock_secret=self._mock_secret(),
        )
        # Nobody can listen to a unix socket: as PostgreSQL, no TLS there.
        local = replace(rules, is_tls_offered=False, is_tls_required=False, is_local=True)
        limits = FrameLimits(message_bytes=self._config.limits.message)
        return lambda address, is_local: Session(self._services, local if is_local else rules, address, limits)

    async def reload(self) -> None:
        """Reads the policies, the catalogs and the certificates again now; what can't be used leaves the last ones."""
        self._renew_certificates()
        await asyncio.gather(*(self._catalogs.read(name) for name in self._upstreams))
        await self._policies.reload()

    def _renew_certificates(self) -> None:
        if self._listener is None:
            return
        try:
            self._listener.renew(self._link_settings())
        except ConfigError as error:
            log.error("the last certificates stay: %s", error)

    async def drain(self, limit_s: float) -> None:
        """No new sessions; open ones end between transactions, at the latest after `limit_s` seconds by `stop`."""
        if self._listener is not None:
            await self._listener.drain(limit_s)

    async def stop(self) -> None:
        tasks = [*self._tasks, *self._opening]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()
        if self._listener is not None:
            await self._listener.stop()
        self._servers.close()
        await self._estimates.close()

    def _start_task(self, work: Coroutine[None, None, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    def _policies_loaded(self, is_ok: bool, text: str) -> None:
        if is_ok:
            self._catalogs.refill()  # before anybody is decided under the new set
            self._purse_book.learn(self._policies.current)
        self._tallies.count_policy_load(is_ok)
        try:
            self._journal.append([policy_load_event(is_ok, text, self._policies.fingerprint)])
        except JournalError:
            log.error("a policy load could not be recorded")

    def _keepalive(self) -> Keepalive:
        wanted = self._config.keepalive
        return Keepalive(wanted.idle, wanted.interval, wanted.count)

    def _link_settings(self) -> LinkSettings:
        tls = self._config.tls
        keepalive = self._keepalive()
        handshake_s = self._config.handshake_timeout
        if tls.mode is TlsMode.DISABLE or tls.certificate is None or tls.key is None:
            return LinkSettings(handshake_s=handshake_s, keepalive=keepalive)
        is_optional = tls.client_certificates is ClientCertificates.OPTIONAL
        try:
            context = client_side_context(tls.certificate, tls.key, tls.client_ca, is_optional)
            return LinkSettings(context, own_binding(tls.certificate), handshake_s, keepalive)
        except (OSError, ValueError) as error:
            raise ConfigError([f"tls: certificate and key can't be used: {type(error).__name__}"]) from error

    def _mock_secret(self) -> bytes:
        """Unknown users get salts made of this: secret, and the same in every replica of one configuration."""
        digest = hashlib.sha256(b"pgwarden/unknown-users")
        for name in sorted(self._upstreams):
            digest.update(self._upstreams[name]().url().encode())
        return digest.digest()
