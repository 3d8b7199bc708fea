"""pgwarden as an operator runs it: `pgwarden serve` with a policy, a journal and a real store.

Two users: `ruled` has a row filter and masks, `open` may do everything; every statement of both is recorded. The
filter lets all rows through, so that every contestant carries the same rows; the server has to check it all the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import yaml

from proxy.wire.scram import make_verifier
from tests.bench.database import DATABASE, Server
from tests.bench.processes import command_of, family_of
from tests.bench.waiting import until

ROOT = Path(__file__).parents[2]
POLICIES = Path(__file__).with_name("policies.yaml")
USERS = ("ruled", "plain", "open")
DRAIN_S = 60.0
_SALT = b"0123456789abcdef"


def password_of(user: str) -> str:
    return f"{user}-secret"


def policy_text() -> str:
    text = POLICIES.read_text("utf-8")
    for user in USERS:
        text = text.replace(f"@{user}@", make_verifier(password_of(user), 4096, _SALT))
    return text


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A running pgwarden. `pid` is the process that was started; others may be its children."""

    pid: int
    port: int
    admin_port: int
    store_dsn: str
    log_file: Path

    def dsn(self, user: str) -> str:
        return f"postgresql://{user}:{password_of(user)}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def all_pids(self) -> list[int]:
        """The whole of it, with whatever ships, serves and supervises."""
        return family_of(self.pid)

    @property
    def worker_pids(self) -> list[int]:
        """The processes that hold clients' links: children with "worker" in their command, else the only one."""
        found = [pid for pid in self.all_pids if pid != self.pid and "worker" in " ".join(command_of(pid))]
        return found or [self.pid]

    def drain(self) -> bool:
        """Waits until the store has every record; False when that took too long."""
        deadline = time.monotonic() + DRAIN_S
        quiet = 0
        while quiet < 2:  # the figure is taken once a second: one 0 may be old
            if time.monotonic() > deadline:
                return False
            time.sleep(1.05)
            quiet = quiet + 1 if self._metric("pgwarden_journal_lag_bytes") == 0 else 0
        return True

    def forget_records(self) -> None:
        """Empties the store, so that long runs don't fill the disk."""
        with psycopg.connect(self.store_dsn, autocommit=True) as connection:
            connection.execute("TRUNCATE pgwarden.records")

    def version(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._get("/version"))
        return answer

    def faults(self) -> list[str]:
        """What it logged of exceptions: figures of a run with some are worth nothing."""
        return [entry["message"] for entry in _entries(self.log_file) if "error" in entry]

    def _metric(self, name: str) -> float:
        lines = self._get("/metrics").splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.partition(" ")[0].partition("{")[0] == name)

    def _get(self, page: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}{page}", timeout=10) as answer:
            text: str = answer.read().decode()
            return text


@contextmanager
def run_pgwarden(folder: Path, server: Server, name: str, **settings: Any) -> Iterator[Sidecar]:
    """`settings`: keys of pgwarden.yaml beside or instead of ours; `pool` and `lanes` are the database's."""
    home = folder / name
    (home / "policies").mkdir(parents=True)
    (home / "policies" / "policies.yaml").write_text(policy_text(), "utf-8")
    store_dsn = server.new_store(f"store_{name.replace('-', '_')}")
    of_database = {key: settings.pop(key) for key in ("pool", "lanes") if key in settings}
    audit = {"directory": "journal", "store": store_dsn} | settings.pop("audit", {})
    configuration = {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0"},
        "databases": {DATABASE: {"upstream": server.dsn} | of_database},
        "policies": "policies",
        "audit": audit,
    } | settings
    (home / "pgwarden.yaml").write_text(yaml.safe_dump(configuration))
    log_file = home / "pgwarden.log"
    command = [sys.executable, "-m", "proxy", "serve", "--config", str(home / "pgwarden.yaml"), "--log", "json"]
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=dict(os.environ), stdout=log, stderr=log)
    try:
        ready = until(lambda: _ready(process, log_file), "pgwarden's start")
        ports = [int(ready[key].rpartition(":")[2]) for key in ("listen", "admin")]
        sidecar = Sidecar(process.pid, *ports, store_dsn, log_file)
        sidecar.drain()
        yield sidecar
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(process: subprocess.Popen[bytes], log_file: Path) -> dict[str, Any] | None:
    if process.poll() is not None:
        raise RuntimeError(f"pgwarden ended with {process.returncode}: {log_file.read_text()[-2000:]}")
    return next((entry for entry in _entries(log_file) if entry["message"] == "ready"), None)


def _entries(log_file: Path) -> list[dict[str, Any]]:
    lines = log_file.read_text("utf-8", "replace").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}\n")]
