"""`when` as a real client meets it: by its address, and by a clock that goes on while it is connected; denied kinds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
from psycopg.rows import scalar_row

from tests.fix_servers import TestServer
from tests.unit.net.worker_stage import WorkerStage, worker_before

POLICIES = """
principals:
  - {user: ada, auth: {scram: "@ada@"}}
  - {user: sam, auth: {scram: "@sam@"}}
  - {user: tim, auth: {scram: "@tim@"}}
  - {user: wes, auth: {scram: "@wes@"}}
policies:
  - name: desk
    subjects: {users: [ada]}
    when: {hours: "07:00-20:00", timezone: Europe/London, cidr: 127.0.0.0/8}
    statements: [select, cursor, prepare, temp_tables]
    tables: {allow: [shop.orders]}
  - name: elsewhere
    subjects: {users: [sam]}
    when: {cidr: [10.0.0.0/8, "::/0"]}
    statements: [select]
    tables: {allow: [shop.orders]}
  - name: all but
    subjects: {users: [wes]}
    statements: {allow: [all], deny: [insert, explain]}
    tables: {allow: ["*.*"]}
    functions: {allow: ["*"]}
  - name: everything
    subjects: {users: [tim]}
    when: {hours: "07:00-20:00"}
    statements: [all]
    tables: {allow: ["*.*"]}
    functions: {allow: ["*"]}
"""
ORDERS = "SELECT count(*) FROM shop.orders"


class Clock:
    def __init__(self) -> None:
        self.set("12:00")

    def set(self, text: str) -> None:
        self.now_s = datetime.fromisoformat(f"2026-01-14T{text}+00:00").timestamp()

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def shop(server18: TestServer) -> str:
    return server18.gateway_dsn(server18.shop())


@pytest_asyncio.fixture
async def gate(shop: str, tmp_path: Path, clock: Clock) -> AsyncIterator[WorkerStage]:
    async with worker_before(shop, tmp_path, policies_text=POLICIES, now_s=clock) as stage:
        yield stage


async def connected(gate: WorkerStage, user: str) -> psycopg.AsyncConnection[int]:
    return await psycopg.AsyncConnection.connect(gate.dsn(user), autocommit=True, row_factory=scalar_row)


async def asked(connection: psycopg.AsyncConnection[int], sql: str, *, prepare: bool = False) -> int | None:
    return await (await connection.execute(sql.encode(), prepare=prepare)).fetchone()


async def test_a_window_closes_while_a_session_is_open(gate: WorkerStage, clock: Clock) -> None:
    async with await connected(gate, "ada") as connection:
        rows = await asked(connection, ORDERS, prepare=True)
        clock.set("19:59:59.999")
        assert await asked(connection, ORDERS, prepare=True) == rows
        clock.set("20:00")
        for is_prepared in (True, False):
            with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
                await asked(connection, ORDERS, prepare=is_prepared)
            detail = "Policy desk (p.yaml:8:5) would allow it, but only within its `when`."
            assert caught.value.diag.message_detail == detail
        clock.set("20:01")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await asked(connection, ORDERS)
        clock.now_s += 12 * 3600
        assert await asked(connection, ORDERS, prepare=True) == rows, "the next morning"


async def test_a_cursor_gives_nothing_after_the_window(gate: WorkerStage, clock: Clock) -> None:
    async with await connected(gate, "ada") as connection, connection.transaction(force_rollback=True):
        await asked_nothing(connection, "DECLARE c CURSOR FOR SELECT id FROM shop.orders")
        assert await asked(connection, "FETCH 1 FROM c") is not None
        clock.set("20:00")
        with pytest.raises(psycopg.Error) as caught:
            await asked(connection, "FETCH 1 FROM c")
        assert caught.value.sqlstate in ("42501", "57P01")


async def asked_nothing(connection: psycopg.AsyncConnection[int], sql: str) -> None:
    await connection.execute(sql.encode())


async def test_everything_ends_with_the_window_too(gate: WorkerStage, clock: Clock) -> None:
    async with await connected(gate, "tim") as connection:
        assert await asked(connection, ORDERS) is not None
        clock.set("20:00")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await asked(connection, ORDERS)


async def test_outside_the_window_one_may_connect_and_gets_nothing(gate: WorkerStage, clock: Clock) -> None:
    clock.set("05:00")
    async with await connected(gate, "ada") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
            await asked(connection, ORDERS)
        assert "(p.yaml:8:5)" in str(caught.value.diag.message_detail)
        clock.set("07:00")
        assert await asked(connection, ORDERS) is not None


async def test_the_address_counts(gate: WorkerStage) -> None:
    async with await connected(gate, "sam") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
            await asked(connection, ORDERS)
        assert "Policy elsewhere (p.yaml:13:5)" in str(caught.value.diag.message_detail)


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("INSERT INTO shop.orders DEFAULT VALUES", "0] at p.yaml:20:39"),
        ("WITH w AS (INSERT INTO shop.orders DEFAULT VALUES RETURNING 1) SELECT 1", "0] at p.yaml:20:39"),
        ("EXPLAIN SELECT 1", "1] at p.yaml:20:47"),
    ],
)
async def test_what_is_denied_stays_denied_under_all(gate: WorkerStage, sql: str, place: str) -> None:
    async with await connected(gate, "wes") as connection:
        assert await asked(connection, ORDERS) is not None
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
            await asked(connection, sql)
        assert caught.value.diag.message_detail == f"Rule all but/statements.deny[{place}."
