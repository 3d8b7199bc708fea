"""aiopg: psycopg2's asynchronous mode behind coroutines, with its pool."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg2
import pytest

from tests.drivers.sanitized import COUNTS, on_the_copy
from tests.fix_pgwarden import PATIENCE_S, Pgwarden

aiopg = pytest.importorskip("aiopg", reason="aiopg isn't installed")

EVERYBODY = ["admin", "ada", "wes"]
GRANTED = ["admin", "wes"]


@pytest.mark.parametrize("user", EVERYBODY)
async def test_rows(pgwarden: Pgwarden, user: str) -> None:
    question = "SELECT * FROM shop.customers WHERE id < %s ORDER BY id"
    answers = []
    for dsn, sql in ((pgwarden.dsn(user), question), (pgwarden.direct_dsn, on_the_copy(user, question))):
        async with aiopg.connect(dsn, timeout=PATIENCE_S) as connection, connection.cursor() as cursor:
            await cursor.execute(sql, (700,))
            answers.append([row async for row in cursor])
    assert answers[0] == answers[1]
    assert len(answers[0]) > 300


@pytest.mark.parametrize("user", EVERYBODY)
async def test_a_pool(pgwarden: Pgwarden, user: str) -> None:
    async with aiopg.create_pool(pgwarden.dsn(user), minsize=1, maxsize=4, timeout=PATIENCE_S) as pool:

        async def count(number: int) -> Any:
            async with pool.acquire() as connection, connection.cursor() as cursor:
                await cursor.execute("SELECT count(*) + %s FROM shop.customers", (number,))
                return await cursor.fetchone()

        assert await asyncio.gather(*map(count, range(12))) == [(COUNTS[user] + number,) for number in range(12)]


@pytest.mark.parametrize("user", GRANTED)
async def test_transactions_and_notifications(pgwarden: Pgwarden, user: str) -> None:
    channel = f"newsio_{user}"
    async with aiopg.connect(pgwarden.dsn(user), timeout=PATIENCE_S) as connection, connection.cursor() as cursor:
        await cursor.execute(f"LISTEN {channel}")
        async with cursor.begin():
            await cursor.execute("UPDATE shop.orders SET note = 'aiopg' WHERE id < 50 RETURNING id")
            assert cursor.rowcount > 10
            with pytest.raises(psycopg2.Error):
                async with cursor.begin_nested():
                    await cursor.execute("SELECT 1 / 0")
            await cursor.execute("UPDATE shop.orders SET note = NULL WHERE note = 'aiopg'")
            await cursor.execute(f"NOTIFY {channel}, 'done'")
        told = await asyncio.wait_for(connection.notifies.get(), PATIENCE_S)
        assert (told.channel, told.payload) == (channel, "done")


async def test_a_timeout_cancels(pgwarden: Pgwarden) -> None:
    async with aiopg.connect(pgwarden.dsn(), timeout=0.5) as connection, connection.cursor() as cursor:
        with pytest.raises(asyncio.TimeoutError):
            await cursor.execute("SELECT pg_sleep(20)")
