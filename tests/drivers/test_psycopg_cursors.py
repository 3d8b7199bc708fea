"""psycopg 3's ways to read: cursors of every kind, streams, pipelines, factories; rows as on the sanitized copy."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from psycopg import errors
from psycopg.rows import class_row, dict_row, namedtuple_row, scalar_row, tuple_row

from tests.drivers.sanitized import COUNTS, on_the_copy
from tests.fix_pgwarden import Pgwarden

EVERYBODY = ["admin", "ada", "wes"]
DECLARERS = ["admin", "wes"]
CUSTOMERS = "SELECT * FROM shop.customers ORDER BY id"
ONE = "SELECT * FROM shop.customers WHERE id = %s"
Rows = list[Any]


def connected(dsn: str, **options: Any) -> psycopg.Connection[Any]:
    return psycopg.connect(dsn, **options)


def both(pgwarden: Pgwarden, user: str, sql: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Where and what to ask through pgwarden, and on the copy."""
    return (pgwarden.dsn(user), sql), (pgwarden.direct_dsn, on_the_copy(user, sql))


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("prepare_threshold", [0, 1, None])
@pytest.mark.parametrize("user", EVERYBODY)
def test_parameters(pgwarden: Pgwarden, user: str, prepare_threshold: int | None, binary: bool) -> None:
    answers: list[Rows] = []
    for dsn, sql in both(pgwarden, user, ONE):
        with connected(dsn, prepare_threshold=prepare_threshold) as connection:
            cursor = connection.cursor(binary=binary)
            answers.append([cursor.execute(sql.encode(), (number,)).fetchall() for number in (1, 4, 5, 1, 9999)])
    assert answers[0] == answers[1]
    assert answers[0][0]


@pytest.mark.parametrize("user", EVERYBODY)
def test_client_and_raw_cursors(pgwarden: Pgwarden, user: str) -> None:
    for cursor_class, sql in (
        (psycopg.ClientCursor, ONE),
        (psycopg.RawCursor, ONE.replace("%s", "$1")),
    ):
        answers = []
        for dsn, text in both(pgwarden, user, sql):
            with connected(dsn, cursor_factory=cursor_class) as connection:
                answers.append(connection.execute(text.encode(), (3,)).fetchall())
        assert answers[0] == answers[1]
        assert len(answers[0]) == 1


@pytest.mark.parametrize("user", EVERYBODY)
def test_row_factories(pgwarden: Pgwarden, user: str) -> None:
    class Customer:
        def __init__(self, **fields: object) -> None:
            self.fields = fields

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Customer) and self.fields == other.fields

    for factory in (tuple_row, dict_row, namedtuple_row, scalar_row, class_row(Customer)):
        answers = []
        for dsn, sql in both(pgwarden, user, ONE):
            with connected(dsn, row_factory=factory) as connection:
                answers.append(connection.execute(sql.encode(), (4,)).fetchall())
        assert answers[0] == answers[1]
        assert len(answers[0]) == 1


@pytest.mark.parametrize("user", EVERYBODY)
def test_descriptions(pgwarden: Pgwarden, user: str) -> None:
    """Names, types, sizes, scales as the server tells them, where the copy's expressions have them at all."""
    found = []
    for dsn, sql in both(pgwarden, user, CUSTOMERS):
        with connected(dsn) as connection:
            columns = connection.execute(sql.encode()).description or []
            found.append([(c.name, c.type_code, c.display_size, c.precision, c.scale) for c in columns])
    assert found[0] == found[1]


@pytest.mark.parametrize("size", [1, 7, 500])
@pytest.mark.parametrize("user", EVERYBODY)
def test_streams(pgwarden: Pgwarden, user: str, size: int) -> None:
    """libpq's single-row mode, and its chunks."""
    answers = []
    for dsn, sql in both(pgwarden, user, "SELECT * FROM shop.customers WHERE id <= %s ORDER BY id"):
        with connected(dsn) as connection, connection.cursor(binary=True) as cursor:
            answers.append(list(cursor.stream(sql.encode(), (1200,), size=size)))
    assert answers[0] == answers[1]
    assert len(answers[0]) > 600


@pytest.mark.parametrize("user", EVERYBODY)
def test_a_stream_that_is_left_early(pgwarden: Pgwarden, user: str) -> None:
    with connected(pgwarden.dsn(user), autocommit=True) as connection:
        with connection.cursor() as cursor:
            stream = cursor.stream(CUSTOMERS)
            next(stream)
            stream.close()
        assert connection.execute("SELECT count(*) FROM shop.customers").fetchone() == (COUNTS[user],)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("user", EVERYBODY)
def test_pipelines(pgwarden: Pgwarden, user: str, binary: bool) -> None:
    answers = []
    for dsn, sql in both(pgwarden, user, ONE):
        with connected(dsn, prepare_threshold=2) as connection, connection.pipeline() as pipeline:
            cursors = [connection.cursor(binary=binary).execute(sql.encode(), (n,)) for n in range(1, 60)]
            pipeline.sync()
            cursors += [connection.cursor(binary=binary).execute(sql.encode(), (n,)) for n in range(60, 80)]
            answers.append([cursor.fetchall() for cursor in cursors])
    assert answers[0] == answers[1]
    assert sum(map(len, answers[0])) > 40


