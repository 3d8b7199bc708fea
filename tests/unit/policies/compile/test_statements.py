"""Kinds of statements: what needs a grant, what needs none, what isn't built."""

import time

import pytest

from policies.decision import Effect
from tests.compile_world import World


@pytest.mark.parametrize(
    "sql",
    [
        "BEGIN",
        "START TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY",
        "COMMIT AND CHAIN",
        "ROLLBACK TO s",
        "SAVEPOINT s",
        "RELEASE s",
        "SET application_name = 'x'",
        "SET TIME ZONE 'UTC'",
        "SET LOCAL statement_timeout = 100",
        "SET client_encoding TO 'UTF8'",
        "SET standard_conforming_strings = on",
        "SET datestyle TO iso, mdy",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SHOW server_version",
        "SHOW transaction_isolation",
        "RESET ALL",
        "DISCARD ALL",
        "DEALLOCATE ALL",
        "CLOSE ALL",
        "UNLISTEN *",
        "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;",
    ],
)
def test_harmless_statements_need_no_grant(world: World, sql: str) -> None:
    world.allowed(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "SET standard_conforming_strings = off",
        "SET client_encoding = 'SJIS'",
        "SET client_encoding TO DEFAULT; SET backslash_quote = on",
        "SET datestyle = 'German'",
        "SET bytea_output = 'escape'",
        "SET session_preload_libraries = 'x'",
        "SET TRANSACTION SNAPSHOT '00000003-0000001B-1'",
        "SHOW ALL",
        "SHOW data_directory",
        "INSERT INTO orders VALUES (1)",
        "UPDATE orders SET id = 1",
        "DELETE FROM orders",
        "MERGE INTO orders USING payments ON true WHEN MATCHED THEN DELETE",
        "COPY orders TO STDOUT",
        "COPY (SELECT 1) TO PROGRAM 'sh'",
        "COPY orders FROM STDIN",
        "DECLARE c CURSOR FOR SELECT 1",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "FETCH ALL FROM c",
        "LISTEN x",
        "NOTIFY x, 'y'",
        "CALL p()",
        "DO $$ BEGIN END $$",
        "CREATE TABLE x (id int)",
        "CREATE TEMP TABLE x AS SELECT 1",
        "SELECT 1 INTO x",
        "SELECT 1 INTO TEMP x",
        "CREATE VIEW v AS SELECT 1",
        "DROP TABLE orders",
        "TRUNCATE orders",
        "LOCK TABLE orders",
        "VACUUM",
        "PREPARE TRANSACTION 'x'",
        "GRANT ALL ON orders TO public",
        "ALTER SYSTEM SET x = 1",
        "SELECT * FROM orders FOR UPDATE",
    ],
)
def test_what_is_not_granted_is_refused(world: World, sql: str) -> None:
    assert world.refused(sql)[0] == "42501"


@pytest.mark.parametrize(
    "sql",
    [
        "EXPLAIN EXECUTE p",
        "EXPLAIN DECLARE c CURSOR FOR SELECT 1",
        "EXPLAIN CREATE TABLE x AS SELECT 1",
    ],
)
def test_what_can_not_be_explained_is_refused(world: World, sql: str) -> None:
    assert world.refused(sql) == ("0A000", "pgwarden/statements")


@pytest.mark.parametrize("sql", ["WITH x AS (DELETE FROM orders RETURNING *) SELECT * FROM x"])
def test_changes_hidden_in_queries_are_refused(world: World, sql: str) -> None:
    assert world.refused(sql) == ("42501", "analysts/statements")


def test_explain_works_for_open_tables_only(world: World) -> None:
    assert world.allowed("EXPLAIN SELECT id FROM orders").text == 'EXPLAIN SELECT id FROM "shop".orders'
    assert world.refused("EXPLAIN (ANALYZE, FORMAT json) SELECT id FROM customers") == ("42501", "pgwarden/explain")
    assert world.refused("EXPLAIN SELECT * FROM payments")[1] == "pgwarden/explain"
    assert world.refused("EXPLAIN DELETE FROM orders")[0] == "42501"  # no grant to delete
    assert (
        world.refused("EXPLAIN (ANALYZE) SELECT 1; EXPLAIN ANALYZE VERBOSE SELECT email FROM customers")[0] == "42501"
    )
    assert world.allowed("EXPLAIN (SELECT id FROM orders)").text == 'EXPLAIN (SELECT id FROM "shop".orders)'
    assert world.refused("EXPLAIN SELECT 1", "eve")[0] == "42501"


def test_search_path_is_followed_or_refused(world: World) -> None:
    (plan,) = world.allowed('SET search_path TO "$user", shop, public').plans
    assert plan.effect == Effect(search_path=("$user", "shop", "public"))
    for sql in (
        "SET search_path TO pg_temp, shop",
        "SET LOCAL search_path TO 'pg_temp_3'",
        "SET search_path TO shop, pg_catalog",
    ):
        assert world.refused(sql) == ("0A000", "pgwarden/search_path"), sql


def test_syntax_errors_are_the_servers_own(world: World) -> None:
    refusal = world.decide("SELECT * FRM x").refusal
    assert refusal is not None
    assert (refusal.sqlstate, refusal.message, refusal.position) == ("42601", 'syntax error at or near "FRM"', 10)


def test_hostile_sizes_end_in_a_refusal(world: World) -> None:
    for sql in (
        "SELECT " + "(" * 10_000 + "1" + ")" * 10_000,
        "SELECT " + "||".join(["'a'"] * 20_000),
        "SELECT * FROM " + "(SELECT * FROM " * 8_000 + "customers" + ") a" * 8_000,
        "SELECT '" + "x" * 5_000_000 + "'",
        "SELECT '\0'",
    ):
        assert world.refused(sql)[0] in ("42601", "54001", "54000", "22021")


def test_the_allow_everything_policy_changes_no_byte(world: World) -> None:
    for sql in ("SELECT * FROM shop.salaries", "not sql at all", "COPY x FROM STDIN", "SET ROLE x", "DROP TABLE y;"):
        assert world.allowed(sql, "root").text is sql
    assert world.allowed("CREATE TABLE x ()", "root").plans[0].is_ddl
    assert world.allowed("SET ROLE x", "root").plans[0].is_tainting
    assert not world.allowed("SELECT * FROM shop.salaries", "root").plans[0].is_tainting


def test_thousands_of_statements_cost_in_proportion(world: World) -> None:
    """Four times the statements cost about four times as much; sixteen times would block everybody else."""

    def once(count: int, blanks: int) -> float:
        begun = time.process_time()
        world.allowed("SELECT id FROM customers WHERE id = 1;" * count + " " * blanks)
        return time.process_time() - begun

    def cost(count: int) -> float:
        """The best of three: a collection of the whole test run's garbage may fall into one."""
        return min(once(count, blanks) for blanks in range(3))

    cost(10)
    assert cost(1_600) < 10 * cost(400)
