"""Everything that a benchmark needs, running side by side: the server and, made when first asked for, the contestants.

A contestant is a door to the same database: its URL, and the processes whose CPU it costs.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.bench.database import Server, run_server
from tests.bench.pooler import Pooler, run_pgbouncer
from tests.bench.sidecar import Sidecar, run_pgwarden
from tests.bench.splice import Splice, run_splice

DIRECT, SPLICE, POOLER, POOLER_TRANSACTION = "direct", "splice", "pgbouncer", "pgbouncer-transaction"
RULED, PLAIN, OPEN, STRICT = "pgwarden", "pgwarden-unmasked", "pgwarden-open", "pgwarden-strict"
_USERS = {RULED: "ruled", PLAIN: "plain", OPEN: "open"}
Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Contestant:
    """`workers` are the processes that carry bytes, `everyone` all that run for them; both empty for the server."""

    name: str
    dsn: str
    workers: tuple[int, ...] = ()
    everyone: tuple[int, ...] = ()
    sidecar: Sidecar | None = None


@dataclass
class Stage:
    """One run of the benchmark. Its parts end with it."""

    folder: Path
    server: Server
    pgbench: str
    stack: ExitStack
    _made: dict[str, Any] = field(default_factory=dict)

    def contestant(self, name: str) -> Contestant:
        """Starts its processes when it is the first that needs them."""
        if name == DIRECT:
            return Contestant(name, self.server.dsn)
        if name in _USERS:
            return self.ours(name, self.sidecar(), _USERS[name])
        if name == STRICT:
            return self.ours(name, self.sidecar(name, audit={"durability": "strict"}), "ruled")
        other = self._other(name)
        return Contestant(name, self.server.dsn_at(other.port), (other.pid,), (other.pid,))

    def ours(self, name: str, sidecar: Sidecar, user: str) -> Contestant:
        return Contestant(name, sidecar.dsn(user), tuple(sidecar.worker_pids), tuple(sidecar.all_pids), sidecar)

    def sidecar(self, name: str = "pgwarden", **settings: Any) -> Sidecar:
        """The sidecar of that name; `settings` count when it isn't running yet."""
        return self._once(name, lambda: run_pgwarden(self.folder, self.server, name, **settings))

    def _other(self, name: str) -> Splice | Pooler:
        match name:
            case "splice":
                return self._once(name, lambda: run_splice(self.server.port))
            case "pgbouncer":
                return self._once(name, lambda: run_pgbouncer(self.folder, self.server, "session", 1100))
            case "pgbouncer-transaction":
                return self._once(name, lambda: run_pgbouncer(self.folder, self.server, "transaction", 20))
            case _:
                raise KeyError(name)

    def _once(self, name: str, make: Callable[[], AbstractContextManager[Thing]]) -> Thing:
        if name not in self._made:
            self._made[name] = self.stack.enter_context(make())
        thing: Thing = self._made[name]
        return thing

    def settle(self) -> None:
        """Before the next run: no sidecar has anything left to ship from the one before."""
        for thing in self._made.values():
            if isinstance(thing, Sidecar):
                thing.drain()
                thing.forget_records()

    def faults(self) -> list[str]:
        """What the sidecars logged of exceptions."""
        sidecars = [thing for thing in self._made.values() if isinstance(thing, Sidecar)]
        return [fault for sidecar in sidecars for fault in sidecar.faults()]


@contextmanager
def run_stage() -> Iterator[Stage]:
    """As root, servers run as another user, who must get to their data: the folder is passable."""
    pgbench = shutil.which("pgbench")
    if pgbench is None:
        raise FileNotFoundError("pgbench isn't installed; on Debian: apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="pgwarden-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)
        if os.geteuid() == 0:
            os.environ["STATE_DIRECTORY"] = name
        with ExitStack() as stack:
            server = stack.enter_context(run_server(folder, pgbench))
            yield Stage(folder, server, pgbench, stack)
