"""SET, RESET, SHOW and set_config: what they do to the search_path, and which settings stay as they are."""

import pytest

from policies.compile.rules.settings import identifiers_of
from policies.decision import ALL_NAMES, NO_EFFECT, Effect
from tests.compile_world import World


@pytest.mark.parametrize(
    ("sql", "effect"),
    [
        ("SET search_path TO shop, public", Effect(search_path=("shop", "public"))),
        ("SET SESSION search_path = Shop", Effect(search_path=("shop",))),
        ("SET search_path = 'a, b'", Effect(search_path=("a, b",))),
        ("SET search_path = ''", Effect(search_path=())),
        ("SET SCHEMA 'shop'", Effect(search_path=("shop",))),
        ("SET LOCAL search_path TO public", Effect(search_path=("public",), is_local=True)),
        ("SET LOCAL search_path TO DEFAULT", Effect(resets_search_path=True, is_local=True)),
        ("SET search_path FROM CURRENT", Effect(search_path=("shop", "public"))),
        ("RESET search_path", Effect(resets_search_path=True)),
        ("RESET ALL", Effect(resets_search_path=True)),
        ("SELECT pg_catalog.set_config('search_path', '', false)", Effect(search_path=())),
        ("SELECT set_config('Search_Path', 'A, \"B\"', true) AS x", Effect(search_path=("a", "B"), is_local=True)),
        ("SELECT set_config('search_path'::text, 'shop'::text, false)", Effect(search_path=("shop",))),
        ("DISCARD TEMP", Effect(discards_temporary=True)),
        ("DISCARD PLANS", NO_EFFECT),
        ("DISCARD SEQUENCES", NO_EFFECT),
        ("SAVEPOINT a", Effect(savepoint="a")),
        ('ROLLBACK TO SAVEPOINT "A b"', Effect(savepoint="A b")),
        ("RELEASE a", Effect(savepoint="a")),
        ("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY, NOT DEFERRABLE", NO_EFFECT),
        ("START TRANSACTION", NO_EFFECT),
        ("COMMIT AND CHAIN", Effect(is_chained=True)),
        ("ROLLBACK AND CHAIN", Effect(is_chained=True)),
        ("COMMIT AND NO CHAIN", NO_EFFECT),
        ("SET LOCAL lock_timeout = '1s'", NO_EFFECT),
        ("SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE", NO_EFFECT),
        ("SET TIME ZONE -7.5", NO_EFFECT),
        ("SET LOCAL TIME ZONE LOCAL", NO_EFFECT),
        ("RESET ROLE", NO_EFFECT),
        ("SET SESSION AUTHORIZATION DEFAULT", NO_EFFECT),
        ("RESET SESSION AUTHORIZATION", NO_EFFECT),
        ("SET plan_cache_mode = force_custom_plan", NO_EFFECT),
        ("SET row_security = off", NO_EFFECT),  # it makes errors of what a policy of the server would filter
    ],
)
def test_effects(world: World, sql: str, effect: Effect) -> None:
    decision = world.allowed(sql)
    assert decision.text == sql
    assert decision.plans[0].effect == effect


def test_discard_all_forgets_every_name(world: World) -> None:
    effect = world.allowed("DISCARD ALL").plans[0].effect
    assert (effect.closes_cursor, effect.forgets_prepared) == (ALL_NAMES, ALL_NAMES)
    assert (effect.resets_search_path, effect.discards_temporary, effect.discards) == (True, True, True)


def test_a_path_counts_for_the_statements_behind_it(world: World) -> None:
    assert world.refused("SET search_path TO public; SELECT id FROM other") == ("42501", "analysts/tables.allow")
    text = world.allowed("SET search_path TO public; RESET search_path; SELECT id FROM orders").text
    assert text.endswith('SELECT id FROM "shop".orders')
    assert world.refused("SELECT set_config('search_path', 'public', false); SELECT id FROM orders")[0] == "42P01"


@pytest.mark.parametrize(
    "call",
    [
        "'search_path', 'x', false) FROM orders",
        "'search_path', 'x', false) WHERE true",
        "'search_path', 'x', false) LIMIT 1",
        "'search_path', 'x', false), 1",
        "'search_path', 'x', false) UNION SELECT 'a'",
        "'search_path', $1, false)",
        "'search_path', 'x', $1)",
        "'search_path', lower('X'), false)",
        "'search_path', 'x,', false)",
        "'search_path', 'pg_temp, x', false)",
        "'search_path', 'x, PG_CATALOG', false)",
        "'search_' || 'path', 'x', false)",
        "is_local => false, setting_name => 'search_path', new_value => 'x')",
    ],
)
def test_a_path_that_can_not_be_followed_is_refused(world: World, call: str) -> None:
    assert world.refused(f"SELECT set_config({call}") == ("42501", "pgwarden/settings")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM (SELECT set_config('search_path', 'x', false)) s",
        "WITH s AS (SELECT set_config('search_path', 'x', false)) SELECT * FROM s",
        "SELECT 1 WHERE set_config('search_path', 'x', false) = 'x'",
        "EXPLAIN ANALYZE SELECT set_config('search_path', 'x', false)",
        "VALUES (set_config('search_path', 'x', false))",
    ],
)
def test_a_path_moved_inside_a_statement_is_refused(world: World, sql: str) -> None:
    assert world.refused(sql) == ("42501", "pgwarden/settings")


@pytest.mark.parametrize(
    "sql",
    [
        "SET ROLE NONE",
        "SET LOCAL ROLE postgres",
        "SET SESSION ROLE 'x'",
        "SET LOCAL SESSION AUTHORIZATION postgres",
        "SET session_authorization = postgres",
        "SET standard_conforming_strings TO off",
        "SET LOCAL standard_conforming_strings = 'of'",
        "SET backslash_quote = on",
        "RESET backslash_quote",
        "SET NAMES 'LATIN1'",
        "SET client_encoding = SQL_ASCII",
        "SET DateStyle TO SQL, DMY",
        "SET LOCAL DateStyle = 'Postgres'",
        "SET default_tablespace = x",
        "SET temp_tablespaces = x",
        "SET default_table_access_method = x",
        "SET transform_null_equals = on",
        "SET session_replication_role = replica",
        "SET array_nulls = off",
        "SET plan_cache_mode = x",
        "SET check_function_bodies = off",
        "SET work_mem = '10GB'",
        "SET shop.anything = 'x'",
        "SET role FROM CURRENT",
        "SHOW ALL",
        "SHOW shared_preload_libraries",
    ],
)
def test_what_changes_the_meaning_of_statements_is_refused(world: World, sql: str) -> None:
    assert world.refused(sql) == ("42501", "pgwarden/settings")


@pytest.mark.parametrize("sql", ["SHOW search_path", "SHOW TIME ZONE", "SHOW TRANSACTION ISOLATION LEVEL"])
def test_settings_that_are_shown(world: World, sql: str) -> None:
    assert world.allowed(sql).plans[0].effect == NO_EFFECT


@pytest.mark.parametrize(
    "sql", ["PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'", "SET TRANSACTION SNAPSHOT 'x'"]
)
def test_two_phase_commit_and_others_snapshots_are_refused(world: World, sql: str) -> None:
    assert world.refused(sql)[0] == "42501"


def test_lists_of_names_read_as_the_server_reads_them() -> None:
    assert identifiers_of(' a, B ,"C d","e""f"') == ("a", "b", "C d", 'e"f')
    assert identifiers_of("") == ()
    for broken in (None, "a,", ",a", "a b", '"a"b', '"a'):
        assert identifiers_of(broken) is None, broken
