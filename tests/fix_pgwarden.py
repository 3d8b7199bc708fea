"""The real product before a real server: `pgwarden serve` as a process of its own, with a shop, policies and a store.

One instance per server and run serves the tests that change nothing; `make_pgwarden` starts special ones.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import psycopg
import pytest
import yaml
from psycopg.rows import dict_row

from proxy.wire.scram import make_verifier
from tests.fix_servers import TestServer

ROOT = Path(__file__).parents[1]
POLICIES = Path(__file__).with_name("pgwarden_policies.yaml")
USERS = ("admin", "ada", "sam", "tim", "wes")
DATABASE = "shop"
PATIENCE_S = 30.0
_SALT = b"0123456789abcdef"
Found = TypeVar("Found")


def password_of(user: str) -> str:
    return f"{user}-secret"


def policy_text(text: str | None = None) -> str:
    """The policies of the tests, or `text`, with verifiers for `password_of` filled in."""
    filled = POLICIES.read_text("utf-8") if text is None else text
    for user in USERS:
        filled = filled.replace(f"@{user}@", make_verifier(password_of(user), 4096, _SALT))
    return filled


def until(look: Callable[[], Found], what: str = "", patience_s: float = PATIENCE_S) -> Found:
    """What `look` gives once it is true. Fails the test when that takes too long."""
    deadline = time.monotonic() + patience_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited in vain for {what or look}"
        time.sleep(0.02)
    return found


@dataclass
class Pgwarden:
    """One instance. `database` is the shop's real name on `server`; clients call it `DATABASE`."""

    folder: Path
    server: TestServer
    database: str
    store_dsn: str
    configuration: dict[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    host: str = "127.0.0.1"
    port: int = 0
    admin_port: int = 0

    # where it is

    @property
    def config_file(self) -> Path:
        return self.folder / "pgwarden.yaml"

    @property
    def policy_folder(self) -> Path:
        return self.folder / "policies"

    @property
    def policy_file(self) -> Path:
        return self.policy_folder / "policies.yaml"

    @property
    def log_file(self) -> Path:
        return self.folder / "pgwarden.log"

    @property
    def admin_url(self) -> str:
        return f"http://{self.host}:{self.admin_port}"

    def dsn(self, user: str = "admin", password: str | None = None, database: str = DATABASE, **options: str) -> str:
        """A libpq URL through pgwarden."""
        secret = quote(password_of(user) if password is None else password, safe="")
        tail = f"?{urlencode(options, quote_via=quote)}" if options else ""
        return f"postgresql://{quote(user)}:{secret}@{self.host}:{self.port}/{quote(database)}{tail}"

    @property
    def direct_dsn(self) -> str:
        """The same database without pgwarden, as the login that pgwarden uses there."""
        return self.server.gateway_dsn(self.database)

    # its life

    def start(self, *, is_ready: bool = True) -> None:
        """Returns once clients can connect, and, with `is_ready`, once `/readyz` says that all is well."""
        assert self.process is None
        begin = self.log_file.stat().st_size if self.log_file.exists() else 0
        self.write_configuration()
        with self.log_file.open("ab") as log:
            command = [sys.executable, "-m", "proxy", "serve", "--config", str(self.config_file), "--log", "json"]
            environment = {**os.environ, **self.environment}
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        entry = until(lambda: self._ready_entry(begin), "pgwarden's start")
        self.port = int(entry["listen"].rpartition(":")[2])
        self.admin_port = int(entry["admin"].rpartition(":")[2])
        if is_ready:
            until(lambda: self.readiness()[0], "/readyz")

    def write_configuration(self) -> None:
        """A restarted instance stands where it stood before."""
        listen = {"listen": f"{self.host}:{self.port}", "admin": {"listen": f"{self.host}:{self.admin_port}"}}
        self.config_file.write_text(yaml.safe_dump(listen | self.configuration))

    def _ready_entry(self, begin: int) -> dict[str, Any] | None:
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"pgwarden ended with {self.process.returncode}: {self.log_text[-4000:]}")
        with self.log_file.open("rb") as log:
            log.seek(begin)
            return next((entry for entry in _entries(log.read()) if entry["message"] == "ready"), None)

    def stop(self) -> int:
        """Ctrl-C. Its exit code."""
        return self._end(signal.SIGINT)

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """SIGTERM, which drains. Its exit code."""
        return self._end(signal.SIGTERM)

    def restart(self) -> None:
        if self.process is not None:
            self.stop()
        self.start()

    def _end(self, number: signal.Signals) -> int:
        process, self.process = self.process, None
        assert process is not None
        process.send_signal(number)
        try:
            return process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"pgwarden didn't end: {self.log_text[-4000:]}") from None

    # what it says

    @property
    def log_text(self) -> str:
        return self.log_file.read_text("utf-8", "replace")

    def log_entries(self) -> list[dict[str, Any]]:
        return _entries(self.log_file.read_bytes())

    def faults(self) -> list[dict[str, Any]]:
        """What it logged of exceptions: nothing that a client sends may cause one."""
        return [entry for entry in self.log_entries() if "error" in entry]

    def get(self, page: str) -> tuple[int, str]:
        """Status and body of an admin page."""
        try:
            with urllib.request.urlopen(f"{self.admin_url}{page}", timeout=PATIENCE_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def readiness(self) -> tuple[bool, dict[str, str]]:
        """Whether it is ready, and what each check says."""
        status, body = self.get("/readyz")
        return status == 200, json.loads(body)["checks"]

    def metric(self, sample: str) -> float:
        """The value of a sample, written as Prometheus writes it: `name{label="value"}`."""
        for line in self.get("/metrics")[1].splitlines():
            name, _, value = line.rpartition(" ")
            if name == sample:
                return float(value)
        raise AssertionError(f"there is no {sample}")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A `pgwarden` command about this instance."""
        command = [sys.executable, "-m", "proxy", *arguments, "--config", str(self.config_file)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    def records(self, condition: str = "true", *parameters: object) -> list[dict[str, Any]]:
        """What the store holds now, in the order of writing."""
        query = f"SELECT * FROM pgwarden.records WHERE {condition} ORDER BY sequence"
        with psycopg.connect(self.store_dsn, row_factory=dict_row) as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def records_of(self, sql_part: str, outcomes: int = 1) -> list[dict[str, Any]]:
        """Intents whose text contains `sql_part` and their outcomes, once that many of these are in the store."""
        condition = "statement_id IN (SELECT statement_id FROM pgwarden.records WHERE strpos(sql_text, %s) > 0)"

        def look() -> list[dict[str, Any]]:
            found = self.records(condition, sql_part)
            ended = [record for record in found if record["stage"] == "outcome" or record["decision"] == "deny"]
            return found if len(ended) >= outcomes else []

        return until(look, f"records of {sql_part}")

    # what tests change

    def write_policies(self, text: str) -> None:
        """Replaces the policy file in one step, as git and editors do."""
        fresh = self.folder / "fresh.yaml"
        fresh.write_text(policy_text(text), "utf-8")
        fresh.replace(self.policy_file)


def _entries(log: bytes) -> list[dict[str, Any]]:
    """A line that is being written and what isn't JSON (a traceback) are left out."""
    found = []
    for line in log.decode("utf-8", "replace").splitlines(keepends=True):
        if line.startswith("{") and line.endswith("}\n"):
            found.append(json.loads(line))
    return found


@contextmanager
def run_pgwarden(
    folder: Path,
    server: TestServer,
    *,
    policies: str | None = None,
    is_started: bool = True,
    pool: Mapping[str, Any] | None = None,
    **configuration: Any,
) -> Iterator[Pgwarden]:
    """An instance with a shop and a store of its own. `configuration`: keys of pgwarden.yaml that replace ours, those
    of `audit` one by one.

    `pool`: how the shop's clients share links to the server.
    """
    database, store = server.shop(), server.empty()
    store_dsn = server.dsn(store)
    given = {
        "databases": {DATABASE: {"upstream": server.gateway_dsn(database)} | ({"pool": dict(pool)} if pool else {})},
        "policies": "policies",
        "audit": {"directory": "journal", "store": store_dsn} | configuration.pop("audit", {}),
    }
    instance = Pgwarden(folder, server, database, store_dsn, given | configuration)
    instance.policy_folder.mkdir()
    instance.policy_file.write_text(policy_text(policies), "utf-8")
    try:
        if is_started:
            instance.start()
        yield instance
    finally:
        if instance.process is not None:
            instance.kill()
        with suppress(psycopg.OperationalError):  # where a test stopped the server
            server.drop(database, store)


@pytest.fixture(scope="session")
def pgwarden(server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    """Before each server in turn; shared by all tests that change neither policies nor configuration."""
    with run_pgwarden(tmp_path_factory.mktemp("pgwarden"), server) as instance:
        yield instance
        assert instance.stop() == 0
        assert instance.faults() == []


MakePgwarden = Callable[..., Pgwarden]


@pytest.fixture
def make_pgwarden(server18: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakePgwarden]:
    """Starts instances for one test; takes what `run_pgwarden` takes."""
    with ExitStack() as stack:

        def make(server: TestServer = server18, **options: Any) -> Pgwarden:
            folder = tmp_path_factory.mktemp("special")
            return stack.enter_context(run_pgwarden(folder, server, **options))

        yield make
