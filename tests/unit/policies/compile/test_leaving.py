"""What statements leave behind at the server, as far as a link that sessions share must know."""

from __future__ import annotations

import pytest

from policies.compile.leaving import leaves_of, setting_text
from policies.compile.parse import parse
from policies.decision import ALL_NAMES, NOTHING_LEFT, Leaves


def leaves(sql: str) -> Leaves:
    (statement,) = parse(sql)
    return leaves_of(statement, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "SELECT upper(name) FROM t WHERE pg_catalog.length(name) > 1",
        "BEGIN",
        "COPY t TO STDOUT",
        "SELECT pg_advisory_xact_lock(1)",
        "SELECT pg_advisory_unlock_all()",
        "SELECT pg_sleep(1), random(), current_setting('timezone')",
        "DECLARE c CURSOR FOR SELECT 1",
        "SET TRANSACTION READ ONLY",
        "NOTIFY bell",
        "UNLISTEN *",
        "DEALLOCATE s",
        "DISCARD SEQUENCES",
        "LOCK TABLE t",
        "SELECT information_schema._pg_expandarray(i.indkey) FROM pg_catalog.pg_index i",
    ],
)
def test_nothing(sql: str) -> None:
    assert leaves(sql) == NOTHING_LEFT


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("CREATE TEMP TABLE t ()", "temporary"),
        ("CREATE TABLE pg_temp.t ()", "temporary"),
        ("CREATE TEMP VIEW v AS SELECT 1", "temporary"),
        ("CREATE TEMP SEQUENCE s", "temporary"),
        ("CREATE TEMP TABLE t AS SELECT 1", "temporary"),
        ("SELECT 1 INTO TEMP t", "temporary"),
        ("PREPARE s AS SELECT 1", "prepare"),
        ("EXECUTE s", "prepare"),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "cursor"),
        ("LISTEN bell", "listen"),
        ("SELECT pg_advisory_lock(1)", "advisory_lock"),
        ("SELECT pg_try_advisory_lock_shared(1)", "advisory_lock"),
        ("SELECT pg_advisory_unlock(1)", "advisory_lock"),
        ("LOAD 'library'", "library"),
        ("SET ROLE other", "setting"),
        ("SET SESSION AUTHORIZATION other", "setting"),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "setting"),
        ("SET my.own TO 1", "setting"),
        ("SET seed TO 0.5", "setting"),
        ("SET search_path TO pg_temp, public", "setting"),
        ("SET client_encoding TO latin1", "setting"),
        ("SET standard_conforming_strings TO off", "setting"),
        ("SET timezone FROM CURRENT", "setting"),
        ("SELECT set_config('timezone', $1, false)", "setting"),
        ("SELECT set_config(name, 'UTC', false) FROM t", "setting"),
        ("SELECT set_config('my.own', 'x', false)", "setting"),
        ("SELECT setseed(0.5)", "function"),
        ("SELECT lastval()", "sequence"),
        ("INSERT INTO t VALUES (currval('s'))", "sequence"),
        ("SELECT public.upper('a')", "function"),
        ("SELECT own(1)", "function"),
        ("EXPLAIN ANALYZE SELECT own(1)", "function"),
        ("WITH x AS (SELECT pg_export_snapshot()) SELECT * FROM x", "function"),
        ("DO 'BEGIN END'", "function"),
        ("CALL p()", "function"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "other"),
        ("IMPORT FOREIGN SCHEMA s FROM SERVER t INTO u", "other"),
        ("SELECT 1 AS a INTO TEMP t UNION SELECT 2", "temporary"),
        ("EXPLAIN ANALYZE CREATE TEMP TABLE t AS SELECT 1", "temporary"),
        ("SET LOCAL search_path TO public, pg_temp", "temporary"),
        ("SELECT set_config('search_path', 'pg_temp_3', true)", "temporary"),
        ("SELECT set_config('search_path', $1, true)", "temporary"),
        ("UPDATE pg_settings SET setting = '1' WHERE name = 'work_mem'", "setting"),
        ("WITH u AS (UPDATE pg_catalog.pg_settings SET setting = '1' RETURNING 1) TABLE u", "setting"),
        ("SELECT set_config('timezone', 'UTC', false) WHERE false", "setting"),
        ("SELECT set_config('timezone', 'UTC', false) LIMIT 0", "setting"),
        ("SELECT set_config('timezone', 'UTC', false), generate_series(1, 0)", "setting"),
        ("SELECT set_config('timezone', 'UTC', false), set_config('timezone', 'EST', false)", "setting"),
        ("SELECT set_config('timezone', 'UTC', false) UNION SELECT 'a'", "setting"),
        ("SELECT set_config('application_name', 'abcdef'::varchar(3), false)", "setting"),
        ("COPY (SELECT set_config('timezone', 'UTC', false)) TO STDOUT", "setting"),
        ("SELECT * FROM set_config('timezone', 'UTC', false)", "setting"),
        ("SET statement_timeout TO 10", "setting"),
        ("SET idle_session_timeout TO '999ms'", "setting"),
        ("SELECT set_config('transaction_timeout', '1us', false)", "setting"),
        ("SELECT name FROM pg_prepared_statements", "prepare"),
        ("SELECT 1 WHERE EXISTS (SELECT FROM pg_catalog.pg_backend_memory_contexts)", "prepare"),
    ],
)
def test_pins(sql: str, reason: str) -> None:
    assert leaves(sql).pins == reason


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t VALUES (1)",
        "INSERT INTO pg_temp.t DEFAULT VALUES",
        "SELECT nextval('s')",
        "COPY t FROM STDIN",
        "WITH x AS (DELETE FROM t RETURNING 1) SELECT * FROM x",
        "EXPLAIN ANALYZE UPDATE t SET a = 1",
        "CREATE TEMP TABLE t (a serial) ON COMMIT DROP",
    ],
)
def test_a_sequence_may_have_moved(sql: str) -> None:
    assert leaves(sql) == Leaves(has_sequences=True)


