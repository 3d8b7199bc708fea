"""What a client may try to leave behind on a link that sessions share: texts, raw messages, ways to go."""

from __future__ import annotations

from tests.security.raw_client import FLUSH, SYNC, bind, close, describe, execute, parse, query

ZONE = "set_config('timezone', 'Asia/Tokyo', false)"
OTHER = "set_config('timezone', 'America/Lima', false)"

# Texts that are sent one by one as simple queries, errors or not.
BY_TEXT = {
    "set": ["SET timezone TO 'Asia/Tokyo'"],
    "set and reset": ["SET timezone TO 'Asia/Tokyo'; RESET timezone; SET work_mem TO '1MB'"],
    "set local": ["BEGIN; SET LOCAL timezone TO 'Asia/Tokyo'; COMMIT"],
    "set local outside": ["SET LOCAL timezone TO 'Asia/Tokyo'"],
    "transaction timeout": ["SET transaction_timeout TO '77s'"],
    "statement timeout": ["SET statement_timeout TO '77s'"],
    "idle timeout": ["SET idle_in_transaction_session_timeout TO '77s'"],
    "characteristics": ["SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"],
    "short timeout": ["SET statement_timeout TO 1"],
    "short timeouts": ["SET idle_session_timeout TO '20ms'; SET transaction_timeout TO '0.9s'"],
    "read only": ["SET default_transaction_read_only TO on"],
    "isolation": ["BEGIN; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT 1; COMMIT"],
    "role": ["SET ROLE pg_read_all_stats", "SET ROLE pg_monitor"],
    "authorization": ["SET SESSION AUTHORIZATION DEFAULT"],
    "zone interval": ["SET TIME ZONE INTERVAL '+09:00' HOUR TO MINUTE"],
    "names": ["SET NAMES 'LATIN1'"],
    "seed": ["SET SEED TO 0.5"],
    "custom": ["SET my.own TO 'secret'"],
    "custom local": ["BEGIN; SET LOCAL my.own TO 'secret'; SELECT 1; COMMIT"],
    "custom by function": ["SELECT set_config('my.own', 'secret', false)"],
    "path": ["SET search_path TO pg_catalog"],
    "path to temporary": ["SET search_path TO pg_temp; CREATE TABLE own (a int)"],
    "local path to temporary": ["BEGIN", "SET LOCAL search_path TO pg_temp", "CREATE TABLE own (a int)", "COMMIT"],
    "local path by function": [
        "BEGIN; SELECT set_config('search_path', 'pg_temp', true)",
        "CREATE TABLE own AS SELECT 1 AS a",
        "COMMIT",
    ],
    "local path by a parameter": [
        "BEGIN; SELECT set_config('search_path', 'pg_' || 'temp', true)",
        "CREATE TABLE own AS SELECT 1 AS a",
        "COMMIT",
    ],
    "path by function": ["SELECT set_config('search_path', 'pg_catalog', false)"],
    "config": [f"SELECT {ZONE}"],
    "config twice": [f"SELECT {ZONE}, {OTHER}"],
    "config in a case": [f"SELECT CASE WHEN true THEN {ZONE} ELSE {OTHER} END"],
    "config never": [f"SELECT {ZONE} WHERE false"],
    "config for no row": [f"SELECT {ZONE}, generate_series(1, 0)"],
    "config for no element": [f"SELECT {ZONE}, unnest('{{}}'::int[])"],
    "config limited": [f"SELECT {ZONE} LIMIT 0"],
    "config per row": ["SELECT set_config('timezone', z, false) FROM unnest(ARRAY['Asia/Tokyo', 'America/Lima']) z"],
    "config in a subquery": [f"SELECT (SELECT {ZONE})"],
    "config in a cte": [f"WITH a AS MATERIALIZED (SELECT {ZONE} AS z) SELECT z FROM a"],
    "config unused": [f"WITH a AS (SELECT {ZONE} AS z) SELECT 1"],
    "config in a union": [f"SELECT {ZONE} UNION ALL SELECT {OTHER}"],
    "config in values": [f"VALUES ({ZONE}), ({OTHER})"],
    "config copied": [f"COPY (SELECT {ZONE}) TO STDOUT"],
    "config explained": [f"EXPLAIN SELECT {ZONE}", f"EXPLAIN ANALYZE SELECT {OTHER}"],
    "config in where": [f"SELECT 1 WHERE {ZONE} = 'Asia/Tokyo'"],
    "config in order": [f"SELECT 1 ORDER BY {ZONE}"],
    "config in limit": [f"SELECT 1 LIMIT length({ZONE})"],
    "config of upper case": [
        "SELECT SET_CONFIG('TimeZone', 'Asia/Tokyo', 'f')",
        "SELECT set_config('TIMEZONE', 'Asia/Tokyo', false)",
    ],
    "config then error": [f"SELECT {ZONE}; SELECT 1/0"],
    "config in a lateral": [
        "SELECT * FROM (VALUES (1), (2)) v, LATERAL set_config('timezone', 'Asia/Tokyo', v.column1 = 1)"
    ],
    "config as a table": ["SELECT * FROM set_config('timezone', 'Asia/Tokyo', false)"],
    "config in rows from": ["SELECT * FROM ROWS FROM (set_config('timezone', 'Asia/Tokyo', false))"],
    "config by a cursor": [f"BEGIN; DECLARE own CURSOR FOR SELECT {ZONE}; FETCH own; COMMIT"],
    "config by a held cursor": [f"DECLARE own CURSOR WITH HOLD FOR SELECT {ZONE}"],
    "view of settings": ["UPDATE pg_settings SET setting = 'Asia/Tokyo' WHERE name = 'TimeZone'"],
    "view of settings in a cte": [
        "WITH u AS (UPDATE pg_catalog.pg_settings SET setting = 'Asia/Tokyo' WHERE name = 'TimeZone' RETURNING 1) "
        "TABLE u"
    ],
    "merge into settings": [
        "MERGE INTO pg_settings s USING (SELECT 1) x ON s.name = 'TimeZone' "
        "WHEN MATCHED THEN UPDATE SET setting = 'Asia/Tokyo'"
    ],
    "failed commit": [
        "BEGIN; CREATE TABLE public.d (a int UNIQUE DEFERRABLE INITIALLY DEFERRED);"
        "INSERT INTO public.d VALUES (1), (1);"
        "SET timezone TO 'Asia/Tokyo'",
        "COMMIT",
    ],
    "failed commit in one": [
        "BEGIN; CREATE TABLE public.d (a int UNIQUE DEFERRABLE INITIALLY DEFERRED);"
        "INSERT INTO public.d VALUES (1), (1);"
        "SET timezone TO 'Asia/Tokyo'; COMMIT",
    ],
    "failed without a block": [
        "CREATE TABLE public.d (a int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO public.d VALUES (1), (1);"
        "SET timezone TO 'Asia/Tokyo'",
    ],
    "savepoints": [
        "BEGIN; SAVEPOINT a; SET timezone TO 'Asia/Tokyo'; SAVEPOINT a; SET timezone TO 'America/Lima';"
        "ROLLBACK TO a; RELEASE a; COMMIT"
    ],
    "chain": [
        "BEGIN; SET timezone TO 'Asia/Tokyo'; COMMIT AND CHAIN",
        "SET datestyle TO 'ISO, DMY'",
        "ROLLBACK AND CHAIN",
        "COMMIT",
    ],
    "chained and left": ["BEGIN; SET LOCAL timezone TO 'Asia/Tokyo'; COMMIT AND CHAIN", "SELECT 1"],
    "prepared transaction": ["BEGIN; SET timezone TO 'Asia/Tokyo'; PREPARE TRANSACTION 'own'", "ROLLBACK"],
    "left open": ["BEGIN", "SET timezone TO 'Asia/Tokyo'"],
    "aborted": ["BEGIN", "SET timezone TO 'Asia/Tokyo'", "SELECT 1/0"],
    "temporary": ["CREATE TEMP TABLE own (a int)"],
    "temporary into": ["SELECT 1 AS a INTO TEMP own"],
    "temporary into of a union": ["SELECT 1 AS a INTO TEMP own UNION SELECT 2"],
    "temporary as": ["CREATE TEMP TABLE own AS SELECT 1 AS a"],
    "temporary explained": ["EXPLAIN ANALYZE CREATE TEMP TABLE own AS SELECT 1 AS a"],
    "temporary by schema": ["CREATE TABLE pg_temp.own (a int)"],
    "temporary into a schema": ["SELECT 1 AS a INTO pg_temp.own"],
    "temporary view": ["CREATE TEMP VIEW own AS SELECT 1 AS a"],
    "temporary view by schema": ["CREATE VIEW pg_temp.own AS SELECT 1 AS a"],
    "view of a temporary one": ["CREATE TEMP TABLE t (a int); CREATE VIEW own AS SELECT * FROM t"],
    "temporary sequence": ["CREATE TEMP SEQUENCE own", "SELECT nextval('own')"],
    "temporary function": ["CREATE FUNCTION pg_temp.own() RETURNS int LANGUAGE sql AS 'SELECT 1'"],
    "temporary type": ["CREATE TYPE pg_temp.own AS (a int)", "CREATE DOMAIN pg_temp.own2 AS int"],
    "temporary with a kept one": [
        "CREATE TEMP TABLE fleeting (a int) ON COMMIT DROP; CREATE TEMP TABLE own (a int) ON COMMIT DELETE ROWS"
    ],
    "temporary in a schema element": ["CREATE SCHEMA made CREATE TEMP TABLE own (a int)"],
    "temporary rolled back": ["BEGIN; CREATE TEMP TABLE own (a int); ROLLBACK"],
    "sequence": ["BEGIN; CREATE TEMP TABLE n (i serial) ON COMMIT DROP; INSERT INTO n DEFAULT VALUES; COMMIT"],
    "sequence of its own": [
        "CREATE SEQUENCE public.counted; SELECT nextval('public.counted'); DROP SEQUENCE public.counted"
    ],
    "advisory lock": ["SELECT pg_advisory_lock(7)"],
    "advisory lock tried": ["SELECT pg_try_advisory_lock_shared(7, 8)"],
    "advisory lock of a transaction": ["SELECT pg_advisory_xact_lock(7)"],
    "advisory lock in a rolled back transaction": ["BEGIN; SELECT pg_advisory_lock(9); ROLLBACK"],
    "listen": ["LISTEN own"],
    "listen and notify": ["BEGIN; LISTEN own; NOTIFY own, 'x'; COMMIT"],
    "prepare": ["PREPARE own AS SELECT 'ours'"],
    "prepare rolled back": ["BEGIN; PREPARE own AS SELECT 'ours'; ROLLBACK"],
    "hold": ["DECLARE own CURSOR WITH HOLD FOR SELECT 'ours'"],
    "hold in a block": ["BEGIN; DECLARE own CURSOR WITH HOLD FOR SELECT 'ours'; COMMIT"],
    "cursor left": ["BEGIN; DECLARE own CURSOR FOR SELECT 'ours'"],
    "do": ["DO $$ BEGIN PERFORM set_config('my.own', 'secret', false); END $$"],
    "by a query in a string": [
        "SELECT query_to_xml('SELECT set_config(''my.own'', ''secret'', false)', true, false, '')"
    ],
    "load": ["LOAD 'plpgsql'"],
    "discard": ["SET timezone TO 'Asia/Tokyo'", "DISCARD ALL"],
    "discard in a block": ["SET timezone TO 'Asia/Tokyo'", "BEGIN; DISCARD ALL"],
    "deallocate": ["DEALLOCATE ALL", "DEALLOCATE own"],
    "reset all": ["SET timezone TO 'Asia/Tokyo'", "BEGIN; RESET ALL; ROLLBACK"],
    "several": ["SET timezone TO 'Asia/Tokyo'; SET datestyle TO 'SQL, DMY'; SELECT 1/0"],
    "copy": ["COPY (SELECT 'ours') TO STDOUT", "CREATE TABLE IF NOT EXISTS public.c (a int)", "COPY c FROM STDIN"],
}

