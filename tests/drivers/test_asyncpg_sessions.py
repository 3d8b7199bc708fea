"""asyncpg's cursors, COPY in three directions, batches, transactions, channels, pools; as on the sanitized copy."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from tests.drivers.interrupt import endless, wait_until_running
from tests.drivers.sanitized import COUNTS, on_the_copy
from tests.fix_pgwarden import PATIENCE_S, MakePgwarden, Pgwarden, policy_text

EVERYBODY = ["admin", "ada", "wes"]
GRANTED = ["admin", "wes"]
CUSTOMERS = "SELECT * FROM shop.customers ORDER BY id"


@asynccontextmanager
async def connected(dsn: str, **options: Any) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsn, timeout=PATIENCE_S, command_timeout=PATIENCE_S, **options)
    try:
        yield connection
    finally:
        await connection.close()


def both(pgwarden: Pgwarden, user: str, sql: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Where and what to ask through pgwarden, and on the copy."""
    return (pgwarden.dsn(user), sql), (pgwarden.direct_dsn, on_the_copy(user, sql))


@pytest.mark.parametrize("cached", [0, 100])
@pytest.mark.parametrize("user", EVERYBODY)
async def test_rows_in_binary(pgwarden: Pgwarden, user: str, cached: int) -> None:
    answers = []
    for dsn, sql in both(pgwarden, user, "SELECT * FROM shop.customers WHERE id BETWEEN $1 AND $2 ORDER BY id"):
        async with connected(dsn, statement_cache_size=cached) as connection:
            prepared = await connection.prepare(sql)
            found = [await connection.fetch(sql, low, low + 200) for low in (1, 900, 3000)]
            answers.append((found, prepared.get_attributes(), prepared.get_parameters()))
    assert answers[0] == answers[1]
    assert answers[0][0]


@pytest.mark.parametrize("user", EVERYBODY)
async def test_simple_queries(pgwarden: Pgwarden, user: str) -> None:
    async with connected(pgwarden.dsn(user)) as connection:
        assert await connection.execute("SELECT 1; SELECT count(*) FROM shop.customers; SHOW search_path") == "SHOW"
        assert await connection.execute(CUSTOMERS) == f"SELECT {COUNTS[user]}"
        assert await connection.fetchval("SELECT count(*) FROM shop.customers") == COUNTS[user]


@pytest.mark.parametrize("user", EVERYBODY)
async def test_cursors_step_by_step(pgwarden: Pgwarden, user: str) -> None:
    answers = []
    for dsn, sql in both(pgwarden, user, "SELECT * FROM shop.customers WHERE id > $1 ORDER BY id"):
        async with connected(dsn) as connection, connection.transaction():
            cursor = await connection.cursor(sql, 5)
            found = [await cursor.fetchrow(), await cursor.fetch(7)]
            found.append(await cursor.forward(10) if user != "ada" else "MOVE needs the grant of cursors")
            found.append(await cursor.fetch(3))
            prepared = await connection.prepare(sql)
            found.append([row async for row in prepared.cursor(1000, prefetch=33)])
            answers.append(found)
    assert answers[0] == answers[1]
    assert len(answers[0][4]) > 1000


@pytest.mark.parametrize("form", ["text", "csv", "binary"])
@pytest.mark.parametrize("user", GRANTED)
async def test_copy_out(pgwarden: Pgwarden, user: str, form: str) -> None:
    answers = []
    for dsn, sql in both(pgwarden, user, CUSTOMERS):
        async with connected(dsn) as connection:
            file = io.BytesIO()
            status = await connection.copy_from_query(sql, output=file, format=form)
            answers.append((status, file.getvalue()))
    assert answers[0] == answers[1]
    assert answers[0][0] == f"COPY {COUNTS[user]}"
    async with connected(pgwarden.dsn(user)) as connection:
        file = io.BytesIO()
        await connection.copy_from_table("customers", schema_name="shop", output=file, format=form)
        sql = on_the_copy(user, "SELECT * FROM shop.customers")
    async with connected(pgwarden.direct_dsn) as direct:
        expected = io.BytesIO()
        await direct.copy_from_query(sql, output=expected, format=form)
    assert file.getvalue() == expected.getvalue()


