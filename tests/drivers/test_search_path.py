"""Unqualified names, through each client's way to set the search_path: they mean what they mean on the copy."""

from __future__ import annotations

from contextlib import closing
from urllib.parse import quote

import asyncpg
import pg8000.native
import psycopg
import psycopg2
import pytest
from sqlalchemy import create_engine, event, inspect, text
from sqlalchemy.pool import NullPool

from tests.drivers.sanitized import COUNTS, on_the_copy
from tests.drivers.test_pg8000 import arguments
from tests.drivers.test_psql import psql, rows
from tests.fix_pgwarden import Pgwarden

EVERYBODY = ["admin", "ada", "wes"]
QUALIFIED = "SELECT id, email, phone, balance FROM shop.customers ORDER BY id LIMIT 40"
BARE = QUALIFIED.replace("shop.", "")


@pytest.fixture
def expected(pgwarden: Pgwarden, user: str) -> list[tuple[object, ...]]:
    with psycopg.connect(pgwarden.direct_dsn) as direct:
        return direct.execute(on_the_copy(user, QUALIFIED).encode()).fetchall()


@pytest.fixture(params=EVERYBODY)
def user(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_libpqs_options(pgwarden: Pgwarden, user: str, expected: list[tuple[object, ...]]) -> None:
    dsn = pgwarden.dsn(user, options="-c search_path=shop,public")
    with psycopg.connect(dsn) as connection:
        assert connection.execute(BARE.encode()).fetchall() == expected
        connection.execute("SET search_path TO DEFAULT")  # what the options said
        assert connection.execute(BARE.encode()).fetchall() == expected
    with closing(psycopg2.connect(pgwarden.dsn(user), options="-csearch_path=shop")) as older:
        cursor = older.cursor()
        cursor.execute(BARE)
        assert cursor.fetchall() == expected


@pytest.mark.parametrize("prepare_threshold", [0, None])
def test_set(pgwarden: Pgwarden, user: str, expected: list[tuple[object, ...]], prepare_threshold: int | None) -> None:
    """The same text means different things as the session goes on, prepared or not."""
    with psycopg.connect(pgwarden.dsn(user), autocommit=True, prepare_threshold=prepare_threshold) as connection:

        def is_there() -> bool:
            try:
                return connection.execute(BARE.encode()).fetchall() == expected
            except psycopg.errors.UndefinedTable:
                return False

        assert not is_there()
        with connection.transaction(force_rollback=True):
            connection.execute("SET search_path = shop")
            assert is_there()
        assert not is_there()
        with connection.transaction():
            connection.execute("SET LOCAL search_path = shop")
            assert is_there()
        assert not is_there()
        connection.execute("SELECT set_config('search_path', 'public, shop', false)")
        assert is_there()
        with connection.transaction(), connection.transaction() as inner:
            connection.execute("SET search_path = public")
            raise psycopg.Rollback(inner)
        assert is_there()
        connection.execute("RESET search_path")
        assert not is_there()
        connection.execute("SET search_path = shop")
        connection.execute("DISCARD ALL")
        assert not is_there()


def test_several_statements_at_once(pgwarden: Pgwarden, user: str, expected: list[tuple[object, ...]]) -> None:
    with psycopg.connect(pgwarden.dsn(user), autocommit=True) as connection:
        cursor = connection.execute(f"SET search_path = shop; {BARE}; SELECT count(*) FROM customers".encode())
        cursor.nextset()
        assert cursor.fetchall() == expected
        cursor.nextset()
        assert cursor.fetchone() == (COUNTS[user],)


def test_psql(pgwarden: Pgwarden, user: str) -> None:
    script = "SET search_path = shop;\nSELECT count(*) FROM customers;\n\\d customers\n\\dt\n"
    shown = rows(psql(pgwarden, pgwarden.dsn(user), "-At", "-f", "-", stdin=script))
    assert str(COUNTS[user]) in shown
    assert any(line.startswith("email|text") for line in shown)
    assert any("|orders|" in line for line in shown)
    assert any("|salaries|" in line for line in shown) == (user == "admin")


async def test_asyncpgs_server_settings(pgwarden: Pgwarden, user: str, expected: list[tuple[object, ...]]) -> None:
    settings = {"search_path": "shop", "application_name": "settled", "jit": "off", "statement_timeout": "20s"}
    connection = await asyncpg.connect(pgwarden.dsn(user), server_settings=settings)
    try:
        assert [tuple(row) for row in await connection.fetch(BARE)] == expected
        await connection.execute("SET search_path = public")
        with pytest.raises(asyncpg.UndefinedTableError):
            await connection.fetch(BARE)
        await connection.reset()
        assert [tuple(row) for row in await connection.fetch(BARE)] == expected
    finally:
        await connection.close()


def test_pg8000s_startup_parameters(pgwarden: Pgwarden, user: str, expected: list[tuple[object, ...]]) -> None:
    given = {"startup_params": {"search_path": "shop"}, "application_name": "settled"}
    with closing(pg8000.native.Connection(**arguments(pgwarden.dsn(user)), **given)) as connection:
        assert [tuple(row) for row in connection.run(BARE)] == expected


def test_sqlalchemys_default_schema(pgwarden: Pgwarden, user: str, expected: list[tuple[object, ...]]) -> None:
    """Options in the URL, and an event that sets the path of each new connection."""
    base = pgwarden.dsn(user).replace("postgresql://", "postgresql+psycopg://")
    by_url = create_engine(f"{base}?options={quote('-c search_path=shop')}", poolclass=NullPool)
    by_event = create_engine(base, poolclass=NullPool)

    @event.listens_for(by_event, "connect", insert=True)
    def set_path(connection: psycopg.Connection[object], _: object) -> None:
        connection.autocommit = True
        connection.execute("SET SESSION search_path = 'shop'")
        connection.autocommit = False

    for engine in (by_url, by_event):
        with engine.connect() as connection:
            assert [tuple(row) for row in connection.execute(text(BARE))] == expected
        assert inspect(engine).default_schema_name == "shop"
        assert "orders" in inspect(engine).get_table_names()
