"""asyncpg: prepared statements, type introspection, pool with its reset query, COPY."""

from __future__ import annotations

import asyncio
import datetime
import json
from decimal import Decimal

import asyncpg
import pytest

from tests.fix_pgwarden import Pgwarden

CUSTOMERS = "SELECT * FROM shop.customers WHERE id BETWEEN $1 AND $2 ORDER BY id"


async def connected(dsn: str) -> asyncpg.Connection:
    return await asyncpg.connect(dsn, timeout=30, command_timeout=30)


async def test_an_administrator_gets_what_the_server_says(pgwarden: Pgwarden) -> None:
    answers = []
    for dsn in (pgwarden.dsn(), pgwarden.direct_dsn):
        connection = await connected(dsn)
        try:
            prepared = await connection.prepare(CUSTOMERS)
            found = [await prepared.fetch(low, low + 30) for low in (1, 100, 2000)]
            found.append(await connection.fetch("SELECT * FROM shop.orders ORDER BY id LIMIT 40"))
            answers.append((found, prepared.get_attributes(), prepared.get_parameters()))
        finally:
            await connection.close()
    assert answers[0] == answers[1]


@pytest.mark.parametrize("user", ["admin", "ada"])
async def test_types_are_introspected(pgwarden: Pgwarden, user: str) -> None:
    """An enum, its array and a composite make asyncpg ask the catalogs; jsonb gets a codec of its own."""
    connection = await connected(pgwarden.dsn(user))
    try:
        await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        await connection.set_type_codec("order_status", schema="shop", encoder=str, decoder=str, format="text")
        sql = "SELECT status, ARRAY[status], ARRAY[1, 2], '{\"a\": [1]}'::jsonb FROM shop.orders WHERE id = $1"
        status, statuses, numbers, document = await connection.fetchrow(sql, 3)
        assert [status] == statuses
        assert (numbers, document) == ([1, 2], {"a": [1]})
        many = await connection.fetchval("SELECT count(*) FROM shop.orders WHERE status = ANY($1)", ["new", "paid"])
        assert many > 0
    finally:
        await connection.close()


async def test_an_analyst_gets_masks_in_binary(pgwarden: Pgwarden) -> None:
    connection = await connected(pgwarden.dsn("ada"))
    try:
        for _ in range(2):  # the second time from asyncpg's statement cache
            row = (await connection.fetch(CUSTOMERS, 1, 3))[0]
            assert (row["email"], row["ssn"], row["phone"]) == ("g***@example.org", "REDACTED   ", "***********0613")
            assert (row["birth_date"], row["balance"]) == (datetime.date(1947, 1, 1), Decimal("-1000.00"))
            assert (row["preferences"], row["tags"], row["signature"]) == ('"REDACTED"', [], None)
        assert await connection.fetchval("SELECT count(*) FROM shop.customers") == 2224
    finally:
        await connection.close()


async def test_a_refusal_leaves_the_connection_usable(pgwarden: Pgwarden) -> None:
    connection = await connected(pgwarden.dsn("ada"))
    try:
        for _ in range(2):
            with pytest.raises(asyncpg.InsufficientPrivilegeError) as refused:
                await connection.fetch("SELECT * FROM shop.salaries WHERE employee_id = $1", 1)
            assert "analysts/tables.block[0]" in str(refused.value)
            assert await connection.fetchval("SELECT 1") == 1
        transaction = connection.transaction()
        await transaction.start()
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("SELECT * FROM shop.salaries")
        with pytest.raises(asyncpg.InFailedSQLTransactionError):
            await connection.fetchval("SELECT 1")
        await transaction.rollback()
        assert await connection.fetchval("SELECT 2") == 2
    finally:
        await connection.close()


@pytest.mark.parametrize("user", ["admin", "ada"])
async def test_a_pool_resets_its_connections(pgwarden: Pgwarden, user: str) -> None:
    async with asyncpg.create_pool(pgwarden.dsn(user), min_size=2, max_size=4, command_timeout=30) as pool:

        async def ask(number: int) -> int:
            async with pool.acquire() as connection:
                if number % 3 == 0:
                    await connection.execute("SET application_name = 'borrowed'")
                return int(await connection.fetchval("SELECT count(*) + $1 FROM shop.customers", number))

        expected = 4000 if user == "admin" else 2224
        assert await asyncio.gather(*map(ask, range(20))) == [expected + number for number in range(20)]
        async with pool.acquire() as connection:
            assert await connection.fetchval("SHOW application_name") != "borrowed"


@pytest.mark.parametrize("user", ["admin", "ada"])
async def test_a_cursor_of_the_protocol(pgwarden: Pgwarden, user: str) -> None:
    """Portals, not DECLARE: Execute with a row limit, several times."""
    connection = await connected(pgwarden.dsn(user))
    try:
        async with connection.transaction():
            found = [row["email"] async for row in connection.cursor("SELECT email FROM shop.customers", prefetch=100)]
        assert len(found) == (4000 if user == "admin" else 2224)
        assert all("***" in email for email in found) == (user == "ada")
    finally:
        await connection.close()


async def test_copy(pgwarden: Pgwarden) -> None:
    connection = await connected(pgwarden.dsn())
    try:
        await connection.execute("CREATE TEMP TABLE t (a int, b text)")
        rows = [(number, f"row {number}") for number in range(3000)]
        assert await connection.copy_records_to_table("t", records=rows) == "COPY 3000"
        assert await connection.fetch("TABLE t") == rows
        taken = bytearray()

        async def take(data: bytes) -> None:
            taken.extend(data)

        await connection.copy_from_query("SELECT a FROM t WHERE a < $1 ORDER BY a", 3, output=take)
        assert bytes(taken) == b"0\n1\n2\n"
        await connection.executemany("INSERT INTO t VALUES ($1, $2)", rows[:50])
        assert await connection.fetchval("SELECT count(*) FROM t") == 3050
    finally:
        await connection.close()
    connection = await connected(pgwarden.dsn("ada"))
    try:
        with pytest.raises(asyncpg.PostgresError):
            await connection.copy_from_query("SELECT ssn FROM shop.customers", output=take)
        assert await connection.fetchval("SELECT 1") == 1
    finally:
        await connection.close()


async def test_a_timeout_cancels(pgwarden: Pgwarden) -> None:
    connection = await connected(pgwarden.dsn())
    try:
        with pytest.raises(TimeoutError):
            await connection.fetchval("SELECT pg_sleep(20)", timeout=0.3)
        assert await connection.fetchval("SELECT 1") == 1
    finally:
        await connection.close()
