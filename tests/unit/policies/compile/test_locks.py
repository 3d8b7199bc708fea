"""LOCK TABLE."""

from pathlib import Path

import pytest

from tests.compile_world import World

POLICY = """
principals:
  - {user: ada, roles: [reader], attributes: {tenant_id: 1}}
  - {user: eve, roles: [inserter], attributes: {tenant_id: 1}}
  - {user: dan, roles: [definer], attributes: {tenant_id: 1}}
policies:
  - name: data
    subjects: {any: true}
    tables: {allow: ["shop.*", "pg_catalog.*"], block: [shop.salaries]}
    rows:
      - {table: shop.customers, filter: "tenant_id = {tenant_id}"}
      - {table: shop.events_2024, filter: "tenant_id = {tenant_id}"}
  - {name: reader, subjects: {roles: [reader]}, statements: [select]}
  - {name: inserter, subjects: {roles: [inserter]}, statements: [insert]}
  - {name: definer, subjects: {roles: [definer]}, statements: [ddl]}
"""
MODES = ("ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE")
MODES = (*MODES, "EXCLUSIVE", "ACCESS EXCLUSIVE")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, POLICY)


def test_relations_are_resolved_and_qualified(world: World) -> None:
    decision = world.allowed("LOCK TABLE customers, ONLY orders, shop.payments *, events IN ACCESS SHARE MODE NOWAIT")
    assert decision.text == (
        'LOCK TABLE "shop".customers, ONLY "shop".orders, shop.payments *, "shop".events IN ACCESS SHARE MODE NOWAIT'
    )
    assert decision.plans[0].tables == ("shop.customers", "shop.events", "shop.orders", "shop.payments")


@pytest.mark.parametrize(("mode", "number"), [(mode, number) for number, mode in enumerate(MODES, 1)])
def test_each_mode_has_its_grant(world: World, mode: str, number: int) -> None:
    allowed = {user for user in ("ada", "eve", "dan") if not world.decide(f"LOCK orders IN {mode} MODE", user).refusal}
    assert allowed == ({"ada"} if number == 1 else {"eve"} if number <= 3 else {"dan"})


@pytest.mark.parametrize(
    ("sql", "user", "sqlstate"),
    [
        ("LOCK orders", "ada", "42501"),
        ("LOCK orders, salaries IN ACCESS SHARE MODE", "ada", "42501"),
        ("LOCK pay IN ACCESS SHARE MODE", "ada", "42501"),
        ("LOCK nothing IN ACCESS SHARE MODE", "ada", "42P01"),
        ("LOCK public.other IN ACCESS SHARE MODE", "ada", "42501"),
        ("LOCK pg_class", "dan", "42501"),
        ("LOCK events", "dan", "0A000"),
    ],
)
def test_what_can_not_be_locked(world: World, sql: str, user: str, sqlstate: str) -> None:
    assert world.refused(sql, user)[0] == sqlstate
