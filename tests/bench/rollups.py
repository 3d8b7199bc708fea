"""How fast costs are rolled up, and asked: `python -m tests.bench.rollups`. No test.

Fills a store of its own with plausible records over some weeks, rolls them up as a sidecar does, and tells the store's
CPU for each record beside that of shipping it. Then it asks what `pgwarden cost` asks. Everything is deleted at the
end.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from audit.costs_question import Dimension, Grain, Question, span
from audit.costs_report import explained_anomalies, overview
from audit.record import microseconds_of
from audit.rollups import Rollups
from audit.store import Store
from audit.store_costs import StoreCosts
from proxy.embedded import EmbeddedServer
from proxy.installation import find_installation
from tests.bench.questions import SEED, Filling, Traffic

RECORDS = 1_000_000
DAYS = 60
_SETTINGS = {"fsync": "off", "max_wal_size": "4GB", "shared_buffers": "256MB"}
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS)
    wanted = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(EmbeddedServer(folder / "store", find_installation(), settings=_SETTINGS))
        asyncio.run(_measure(wanted.records, server))


async def _measure(records: int, server: EmbeddedServer) -> None:
    dsn = server.dsn("postgres")
    store = Store(dsn)
    await store.migrate()
    now = datetime.now(UTC)
    step_us = int(DAYS * 86_400e6 / records * 1.98)
    traffic = Traffic(random.Random(SEED), microseconds_of(now - timedelta(days=DAYS)), step_us)
    filling = Filling(store, traffic, "bench/1")
    rollups = Rollups(StoreCosts(store), lambda: now)
    shipped_s, rolled_s, first_s = 0.0, 0.0, time.monotonic()
    for _ in range(10):
        pid = await _backend(store)
        before = _cpu_s(pid)
        await filling.ship(records // 10)
        between = _cpu_s(pid)
        await rollups.look()
        shipped_s, rolled_s = shipped_s + between - before, rolled_s + _cpu_s(pid) - between
    _tell(f"{records:,} records of {DAYS} days, {time.monotonic() - first_s:.0f} s in all")
    _tell(f"{'shipping, in the store':34}{shipped_s / records * 1e6:8.1f} us of CPU for each record")
    _tell(f"{'rolling up, in the store':34}{rolled_s / records * 1e6:8.1f} us of CPU for each record")
    await _tell_sizes(dsn)
    await _ask(StoreCosts(store), now)
    await store.close()


async def _backend(store: Store) -> int:
    async with store.writing() as connection:
        pid: int = await connection.fetchval("SELECT pg_backend_pid()")
    return pid


def _cpu_s(pid: int) -> float:
    """User and system, of a process of this machine."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


async def _tell_sizes(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    for name in ("costs_hour", "costs_day"):
        rows = await connection.fetchval(f"SELECT count(*) FROM pgwarden.{name}")
        size = await connection.fetchval(f"SELECT pg_total_relation_size('pgwarden.{name}') / 1e6")
        _tell(f"{name:34}{rows:>10,} rows {size:8.0f} MB")
    await connection.close()


async def _ask(costs: StoreCosts, now: datetime) -> None:
    week = Question(*span(now - timedelta(days=7), now, now))
    month = Question(*span(now - timedelta(days=30), now, now, Grain.DAY))
    asked: dict[str, Callable[[], Awaitable[object]]] = {
        "top --by user --since 7d": lambda: costs.top(week, Dimension.USER, 20),
        "top --by table --since 7d": lambda: costs.top(week, Dimension.TABLE, 20),
        "top --tenant tenant-000 --since 7d": lambda: costs.top(_of_tenant(week), Dimension.USER, 20),
        "trend --since 30d": lambda: costs.trend(month),
        "anomalies --by team --since 30d": lambda: explained_anomalies(costs, month, Dimension.TEAM, None),
        "show tenant tenant-000": lambda: overview(costs, _of_tenant(week), 5),
    }
    for name, ask in asked.items():
        began = time.perf_counter()
        await ask()
        _tell(f"{name:34}{(time.perf_counter() - began) * 1000:10.0f} ms")


def _of_tenant(question: Question) -> Question:
    return Question(question.since, question.until, question.grain, tenant="tenant-000")


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
