"""What psycopg 2 and 3 look up of types, and what they do with statements they no longer want prepared."""

from __future__ import annotations

import datetime
import enum
import uuid
from contextlib import closing
from decimal import Decimal
from typing import Any

import psycopg
import psycopg2
import psycopg2.extras
import pytest
from psycopg.types import TypeInfo
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum
from psycopg.types.json import Jsonb
from psycopg.types.multirange import MultirangeInfo
from psycopg.types.range import Range, RangeInfo

from tests.drivers.sanitized import on_the_copy
from tests.fix_pgwarden import Pgwarden

EVERYBODY = ["admin", "ada", "wes"]
VALUES: list[Any] = [
    None,
    True,
    32767,
    2**40,
    1.5e-7,
    Decimal("123456789.000100"),
    "tab\t é 𝄞 \\",
    b"\0\x01\xff",
    datetime.date(1, 1, 1),
    datetime.datetime(2024, 2, 29, 23, 59, 59, 999999),
    datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC),
    datetime.time(1, 2, 3, 4),
    datetime.timedelta(days=-3, microseconds=5),
    uuid.UUID(int=7),
    [["a", None], ["b", "c"]],
    Jsonb({"x": [1, None, "é"]}),
    Range(1, 9),
]


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("user", EVERYBODY)
def test_values_go_both_ways(pgwarden: Pgwarden, user: str, binary: bool) -> None:
    sql = f"SELECT {', '.join(['%b' if binary else '%t'] * len(VALUES))}".encode()
    answers = []
    for dsn in (pgwarden.dsn(user), pgwarden.direct_dsn):
        with psycopg.connect(dsn) as connection:
            answers.append(connection.cursor(binary=binary).execute(sql, VALUES).fetchone())
    assert answers[0] == answers[1]


@pytest.mark.parametrize("user", EVERYBODY)
def test_types_are_looked_up(pgwarden: Pgwarden, user: str) -> None:
    class Status(enum.Enum):
        new, paid, shipped, returned, cancelled = range(5)

    for kind, name in (
        (EnumInfo, "shop.order_status"),
        (CompositeInfo, "shop.orders"),
        (TypeInfo, "text"),
        (TypeInfo, "shop.customers"),
        (RangeInfo, "int4range"),
        (MultirangeInfo, "datemultirange"),
        (TypeInfo, "hstore"),
    ):
        told = []
        for dsn in (pgwarden.dsn(user), pgwarden.direct_dsn):
            with psycopg.connect(dsn) as connection:
                found = kind.fetch(connection, name)
                told.append({**vars(found), "typemod": None} if found else None)
        assert told[0] == told[1], name
    with psycopg.connect(pgwarden.dsn(user)) as connection:
        info = EnumInfo.fetch(connection, "shop.order_status")
        assert info
        register_enum(info, connection, Status)
        for binary in (False, True):
            cursor = connection.cursor(binary=binary)
            cursor.execute("SELECT status FROM shop.orders WHERE status = %s LIMIT 1", (Status.paid,))
            assert cursor.fetchone() == (Status.paid,)


@pytest.mark.parametrize("user", EVERYBODY)
def test_rows_of_an_open_table_as_objects(pgwarden: Pgwarden, user: str) -> None:
    sql = b"SELECT p FROM shop.products AS p ORDER BY id LIMIT 3"
    answers = []
    for dsn in (pgwarden.dsn(user), pgwarden.direct_dsn):
        with psycopg.connect(dsn) as connection:
            info = CompositeInfo.fetch(connection, "shop.products")
            assert info
            register_composite(info, connection)
            answers.append([tuple(row) for (row,) in connection.cursor(binary=True).execute(sql)])
    assert answers[0] == answers[1]
    assert len(answers[0]) == 3


@pytest.mark.parametrize("user", EVERYBODY)
def test_psycopg2_looks_up_types(pgwarden: Pgwarden, user: str) -> None:
    with closing(psycopg2.connect(pgwarden.dsn(user))) as connection, connection.cursor() as cursor:
        caster = psycopg2.extras.register_composite("shop.products", connection)
        cursor.execute("SELECT p FROM shop.products AS p WHERE id = 1")
        assert cursor.fetchone()[0].id == 1
        assert caster.attnames[:3] == ["id", "sku", "name"]
        with pytest.raises(psycopg2.ProgrammingError, match="hstore type not found"):
            psycopg2.extras.register_hstore(connection)
        cursor.execute("SELECT %s::jsonb, %s", (psycopg2.extras.Json({"a": 1}), psycopg2.extras.NumericRange(1, 5)))
        assert cursor.fetchone()[0] == {"a": 1}


@pytest.mark.parametrize("user", EVERYBODY)
def test_statements_are_prepared_and_forgotten(pgwarden: Pgwarden, user: str) -> None:
    """Two may stay prepared; psycopg closes others, or says DEALLOCATE, which needs no grant for its own names."""
    answers = []
    for dsn, edit in ((pgwarden.dsn(user), "admin"), (pgwarden.direct_dsn, user)):
        with psycopg.connect(dsn, prepare_threshold=0) as connection:
            connection.prepared_max = 2
            found = []
            for number in (1, 3, 4, 5, 1, 3):
                sql = on_the_copy(edit, f"SELECT email, {number} FROM shop.customers WHERE id = %s")
                found.append(connection.execute(sql.encode(), (number,)).fetchall())
            connection.rollback()
            connection.execute("DEALLOCATE ALL")
            found.append(connection.execute(sql.encode(), (5,), prepare=False).fetchall())
            answers.append(found)
    assert answers[0] == answers[1]
