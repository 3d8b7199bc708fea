"""EXPLAIN: of statements over open tables, with the grants of what is explained."""

from pathlib import Path

import pytest

from tests.compile_world import World

POLICY = """
principals: [{user: ada, roles: [writer]}, {user: bo, roles: [reader]}, {user: cy, roles: [explainer]}]
policies:
  - name: data
    subjects: {any: true}
    tables: {allow: ["shop.*"], block: [shop.salaries]}
    columns: {block: [shop.payments.card_number]}
    rows: [{table: shop.customers, filter: "tenant_id = 1"}]
  - {name: writer, subjects: {roles: [writer]}, statements: [select, explain, insert, update, delete, merge]}
  - {name: reader, subjects: {roles: [reader]}, statements: [select, explain]}
  - {name: explainer, subjects: {roles: [explainer]}, statements: [explain]}
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, POLICY)


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("EXPLAIN SELECT id FROM orders", 'EXPLAIN SELECT id FROM "shop".orders'),
        ("EXPLAIN ANALYZE VERBOSE SELECT 1", "EXPLAIN ANALYZE VERBOSE SELECT 1"),
        ("EXPLAIN (ANALYZE, FORMAT json) TABLE orders", 'EXPLAIN (ANALYZE, FORMAT json) TABLE "shop".orders'),
        ("EXPLAIN (SELECT id FROM orders)", 'EXPLAIN (SELECT id FROM "shop".orders)'),
        ("EXPLAIN (VERBOSE) (VALUES (1))", "EXPLAIN (VERBOSE) (VALUES (1))"),
        ("EXPLAIN DELETE FROM orders WHERE id = 1", 'EXPLAIN DELETE FROM "shop".orders WHERE id = 1'),
        ("EXPLAIN ANALYZE UPDATE orders SET total = 1", 'EXPLAIN ANALYZE UPDATE "shop".orders SET total = 1'),
        ("EXPLAIN INSERT INTO orders DEFAULT VALUES", 'EXPLAIN INSERT INTO "shop".orders DEFAULT VALUES'),
        ("EXPLAIN WITH a AS (SELECT 1) SELECT * FROM a", "EXPLAIN WITH a AS (SELECT 1) SELECT * FROM a"),
    ],
)
def test_statements_over_open_tables(world: World, sql: str, text: str) -> None:
    decision = world.allowed(sql)
    assert (decision.text, decision.plans[0].command) == (text, "explain")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM customers",
        "SELECT 1 FROM orders WHERE EXISTS (SELECT FROM payments)",
        "SELECT * FROM contacts",
        "UPDATE customers SET name = 'x'",
        "DELETE FROM customers",
        "DELETE FROM orders USING customers",
        "INSERT INTO orders (id) SELECT id FROM customers",
        "INSERT INTO payments (id) VALUES (1)",
        "SELECT relname FROM pg_class",
        "SELECT pg_get_viewdef(1::oid)",
    ],
)
@pytest.mark.parametrize("options", ["", "ANALYZE ", "(ANALYZE, VERBOSE) "])
def test_what_a_plan_would_tell_stays_hidden(world: World, options: str, query: str) -> None:
    sqlstate, rule = world.refused(f"EXPLAIN {options}{query}")
    assert (sqlstate, rule) == ("42501", "pgwarden/explain")


def test_what_is_explained_needs_its_own_grant(world: World) -> None:
    assert world.refused("EXPLAIN ANALYZE DELETE FROM orders", "bo") == ("42501", "reader/statements")
    assert world.refused("EXPLAIN SELECT id FROM orders", "cy") == ("42501", "explainer/statements")
    assert world.refused("EXPLAIN SELECT * FROM salaries") == ("42501", "data/tables.block[0]")
