"""How long a pool's links live, and what a server that goes away means to its clients."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.drivers.test_pool import PID, clients, value
from tests.fix_pgwarden import Pgwarden, run_pgwarden, until
from tests.fix_servers import TestServer


@contextmanager
def pooled(folder: Path, server: TestServer, **settings: Any) -> Iterator[Pgwarden]:
    with run_pgwarden(folder, server, pool={"mode": "transaction"} | settings) as instance:
        yield instance
        assert instance.stop() == 0
        assert instance.faults() == []


def test_links_that_nobody_uses_end(server18: TestServer, tmp_path: Path) -> None:
    with pooled(tmp_path, server18, size=3, idle="300ms") as instance, clients(instance) as (first, second):
        with first.transaction(), second.transaction():
            assert value(first, PID) != value(second, PID)
        until(lambda: instance.metric("pgwarden_pool_links_idle") == 0, "the end of idle links")
        assert value(first, "SELECT 1") == 1


def test_links_end_with_their_lifetime(server18: TestServer, tmp_path: Path) -> None:
    with pooled(tmp_path, server18, size=1, lifetime="500ms") as instance, clients(instance, 1) as (first,):
        pids = set()
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            pids.add(value(first, PID))
            time.sleep(0.05)
        assert len(pids) >= 2
        with first.transaction():
            before = value(first, PID)
            time.sleep(0.8)
            assert value(first, PID) == before


def test_waiters_are_served_in_their_order(server18: TestServer, tmp_path: Path) -> None:
    served: list[int] = []
    with pooled(tmp_path, server18, size=1) as instance, ExitStack() as stack:
        first, *others = stack.enter_context(clients(instance, 6))
        first.execute("BEGIN")

        def work(number: int) -> None:
            value(others[number], "SELECT 1")
            served.append(number)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
        for number, thread in enumerate(threads):
            thread.start()
            until(lambda number=number: instance.metric("pgwarden_pool_waiting") == number + 1, "a waiter")
        first.execute("COMMIT")
        for thread in threads:
            thread.join()
        assert sorted(served) == list(range(5))
        assert instance.metric("pgwarden_pool_waits_total") >= 5
        assert instance.metric("pgwarden_pool_waiting") == 0


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench(server18: TestServer, tmp_path: Path, mode: str) -> None:
    script = tmp_path / "script.sql"
    # pgbench prepares without a look at its other clients: those in a transaction would wait for it, and it for them.
    begin, end = ("", "") if mode == "prepared" else ("BEGIN;\n", "COMMIT;\n")
    script.write_text(f"\\set n random(1, 1000)\n{begin}SELECT :n + 1;\n{end}SELECT :n;\n")
    (tmp_path / "instance").mkdir()
    with pooled(tmp_path / "instance", server18, size=3) as instance:
        command = ["pgbench", "-n", "-M", mode, "-c", "20", "-t", "10", "-f", str(script), instance.dsn("wes")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert "200/200" in done.stdout
        with psycopg.connect(server18.dsn(), autocommit=True) as direct:
            sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name = 'pgbench'"
            assert direct.execute(sql, [instance.database]).fetchone() <= (3,)
