"""CALL and DO."""

from pathlib import Path

import pytest

from tests.compile_world import World

POLICY = """
principals:
  - {user: ada, roles: [caller]}
  - {user: max, roles: [all]}
  - {user: dora, roles: [doer]}
  - {user: both, roles: [doer, all]}
policies:
  - name: data
    subjects: {any: true}
    tables: {allow: ["shop.*"], block: [shop.salaries]}
    functions: {allow: [shop.safe_report]}
    limits: {runtime: 5s}
  - {name: caller, subjects: {roles: [caller]}, statements: [call]}
  - {name: everything, subjects: {roles: [all]}, statements: [all]}
  - {name: doer, subjects: {roles: [doer]}, statements: [select, do]}
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, POLICY)


@pytest.mark.parametrize(
    "call",
    ["shop.safe_report()", "safe_report(1, 'a')", "shop.safe_report(x => now())", "safe_report($1, NULL)"],
)
@pytest.mark.parametrize("user", ["ada", "max"])
def test_a_procedure_that_a_policy_names_runs(world: World, call: str, user: str) -> None:
    decision = world.allowed(f"CALL {call}", user)
    (plan,) = decision.plans
    assert (decision.text, plan.command) == (f"CALL {call}", "call")
    assert (plan.is_guarded, plan.limits.runtime_s) == (True, 5.0)


@pytest.mark.parametrize(
    "call",
    [
        "evil()",
        "public.evil()",
        "shop.other()",
        "pg_catalog.safe_report()",
        "shop.safe_report(pg_read_file('x'))",
        "shop.safe_report(x => evil(1))",
        "shop.safe_report(set_config('search_path', 'x', false))",
        "shop.safe_report((SELECT max(amount) FROM salaries))",
    ],
)
def test_other_procedures_and_arguments_are_refused(world: World, call: str) -> None:
    assert world.refused(f"CALL {call}")[0] == "42501"


def test_a_subquery_is_no_argument(world: World) -> None:
    assert world.refused("CALL shop.safe_report((SELECT id FROM orders))") == ("0A000", "pgwarden/expressions")


def test_call_needs_its_grant(world: World) -> None:
    assert world.refused("CALL shop.safe_report()", "dora") == ("42501", "doer/statements")


def test_do_runs_only_where_it_is_listed_by_name(world: World) -> None:
    """Its body is a program of the client's own: `all` under a narrow policy must not let it through."""
    sql = "DO $$ BEGIN PERFORM 1; END $$"
    (plan,) = world.allowed(sql, "dora").plans
    assert (plan.command, plan.is_guarded, plan.is_ddl) == ("do", True, True)
    assert world.refused(sql, "ada") == ("42501", "caller/statements")
    assert world.refused(sql, "max") == ("42501", "everything/statements")
    assert world.refused(sql, "both") == ("42501", "everything/statements")