@pytest.mark.parametrize("user", EVERYBODY)
def test_executemany_returns_every_result(pgwarden: Pgwarden, user: str) -> None:
    answers = []
    for dsn, sql in both(pgwarden, user, ONE):
        with connected(dsn) as connection, connection.cursor() as cursor:
            cursor.executemany(sql.encode(), [(n,) for n in range(1, 30)], returning=True)
            found = [cursor.fetchall()]
            while cursor.nextset():
                found.append(cursor.fetchall())
            answers.append(found)
    assert answers[0] == answers[1]
    assert len(answers[0]) == 29


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("user", DECLARERS)
def test_named_cursors(pgwarden: Pgwarden, user: str, binary: bool) -> None:
    answers = []
    for dsn, sql in both(pgwarden, user, "SELECT * FROM shop.customers WHERE id <= %s ORDER BY id"):
        with connected(dsn) as connection, connection.cursor("parts", binary=binary) as cursor:
            cursor.itersize = 77
            cursor.execute(sql.encode(), (1000,))
            answers.append([cursor.fetchone(), cursor.fetchmany(3), list(cursor), cursor.fetchone()])
    assert answers[0] == answers[1]
    assert len(answers[0][2]) > 500


@pytest.mark.parametrize("user", DECLARERS)
def test_scrollable_cursors(pgwarden: Pgwarden, user: str) -> None:
    answers = []
    for dsn, sql in both(pgwarden, user, CUSTOMERS):
        with connected(dsn) as connection, connection.cursor("parts", scrollable=True) as cursor:
            cursor.execute(sql.encode())
            found = [cursor.fetchmany(5)]
            cursor.scroll(-2)
            found.append(cursor.fetchmany(2))
            cursor.scroll(100, mode="absolute")
            found.append(cursor.fetchmany(2))
            for move in ("BACKWARD 3 IN", "LAST FROM", "ABSOLUTE 12", "RELATIVE -2", "PRIOR FROM", "BACKWARD ALL IN"):
                found.append(connection.execute(f"FETCH {move} parts".encode()).fetchall())
            answers.append(found)
    assert answers[0] == answers[1]


@pytest.mark.parametrize("user", DECLARERS)
def test_cursors_that_outlive_their_transaction(pgwarden: Pgwarden, user: str) -> None:
    answers = []
    for dsn, sql in both(pgwarden, user, CUSTOMERS):
        with connected(dsn) as connection, connection.cursor("parts", withhold=True) as cursor:
            cursor.execute(sql.encode())
            found = cursor.fetchmany(5)
            connection.commit()
            found += cursor.fetchmany(5)
            with pytest.raises(errors.DivisionByZero):
                connection.execute("SELECT 1 / 0")
            connection.rollback()
            answers.append([*found, *cursor.fetchall()])
    assert answers[0] == answers[1]
    assert len(answers[0]) == COUNTS[user]


@pytest.mark.parametrize("user", DECLARERS)
def test_a_cursor_of_another_query_is_adopted(pgwarden: Pgwarden, user: str) -> None:
    """psycopg's `steal`: FETCH from a cursor that plain SQL declared, under a name that needs quotes."""
    answers = []
    for dsn, sql in both(pgwarden, user, CUSTOMERS):
        with connected(dsn) as connection:
            connection.execute(f'DECLARE "Odd name" CURSOR FOR {sql}'.encode())
            with connection.cursor("Odd name") as cursor:
                answers.append(cursor.fetchmany(4))
    assert answers[0] == answers[1]


def test_caps_hold_for_each_fetch(pgwarden: Pgwarden) -> None:
    with connected(pgwarden.dsn("tim"), autocommit=True) as connection:
        for size, is_well in ((10, True), (11, False)):
            with connection.transaction(force_rollback=True):
                connection.execute("DECLARE parts CURSOR FOR SELECT id FROM shop.products")
                if is_well:
                    assert len(connection.execute(f"FETCH {size} FROM parts".encode()).fetchall()) == size
                else:
                    with pytest.raises(errors.QueryCanceled, match="limits.rows"):
                        connection.execute(f"FETCH {size} FROM parts".encode())
        connection.execute("PREPARE many AS SELECT id FROM shop.products")
        with pytest.raises(errors.QueryCanceled, match="limits.rows"):
            connection.execute("EXECUTE many")


@pytest.mark.parametrize("user", DECLARERS)
async def test_async_named_cursors(pgwarden: Pgwarden, user: str) -> None:
    async def read(dsn: str, sql: str) -> Rows:
        async with (
            await psycopg.AsyncConnection.connect(dsn) as connection,
            connection.cursor("parts") as cursor,
        ):
            await cursor.execute(sql.encode())
            return [row async for row in cursor]

    seen, expected = await asyncio.gather(*(read(*asked) for asked in both(pgwarden, user, CUSTOMERS)))
    assert seen == expected


async def test_async_pipelines_and_streams(pgwarden: Pgwarden) -> None:
    async def read(dsn: str, sql: str) -> Rows:
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            async with connection.pipeline():
                cursors = [await connection.execute(sql.encode(), (n,)) for n in range(30)]
                found = [await cursor.fetchall() for cursor in cursors]
            async with connection.cursor() as cursor:
                found.append([row async for row in cursor.stream(sql.encode(), (7,))])
            return found

    for user in EVERYBODY:
        seen, expected = await asyncio.gather(*(read(*asked) for asked in both(pgwarden, user, ONE)))
        assert seen == expected
