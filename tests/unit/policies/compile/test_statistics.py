"""Where a pattern may fail, guards give the planner no column that statistics are kept of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.compile_world import World

BLIND = 'CASE WHEN "name" IS NULL THEN "name" ELSE "name" END AS "name"'


@pytest.mark.parametrize(
    "condition",
    [r"name LIKE 'x%\'", "name LIKE $1", "name ILIKE tags[1]", "name LIKE ANY ($1)", "name ~~ $1", "like(name, $1)"],
)
def test_a_pattern_that_may_fail_sees_expressions_only(world: World, condition: str) -> None:
    text = world.allowed(f"SELECT id FROM customers WHERE {condition}").text
    assert BLIND in text
    assert 'SELECT "id", ' in text  # numbers match no pattern


@pytest.mark.parametrize("condition", [r"name LIKE 'x\\y'", "name LIKE 'x%' AND id / 2 = 1", "name ~ $1", "name = $1"])
def test_others_keep_their_estimates(world: World, condition: str) -> None:
    assert BLIND not in world.allowed(f"SELECT id FROM customers WHERE {condition}").text


def test_types_of_extensions_have_patterns_too(world: World) -> None:
    """citext's LIKE is C code of its extension, which the planner tries like that of text."""
    relation = world.catalog.by_oid[101]
    citext = tuple(replace(c, type_oid=20_002) if c.name == "name" else c for c in relation.columns)
    relations = tuple(replace(r, columns=citext) if r.oid == 101 else r for r in world.catalog.relations)
    world.catalog = replace(world.catalog, version=2, relations=relations)
    assert BLIND in world.allowed("SELECT id FROM customers WHERE name LIKE $1").text


def test_catalogs_stand_behind_a_set_operation(world: World) -> None:
    assert " UNION ALL SELECT * FROM (" in world.allowed("SELECT 1 FROM pg_class WHERE relname LIKE $1").text
    assert " UNION ALL " not in world.allowed("SELECT 1 FROM pg_class WHERE relname LIKE 'x%'").text


@pytest.mark.parametrize("operator", ["@?", "@@"])
def test_a_jsonpath_may_fail_on_a_variable(world: World, operator: str) -> None:
    """Under a guard without statistics: a condition that fails where a value leads to `$nope`."""
    relation = world.catalog.by_oid[101]
    jsonb = tuple(replace(c, type_oid=3802) if c.name == "name" else c for c in relation.columns)
    relations = tuple(replace(r, columns=jsonb) if r.oid == 101 else r for r in world.catalog.relations)
    world.catalog = replace(world.catalog, version=2, relations=relations)
    assert BLIND in world.allowed(f"SELECT id FROM customers WHERE name {operator} '$ ? (@ == $nope)'").text


def test_composites_are_compared_field_by_field(world: World) -> None:
    relation = world.catalog.by_oid[101]
    for is_enum in (False, True):
        made = tuple(replace(c, type_oid=20_003, is_enum=is_enum) if c.name == "name" else c for c in relation.columns)
        relations = tuple(replace(r, columns=made) if r.oid == 101 else r for r in world.catalog.relations)
        world.catalog = replace(world.catalog, version=world.catalog.version + 1, relations=relations)
        assert (BLIND in world.allowed("SELECT id FROM customers WHERE name = $1").text) is not is_enum
