"""Types that are declared for parameters count like those in the text."""

from dataclasses import replace

import pytest

from policies.catalog import Namespace
from policies.compile.parameter_types import that_matter
from policies.decision import Decision
from tests.compile_world import World

BIG, ROW_OF_SALARIES = 20, 30_001


def decide(world: World, sql: str, *types: int) -> Decision:
    path = ("shop", "public")
    namespace = Namespace(path, path, parameter_types=that_matter(types))
    return world.compiler.decide(sql, world.effective("ada"), world.catalog, namespace)


def test_only_types_that_rules_look_at_are_kept() -> None:
    assert that_matter((23, 25, 0, 1700)) == ()
    assert that_matter((701, 26, 701, 30_001)) == (26, 701, 30_001)


@pytest.mark.parametrize("type_oid", [701, 700])
def test_a_float_beside_a_numeric_is_fenced(world: World, type_oid: int) -> None:
    sql = "SELECT id FROM customers WHERE balance > $1"
    assert "OFFSET 0" not in decide(world, sql, 1700).text
    assert "OFFSET 0" in decide(world, sql, type_oid).text


def test_an_oid_beside_an_int8_is_fenced(world: World) -> None:
    customers = world.catalog.find("shop", "customers")
    assert customers is not None
    columns = tuple(replace(c, type_oid=BIG) if c.name == "tenant_id" else c for c in customers.columns)
    relations = (replace(customers, columns=columns), *(r for r in world.catalog.relations if r is not customers))
    world.catalog = replace(world.catalog, relations=relations)
    sql = "SELECT id FROM customers WHERE tenant_id = $1"
    assert "OFFSET 0" not in decide(world, sql, BIG).text
    assert "OFFSET 0" in decide(world, sql, 26).text


def test_the_row_type_of_a_hidden_table_is_refused_by_number(world: World) -> None:
    world.catalog = replace(world.catalog, version=2, type_names={ROW_OF_SALARIES: ("shop", "salaries")})
    refusal = decide(world, "SELECT ($1).*", ROW_OF_SALARIES).refusal
    assert refusal is not None
    assert refusal.rule == "pgwarden/types"
    assert decide(world, "SELECT $1", 30_002).refusal is None


def test_a_type_that_runs_a_function_is_refused_by_number(world: World) -> None:
    functions = {"pair": frozenset({("public", "evil")})}
    world.catalog = replace(world.catalog, version=3, type_names={30_003: ("shop", "pair")}, type_functions=functions)
    refusal = decide(world, "SELECT $1", 30_003).refusal
    assert refusal is not None
    assert refusal.sqlstate == "42501"