@pytest.mark.parametrize(
    ("sql", "settings"),
    [
        ("SET TIME ZONE 'UTC'", (("timezone", "SET TIME ZONE 'UTC'"),)),
        ("SET Search_Path = a, b", (("search_path", "SET Search_Path = a, b"),)),
        ("SET NAMES 'utf8'", (("client_encoding", "SET NAMES 'utf8'"),)),
        ("RESET timezone", (("timezone", None),)),
        ("SET timezone TO DEFAULT", (("timezone", None),)),
        ("RESET ALL", ((ALL_NAMES, None),)),
        ("DISCARD ALL", ((ALL_NAMES, None),)),
        ("SET transaction_timeout TO '1min'", (("transaction_timeout", "SET transaction_timeout TO '1min'"),)),
        ("SET statement_timeout TO 0", (("statement_timeout", "SET statement_timeout TO 0"),)),
        ("SELECT set_config('TimeZone', 'UTC', false)", (("timezone", setting_text("timezone", "UTC")),)),
    ],
)
def test_settings_can_be_set_again(sql: str, settings: tuple[tuple[str, str | None], ...]) -> None:
    assert leaves(sql) == Leaves(settings=settings)


@pytest.mark.parametrize("sql", ["SET LOCAL timezone TO 'UTC'", "SELECT set_config('my.own', $1, true)"])
def test_local_settings_end_with_their_transaction(sql: str) -> None:
    assert leaves(sql) == Leaves(is_local=True)


def test_a_setting_too_long_to_be_sent_again() -> None:
    assert leaves(f"SET application_name TO '{'x' * 2000}'").pins == "setting"


def test_values_are_quoted_for_any_reading_of_strings() -> None:
    assert setting_text("timezone", "a'b\\c") == r"SELECT pg_catalog.set_config( E'timezone',  E'a\'b\\c', false)"
