"""nextval, currval and lastval: for those who may insert, and sequences of columns that they may see."""

# ruff: noqa: E501 - a statement reads best on one line

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.compile_world import World
from tests.unit.policies.compile.test_writes import POLICY

SEQUENCE = """'"shop"."orders_id_seq"'"""


def _world(folder: Path, policy: str = POLICY, owned_by: tuple[int, str] | None = (102, "id")) -> World:
    world = World(folder, policy)
    sequence = world.catalog.by_oid[111]
    others = [relation for relation in world.catalog.relations if relation.oid != 111]
    functions = world.catalog.function_names | {"nextval", "currval", "lastval"}
    relations = (*others, replace(sequence, owned_by=owned_by))
    world.catalog = replace(world.catalog, version=2, relations=relations, function_names=functions)
    return world


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT nextval('orders_id_seq')", f"SELECT nextval({SEQUENCE})"),
        ("SELECT nextval('shop.Orders_ID_seq'::regclass)", f"SELECT nextval({SEQUENCE}::regclass)"),
        ("SELECT currval(E'shop.\\x6frders_id_seq')", f"SELECT currval({SEQUENCE})"),
        ('SELECT pg_catalog.currval(\'shop."orders_id_seq"\')', f"SELECT pg_catalog.currval({SEQUENCE})"),
        ("SELECT lastval()", "SELECT lastval()"),
        ("INSERT INTO shop.orders (id) VALUES (nextval('orders_id_seq'))", f"INSERT INTO shop.orders (id) VALUES (nextval({SEQUENCE}))"),
    ],
)  # fmt: skip
def test_names_reach_the_server_with_their_schema(tmp_path: Path, sql: str, expected: str) -> None:
    assert _world(tmp_path).allowed(sql, "wes").text == expected


def test_a_serial_columns_sequence_is_found_by_table_and_column(tmp_path: Path) -> None:
    world = _world(tmp_path)
    text = world.allowed("SELECT currval(pg_get_serial_sequence('orders', 'id'))", "wes").text
    assert """'"shop"."orders"'""" in text
    assert world.refused("SELECT currval(pg_get_serial_sequence('orders', 'total'))", "wes")[0] == "42501"
    assert world.refused("SELECT currval(pg_get_serial_sequence('salaries', 'id'))", "wes")[0] == "42501"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT nextval('customers')",
        "SELECT nextval($1)",
        "SELECT nextval('orders_id' || '_seq')",
        "SELECT nextval(111)",
        "SELECT nextval('111')",
        "SELECT nextval(lower('orders_id_seq'))",
        "SELECT ('shop.orders_id_seq'::regclass).nextval",
        "SELECT setval('orders_id_seq', 1)",
        "SELECT nextval(regclass_name) FROM (SELECT 'orders_id_seq'::regclass AS regclass_name) x",
    ],
)
def test_other_forms_are_refused(tmp_path: Path, sql: str) -> None:
    assert _world(tmp_path).refused(sql, "wes")[0] == "42501"


def test_it_takes_the_insert_grant_and_a_visible_column(tmp_path: Path) -> None:
    sql = "SELECT nextval('orders_id_seq')"
    assert _world(tmp_path).refused("SELECT nextval('nothing')", "wes")[0] == "42P01"
    assert _world(tmp_path, POLICY.replace("[select, insert, ", "[select, ")).refused(sql, "wes")[0] == "42501"
    assert _world(tmp_path, owned_by=None).refused(sql, "wes")[0] == "42501"
    assert _world(tmp_path, owned_by=(104, "id")).refused(sql, "wes")[0] == "42501"  # salaries are blocked
    assert _world(tmp_path, owned_by=(103, "card_number")).refused(sql, "wes")[0] == "42501"
    assert _world(tmp_path, owned_by=(101, "email")).refused(sql, "wes")[0] == "42501"
    named = POLICY.replace('allow: ["shop.*"', 'allow: [shop.orders_id_seq, "shop.*"')
    _world(tmp_path, named, owned_by=None).allowed(sql, "wes")
    blocked = POLICY.replace("block: [shop.salaries]", "block: [shop.salaries, shop.orders_id_seq]")
    assert _world(tmp_path, blocked).refused(sql, "wes")[0] == "42501"
