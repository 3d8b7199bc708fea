"""The composition root of one worker: policies, catalogs, compiler, sessions and their listener, wired together.

It decides nothing and moves no bytes. Journal and metrics come from the supervisor, which outlives workers.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress

from audit.errors import JournalError
from audit.journal import Journal
from policies.compile import Compiler
from proxy.config import Address, Config, ConfigError, SqlText, TlsMode
from proxy.dsn import Upstream
from proxy.metrics import Metrics
from proxy.net.catalogs import Catalogs
from proxy.net.link import HANDSHAKE_S
from proxy.net.listener import Listener
from proxy.net.policies import PolicyHolder
from proxy.net.services import WorkerServices, policy_load_event
from proxy.net.tls import client_side_context
from proxy.session.ports import Rules
from proxy.session.session import Session

log = logging.getLogger("pgwarden.worker")


class Worker:
    """`upstreams`: by the name that clients use; called anew for each connection."""

    def __init__(
        self,
        config: Config,
        upstreams: Mapping[str, Callable[[], Upstream]],
        journal: Journal,
        metrics: Metrics,
        environment: Mapping[str, str],
        handshake_s: float = HANDSHAKE_S,
    ) -> None:
        self._config = config
        self._upstreams = upstreams
        self._journal = journal
        self._metrics = metrics
        self._handshake_s = handshake_s
        self._catalogs = Catalogs(upstreams)
        self._policies = PolicyHolder(
            config.policies, environment, upstreams, self._catalogs.all, self._policies_loaded
        )
        self._services = WorkerServices(
            self._policies,
            self._catalogs,
            Compiler(),
            journal,
            metrics,
            upstreams,
            config.audit.sql_text is SqlText.FULL,
        )
        self._listener: Listener | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def unreachable(self) -> Mapping[str, str]:
        """Databases that can't be reached now, and why."""
        return self._catalogs.problems

    @property
    def policy_problem(self) -> str:
        """Why the folder's present content isn't what holds; empty when it is."""
        return self._policies.problem

    @property
    def policy_fingerprint(self) -> str:
        return self._policies.fingerprint

    async def start(self) -> Address:
        """Loads, listens, watches. Raises PolicyFileError, ConfigError or OSError."""
        await asyncio.gather(*(self._catalogs.read(name) for name in self._upstreams))
        await self._policies.load()
        tls = self._tls_context()
        rules = Rules(
            is_tls_offered=tls is not None,
            is_tls_required=self._config.tls.mode is TlsMode.REQUIRE,
            mock_secret=self._mock_secret(),
        )
        is_strict = self._config.audit.durability == "strict"
        self._listener = Listener(
            lambda address: Session(self._services, rules, address),
            self._upstreams,
            self._catalogs,
            self._metrics.sessions.inc,
            tls,
            self._journal.wait_synced if is_strict else None,
            self._handshake_s,
        )
        wanted = self._config.listen
        port = await self._listener.start(wanted.host, wanted.port)
        self._start_task(self._policies.watch(), "policies")
        for name in self._upstreams:
            self._start_task(self._catalogs.keep_reading(name), f"catalog of {name}")
        return Address(wanted.host, port)

    async def reload(self) -> None:
        """Reads the policies and catalogs again now."""
        await asyncio.gather(*(self._catalogs.read(name) for name in self._upstreams))
        await self._policies.reload()

    async def drain(self, limit_s: float) -> None:
        """No new sessions; open ones end between transactions, at the latest after `limit_s` seconds by `stop`."""
        if self._listener is not None:
            await self._listener.drain(limit_s)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()
        if self._listener is not None:
            await self._listener.stop()

    def _start_task(self, work: Coroutine[None, None, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    def _policies_loaded(self, is_ok: bool, text: str) -> None:
        self._metrics.policy_loads.labels("ok" if is_ok else "failed").inc()
        try:
            self._journal.append([policy_load_event(is_ok, text, self._policies.fingerprint)])
        except JournalError:
            log.error("a policy load could not be recorded")

    def _tls_context(self) -> ssl.SSLContext | None:
        tls = self._config.tls
        if tls.mode is TlsMode.DISABLE or tls.certificate is None or tls.key is None:
            return None
        try:
            return client_side_context(tls.certificate, tls.key, tls.client_ca)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError([f"tls: certificate and key can't be used: {type(error).__name__}"]) from error

    def _mock_secret(self) -> bytes:
        """Unknown users get salts made of this: secret, and the same in every replica of one configuration."""
        digest = hashlib.sha256(b"pgwarden/unknown-users")
        for name in sorted(self._upstreams):
            digest.update(self._upstreams[name]().url().encode())
        return digest.digest()
