"""Nothing of one client is seen by another: many clients on few links change their state at random, each beside a
connection of its own to the server, and every look must give the same on both.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import asyncpg
import psycopg
import pytest

from tests.fix_pgwarden import Pgwarden, password_of, run_pgwarden
from tests.fix_servers import TestServer

CLIENTS = 24
STEPS = 40
Connection = psycopg.AsyncConnection[Any]

SETS = (
    "SET timezone TO 'Asia/Tokyo'",
    "SET timezone TO 'America/Lima'",
    "SELECT set_config('timezone', 'Europe/Riga', false)",
    "SET datestyle TO 'ISO, DMY'",
    "SET statement_timeout TO '50s'",
    "SET search_path TO pg_catalog, public",
    "SET extra_float_digits TO 0",
    "SET LOCAL timezone TO 'Asia/Kabul'",
    "RESET timezone",
    "RESET search_path",
    "SET application_name TO 'own'",
)
LOOKS = (
    "SHOW timezone",
    "SHOW datestyle",
    "SHOW statement_timeout",
    "SHOW search_path",
    "SHOW extra_float_digits",
    "SHOW application_name",
    "SELECT '02/03/2020'::date",
    "SELECT current_user, session_user",
    "SELECT timestamptz '2020-01-01 00:00'",
    "SELECT 0.1::float8 + 0.2",
    "SELECT 1 / 0",
)
OPEN_LOOKS = (
    "SELECT txid_current_if_assigned()",
    "SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relnamespace = pg_my_temp_schema()",
    "SELECT count(*) FROM pg_listening_channels()",
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
    "SELECT count(*) FROM pg_cursors",
    "SELECT current_setting('my.own', true)",
)
BLOCKS = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO s")
PINNING = ("CREATE TEMP TABLE IF NOT EXISTS own (a int)", "LISTEN bell", "SET my.own TO 'x'")


@pytest.fixture(scope="module")
def three_links(server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    pool = {"mode": "transaction", "size": 3, "wait": "30s"}
    with run_pgwarden(tmp_path_factory.mktemp("apart"), server, pool=pool) as instance:
        yield instance
        assert instance.stop() == 0
        assert instance.faults() == []


async def seen(client: Connection, sql: str, is_prepared: bool) -> tuple[object, ...]:
    try:
        cursor = await client.execute(sql.encode(), prepare=is_prepared)
        rows = await cursor.fetchall() if cursor.description else []
    except psycopg.Error as error:
        return "error", error.sqlstate, client.info.transaction_status
    reported = [client.info.parameter_status(name) for name in ("TimeZone", "DateStyle", "application_name")]
    return rows, cursor.statusmessage, client.info.transaction_status, *reported


async def play(pooled: Pgwarden, user: str, seed: int, is_pinning: bool) -> None:
    """One client and its twin, which is connected to the server itself."""
    chance = random.Random(seed)
    name = {"application_name": f"client {seed}"}
    client = await psycopg.AsyncConnection.connect(pooled.dsn(user), autocommit=True, **name)
    # Sessions under a policy begin so.
    twin = await psycopg.AsyncConnection.connect(pooled.direct_dsn, autocommit=True, options="-c jit=off", **name)
    async with client, twin:
        said: list[str] = []
        for _ in range(STEPS):
            looks = LOOKS + OPEN_LOOKS if user == "admin" else LOOKS
            sql = chance.choices((chance.choice(SETS), chance.choice(looks), chance.choice(BLOCKS)), (3, 6, 3))[0]
            if is_pinning and chance.random() < 0.1:
                sql = chance.choice(PINNING)
            said.append(sql)
            # The server turns constants into times when it prepares, and again whenever it must; which, it doesn't say.
            is_prepared = chance.random() < 0.5 and "2020" not in sql
            mine, its = await seen(client, sql, is_prepared), await seen(twin, sql, is_prepared)
            assert mine == its, (seed, said)
            if client.info.transaction_status and chance.random() < 0.4:
                await client.execute("ROLLBACK")
                await twin.execute("ROLLBACK")
        await client.execute("ROLLBACK")


@pytest.mark.parametrize("user", ["admin", "wes"])
async def test_each_sees_its_own_state(three_links: Pgwarden, user: str) -> None:
    await asyncio.gather(*(play(three_links, user, seed, is_pinning=False) for seed in range(CLIENTS)))


async def test_pinned_ones_beside_others(three_links: Pgwarden) -> None:
    """No more pins than links: who waits for one would wait for ever."""
    await asyncio.gather(*(play(three_links, "admin", 1000 + seed, is_pinning=seed < 2) for seed in range(12)))


# asyncpg, whose statements are prepared by name


async def connect(pooled: Pgwarden, **options: Any) -> asyncpg.Connection[asyncpg.Record]:
    return await asyncpg.connect(
        host=pooled.host,
        port=pooled.port,
        user="admin",
        password=password_of("admin"),
        database="shop",
        ssl=False,
        **options,
    )


@pytest.mark.parametrize("cache", [0, 2, 100])
async def test_asyncpg_with_its_caches(three_links: Pgwarden, cache: int) -> None:
    async def work(number: int) -> None:
        client = await connect(three_links, statement_cache_size=cache)
        try:
            for turn in range(30):
                assert await client.fetchval(f"SELECT $1::int + {turn % 5}", number) == number + turn % 5
                async with client.transaction():
                    rows = [row[0] async for row in client.cursor("SELECT generate_series(1, $1::int)", 60)]
                    assert rows == list(range(1, 61))
        finally:
            await client.close()

    await asyncio.gather(*(work(number) for number in range(12)))


async def test_asyncpgs_own_pool_resets_without_pinning(three_links: Pgwarden) -> None:
    def pins() -> float:
        text = three_links.get("/metrics")[1]
        return sum(
            float(line.split()[-1]) for line in text.splitlines() if line.startswith("pgwarden_pool_pins_total{")
        )

    before = pins()
    given = {"host": three_links.host, "port": three_links.port, "user": "admin", "password": password_of("admin")}
    async with asyncpg.create_pool(**given, database="shop", min_size=5, max_size=5, ssl=False) as pool:

        async def work(number: int) -> None:
            async with pool.acquire() as client:
                await client.execute(f"SET timezone TO '{'UTC' if number % 2 else 'Asia/Tokyo'}'")
                assert await client.fetchval("SHOW timezone") == ("UTC" if number % 2 else "Asia/Tokyo")

        await asyncio.gather(*(work(number) for number in range(30)))
    assert pins() == before
