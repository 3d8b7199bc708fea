"""A real PostgreSQL for the side store: a server per version and run, a fresh database per test."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from audit.store import Store
from proxy.embedded import EmbeddedServer
from proxy.installation import find_system, find_wheel
from tests.fix_servers import passing_server

_NUMBERS = itertools.count()


_INSTALLATIONS = {found.version: found for found in (find_wheel(), find_system()) if found is not None}


@pytest.fixture(scope="session", params=list(_INSTALLATIONS.values()), ids=list(_INSTALLATIONS))
def store_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server of the wheel's PostgreSQL, and another of the installed one where there is one."""
    directory = tmp_path_factory.mktemp("store")
    with passing_server(directory, request.param, settings={"fsync": "off"}) as server:
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