@pytest.mark.parametrize("user", GRANTED)
async def test_copy_in(pgwarden: Pgwarden, user: str) -> None:
    rows = [(number, f"row {number}", [number, None]) for number in range(2000)]
    async with connected(pgwarden.dsn(user)) as connection:
        await connection.execute("CREATE TEMP TABLE loaded (a int PRIMARY KEY, b text, c int[])")
        assert await connection.copy_records_to_table("loaded", records=rows) == "COPY 2000"
        source = io.BytesIO(b"5000;'x';{1}\n")
        options = {"format": "csv", "delimiter": ";", "quote": "'"}
        assert await connection.copy_to_table("loaded", source=source, **options) == "COPY 1"
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.copy_records_to_table("loaded", records=rows[:1])
        assert await connection.fetch("SELECT * FROM loaded WHERE a < 5000 ORDER BY a") == rows


@pytest.mark.parametrize("user", GRANTED)
async def test_batches_of_writes(pgwarden: Pgwarden, user: str) -> None:
    """executemany pipelines Bind and Execute; fetchmany gives what RETURNING says of each."""
    sql = "INSERT INTO shop.orders (tenant_id, customer_id, ordered_at, note) VALUES (1, $1, now(), $2)"
    async with connected(pgwarden.dsn(user)) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.executemany(sql, [(1, f"note {number}") for number in range(300)])
        notes = [(1, f"more {number}") for number in range(50)]
        found = await connection.fetchmany(f"{sql} RETURNING note, status", notes)
        assert [tuple(row) for row in found] == [(note, "new") for _, note in notes]
        assert await connection.fetchval("SELECT count(*) FROM shop.orders WHERE ordered_at = now()") == 350
        with pytest.raises(asyncpg.PostgresError):
            async with connection.transaction():
                await connection.executemany(sql, [(1, "well"), (None, "not null")])
        updated = await connection.fetch("UPDATE shop.orders SET total = 3 WHERE ordered_at = now() RETURNING total")
        assert [row["total"] for row in updated] == [3] * 350
        assert await connection.execute("DELETE FROM shop.orders WHERE ordered_at = now()") == "DELETE 350"
        await transaction.rollback()


@pytest.mark.parametrize("isolation", ["serializable", "repeatable_read", "read_committed"])
@pytest.mark.parametrize("user", EVERYBODY)
async def test_transactions(pgwarden: Pgwarden, user: str, isolation: Any) -> None:
    async with connected(pgwarden.dsn(user)) as connection:
        async with connection.transaction(isolation=isolation, readonly=True, deferrable=isolation == "serializable"):
            assert await connection.fetchval("SHOW transaction_isolation") == isolation.replace("_", " ")
            with pytest.raises(asyncpg.DivisionByZeroError):
                async with connection.transaction():
                    await connection.fetchval("SELECT 1 / $1::int", 0)
            assert await connection.fetchval("SELECT count(*) FROM shop.customers") == COUNTS[user]
        assert not connection.is_in_transaction()


@pytest.mark.parametrize("user", GRANTED)
async def test_listeners(pgwarden: Pgwarden, user: str) -> None:
    told: asyncio.Queue[tuple[int, str, str]] = asyncio.Queue()
    channel = f"newsa_{user}"
    async with connected(pgwarden.dsn(user)) as listener, connected(pgwarden.dsn(user)) as speaker:

        def take(_: object, *news: Any) -> None:
            told.put_nowait(news)

        await listener.add_listener(channel, take)
        await speaker.execute(f"NOTIFY {channel}, 'hello'")
        assert await asyncio.wait_for(told.get(), PATIENCE_S) == (speaker.get_server_pid(), channel, "hello")
        await listener.remove_listener(channel, take)


