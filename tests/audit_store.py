"""A real PostgreSQL for the side store: one server per run, a fresh database per test."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from audit.store import Store
from proxy.embedded import EmbeddedServer

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def store_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path_factory.mktemp("store"), settings={"fsync": "off"}) as server:
        yield server


@pytest.fixture
async def store_dsn(store_server: EmbeddedServer) -> AsyncIterator[str]:
    """The DSN of a new, empty database, as its superuser."""
    name = f"store{next(_NUMBERS)}"
    await execute(store_server.dsn(), f"CREATE DATABASE {name} TEMPLATE template0")
    yield store_server.dsn(name)
    await execute(store_server.dsn(), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def store(store_dsn: str) -> AsyncIterator[Store]:
    """A store with its schema."""
    store = Store(store_dsn)
    await store.migrate()
    yield store
    await store.close()


async def execute(dsn: str, *statements: str) -> None:
    """Runs statements, each in a transaction of its own."""
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        connection.terminate()


async def fetch(dsn: str, sql: str, *arguments: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return list(await connection.fetch(sql, *arguments))
    finally:
        connection.terminate()
