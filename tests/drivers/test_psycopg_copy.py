"""psycopg 3's COPY: tables and queries, text, CSV and binary, out as on the sanitized copy and in."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.drivers.sanitized import COUNTS, on_the_copy
from tests.fix_pgwarden import Pgwarden

COPIERS = ["admin", "wes"]
FORMATS = ["text", "csv", "binary"]
QUERY = "COPY (SELECT * FROM shop.customers ORDER BY id) TO STDOUT (FORMAT {})"
ITEMS: list[tuple[Any, ...]] = [
    (number, f"row {number}\t\\N", Decimal(number) / 8, datetime.date(2025, 1, 1 + number % 28), [number, None])
    for number in range(1500)
]
TYPES = ["int4", "text", "numeric", "date", "int4[]"]
CREATE = "CREATE TEMP TABLE loaded (a int PRIMARY KEY, b text, c numeric, d date, e int[])"


def copied_out(dsn: str, sql: str) -> bytes:
    with psycopg.connect(dsn) as connection, connection.cursor().copy(sql.encode()) as copy:
        return b"".join(copy)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("user", COPIERS)
def test_a_query_copied_out(pgwarden: Pgwarden, user: str, form: str) -> None:
    sql = QUERY.format(form)
    seen = copied_out(pgwarden.dsn(user), sql)
    assert seen == copied_out(pgwarden.direct_dsn, on_the_copy(user, sql))
    assert len(seen) > 100_000


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("user", COPIERS)
def test_a_table_copied_out(pgwarden: Pgwarden, user: str, form: str) -> None:
    """In the table's own order, which the copy's scan has too."""
    seen = copied_out(pgwarden.dsn(user), f"COPY shop.customers TO STDOUT (FORMAT {form})")
    copy = on_the_copy(user, f"COPY (SELECT * FROM shop.customers) TO STDOUT (FORMAT {form})")
    assert seen == copied_out(pgwarden.direct_dsn, copy)


@pytest.mark.parametrize("user", COPIERS)
def test_options_and_columns(pgwarden: Pgwarden, user: str) -> None:
    options = "(FORMAT csv, HEADER, DELIMITER ';', QUOTE '''', NULL '-', FORCE_QUOTE (name, email))"
    seen = copied_out(pgwarden.dsn(user), f"COPY shop.customers (name, phone, email, signature) TO STDOUT {options}")
    query = "SELECT name, phone, email, signature FROM shop.customers"
    assert seen == copied_out(pgwarden.direct_dsn, on_the_copy(user, f"COPY ({query}) TO STDOUT {options}"))
    assert seen.startswith(b"name;phone;email;signature\n")


@pytest.mark.parametrize("user", COPIERS)
def test_rows_of_a_copy_are_read_with_their_types(pgwarden: Pgwarden, user: str) -> None:
    sql = "COPY (SELECT id, email, birth_date, balance FROM shop.customers ORDER BY id) TO STDOUT (FORMAT binary)"
    found = []
    for dsn, text in ((pgwarden.dsn(user), sql), (pgwarden.direct_dsn, on_the_copy(user, sql))):
        with psycopg.connect(dsn) as connection, connection.cursor().copy(text.encode()) as copy:
            copy.set_types(["int4", "text", "date", "numeric"])
            found.append(list(copy.rows()))
    assert found[0] == found[1]
    assert len(found[0]) == COUNTS[user]


@pytest.mark.parametrize("user", COPIERS)
def test_a_copy_with_parameters(pgwarden: Pgwarden, user: str) -> None:
    with psycopg.connect(pgwarden.dsn(user)) as connection:
        sql = "COPY (SELECT count(*) FROM shop.customers WHERE id > %s) TO STDOUT"
        with connection.cursor().copy(sql.encode(), (0,)) as copy:
            assert b"".join(copy) == b"%d\n" % COUNTS[user]


@pytest.mark.parametrize("options", ["text", "csv", "csv, HEADER", "binary"])
def test_caps_hold_for_copies(pgwarden: Pgwarden, options: str) -> None:
    with psycopg.connect(pgwarden.dsn("tim"), autocommit=True) as connection:

        def copied(limit: int) -> bytes:
            query = f"COPY (SELECT id FROM shop.products LIMIT {limit}) TO STDOUT (FORMAT {options})"
            with connection.cursor().copy(query.encode()) as copy:
                return b"".join(copy)

        assert copied(10)
        with pytest.raises(errors.QueryCanceled, match="limits.rows"):
            copied(11)
        slow = "SELECT count(*) FROM generate_series(1, 5000) AS a, generate_series(1, 1000000) AS b"
        with pytest.raises(errors.QueryCanceled, match="limits.runtime"):
            connection.cursor().copy(f"COPY ({slow}) TO STDOUT".encode()).__enter__().read()
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("user", COPIERS)
def test_rows_copied_in(pgwarden: Pgwarden, user: str, binary: bool) -> None:
    with psycopg.connect(pgwarden.dsn(user)) as connection, connection.cursor(binary=binary) as cursor:
        cursor.execute(CREATE.encode())
        with cursor.copy(f"COPY loaded FROM STDIN (FORMAT {'binary' if binary else 'text'})".encode()) as copy:
            copy.set_types(TYPES)
            for item in ITEMS:
                copy.write_row(item)
        assert cursor.rowcount == len(ITEMS)
        assert cursor.execute("SELECT * FROM loaded ORDER BY a").fetchall() == ITEMS
        with pytest.raises(errors.UniqueViolation), cursor.copy("COPY loaded (a) FROM STDIN") as copy:
            copy.write(b"1\n")
        connection.rollback()


@pytest.mark.parametrize("user", COPIERS)
def test_a_copy_in_that_the_client_gives_up(pgwarden: Pgwarden, user: str) -> None:
    with psycopg.connect(pgwarden.dsn(user), autocommit=True) as connection:
        connection.execute(CREATE.encode())
        with (
            pytest.raises(ZeroDivisionError),
            connection.cursor().copy("COPY loaded (a, b) FROM STDIN (FORMAT csv)") as copy,
        ):
            copy.write("1,one\n2,two\n")
            raise ZeroDivisionError
        with pytest.raises(errors.BadCopyFileFormat), connection.cursor().copy("COPY loaded (a, b) FROM STDIN") as copy:
            copy.write(b"3\n")
        assert connection.execute("SELECT count(*) FROM loaded").fetchone() == (0,)


@pytest.mark.parametrize("user", COPIERS)
def test_copied_from_one_connection_to_another(pgwarden: Pgwarden, user: str) -> None:
    """What a load of one's own copy holds is what one may see: masked values travel as data."""
    columns = "id, email, ssn, phone, birth_date, balance, preferences, tags, signature"
    types = "id int, email text, ssn char(11), phone text, birth_date date, balance numeric, preferences jsonb"
    question = f"SELECT {columns} FROM shop.customers ORDER BY id"
    with psycopg.connect(pgwarden.dsn(user)) as source, psycopg.connect(pgwarden.dsn(user)) as target:
        target.execute(f"CREATE TEMP TABLE kept ({types}, tags text[], signature bytea)".encode())
        with (
            source.cursor().copy(f"COPY ({question}) TO STDOUT (FORMAT binary)".encode()) as out,
            target.cursor().copy("COPY kept FROM STDIN (FORMAT binary)") as into,
        ):
            for data in out:
                into.write(data)
        kept = target.execute("SELECT * FROM kept ORDER BY id").fetchall()
        assert kept == source.execute(question.encode()).fetchall()
        assert len(kept) == COUNTS[user]


async def test_async_copy(pgwarden: Pgwarden) -> None:
    async with await psycopg.AsyncConnection.connect(pgwarden.dsn()) as connection, connection.cursor() as cursor:
        await cursor.execute(CREATE.encode())
        async with cursor.copy("COPY loaded FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(TYPES)
            for item in ITEMS:
                await copy.write_row(item)
        async with cursor.copy("COPY loaded TO STDOUT") as copy:
            assert sum([1 async for _ in copy.rows()]) == len(ITEMS)
