"""A cast from or to a user's type and a domain's CHECK run functions that no call in the text names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.compile_world import World

CAST = frozenset({("shop", "to_pair")})


@pytest.fixture
def casting(world: World) -> World:
    """The type pair has a cast by shop.to_pair; orders.status is of the type status, whose cast is shop.safe_report."""
    functions = {"pair": CAST, "status": frozenset({("shop", "safe_report")})}
    relation = world.catalog.by_oid[101]
    paired = tuple(
        replace(c, type_oid=20_009, type_name="shop.pair") if c.name == "name" else c for c in relation.columns
    )
    relations = tuple(replace(r, columns=paired) if r.oid == 101 else r for r in world.catalog.relations)
    world.catalog = replace(world.catalog, version=2, relations=relations, type_functions=functions)
    return world


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 5::shop.pair",
        "SELECT CAST(id AS pair) FROM orders",
        "SELECT ARRAY[5]::shop.pair[]",
        "SELECT ARRAY[5]::shop._pair",
        "SELECT name::text FROM customers",
        "SELECT upper(name) FROM customers",
        "SELECT id FROM customers WHERE name = 'x'",
        "SELECT name FROM customers UNION SELECT 'x'",
    ],
)
def test_its_function_must_be_granted(casting: World, sql: str) -> None:
    assert casting.refused(sql)[0] == "42501"


@pytest.mark.parametrize(
    "sql", ["SELECT name, id FROM customers", "SELECT 'x'::shop.status", "SELECT status::text FROM orders"]
)
def test_output_and_granted_functions_are_fine(casting: World, sql: str) -> None:
    casting.allowed(sql)


@pytest.mark.parametrize(
    ("sql", "is_refused"),
    [
        ("INSERT INTO customers VALUES (1)", True),
        ("INSERT INTO customers (id, name) VALUES (1, 5)", True),
        ("INSERT INTO orders (id) SELECT name FROM customers", True),
        ("UPDATE customers SET name = 5", True),
        ("INSERT INTO customers (id) VALUES (1)", False),
        ("UPDATE customers SET id = 5 WHERE id = 6", False),
    ],
)
def test_what_is_assigned_is_cast(casting: World, sql: str, is_refused: bool) -> None:
    refusal = casting.decide(sql, "eve").refusal
    assert (refusal is not None and "shop.to_pair" in refusal.message) is is_refused
