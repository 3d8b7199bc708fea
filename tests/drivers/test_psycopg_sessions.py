"""psycopg 3's sessions: transactions, savepoints, two phases, writes, cancels, notifications, pools."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg import errors
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from tests.drivers.interrupt import cancelled, endless, wait_until_running
from tests.drivers.sanitized import COUNTS
from tests.fix_pgwarden import PATIENCE_S, Pgwarden

EVERYBODY = ["admin", "ada", "wes"]
WRITERS = ["admin", "wes"]
INSERT = "INSERT INTO shop.orders (tenant_id, customer_id, ordered_at, note) VALUES (1, 1, now(), %s)"


def connected(pgwarden: Pgwarden, user: str, **options: Any) -> psycopg.Connection[Any]:
    return psycopg.connect(pgwarden.dsn(user), **options)


@pytest.mark.parametrize("user", EVERYBODY)
def test_transactions_and_savepoints(pgwarden: Pgwarden, user: str) -> None:
    with connected(pgwarden, user, autocommit=True) as connection:
        with connection.transaction() as outer:
            for failing in ("SELECT 1 / 0", "SELECT missing FROM shop.customers", "SELEC"):
                with pytest.raises(psycopg.Error), connection.transaction("inner"):
                    connection.execute(failing.encode())
                assert connection.info.transaction_status is TransactionStatus.INTRANS
            with connection.transaction(force_rollback=True):
                assert connection.execute("SELECT count(*) FROM shop.customers").fetchone() == (COUNTS[user],)
            raise psycopg.Rollback(outer)
        assert connection.info.transaction_status is TransactionStatus.IDLE


@pytest.mark.parametrize("user", EVERYBODY)
def test_characteristics_of_transactions(pgwarden: Pgwarden, user: str) -> None:
    with connected(pgwarden, user) as connection:
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        connection.read_only = True
        connection.deferrable = True
        for setting, value in (("isolation", "serializable"), ("read_only", "on"), ("deferrable", "on")):
            assert connection.execute(f"SHOW transaction_{setting}".encode()).fetchone() == (value,)
        connection.rollback()
        connection.isolation_level = connection.read_only = connection.deferrable = None
        assert connection.execute("SHOW transaction_read_only").fetchone() == ("off",)


def test_two_phase_commit_is_answered_as_the_server_answers(pgwarden: Pgwarden) -> None:
    """The servers of the tests have no prepared transactions; an administrator hears that from them."""
    messages = []
    for dsn in (pgwarden.dsn(), pgwarden.direct_dsn):
        with closing(psycopg.connect(dsn)) as connection:
            connection.tpc_begin("one")
            connection.execute("SELECT 1")
            with pytest.raises(psycopg.Error) as refused:
                connection.tpc_prepare()
            messages.append((str(refused.value), refused.value.sqlstate))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("user", ["ada", "wes"])
def test_two_phase_commit_is_refused_cleanly(pgwarden: Pgwarden, user: str) -> None:
    with closing(connected(pgwarden, user)) as connection:
        connection.tpc_begin("one")
        connection.execute("SELECT 1")
        with pytest.raises(errors.InsufficientPrivilege):
            connection.tpc_prepare()
        assert connection.info.transaction_status is TransactionStatus.INERROR


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("user", WRITERS)
def test_writes_with_returning(pgwarden: Pgwarden, user: str, binary: bool) -> None:
    with connected(pgwarden, user) as connection, connection.cursor(binary=binary) as cursor:
        notes = [f"note {number}" for number in range(40)]
        cursor.executemany(
            f"{INSERT} RETURNING id, tenant_id, note, status::text".encode(),
            [(note,) for note in notes],
            returning=True,
        )
        found = [cursor.fetchone() for _ in cursor.results()]
        assert [row[1:] for row in found] == [(1, note, "new") for note in notes]
        assert cursor.rowcount == 1
        ids = [row[0] for row in found]
        cursor.execute("UPDATE shop.orders SET total = 5, status = 'paid' WHERE id = ANY(%s) RETURNING total", (ids,))
        assert (cursor.rowcount, {total for (total,) in cursor}) == (40, {5})
        cursor.execute("DELETE FROM shop.orders WHERE id = ANY(%s) RETURNING id, status::text", (ids,))
        assert sorted(cursor) == [(number, "paid") for number in ids]
        connection.rollback()


@pytest.mark.parametrize("user", WRITERS)
def test_sequences_as_object_mappers_ask_them(pgwarden: Pgwarden, user: str) -> None:
    with connected(pgwarden, user) as connection:
        found = connection.execute("SELECT nextval('shop.orders_id_seq')").fetchone()
        assert connection.execute("SELECT lastval()").fetchone() == found
        connection.execute(INSERT.encode(), ("with a number",))
        last = "SELECT currval(pg_get_serial_sequence('shop.orders', 'id'))"
        made = connection.execute("SELECT id FROM shop.orders WHERE note = 'with a number'").fetchone()
        assert connection.execute(last.encode()).fetchone() == made == (found[0] + 1,)
        connection.rollback()


@pytest.mark.parametrize("user", WRITERS)
def test_writes_in_a_pipeline(pgwarden: Pgwarden, user: str) -> None:
    with connected(pgwarden, user) as connection:
        with connection.pipeline():
            cursors = [connection.execute(INSERT.encode() + b" RETURNING note", (str(n),)) for n in range(30)]
            counted = connection.execute("SELECT count(*) FROM shop.orders WHERE ordered_at = now()")
            assert counted.fetchone() == (30,)
            assert [cursor.fetchone() for cursor in cursors] == [(str(n),) for n in range(30)]
        connection.rollback()


@pytest.mark.parametrize("user", EVERYBODY)
def test_a_cancel_within_a_transaction(pgwarden: Pgwarden, user: str) -> None:
    mark = f"psycopg of {user}"
    with connected(pgwarden, user) as connection:
        with cancelled(pgwarden, mark, connection.cancel_safe), pytest.raises(errors.QueryCanceled):
            connection.execute(endless(mark).encode())
        assert connection.info.transaction_status is TransactionStatus.INERROR
        connection.rollback()
        assert connection.execute("SELECT 1").fetchone() == (1,)


async def test_a_cancelled_task(pgwarden: Pgwarden) -> None:
    mark = "a task of psycopg"
    async with await psycopg.AsyncConnection.connect(pgwarden.dsn("ada")) as connection:
        task = asyncio.create_task(connection.execute(endless(mark).encode()))
        await asyncio.to_thread(wait_until_running, pgwarden, mark)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await connection.rollback()
        assert await (await connection.execute("SELECT 1")).fetchone() == (1,)


@pytest.mark.parametrize("user", WRITERS)
def test_notifications(pgwarden: Pgwarden, user: str) -> None:
    channel = f"news_{user}"
    with connected(pgwarden, user, autocommit=True) as listener, connected(pgwarden, user) as speaker:
        listener.execute(f"LISTEN {channel}".encode())
        for number in range(3):
            speaker.execute(f"NOTIFY {channel}, 'told {number}'".encode())
        speaker.commit()
        told = list(listener.notifies(timeout=PATIENCE_S, stop_after=3))
        assert [(n.channel, n.payload) for n in told] == [(channel, f"told {number}") for number in range(3)]
        assert {n.pid for n in told} == {speaker.info.backend_pid}
        listener.execute(f"UNLISTEN {channel}".encode())
        speaker.execute(f"NOTIFY {channel}".encode())
        speaker.commit()
        assert list(listener.notifies(timeout=0.1)) == []


@pytest.mark.parametrize("user", EVERYBODY)
def test_two_connections_keep_apart(pgwarden: Pgwarden, user: str) -> None:
    with connected(pgwarden, user) as one, connected(pgwarden, "sam") as other:
        sql = b"SELECT count(*) FROM shop.customers"
        for _ in range(7):  # beyond the threshold: prepared under the same name in both
            assert one.execute(sql).fetchone() == (COUNTS[user],)
            assert other.execute(sql).fetchone() == (1776,)


@pytest.mark.parametrize("user", EVERYBODY)
def test_a_pool_checks_and_resets_its_connections(pgwarden: Pgwarden, user: str) -> None:
    def reset(connection: psycopg.Connection[Any]) -> None:
        connection.execute("RESET ALL")
        connection.commit()

    with ConnectionPool(
        pgwarden.dsn(user), min_size=2, max_size=3, check=ConnectionPool.check_connection, reset=reset, open=True
    ) as pool:
        pids = set()
        for number in range(12):
            with pool.connection() as connection:
                pids.add(connection.info.backend_pid)
                connection.execute("SET application_name = 'borrowed'")
                if number % 4 == 1:
                    connection.close()
        assert len(pids) > 2
        with pool.connection() as connection:
            assert connection.execute("SHOW application_name").fetchone() != ("borrowed",)
            assert connection.execute("SELECT count(*) FROM shop.customers").fetchone() == (COUNTS[user],)


async def test_an_async_pool(pgwarden: Pgwarden) -> None:
    async with AsyncConnectionPool(
        pgwarden.dsn("ada"), min_size=1, max_size=4, check=AsyncConnectionPool.check_connection, open=False
    ) as pool:

        async def count() -> int:
            async with pool.connection() as connection:
                row = await (await connection.execute("SELECT count(*) FROM shop.customers")).fetchone()
                return int(row[0])  # type: ignore[index]

        assert await asyncio.gather(*(count() for _ in range(20))) == [COUNTS["ada"]] * 20
