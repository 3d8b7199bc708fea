"""Writes by grant through a running pgwarden: psycopg in its modes, asyncpg; rows are checked in an unseen column."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import asyncpg
import psycopg
import pytest
from psycopg import errors

from tests.fix_pgwarden import Pgwarden

WHEN = datetime.datetime(2025, 6, 1, 12, tzinfo=datetime.UTC)
INSERT = (
    "INSERT INTO shop.orders (tenant_id, customer_id, total, note, ordered_at)"
    " VALUES (%s, %s, %s, %s, '2025-06-01 12:00+00')"
)
UPSERT = (
    "INSERT INTO shop.orders (id, tenant_id, customer_id, ordered_at) VALUES (%s, 1, 1, now())"
    " ON CONFLICT (id) DO UPDATE SET note = 'again' RETURNING id"
)
MODES = {
    "simple": (psycopg.ClientCursor, {}),
    "extended": (psycopg.Cursor, {"prepare_threshold": None}),
    "prepared": (psycopg.Cursor, {"prepare_threshold": 0}),
}


@pytest.fixture(params=[(mode, binary) for mode in MODES for binary in (False, True) if mode != "simple" or not binary])
def cursor(request: pytest.FixtureRequest, pgwarden: Pgwarden) -> Iterator[psycopg.Cursor[Any]]:
    """A writer's cursor in a transaction that is rolled back."""
    mode, binary = request.param
    kind, options = MODES[mode]
    with psycopg.connect(pgwarden.dsn("wes"), **options) as connection:
        found = kind(connection)
        found.format = psycopg.pq.Format.BINARY if binary else psycopg.pq.Format.TEXT
        yield found
        connection.rollback()


def test_the_column_of_the_check_is_never_seen(cursor: psycopg.Cursor[Any]) -> None:
    for note in ("first", "second"):  # the second may run a prepared statement
        cursor.execute(INSERT, (1, 1, 5, note))
        assert (cursor.description, cursor.rowcount, cursor.statusmessage) == (None, 1, "INSERT 0 1")
        cursor.execute(INSERT + " RETURNING note, total", (1, 1, 5, note))
        assert [column.name for column in cursor.description or ()] == ["note", "total"]
        assert cursor.fetchall() == [(note, 5)]
    cursor.execute("UPDATE shop.orders SET tenant_id = 1 WHERE note = 'first'")
    assert (cursor.description, cursor.rowcount) == (None, 2)
    cursor.execute("DELETE FROM shop.orders WHERE note IN ('first', 'second')")
    assert cursor.rowcount == 4


def test_rows_of_others_can_not_be_written(cursor: psycopg.Cursor[Any]) -> None:
    for sql in (INSERT, INSERT + " RETURNING id"):
        with pytest.raises(errors.InsufficientPrivilege) as caught, cursor.connection.transaction():
            cursor.execute(sql, (2, 1, 5, "x"))
        assert caught.value.diag.message_primary == (
            'new row violates the row filter for table "orders" (rule writers/rows[1])'
        )
        assert ".yaml:" in (caught.value.diag.message_detail or "")
    with pytest.raises(errors.InsufficientPrivilege), cursor.connection.transaction():
        cursor.execute("UPDATE shop.orders SET tenant_id = 2 WHERE id = (SELECT min(id) FROM shop.orders)")
    cursor.execute("SELECT 1")  # the session goes on
    assert cursor.fetchall() == [(1,)]


def test_many_rows_at_once(cursor: psycopg.Cursor[Any]) -> None:
    rows = [(1, 1, number, "many") for number in range(5)]
    cursor.executemany(INSERT, rows)
    assert cursor.rowcount == 5
    cursor.executemany(INSERT + " RETURNING total", rows, returning=True)
    assert [result.fetchone() for result in _results(cursor)] == [(number,) for number in range(5)]
    with pytest.raises(errors.InsufficientPrivilege), cursor.connection.transaction():
        cursor.executemany(INSERT, [*rows, (2, 1, 1, "theirs")])
    cursor.execute("SELECT count(*) FROM shop.orders WHERE note IN ('many', 'theirs')")
    assert cursor.fetchall() == [(10,)]


def _results(cursor: psycopg.Cursor[Any]) -> Iterator[psycopg.Cursor[Any]]:
    yield cursor
    while cursor.nextset():
        yield cursor


def test_returning_is_masked(cursor: psycopg.Cursor[Any]) -> None:
    shown = "email, ssn, phone, birth_date, balance, preferences, tags, signature"
    mine = "id = (SELECT min(id) FROM shop.customers)"
    plain = cursor.execute(f"SELECT {shown} FROM shop.customers WHERE {mine}".encode()).fetchall()
    assert cursor.execute(
        f"UPDATE shop.customers SET name = 'x' WHERE {mine} RETURNING {shown}".encode()
    ).fetchall() == (plain)
    star = cursor.execute(f"SELECT * FROM shop.customers WHERE {mine}".encode()).fetchall()
    sql = f"UPDATE shop.customers SET name = name WHERE {mine} RETURNING *"
    assert cursor.execute(sql.encode()).fetchall() == star


