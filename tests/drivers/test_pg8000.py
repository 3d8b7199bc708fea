"""pg8000, pure Python: its native interface and the DB-API one, prepared statements, COPY, notifications, types."""

from __future__ import annotations

import io
import time
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pg8000.dbapi
import pg8000.native
import pytest

from tests.drivers.sanitized import COUNTS, on_the_copy
from tests.fix_pgwarden import PATIENCE_S, Pgwarden

EVERYBODY = ["admin", "ada", "wes"]
GRANTED = ["admin", "wes"]
CUSTOMERS = "SELECT * FROM shop.customers ORDER BY id"


def arguments(dsn: str) -> dict[str, Any]:
    url = urlsplit(dsn)
    return {
        "user": url.username,
        "password": url.password,
        "host": url.hostname,
        "port": url.port,
        "database": url.path[1:],
        "timeout": PATIENCE_S,
    }


def native(dsn: str) -> Any:
    return closing(pg8000.native.Connection(**arguments(dsn)))


def dbapi(dsn: str) -> Any:
    return closing(pg8000.dbapi.connect(**arguments(dsn)))


def both(pgwarden: Pgwarden, user: str, sql: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Where and what to ask through pgwarden, and on the copy."""
    return (pgwarden.dsn(user), sql), (pgwarden.direct_dsn, on_the_copy(user, sql))


def shown(columns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What RowDescription says of columns but where they come from: the copy's are expressions."""
    return [{k: v for k, v in c.items() if k not in ("table_oid", "column_attrnum", "type_modifier")} for c in columns]


@pytest.mark.parametrize("user", EVERYBODY)
def test_rows_of_the_simple_and_the_extended_protocol(pgwarden: Pgwarden, user: str) -> None:
    answers = []
    for dsn, sql in both(pgwarden, user, CUSTOMERS):
        with native(dsn) as connection:
            simple = connection.run(sql)
            columns = shown(connection.columns)
            extended = connection.run(sql.replace("ORDER", "WHERE id > :low ORDER"), low=0)
            assert simple == extended
            assert columns == shown(connection.columns)
            answers.append((simple, columns, connection.row_count))
    assert answers[0] == answers[1]
    assert len(answers[0][0]) == COUNTS[user]


@pytest.mark.parametrize("user", EVERYBODY)
def test_prepared_statements(pgwarden: Pgwarden, user: str) -> None:
    answers = []
    for dsn, sql in both(pgwarden, user, "SELECT * FROM shop.customers WHERE id = :id"):
        with native(dsn) as connection:
            prepared = connection.prepare(sql)
            answers.append([prepared.run(id=number) for number in (1, 3, 5, 1)])
            prepared.close()
            answers[-1].append(connection.run("SELECT 1"))
    assert answers[0] == answers[1]
    assert answers[0][0]


@pytest.mark.parametrize("user", EVERYBODY)
def test_refusals_and_errors(pgwarden: Pgwarden, user: str) -> None:
    with native(pgwarden.dsn(user)) as connection:
        for sql, code in (("SELECT 1 / 0", "22012"), ("SELEC", "42601"), ("SELECT * FROM shop.missing", "42P01")):
            with pytest.raises(pg8000.native.DatabaseError) as failed:
                connection.run(sql)
            assert failed.value.args[0]["C"] == code
        if user != "admin":
            for parameters in ({}, {"id": 1}):
                with pytest.raises(pg8000.native.DatabaseError) as failed:
                    connection.run(
                        "SELECT * FROM shop.salaries" + (" WHERE employee_id = :id" if parameters else ""), **parameters
                    )
                assert failed.value.args[0]["C"] == "42501"
        assert connection.run("SELECT count(*) FROM shop.customers") == [[COUNTS[user]]]


@pytest.mark.parametrize("user", EVERYBODY)
def test_the_db_api(pgwarden: Pgwarden, user: str) -> None:
    answers = []
    for dsn, sql in both(pgwarden, user, "SELECT * FROM shop.customers WHERE id = %s"):
        with dbapi(dsn) as connection:
            cursor = connection.cursor()
            cursor.execute(sql, (4,))
            found = [cursor.fetchone(), cursor.description and [column[:2] for column in cursor.description]]
            connection.rollback()
            cursor.execute(sql, (5,))
            answers.append([*found, *cursor])
    assert answers[0] == answers[1]
    assert answers[0][0]


@pytest.mark.parametrize("form", ["text", "csv"])
@pytest.mark.parametrize("user", GRANTED)
def test_copy_out(pgwarden: Pgwarden, user: str, form: str) -> None:
    files = []
    for dsn, sql in both(pgwarden, user, f"COPY ({CUSTOMERS}) TO STDOUT (FORMAT {form})"):
        with native(dsn) as connection:
            file = io.BytesIO()
            connection.run(sql, stream=file)
            files.append((file.getvalue(), connection.row_count))
    assert files[0] == files[1]
    assert files[0][1] == COUNTS[user]


@pytest.mark.parametrize("user", GRANTED)
def test_copy_in(pgwarden: Pgwarden, user: str) -> None:
    with dbapi(pgwarden.dsn(user)) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TEMP TABLE loaded (a int, b text)")
        cursor.execute("COPY loaded FROM STDIN", stream=io.BytesIO(b"1\tone\n2\ttwo\n"))
        cursor.execute("COPY loaded FROM STDIN (FORMAT csv)", stream=["3,three\n", "4,\n"])
        cursor.execute("SELECT * FROM loaded ORDER BY a")
        assert [tuple(row) for row in cursor] == [(1, "one"), (2, "two"), (3, "three"), (4, None)]
        with pytest.raises(pg8000.dbapi.DatabaseError):
            cursor.execute("COPY loaded FROM STDIN", stream=io.BytesIO(b"x\ty\n"))
        connection.rollback()


@pytest.mark.parametrize("user", GRANTED)
def test_writes(pgwarden: Pgwarden, user: str) -> None:
    with dbapi(pgwarden.dsn(user)) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "INSERT INTO shop.orders (tenant_id, customer_id, ordered_at) VALUES (%s, %s, now()) RETURNING id, status",
            (1, 1),
        )
        ((number, status),) = cursor.fetchall()
        assert status == "new"
        cursor.executemany("UPDATE shop.orders SET total = %s WHERE id = %s", [(5, number), (6, number)])
        cursor.execute("DELETE FROM shop.orders WHERE id = %s RETURNING total", (number,))
        assert (cursor.rowcount, [total for (total,) in cursor]) == (1, [6])
        connection.rollback()


