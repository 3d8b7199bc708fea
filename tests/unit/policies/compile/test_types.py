"""Row types: a hidden relation's tells nothing, whatever way its name is written."""

from __future__ import annotations

import pytest

from tests.compile_world import POLICY, World


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT (NULL::shop.salaries).*",
        "SELECT (NULL::salaries).*",
        "SELECT CAST(NULL AS salaries)",
        "SELECT NULL::shop.salaries[]",
        "SELECT NULL::_salaries",
        "SELECT * FROM json_populate_record(NULL::shop.salaries, '{}')",
        "SELECT * FROM json_to_record('{}') AS r(a shop.salaries)",
        "SELECT (SELECT (NULL::pay).*)",
        "SELECT (NULL::shop.payments).*",
    ],
)
def test_refused(world: World, sql: str) -> None:
    assert world.refused(sql) == ("42501", "pgwarden/types")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT (NULL::shop.orders).id",
        "SELECT (NULL::customers).email",
        "SELECT NULL::contacts",
        "SELECT NULL::pg_catalog.pg_class",
        "SELECT '1'::int, 'x'::text, NULL::numeric(5, 2)[]",
        "SELECT NULL::public.salaries",
        "SELECT NULL::unknown_type",
    ],
)
def test_allowed(world: World, sql: str) -> None:
    world.allowed(sql)


def test_columns_of_new_tables(tmp_path_factory: pytest.TempPathFactory) -> None:
    policy = POLICY.replace("[select, explain]", "[select, explain, temp_tables, ddl]")
    world = World(tmp_path_factory.mktemp("types"), policy)
    for sql in (
        "CREATE TEMP TABLE x (a shop.salaries)",
        "CREATE TABLE x (a salaries[])",
        "ALTER TABLE orders ADD a pay",
        "ALTER TABLE orders ALTER id TYPE salaries",
        "CREATE TYPE c AS (a payments)",
    ):
        assert world.refused(sql) == ("42501", "pgwarden/types")
    world.allowed("CREATE TEMP TABLE x (a shop.orders)")