ONE = bind() + execute(limit=1)
# Raw messages, each list entry sent and answered up to ReadyForQuery where it ends with one.
BY_MESSAGE = {
    "config suspended": [parse(f"SELECT {ZONE}") + ONE + SYNC],
    "config suspended in a block": [query("BEGIN"), parse(f"SELECT {ZONE}") + ONE + SYNC, query("COMMIT")],
    "config suspended and closed": [parse(f"SELECT {ZONE}") + ONE + close(b"P", "") + SYNC],
    "config of a named portal": [parse(f"SELECT {ZONE}", "s") + bind(name="s", portal="p") + execute("p", 1) + SYNC],
    "config suspended, then an error": [
        parse(f"SELECT {ZONE}") + ONE + parse("SELECT 1/0") + bind() + execute() + SYNC
    ],
    "config bound only": [parse(f"SELECT {ZONE}") + bind() + describe() + SYNC],
    "set by parse": [parse("SET timezone TO 'Asia/Tokyo'") + bind() + SYNC],
    "set run twice": [parse("SET timezone TO 'Asia/Tokyo'") + bind() + execute() + execute() + SYNC],
    "set limited": [parse("SET timezone TO 'Asia/Tokyo'") + bind() + execute(limit=1) + SYNC],
    "unnamed": [parse("SELECT 'ours'") + SYNC],
    "named": [parse("SELECT 'ours'", "own") + SYNC],
    "named and described": [parse("SELECT 'ours'", "own") + describe(b"S", "own") + SYNC],
    "named twice": [parse("SELECT 'ours'", "own") + parse("SELECT 'ours' || 2", "own") + SYNC],
    "named behind an error": [parse("SELECT 1/0") + bind() + execute() + parse("SELECT 'ours'", "own") + SYNC],
    "named before an error": [parse("SELECT 'ours'", "own") + parse("SELECT nothing") + SYNC],
    "named temporary": [parse("CREATE TEMP TABLE own (a int)", "t") + bind(name="t") + execute() + SYNC],
    "named set": [parse("SET timezone TO 'Asia/Tokyo'", "t") + bind(name="t") + execute() + SYNC],
    "portal left": [parse("SELECT generate_series(1, 9)") + bind(portal="own") + execute("own", 1) + SYNC],
    "deallocated": [parse("SELECT 'ours'", "own") + SYNC, query("DEALLOCATE own"), query("DEALLOCATE ALL")],
    "a begin in a pipeline": [parse("BEGIN") + bind() + execute() + SYNC],
    "a commit in a pipeline": [
        parse("BEGIN")
        + bind()
        + execute()
        + parse("SET timezone TO 'Asia/Tokyo'")
        + bind()
        + execute()
        + SYNC
        + parse("COMMIT")
        + bind()
        + execute()
        + parse("SELECT 1/0")
        + bind()
        + execute()
        + SYNC
    ],
}
# Messages behind which the client goes without a word.
BY_LEAVING = {
    "half a pipeline": parse("SELECT 'ours'", "own") + bind(name="own") + FLUSH,
    "parse without sync": parse("SET timezone TO 'Asia/Tokyo'") + bind() + execute() + FLUSH,
    "half a frame": query("SELECT 1") + query("SET timezone TO 'Asia/Tokyo'")[:9],
    "in a row stream": query("SELECT repeat('x', 1000) FROM generate_series(1, 100000)"),
    "in copy to": query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000)) TO STDOUT"),
    "in copy from": query("CREATE TABLE IF NOT EXISTS public.f (a int); COPY f FROM STDIN") + b"d\0\0\0\x061\n",
    "in a sleep": query("SET timezone TO 'Asia/Tokyo'; SELECT pg_sleep(60)"),
    "in a block": query("BEGIN; SET timezone TO 'Asia/Tokyo'; SELECT pg_advisory_xact_lock(3)"),
    "two queries": query("SET timezone TO 'Asia/Tokyo'") + query("SELECT 'ours'"),
}


