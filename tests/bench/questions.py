"""What the store answers, and how fast, when it is full: `python -m tests.bench.questions`. No test.

Fills a store of its own with ten million plausible records by the rows that shippers make and the COPY that they use,
over ninety days. Then it asks what people ask, shows the plans, and measures what shipping costs with the indexes that
answer, and without them. Everything it made is deleted at the end. Wants 20 GB of disk.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from audit.copy_rows import RowWriter
from audit.cost import price_list
from audit.ids import Ids
from audit.lines import Lines
from audit.query import Filters
from audit.record import NO_HASH, Record, Stage, Verdict, body_of, completed, microseconds_of
from audit.store import Store
from audit.store_selection import newest
from proxy.embedded import EmbeddedServer
from proxy.installation import find_installation

RECORDS = 10_000_000
DAYS = 90
BATCH = 4_000  # records: about as many as the shipper's batch of 1 MiB has
TENANTS, USERS, SHAPES = 200, 2_000, 300
SHIPPED = 200_000  # for the price of the indexes
ASKED = 7  # times
SEED = 6
PRICES = price_list(0.0005, 0.05, 0.01, "USD")
_SETTINGS = {"fsync": "off", "max_wal_size": "8GB", "shared_buffers": "512MB", "checkpoint_timeout": "30min"}
_COLUMNS = ("email", "phone", "ssn", "birth_date", "iban", "address", "salary", "token")
# The indexes that a store had before it had to answer these questions.
_OLD_INDEXES = ("records_pkey", "records_by_tenant", "records_by_statement", "records_by_chain")


@dataclass(frozen=True, slots=True)
class Kind:
    """Statements of one shape by one user: how they are recorded."""

    lines: Lines
    text: bytes
    denied: Record | None


class Traffic:
    """Makes records in order of time: a few tenants and statements make most of them, most are rare."""

    def __init__(self, random: random.Random, start_us: int, step_us: int) -> None:
        self._random = random
        self._now = start_us
        self._step_us = step_us
        self._ids = Ids(lambda: self._now, random.randbytes)
        self._kinds: dict[tuple[int, int], Kind] = {}

    def bodies(self) -> Iterator[bytes]:
        while True:
            user, shape = self._chosen(USERS), self._chosen(SHAPES)
            kind = self._kinds.get((user, shape))
            if kind is None:
                if len(self._kinds) > 50_000:
                    self._kinds.clear()
                kind = self._kinds[user, shape] = _kind(user, shape)
            self._now += self._random.randrange(2 * self._step_us)
            record_id = self._ids.next_at(self._now)
            if kind.denied is not None:
                yield body_of(completed(kind.denied, record_id.decode(), self._now))
                continue
            yield kind.lines.intent_body(record_id, self._now, kind.text)
            took_us = self._random.randrange(200, 20_000)
            end = self._ids.next_at(self._now + took_us)
            rows = self._random.randrange(100)
            yield kind.lines.outcome_body(end, record_id, self._now + took_us, rows, 60 * rows, took_us, "")

    def rare(self, column: str) -> list[bytes]:
        """A statement that saw what nobody else sees, now."""
        record = replace_record(_kind(0, 0).lines.intent, masked_columns=(column,), tables=(column.rsplit(".", 1)[0],))
        record_id = self._ids.next_at(self._now)
        return [body_of(completed(record, record_id.decode(), self._now))]

    def _chosen(self, count: int) -> int:
        """The lower ones by far the most often."""
        return (
            min(int(self._random.paretovariate(0.6)) - 1, count - 1)
            if self._random.random() < 0.9
            else (self._random.randrange(count))
        )


def replace_record(record: Record, **changes: Any) -> Record:
    return Record(**{name: getattr(record, name) for name in Record.__struct_fields__} | changes)


def _kind(user: int, shape: int) -> Kind:
    tables = tuple(sorted({f"shop.table_{shape % 40}", f"shop.table_{shape % 7}"}))
    is_masked = shape % 3 == 0
    masked = (f"{tables[0]}.{_COLUMNS[shape % 8]}",) if is_masked else ()
    common: dict[str, Any] = {
        "tenant": f"tenant-{user % TENANTS:03d}",
        "team": f"team-{user % 20}",
        "user": f"user-{user:04d}",
        "database": "shop",
        "session": f"{user:032x}",
        "client_address": f"10.0.{user // 250}.{user % 250}",
        "application": ("psql", "Metabase", "dbt", "checkout")[user % 4],
        "workload": ("psql", "Metabase", "dbt", "checkout")[user % 4],
        "shape": hashlib.sha256(b"%d" % shape).hexdigest()[:16],
        "decision": Verdict.REWRITE if is_masked else Verdict.ALLOW,
        "rule_ids": ("analysts/rows[0]", "analysts/masks[0]") if is_masked else ("services/tables",),
        "policy_version": "0123456789abcdef0123456789abcdef",
        "tables": tables,
        "filtered_tables": tables[:1] if is_masked else (),
        "masked_columns": masked,
    }
    lines = Lines(Record(stage=Stage.INTENT, **common), Record(stage=Stage.OUTCOME, **common), PRICES)
    text = f"SELECT id, name, {_COLUMNS[shape % 8]} FROM {tables[0]} WHERE customer_id = {user} AND state = 'open'"
    if (user + shape) % 97 != 7:
        return Kind(lines, text.encode(), None)
    changed = {"decision": Verdict.DENY, "masked_columns": (), "filtered_tables": (), "sqlstate": "42501"}
    return Kind(lines, b"", Record(stage=Stage.INTENT, sql_text=text, **common | changed))


class Filling:
    """A chain of records on its way into the store, as a shipper sends it."""

    def __init__(self, store: Store, traffic: Traffic, chain: str) -> None:
        self._store = store
        self._traffic = traffic
        self._bodies = traffic.bodies()
        self._writer = RowWriter(chain)
        self._hash = NO_HASH
        self.records = 0

    async def ship(self, records: int) -> None:
        for start in range(0, records, BATCH):
            await self._send(next(self._bodies) for _ in range(min(BATCH, records - start)))

    async def ship_rare(self, column: str) -> None:
        await self._send(iter(self._traffic.rare(column)))

    async def _send(self, bodies: Iterator[bytes]) -> None:
        writer = self._writer
        writer.begin()
        for body in bodies:
            self.records += 1
            before, self._hash = self._hash, hashlib.sha256(self._hash + body).digest()
            writer.add(self.records, before + self._hash + body)
        await self._store.copy_stream(writer.stream(), writer.count, writer.days)


def _questions(now: datetime) -> dict[str, Filters]:
    week = now - timedelta(days=7)
    return {
        "last 100 of a tenant with many records": Filters(tenant="tenant-000"),
        "last 100 of a tenant with few": Filters(tenant="tenant-157"),
        "all denials of a user this week": Filters(user="user-0007", decision=Verdict.DENY, since=week, limit=10_000),
        "all denials of a user with few": Filters(user="user-1577", decision=Verdict.DENY, since=week, limit=10_000),
        "all denials of a tenant this week": Filters(
            tenant="tenant-003", decision=Verdict.DENY, since=week, limit=1_000
        ),
        "who saw a column (seen all the time)": Filters(column="shop.table_0.email"),
        "who saw a column (8 times in 90 days)": Filters(column="shop.secrets.code"),
        "who saw a column (never)": Filters(column="shop.secrets.nothing"),
        "who used a table (all the time)": Filters(table="shop.table_3"),
        "who used a table (8 times in 90 days)": Filters(table="shop.secrets"),
        "last 100 denials": Filters(decision=Verdict.DENY),
        "last 100 of a user": Filters(user="user-1577"),
        "last 100": Filters(),
    }


async def _measure(records: int, server: EmbeddedServer) -> None:
    store = Store(server.dsn("postgres"))
    await store.migrate()
    now = datetime.now(UTC)
    start = now - timedelta(days=DAYS)
    # An intent and an outcome a step, about.
    step_us = int(DAYS * 86_400e6 / records * 1.98)
    filling = Filling(store, Traffic(random.Random(SEED), microseconds_of(start), step_us), "bench/1")
    await _fill(filling, records, server)
    await _ask_all(store, server.dsn("postgres"), now)
    await _sizes(server.dsn("postgres"))
    await _price(store, filling, server)
    await store.close()


async def _fill(filling: Filling, records: int, server: EmbeddedServer) -> None:
    began = time.monotonic()
    for _ in range(8):
        await filling.ship(records // 8)
        await filling.ship_rare("shop.secrets.code")
        _tell(f"{filling.records:>12,} records after {time.monotonic() - began:5.0f} s")
    connection = await asyncpg.connect(server.dsn("postgres"))
    await connection.execute("VACUUM (ANALYZE) pgwarden.records", timeout=3600)
    await connection.close()


async def _ask_all(store: Store, dsn: str, now: datetime) -> None:
    _tell(f"\n{'':42}{'records':>8}{'ms, median':>12}{'slowest':>10}{'in the server':>15}")
    plans = []
    for name, filters in _questions(now).items():
        took, count = [], 0
        for _ in range(ASKED):
            began = time.perf_counter()
            count = len(await store.query(filters))
            took.append((time.perf_counter() - began) * 1000)
        plan = await _plan(dsn, filters)
        plans += ["", f"-- {name}", *plan]
        ms = next(line for line in reversed(plan) if "Execution Time" in line).split(":")[1].strip()
        _tell(f"{name:42}{count:>8}{statistics.median(took):>12.1f}{max(took):>10.1f}{ms:>15}")
    _tell("\n".join(plans))


async def _plan(dsn: str, filters: Filters) -> list[str]:
    selection = newest(filters)
    connection = await asyncpg.connect(dsn)
    try:
        role = "pgwarden_reader" if filters.tenant is not None else "pgwarden_auditor"
        await connection.execute(f"SET ROLE {role}")
        await connection.fetch("SELECT set_config('pgwarden.tenant', $1, false)", filters.tenant or "")
        await connection.execute("SET plan_cache_mode = force_custom_plan; SET jit = off")
        rows = await connection.fetch(f"EXPLAIN (ANALYZE, COSTS OFF) {selection.sql}", *selection.arguments)
    finally:
        await connection.close()
    return [row[0] for row in rows]


async def _sizes(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        """SELECT coalesce(p.relname, 'the records themselves') AS name, sum(pg_relation_size(c.oid)) / 1e6 AS mb
        FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND c.relkind = 'i'
        LEFT JOIN pg_class p ON p.oid = i.inhparent
        WHERE c.relnamespace = 'pgwarden'::regnamespace AND c.relkind IN ('r', 'i') GROUP BY 1 ORDER BY 2 DESC"""
    )
    await connection.close()
    _tell("\n" + "\n".join(f"{row['name']:42}{row['mb']:>12,.0f} MB" for row in rows if row["mb"] > 1))


async def _price(store: Store, filling: Filling, server: EmbeddedServer) -> None:
    """Shipping into the full store as it is, without each of the newer indexes, and without all of them."""
    connection = await asyncpg.connect(server.dsn("postgres"))
    names = [
        row[0]
        for row in await connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'I' AND relnamespace = 'pgwarden'::regnamespace"
        )
        if row[0] not in _OLD_INDEXES
    ]
    _tell(f"\n{'shipping into the full store':42}{'us of CPU a record: server':>27}{'shipper':>9}{'records/s':>12}")
    await _priced("with all indexes", store, filling)
    for name in sorted(names):
        await connection.execute(f"DROP INDEX pgwarden.{name}", timeout=600)
        await _priced(f"... without {name}", store, filling)
    await connection.close()


async def _priced(name: str, store: Store, filling: Filling) -> None:
    async with store.writing() as connection:
        pid = connection.get_server_pid()
    began, cpu, theirs = time.monotonic(), time.process_time(), _cpu_s(pid)
    await filling.ship(SHIPPED)
    wall, cpu, theirs = time.monotonic() - began, time.process_time() - cpu, _cpu_s(pid) - theirs
    _tell(f"{name:42}{theirs / SHIPPED * 1e6:>27.1f}{cpu / SHIPPED * 1e6:>9.1f}{SHIPPED / wall:>12,.0f}")


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.questions", description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pgwarden-questions-", dir="/var/tmp")))
        folder.chmod(0o711)
        if os.geteuid() == 0:
            os.environ["STATE_DIRECTORY"] = str(folder)
        server = stack.enter_context(EmbeddedServer(folder / "server", find_installation(), settings=_SETTINGS))
        asyncio.run(_measure(options.records, server))


if __name__ == "__main__":
    main()
