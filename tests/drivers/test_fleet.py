"""Two sidecars, a bus and two shippers, all of them real, while one after the other is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tests.fix_pgwarden import ROOT, MakePgwarden, Pgwarden, until
from tests.nats_server import NatsServer, nats_server

pytest.importorskip("nats", reason="needs NATS's client: pip install 'pgwarden[bus]'")

__all__ = ["nats_server"]


class ShipperProcess:
    """`pgwarden shipper` as a process of its own."""

    def __init__(self, folder: Path, audit: dict[str, Any]) -> None:
        self._log = folder / "shipper.log"
        config = folder / "shipper.yaml"
        config.write_text(yaml.safe_dump({"admin": {"listen": "127.0.0.1:0"}, "audit": audit}))
        command = [sys.executable, "-m", "proxy", "shipper", "--config", str(config), "--log", "json"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        ready = until(self._ready_entry, "the shipper's start")
        self._admin = str(ready["admin"])

    def readiness(self) -> dict[str, str]:
        try:
            with urllib.request.urlopen(f"http://{self._admin}/readyz", timeout=10) as answer:
                return dict(json.load(answer)["checks"])
        except urllib.error.HTTPError as error:
            with error:
                return dict(json.load(error)["checks"])

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(f"http://{self._admin}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)

    def _ready_entry(self) -> dict[str, Any] | None:
        assert self.process.poll() is None, self._log.read_text()
        lines = [line for line in self._log.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
        return next((entry for entry in map(json.loads, lines) if entry["message"] == "ready"), None)


StartShipper = Callable[..., ShipperProcess]


@pytest.fixture
def start_shipper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartShipper]:
    with ExitStack() as stack:

        def start(audit: dict[str, Any]) -> ShipperProcess:
            shipper = ShipperProcess(tmp_path_factory.mktemp("shipper"), audit)
            stack.callback(lambda: shipper.process.poll() is None and shipper.end(signal.SIGKILL))
            return shipper

        yield start


def ask(sidecar: Pgwarden, texts: list[str]) -> None:
    with psycopg.connect(sidecar.dsn("ada"), autocommit=True) as connection:
        for text in texts:
            connection.execute(text)


def texts_of(part: str) -> list[str]:
    return [f"SELECT id FROM shop.customers WHERE id = {number} -- {part}" for number in range(20)]


def test_nothing_is_lost_and_nothing_is_there_twice(
    make_pgwarden: MakePgwarden, start_shipper: StartShipper, nats_server: NatsServer
) -> None:
    bus = {"servers": [nats_server.url]}
    sidecars = [make_pgwarden(audit={"store": None, "bus": bus}) for _ in range(2)]
    audit = {"bus": bus, "store": sidecars[0].store_dsn}
    first = start_shipper(audit)
    for sidecar in sidecars:
        ask(sidecar, texts_of("at first"))
    until(lambda: outcomes(sidecars[0]) == 40, "what was asked at first")

    nats_server.kill()
    for sidecar in sidecars:
        ask(sidecar, texts_of("without a bus"))
    until(lambda: "bus can't be reached" in sidecars[0].readiness()[1]["bus"], "the sidecar's complaint")
    until(lambda: "bytes of records wait in the journal" in sidecars[0].readiness()[1]["bus"], "what waits")
    assert sidecars[0].metric("pgwarden_journal_lag_bytes") > 0
    until(lambda: "bus can't be reached" in first.readiness()["bus"], "the shipper's complaint")
    nats_server.start()
    until(lambda: outcomes(sidecars[0]) == 80, "what was asked without a bus")
    until(lambda: sidecars[0].readiness()[0], "the sidecar's readiness")

    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    for sidecar in sidecars:
        ask(sidecar, texts_of("without a shipper"))
    second = start_shipper(audit)
    until(lambda: outcomes(sidecars[0]) == 120, "what was asked without a shipper")
    until(lambda: set(second.readiness().values()) == {"ok"}, "the shipper's readiness")
    assert second.metric("pgwarden_shipped_records_total") > 0
    assert [sidecar.stop() for sidecar in sidecars] == [0, 0]
    until(lambda: seals(sidecars[0]) >= 4, "a seal of each chain")
    assert second.end(signal.SIGTERM) == 0
    assert_whole(sidecars[0])


def outcomes(sidecar: Pgwarden) -> int:
    return len(sidecar.records("stage = 'outcome' AND \"user\" = 'ada'"))


def seals(sidecar: Pgwarden) -> int:
    with psycopg.connect(sidecar.store_dsn) as connection:
        row = connection.execute("SELECT count(DISTINCT chain) FROM pgwarden.seals").fetchone()
    assert row is not None
    return int(row[0])


def assert_whole(sidecar: Pgwarden) -> None:
    """Both sidecars' chains are in the store without gaps; both were written by their own keys."""
    with psycopg.connect(sidecar.store_dsn) as connection:
        numbers = "count(*), count(DISTINCT sequence), min(sequence), max(sequence)"
        query = f"SELECT chain, {numbers} FROM pgwarden.records GROUP BY 1".encode()
        rows = connection.execute(query).fetchall()
    assert len(rows) == 4
    for chain, count, different, first, last in rows:
        assert (count, different, first) == (last, last, 1), chain


def test_readyz_tells_what_waits_for_a_store(make_pgwarden: MakePgwarden) -> None:
    """The same for a sidecar that ships straight to its store."""
    away = "postgresql://nobody@127.0.0.1:1/none"
    sidecar = make_pgwarden(is_started=False, audit={"directory": "journal", "store": away})
    sidecar.start(is_ready=False)
    ask(sidecar, texts_of("without a store"))
    reason = until(lambda: waiting_for_store(sidecar), "what waits")
    assert "the store can't be reached" in reason
    until(lambda: ", the oldest for " in waiting_for_store(sidecar), "how long it has been waiting")
    assert sidecar.metric("pgwarden_journal_lag_seconds") > 0
    assert sidecar.metric("pgwarden_shipped_records_total") == 0
    assert sidecar.metric("pgwarden_store_reachable") == 0


def waiting_for_store(sidecar: Pgwarden) -> str:
    is_ready, checks = sidecar.readiness()
    assert not is_ready
    return checks["store"] if "bytes of records wait in the journal" in checks["store"] else ""


def test_without_a_store_a_sidecar_asks_none(make_pgwarden: MakePgwarden, nats_server: NatsServer) -> None:
    """It has its bus, and serves; whoever needs a store says that none is named."""
    bus = {"servers": [nats_server.url], "size": "64MiB"}
    sidecar = make_pgwarden(audit={"store": None, "bus": bus})
    ask(sidecar, texts_of("without a store"))
    until(lambda: sidecar.metric("pgwarden_shipped_records_total") >= 40, "what the bus has taken")
    asked = sidecar.run("audit", "query")
    assert asked.returncode == 2
    assert "name the store that they are shipped to" in asked.stderr
    assert sidecar.stop() == 0
    assert sidecar.faults() == []
