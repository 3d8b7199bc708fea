"""Statements that differ in their literals only: each is answered, recorded and refused as itself."""

from __future__ import annotations

import psycopg
import pytest

from tests.fix_pgwarden import Pgwarden

NAMES = ("x", "a much longer name", "", "äöü€", "y", "zz")


def asked(cursor: psycopg.Cursor[tuple[object, ...]], sql: str, path: str) -> list[tuple[object, ...]]:
    """`path`: the simple protocol, or the extended one."""
    return cursor.execute(sql.encode(), prepare=path == "prepared").fetchall()


@pytest.mark.parametrize("path", ["simple", "extended", "prepared"])
def test_each_has_the_rows_of_its_own_literals(pgwarden: Pgwarden, path: str) -> None:
    with (
        psycopg.connect(pgwarden.direct_dsn, autocommit=True) as direct,
        psycopg.connect(pgwarden.dsn("ada"), autocommit=True) as through,
    ):
        cursor = psycopg.ClientCursor(through) if path == "simple" else through.cursor()
        plain = direct.execute("SELECT id, name, email, tenant_id FROM shop.customers ORDER BY id LIMIT 12").fetchall()
        assert len({row[3] for row in plain}) > 1
        for number, name, email, tenant in plain:
            sql = f"SELECT id, name, email FROM shop.customers WHERE id = {number} AND name <> 'n{number}'"
            rows = asked(cursor, sql, path)
            assert [row[:2] for row in rows] == ([(number, name)] if tenant == 1 else [])
            assert all(row[2] != email for row in rows)


@pytest.mark.parametrize("name", NAMES)
def test_errors_point_into_its_own_text(pgwarden: Pgwarden, name: str) -> None:
    with psycopg.connect(pgwarden.dsn("ada"), autocommit=True) as through:
        cursor = psycopg.ClientCursor(through)
        for given in (*NAMES, name):
            sql = f"SELECT c.id FROM shop.customers c, shop.orders o WHERE c.name = '{given}' AND nope = 1"
            with pytest.raises(psycopg.errors.UndefinedColumn) as caught:
                cursor.execute(sql.encode())
            assert caught.value.diag.statement_position == str(sql.index("nope") + 1)


def test_records_have_its_own_text(pgwarden: Pgwarden) -> None:
    with psycopg.connect(pgwarden.dsn("ada"), autocommit=True) as through:
        for number in range(5):
            psycopg.ClientCursor(through).execute(f"SELECT id FROM shop.products WHERE id = 7701{number} ;".encode())
    for number in range(5):
        records = pgwarden.records_of(f"WHERE id = 7701{number}")
        assert {record["sql_text"] for record in records if record["sql_text"]} == {
            f"SELECT id FROM shop.products WHERE id = 7701{number}"
        }
    assert len({record["shape"] for record in pgwarden.records_of("WHERE id = 7701")}) == 1


def test_writes_are_checked_each_by_itself(pgwarden: Pgwarden) -> None:
    with psycopg.connect(pgwarden.dsn("wes")) as through:
        cursor = psycopg.ClientCursor(through)
        ((own,),) = cursor.execute(b"SELECT min(id) FROM shop.customers").fetchall()
        for number in range(6):
            tenant = 1 + number % 2
            sql = f"UPDATE shop.customers SET tenant_id = {tenant}, name = 'n{number}' WHERE id = {own}".encode()
            if tenant == 2:
                with pytest.raises(psycopg.errors.InsufficientPrivilege), through.transaction():
                    cursor.execute(sql)
            else:
                with through.transaction():
                    assert cursor.execute(sql).rowcount == 1
        assert cursor.execute(f"SELECT name FROM shop.customers WHERE id = {own}".encode()).fetchall() == [("n4",)]
        through.rollback()
