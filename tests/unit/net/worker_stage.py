"""A worker in the test's own event loop, before a real server: for what a process of its own makes hard to reach."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from audit.journal import Journal
from proxy.config import Config
from proxy.net.places import Door, Places
from proxy.tallies import Tallies
from proxy.worker import Worker
from tests.fix_pgwarden import password_of, policy_text
from tests.fix_servers import TestServer


class WorkerStage:
    def __init__(self, worker: Worker, journal: Journal, tallies: Tallies, port: int, policies: Path) -> None:
        self.worker = worker
        self.journal = journal
        self.tallies = tallies
        self.port = port
        self.policies = policies

    def dsn(self, user: str = "ada", **options: str) -> str:
        given = {"host": "127.0.0.1", "port": str(self.port), "user": user, "password": password_of(user)}
        given |= {"dbname": "shop", "connect_timeout": "10"} | options
        return " ".join(f"{key}={value}" for key, value in given.items())

    def write_policies(self, text: str) -> None:
        fresh = self.policies.with_suffix(".new")
        fresh.write_text(policy_text(text), "utf-8")
        fresh.replace(self.policies)


@asynccontextmanager
async def worker_before(
    upstream: str | TestServer,
    folder: Path,
    *,
    handshake_s: float = 10.0,
    policies_text: str | None = None,
    now_s: Callable[[], float] = time.time,
    **configuration: Any,
) -> AsyncIterator[WorkerStage]:
    """`upstream`: a DSN, or a server that gives a fresh shop."""
    dsn = upstream if isinstance(upstream, str) else upstream.gateway_dsn(upstream.shop())
    policies = folder / "policies" / "p.yaml"
    policies.parent.mkdir()
    policies.write_text(policy_text(policies_text), "utf-8")
    given = {"listen": "127.0.0.1:0", "databases": {"shop": {"upstream": dsn}}, "policies": policies.parent}
    given |= {"handshake_timeout": f"{round(handshake_s * 1000)}ms"}
    config = Config.model_validate(given | configuration)
    journal = Journal.open(folder / "journal", 1, durability=config.audit.durability)
    tallies = Tallies()
    assert config.databases is not None
    upstreams = {name: (lambda d=database: d.server) for name, database in config.databases.items()}
    worker = Worker(config, upstreams, journal, tallies, {}, now_s)
    places = Places()
    try:
        await worker.start()
        port = places.bind_tcp("127.0.0.1", 0)
        places.listen()
        worker.listen([Door(door.socket.dup(), door.is_local) for door in places.doors])
        places.close()
        yield WorkerStage(worker, journal, tallies, port, policies)
    finally:
        places.close()
        await worker.stop()
        journal.close()
