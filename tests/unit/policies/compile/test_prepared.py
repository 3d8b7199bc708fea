"""SQL PREPARE, EXECUTE and DEALLOCATE."""

from pathlib import Path

import pytest

from policies.decision import ALL_NAMES, Effect
from tests.compile_world import World

POLICY = """
principals:
  - {user: ada, roles: [preparer], attributes: {tenant_id: 1}}
  - {user: bo, roles: [reader], attributes: {tenant_id: 1}}
policies:
  - name: data
    subjects: {any: true}
    tables: {allow: ["shop.*"], block: [shop.salaries]}
    rows: [{table: shop.customers, filter: "tenant_id = {tenant_id}"}]
    masks: [{column: shop.customers.email, mask: {kind: email}}]
    functions: {allow: [shop.safe_report]}
    limits: {rows: 100}
  - {name: preparer, subjects: {roles: [preparer]}, statements: [select, insert, update, delete, prepare, temp_tables]}
  - {name: reader, subjects: {roles: [reader]}, statements: [select]}
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, POLICY)


def test_a_prepared_querys_masks_are_at_the_source(world: World) -> None:
    decision = world.allowed("PREPARE Q (int, numeric(10, 2)) AS SELECT id, email FROM customers WHERE id = $1")
    (plan,) = decision.plans
    assert 'AS "email"' in decision.text
    assert plan.column_masks == ()
    assert (plan.command, plan.is_guarded, plan.effect) == ("prepare", True, Effect(prepares="q"))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("VALUES (1, $1)", "VALUES (1, $1)"),
        ("TABLE orders", 'TABLE "shop".orders'),
        ("(SELECT id FROM orders)", '(SELECT id FROM "shop".orders)'),
        ("WITH a AS (SELECT 1) SELECT * FROM a", "WITH a AS (SELECT 1) SELECT * FROM a"),
    ],
)
def test_forms_of_queries(world: World, query: str, text: str) -> None:
    assert world.allowed(f'PREPARE "as" AS {query}').text == f'PREPARE "as" AS {text}'


@pytest.mark.parametrize("arguments", ["", "(1)", "(1, now(), lower('X'), $1 + 2)", "(current_setting('timezone'))"])
def test_execute_runs_what_was_decided(world: World, arguments: str) -> None:
    decision = world.allowed(f"EXECUTE q{arguments}")
    (plan,) = decision.plans
    assert (decision.text, plan.command) == (f"EXECUTE q{arguments}", "execute")
    assert (plan.is_guarded, plan.limits.rows, plan.effect) == (True, 100, Effect(executes="q"))


@pytest.mark.parametrize(
    "argument",
    [
        "pg_read_file('x')",
        "evil(1)",
        "set_config('search_path', 'x', false)",
        "set_config('role', 'x', false)",
        "current_setting('data_directory')",
        "(SELECT max(amount) FROM salaries)",
        "'a' <~~> 'b'",
        "('x'::text).pg_read_file",
    ],
)
def test_arguments_are_held_against_the_rules(world: World, argument: str) -> None:
    assert world.refused(f"EXECUTE q(1, {argument})")[0] == "42501"


@pytest.mark.parametrize(
    "argument",
    ["(SELECT id FROM orders)", "(SELECT email FROM customers)", "current_setting($1)", "pg_get_viewdef(1::oid)"],
)
def test_arguments_that_a_guard_would_have_to_change_are_refused(world: World, argument: str) -> None:
    assert world.refused(f"EXECUTE q({argument})") == ("0A000", "pgwarden/expressions")


def test_deallocate_needs_no_grant(world: World) -> None:
    assert world.allowed("DEALLOCATE q", "bo").plans[0].effect == Effect(forgets_prepared="q")
    assert world.allowed("DEALLOCATE PREPARE q", "bo").plans[0].effect == Effect(forgets_prepared="q")
    for sql in ("DEALLOCATE ALL", "DEALLOCATE PREPARE ALL"):
        assert world.allowed(sql, "bo").plans[0].effect == Effect(forgets_prepared=ALL_NAMES)


@pytest.mark.parametrize("sql", ["PREPARE q AS SELECT 1", "EXECUTE q"])
def test_the_grant_decides(world: World, sql: str) -> None:
    assert world.refused(sql, "bo") == ("42501", "reader/statements")


def test_the_statement_inside_needs_its_own_grant(world: World) -> None:
    assert world.refused("PREPARE q AS SELECT * FROM salaries") == ("42501", "data/tables.block[0]")
    assert world.refused("PREPARE q AS MERGE INTO orders USING payments ON true WHEN MATCHED THEN DELETE")[0] == "42501"
    assert world.refused("PREPARE q AS SELECT set_config('search_path', 'x', false)")[0] == "42501"


@pytest.mark.parametrize("sql", ["EXPLAIN EXECUTE q", "EXPLAIN ANALYZE EXECUTE q", "CREATE TEMP TABLE x AS EXECUTE q"])
def test_execute_inside_another_statement_is_refused(world: World, sql: str) -> None:
    assert world.refused(sql)[0] in ("0A000", "42501")


def test_rows_that_must_be_checked_are_not_written_by_a_prepared_statement(world: World) -> None:
    """The check is a column that only this statement's own rows could hide."""
    refusal = world.decide("PREPARE q AS INSERT INTO customers (id, tenant_id) VALUES ($1, $2)").refusal
    assert refusal is not None
    assert (refusal.sqlstate, refusal.rule) == ("0A000", "pgwarden/writes")
    assert refusal.message == "the rows that this INSERT writes can't be checked inside PREPARE"
    decision = world.allowed("PREPARE q (int) AS UPDATE orders SET total = 1 WHERE id = $1 RETURNING id")
    assert decision.text == 'PREPARE q (int) AS UPDATE "shop".orders SET total = 1 WHERE id = $1 RETURNING id'
    assert decision.plans[0].effect == Effect(prepares="q")
    decision = world.allowed("PREPARE q AS DELETE FROM customers WHERE id = $1 RETURNING email")
    assert "tenant_id" in decision.text
    assert decision.plans[0].is_guarded


def test_parameters_have_types_too(world: World) -> None:
    """`($1).*` would list the columns of a hidden table."""
    assert world.refused("PREPARE p (int, shop.salaries) AS SELECT $1")[1] == "pgwarden/types"
    world.allowed("PREPARE p (int, shop.status) AS SELECT $1")


def test_declared_parameters_are_fenced_like_casts(world: World) -> None:
    query = "AS SELECT id FROM customers WHERE balance > $1"
    assert "OFFSET 0" not in world.allowed(f"PREPARE p(numeric) {query}").text
    assert "OFFSET 0" in world.allowed(f"PREPARE p(float8) {query}").text
