"""DECLARE, FETCH, MOVE and CLOSE: masks at the source, and names that the session can follow."""

from pathlib import Path

import pytest

from policies.decision import ALL_NAMES, Effect
from tests.compile_world import World

POLICY = """
principals:
  - {user: ada, roles: [cursor], attributes: {tenant_id: 1}}
  - {user: bo, roles: [reader], attributes: {tenant_id: 1}}
  - {user: cy, roles: [opener], attributes: {tenant_id: 1}}
policies:
  - name: data
    subjects: {any: true}
    tables: {allow: ["shop.*"], block: [shop.salaries]}
    rows: [{table: shop.customers, filter: "tenant_id = {tenant_id}"}]
    columns: {block: [shop.payments.card_number]}
    masks: [{column: shop.customers.email, mask: {kind: email}}]
    limits: {rows: 100}
  - {name: cursor, subjects: {roles: [cursor]}, statements: [select, cursor]}
  - {name: reader, subjects: {roles: [reader]}, statements: [select]}
  - {name: opener, subjects: {roles: [opener]}, statements: [cursor]}
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, POLICY)


@pytest.mark.parametrize(
    "options",
    [
        "CURSOR",
        "BINARY CURSOR",
        "INSENSITIVE CURSOR",
        "ASENSITIVE CURSOR",
        "SCROLL CURSOR",
        "NO SCROLL CURSOR",
        "BINARY INSENSITIVE SCROLL CURSOR",
        "CURSOR WITHOUT HOLD",
    ],
)
def test_a_cursors_masks_are_at_the_source(world: World, options: str) -> None:
    decision = world.allowed(f"DECLARE c {options} FOR SELECT id, email FROM customers")
    (plan,) = decision.plans
    assert decision.text.startswith(f"DECLARE c {options} FOR SELECT id, email FROM  (SELECT ")
    assert 'AS "email"' in decision.text
    assert plan.column_masks == ()
    assert (plan.command, plan.is_guarded, plan.masked_columns) == ("declare", True, ("shop.customers.email",))
    assert plan.effect == Effect(opens_cursor="c")


def test_with_hold_is_told_to_the_session(world: World) -> None:
    plan = world.allowed('DECLARE "My Cursor" SCROLL CURSOR WITH HOLD FOR VALUES (1), (2)').plans[0]
    assert plan.effect == Effect(opens_cursor="My Cursor", is_holdable=True)


@pytest.mark.parametrize("verb", ["FETCH", "MOVE"])
@pytest.mark.parametrize(
    "direction",
    ["", "NEXT FROM", "PRIOR IN", "FIRST FROM", "LAST FROM", "ABSOLUTE -3 FROM", "RELATIVE 0 FROM", "7", "ALL FROM"]
    + ["FORWARD FROM", "FORWARD 5 FROM", "FORWARD ALL FROM", "BACKWARD FROM", "BACKWARD 5 IN", "BACKWARD ALL FROM"],
)
def test_every_direction_reads_the_cursor(world: World, verb: str, direction: str) -> None:
    sql = f"{verb} {direction} C"
    decision = world.allowed(sql)
    (plan,) = decision.plans
    assert (decision.text, plan.command, plan.effect) == (sql, verb.lower(), Effect(reads_cursor="c"))
    assert (plan.is_guarded, plan.limits.rows) == (True, 100)


def test_close_needs_no_grant(world: World) -> None:
    assert world.allowed("CLOSE c", "bo").plans[0].effect == Effect(closes_cursor="c")
    assert world.allowed("CLOSE ALL", "bo").plans[0].effect == Effect(closes_cursor=ALL_NAMES)
    assert world.allowed('CLOSE "all"', "bo").plans[0].effect == Effect(closes_cursor="all")


@pytest.mark.parametrize(
    ("sql", "user", "rule"),
    [
        ("DECLARE c CURSOR FOR SELECT 1", "bo", "reader/statements"),
        ("DECLARE c CURSOR FOR SELECT 1", "cy", "opener/statements"),
        ("FETCH c", "bo", "reader/statements"),
        ("MOVE c", "bo", "reader/statements"),
        ("DECLARE c CURSOR FOR SELECT * FROM salaries", "ada", "data/tables.block[0]"),
        ("DECLARE c CURSOR FOR SELECT card_number FROM payments", "ada", "data/columns.block[0]"),
        ("DECLARE c CURSOR FOR SELECT pg_read_file('x')", "ada", "pgwarden/functions"),
        ("DECLARE c CURSOR FOR SELECT id FROM customers FOR UPDATE", "ada", "cursor/statements"),
        ("DECLARE c CURSOR FOR SELECT set_config('search_path', 'x', false)", "ada", "pgwarden/settings"),
    ],
)
def test_what_a_cursor_may_not_read(world: World, sql: str, user: str, rule: str) -> None:
    assert world.refused(sql, user) == ("42501", rule)


def test_a_cursor_has_no_into(world: World) -> None:
    assert world.refused("DECLARE c CURSOR FOR SELECT 1 INTO x") == ("0A000", "pgwarden/nodes")


def test_names_that_another_encoding_could_change_are_refused(world: World) -> None:
    """In LATIN1 the server folds É and keeps 63 letters of a name whose UTF-8 is cut in the middle."""
    for name in ("É", '"É"', '"' + "é" * 31 + '"'):
        assert world.refused(f"FETCH {name}") == ("0A000", "pgwarden/names")
    assert world.refused("DECLARE " + "a" * 61 + "€ CURSOR FOR SELECT 1") == ("0A000", "pgwarden/names")
    assert world.allowed("DECLARE \"My C\" CURSOR FOR SELECT 'ż'").plans[0].effect == Effect(opens_cursor="My C")
    assert world.allowed("FETCH żółw").plans[0].effect == Effect(reads_cursor="żółw")
    assert world.allowed("FETCH " + "a" * 70).plans[0].effect == Effect(reads_cursor="a" * 63)