def test_reads_of_masked_columns_are_refused(cursor: psycopg.Cursor[Any]) -> None:
    for sql in (
        "UPDATE shop.customers SET name = ssn RETURNING name",
        "DELETE FROM shop.customers WHERE email LIKE 'a%'",
        "UPDATE shop.payments SET method = card_number",
    ):
        with pytest.raises(errors.InsufficientPrivilege) as caught, cursor.connection.transaction():
            cursor.execute(sql.encode())
        assert caught.value.diag.statement_position is not None


def test_a_slip_is_not_told_the_names_of_blocked_columns(cursor: psycopg.Cursor[Any]) -> None:
    with pytest.raises(errors.UndefinedColumn) as caught:
        cursor.execute("UPDATE shop.payments SET method = card_numbe")
    assert (caught.value.diag.message_hint, caught.value.diag.message_detail) == (None, None)


def test_upserts(cursor: psycopg.Cursor[Any], pgwarden: Pgwarden) -> None:
    with psycopg.connect(pgwarden.direct_dsn) as direct:
        (theirs,) = direct.execute("SELECT min(id) FROM shop.orders WHERE tenant_id <> 1").fetchone() or (None,)
    (mine,) = cursor.execute("SELECT min(id) FROM shop.orders").fetchone() or (None,)
    assert cursor.execute(UPSERT, (mine,)).fetchall() == [(mine,)]
    with pytest.raises(errors.InsufficientPrivilege), cursor.connection.transaction():
        cursor.execute(UPSERT, (theirs,))
    cursor.execute(UPSERT.replace("DO UPDATE SET note = 'again'", "DO NOTHING"), (theirs,))
    assert cursor.fetchall() == []


def test_sequences_of_visible_columns(cursor: psycopg.Cursor[Any]) -> None:
    """As ORMs ask for keys before an INSERT, or after it."""

    def value(sql: str) -> int:
        (row,) = cursor.execute(sql.encode()).fetchall()
        return int(row[0])

    first = value("SELECT nextval('shop.orders_id_seq')")
    assert value("SELECT currval(pg_get_serial_sequence('shop.orders', 'id'))") == value("SELECT lastval()") == first
    cursor.execute(INSERT, (1, 1, 5, "x"))
    assert value("SELECT id FROM shop.orders WHERE note = 'x' AND id = lastval()") == first + 1
    for sql in (
        "SELECT nextval('shop.nothing')",
        "SELECT setval('shop.orders_id_seq', 1)",
        "SELECT nextval($$16400$$)",
    ):
        with pytest.raises((errors.InsufficientPrivilege, errors.UndefinedTable)), cursor.connection.transaction():
            cursor.execute(sql.encode())


def test_pipelines(pgwarden: Pgwarden) -> None:
    with psycopg.connect(pgwarden.dsn("wes")) as connection:
        with connection.pipeline():
            answers = [
                connection.execute(INSERT, (1, 1, 1, "pipe")),
                connection.execute(INSERT + " RETURNING note", (1, 1, 2, "pipe")),
                connection.execute("SELECT count(*) FROM shop.orders WHERE note = 'pipe'"),
            ]
        assert (answers[0].description, answers[1].fetchall(), answers[2].fetchall()) == (None, [("pipe",)], [(2,)])
        connection.rollback()


def test_what_is_recorded(pgwarden: Pgwarden) -> None:
    with psycopg.connect(pgwarden.dsn("wes"), autocommit=True) as connection:
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(INSERT, (2, 1, 1, "theirs"))
        connection.execute("UPDATE shop.orders SET note = 'recorded' WHERE id = -1")
    (outcome,) = (record for record in pgwarden.records_of("'recorded'") if record["stage"] == "outcome")
    assert (outcome["decision"], outcome["filtered_tables"]) == ("rewrite", ["shop.orders"])
    denied = pgwarden.records_of("$4, '2025-06-01", outcomes=1)
    assert any((record["decision"], record["sqlstate"]) == ("deny", "42501") for record in denied)


async def test_asyncpg(pgwarden: Pgwarden) -> None:
    insert = "INSERT INTO shop.orders (tenant_id, customer_id, note, ordered_at) VALUES ($1, $2, $3, $4)"
    connection = await asyncpg.connect(pgwarden.dsn("wes"))
    try:
        transaction = connection.transaction()
        await transaction.start()
        assert await connection.execute(insert, 1, 1, "a", WHEN) == "INSERT 0 1"
        assert await connection.fetch(insert, 1, 1, "a", WHEN) == []
        row = await connection.fetchrow(insert + " RETURNING note, customer_id AS c", 1, 1, "a", WHEN)
        assert dict(row) == {"note": "a", "c": 1}
        await connection.executemany(insert, [(1, 1, "b", WHEN)] * 20)
        assert await connection.fetchval("SELECT count(*) FROM shop.orders WHERE note IN ('a', 'b')") == 23
        statement = await connection.prepare(insert + " RETURNING id, note")
        assert [attribute.name for attribute in statement.get_attributes()] == ["id", "note"]
        assert len(await statement.fetch(1, 1, "c", WHEN)) == 1
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await statement.fetch(2, 1, "c", WHEN)
        assert await connection.execute("DELETE FROM shop.orders WHERE note = ANY ($1)", ["a", "b", "c"]) == "DELETE 24"
        await transaction.rollback()
    finally:
        await connection.close()
