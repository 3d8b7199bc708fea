"""Lineage for people: what sqlglot can tell, and that it never fails on what it can't."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.lineage import MAX_CHARACTERS, Lineage, lineage_of
from tests.compile_world import make_catalog

CATALOG = make_catalog()


def lineage_in_shop(sql: str) -> Lineage:
    return lineage_of(sql, CATALOG, ("shop", "public"))


def sources_of(sql: str) -> dict[str, tuple[str, ...]]:
    found = lineage_in_shop(sql)
    assert found.problem == ""
    return {output.name: output.sources for output in found.outputs}


def test_a_star_is_its_columns() -> None:
    found = sources_of("SELECT * FROM customers")
    assert list(found) == [column.name for column in CATALOG.by_name["shop", "customers"].columns]
    assert found["email"] == ("shop.customers.email",)


@pytest.mark.parametrize(
    ("sql", "name", "sources"),
    [
        (
            "SELECT c.email || o.status AS e FROM shop.customers c JOIN orders o ON true",
            "e",
            ("shop.customers.email", "shop.orders.status"),
        ),
        (
            "WITH t AS (SELECT email e FROM customers) SELECT upper(e) AS u FROM t",
            "u",
            ("shop.customers.email",),
        ),
        (
            "SELECT email FROM customers UNION SELECT name FROM customers",
            "email",
            ("shop.customers.email", "shop.customers.name"),
        ),
        ('SELECT "E mail" AS m FROM "Weird Name"', "m", ("shop.Weird Name.E mail",)),
        ("SELECT nothing AS n FROM customers", "n", ()),
    ],
)
def test_what_an_output_is_made_of(sql: str, name: str, sources: tuple[str, ...]) -> None:
    assert sources_of(sql)[name] == sources


@pytest.mark.parametrize(
    "sql",
    [
        "",
        ";",
        "SELECT $1,$2",
        "SELECT 1; SELECT 2",
        "EXPLAIN SELECT 1",
        "DECLARE c CURSOR FOR SELECT 1",
        "DELETE FROM orders",
        "SELECT '" + "x" * MAX_CHARACTERS + "'",
        "SELECT " + "(" * 3000 + "1" + ")" * 3000,
    ],
)
def test_what_it_cant_read_is_said(sql: str) -> None:
    found = lineage_in_shop(sql)
    assert found.outputs == ()
    assert found.problem


@given(st.text(alphabet="SELECTFROMcustomers(),.*'\"$1 \n;-/", max_size=80).map("SELECT ".__add__))
def test_it_never_raises_and_leaves_logging_alone(sql: str) -> None:
    level = logging.getLogger("sqlglot").level
    lineage_in_shop(sql)
    assert logging.getLogger("sqlglot").level == level