@pytest.mark.parametrize("user", EVERYBODY)
async def test_types_are_looked_up(pgwarden: Pgwarden, user: str) -> None:
    """Rows of tables, arrays of enums and ranges, records: each makes asyncpg read the catalogs."""
    sqls = (
        "SELECT p FROM shop.products AS p WHERE id < 40 ORDER BY id",
        "SELECT array_agg(p ORDER BY id) FROM shop.products AS p WHERE id < 30",
        "SELECT array_agg(status ORDER BY id), array_agg(total ORDER BY id) FROM shop.orders AS o WHERE id < 30",
        "SELECT ROW(1, 'x', NULL::date), ARRAY[int4range(1, 5)], '{[2024-01-01,2024-02-01)}'::datemultirange",
        "SELECT $1::shop.order_status[], $2::text[]",
    )
    for sql in sqls:
        arguments = (["new", "paid"], ["a", None]) if "$1" in sql else ()
        answers = []
        for dsn, text in both(pgwarden, user, sql):
            async with connected(dsn) as connection:
                answers.append(await connection.fetch(text, *arguments))
        assert answers[0] == answers[1], sql


@pytest.mark.parametrize("user", EVERYBODY)
async def test_whole_rows_keep_the_type_of_their_table(pgwarden: Pgwarden, user: str) -> None:
    """So that asyncpg knows the fields of a row in binary, masked ones among them."""
    async with connected(pgwarden.dsn(user)) as connection:
        for table in ("orders", "customers"):
            columns = await connection.fetch(f"SELECT * FROM shop.{table} WHERE id < 60 ORDER BY id")
            rows = await connection.fetch(f"SELECT t FROM shop.{table} AS t WHERE id < 60")
            in_order = sorted((dict(row["t"]) for row in rows), key=lambda fields: fields["id"])
            assert in_order == [dict(row) for row in columns]
            assert len(columns) > 20


@pytest.mark.parametrize("user", EVERYBODY)
async def test_a_cancelled_task(pgwarden: Pgwarden, user: str) -> None:
    async with connected(pgwarden.dsn(user)) as connection:
        mark = f"asyncpg of {user}"
        task = asyncio.create_task(connection.fetchval(endless(mark)))
        await asyncio.to_thread(wait_until_running, pgwarden, mark)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await connection.fetchval("SELECT 1") == 1


@pytest.mark.parametrize("user", EVERYBODY)
async def test_the_reset_query_of_a_pool(pgwarden: Pgwarden, user: str) -> None:
    async with asyncpg.create_pool(pgwarden.dsn(user), min_size=1, max_size=1, command_timeout=PATIENCE_S) as pool:
        async with pool.acquire() as connection:
            before = await connection.fetchval("SHOW extra_float_digits")
            await connection.execute("SET extra_float_digits = 0")
            await connection.execute("SELECT pg_advisory_lock(7)") if user == "admin" else None
        async with pool.acquire() as connection:
            assert await connection.fetchval("SHOW extra_float_digits") == before
            held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7"
            assert user != "admin" or await connection.fetchval(held) == 0


async def test_the_statement_cache_lives_through_a_reload_of_policies(make_pgwarden: MakePgwarden) -> None:
    """A narrower policy makes cached statements mean something else; asyncpg prepares anew and asks again."""
    instance = make_pgwarden()
    text = policy_text()
    narrower = text.replace('"tenant_id = {tenant_id}"}', '"tenant_id = {tenant_id} AND id > 0"}')
    masked = text.replace("keep_last: 4", "keep_last: 2")
    sql = "SELECT phone FROM shop.customers WHERE id = $1"
    async with connected(instance.dsn("ada")) as connection:
        assert await connection.fetchval(sql, 1) == "***********0613"
        for policies, phone in ((narrower, "***********0613"), (masked, "*************13")):
            before = instance.log_text.count("policies loaded")
            instance.write_policies(policies)
            async with asyncio.timeout(PATIENCE_S):
                while instance.log_text.count("policies loaded") == before:
                    await asyncio.sleep(0.05)
            assert await connection.fetchval(sql, 1) == phone
            assert await connection.fetchval(sql, 3) is not None