@pytest.mark.parametrize("user", GRANTED)
def test_notifications(pgwarden: Pgwarden, user: str) -> None:
    channel = f"news8000_{user}"
    with native(pgwarden.dsn(user)) as connection:
        connection.run(f"LISTEN {channel}")
        connection.run(f"NOTIFY {channel}, 'hello'")
        deadline = time.monotonic() + PATIENCE_S
        while not connection.notifications and time.monotonic() < deadline:
            connection.run("SELECT 1")
        ((_, *told),) = connection.notifications
        assert told == [channel, "hello"]


@pytest.mark.parametrize("user", EVERYBODY)
def test_values_of_many_types_go_both_ways(pgwarden: Pgwarden, user: str) -> None:
    sql = """SELECT CAST(:a AS int[]), CAST(:b AS jsonb), CAST(:c AS timestamptz), CAST(:d AS bytea), CAST(:e AS uuid),
        CAST(:f AS numeric), CAST(:g AS interval), CAST(:h AS shop.order_status), CAST(:i AS text)"""
    values = {"a": [[1, None]], "b": '{"x": 1}', "c": "2025-03-04 05:06:07+00", "d": b"\0\xff", "f": "1.50"}
    values |= {"e": "00112233-4455-6677-8899-aabbccddeeff", "g": "1 day 02:03:04", "h": "paid", "i": None}
    answers = []
    for dsn in (pgwarden.dsn(user), pgwarden.direct_dsn):
        with native(dsn) as connection:
            answers.append(connection.run(sql, **values))
    assert answers[0] == answers[1]