# What a date means is fixed when its statement is prepared: so others must not get one from another time zone.
# Each poison has a text of its own, in the place of INSTANT.
INSTANT = "SELECT extract(epoch FROM timestamptz '2020-01-01 00:00')::bigint, 'ours for ??????'"
POISONS = {
    "failed set": query("SET timezone TO 'Asia/Tokyo'; SELECT 1/0") + parse(INSTANT, "s") + SYNC,
    "failed reset": query("SET timezone TO 'Asia/Tokyo'")
    + query("RESET timezone; SELECT 1/0")
    + parse(INSTANT, "s")
    + SYNC,
    "failed commit": query("BEGIN; SET timezone TO 'Asia/Tokyo'; INSERT INTO public.twice VALUES (1), (1)")
    + query("COMMIT")
    + parse(INSTANT, "s")
    + SYNC,
    "failed by message": parse("SET timezone TO 'Asia/Tokyo'")
    + bind()
    + execute()
    + parse("SELECT 1/0")
    + bind()
    + execute()
    + SYNC
    + parse(INSTANT, "s")
    + SYNC,
    "rolled back": query("BEGIN; SET timezone TO 'Asia/Tokyo'") + query("ROLLBACK") + parse(INSTANT, "s") + SYNC,
    "local": query("BEGIN; SET LOCAL timezone TO 'Asia/Tokyo'") + parse(INSTANT, "s") + SYNC + query("COMMIT"),
    "local by function": query("BEGIN; SELECT set_config('timezone', 'Asia/Tokyo', true)")
    + parse(INSTANT, "s")
    + SYNC
    + query("COMMIT"),
    "local before": query("BEGIN")
    + parse("SET LOCAL timezone TO 'Asia/Tokyo'")
    + bind()
    + execute()
    + parse(INSTANT, "s")
    + bind(name="s")
    + execute()
    + SYNC
    + query("COMMIT"),
    "unnamed": query("SET timezone TO 'Asia/Tokyo'; SELECT 1/0") + parse(INSTANT) + bind() + execute() + SYNC,
}
