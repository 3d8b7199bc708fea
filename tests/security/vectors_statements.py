"""Ways through statements that carry others' rows: COPY, cursors, prepared statements, channels, CALL, DO, LOCK, EXPLAIN."""

# ruff: noqa: E501 - a statement reads best on one line
# fmt: off

from __future__ import annotations

from tests.security.raw_client import (
    BINARY,
    FLUSH,
    SYNC,
    Answer,
    RawClient,
    bind,
    close,
    describe,
    execute,
    parse,
    query,
)
from tests.security.vector import (
    CLEAN,
    DENIED,
    NO_TABLE,
    ORDERED,
    SAME,
    UNPROVEN,
    Allowed,
    Ask,
    Defence,
    Refused,
    Vector,
)

S, ST, P, COPIED = Defence.SOURCE, Defence.STATEMENTS, Defence.PROTOCOL, Defence.COPIED
MASKED = "SELECT id, ssn, email, pin, phone, birth_date FROM shop.customers ORDER BY id"
WES = "wes"
NO_COPY_SOURCE = Refused(("42809",))


def _text(name: str, defence: Defence, expected: Refused | Allowed, sql: str) -> Vector:
    return Vector(name, defence, expected, sql, WES)


def _texts(*texts: str) -> Ask:
    return _run(*((query(text),) for text in texts))


def _run(*groups: tuple[bytes, ...]) -> Ask:
    """Each group is sent at once and answered to its ReadyForQuery."""

    def ask(client: RawClient) -> list[Answer]:
        return [client.roundtrip(*group) for group in groups]

    return ask


def _talk(name: str, defence: Defence, expected: Refused | Allowed, ask: Ask) -> Vector:
    return Vector(name, defence, expected, ask, WES)


COPIES = (
    _text("copy_table", S, SAME, "COPY shop.customers TO STDOUT WITH"),
    _text("copy_table_unqualified", S, SAME, "COPY customers TO STDOUT CSV"),
    _text("copy_table_header", S, SAME, "COPY shop.customers TO STDOUT (FORMAT csv, HEADER, DELIMITER '|', FORCE_QUOTE *)"),
    _text("copy_table_columns", S, SAME, "COPY shop.customers (pin, ssn, email, id) TO STDOUT"),
    _text("copy_table_binary", S, CLEAN, "COPY shop.customers TO STDOUT (FORMAT 'binary')"),
    _text("copy_table_binary_word", S, CLEAN, "COPY BINARY shop.customers (id, ssn, photo) TO STDOUT"),
    _text("copy_table_delimiters", S, CLEAN, "COPY shop.customers TO STDOUT USING DELIMITERS ';'"),
    _text("copy_table_odd_quotes", S, SAME, "COPY \"shop\".U&\"c\\0075stomers\" (\"ssn\", U&\"\\0065mail\") TO STDOUT"),
    _text("copy_query_binary", S, ORDERED, f"COPY ({MASKED}) TO STDOUT (FORMAT binary)"),
    _text("copy_query_whole_row", S, SAME, "COPY (SELECT c, upper(ssn) FROM shop.customers AS c) TO STDOUT"),
    _text("copy_query_table_command", S, SAME, "COPY (TABLE shop.customers) TO STDOUT CSV HEADER"),
    _text("copy_swapped_names", COPIED, SAME, "COPY (SELECT ssn AS id, id AS ssn, email AS name, pin AS email FROM shop.customers) TO STDOUT"),
    _text("copy_columns_again", COPIED, SAME, "COPY (SELECT email, c.*, ssn, c.email AS pin FROM shop.customers c) TO STDOUT CSV HEADER"),
    _text("copy_star_of_joins", COPIED, SAME, "COPY (SELECT *, phone FROM shop.orders o JOIN shop.customers c ON customer_id = c.id ORDER BY o.id) TO STDOUT"),
    _text("copy_star_between_functions", S, SAME, "COPY (SELECT *, email FROM shop.customers c, generate_series(1, 2) g ORDER BY c.id, g) TO STDOUT"),
    _text("copy_null_is_a_guess", S, SAME, "COPY shop.customers (id, ssn, email) TO STDOUT (NULL '@[own customer 1 ssn]')"),
    _text("copy_csv_null_is_a_guess", COPIED, SAME, "COPY shop.customers (id, ssn, email) TO STDOUT (FORMAT csv, NULL '@[own customer 1 ssn]')"),
    _text("copy_delimiter_is_a_digit", S, CLEAN, "COPY shop.customers (id, ssn, email) TO STDOUT (DELIMITER '9')"),
    _text("copy_csv_odd_signs", COPIED, SAME, "COPY shop.customers (ssn, email, tags, id) TO STDOUT (FORMAT csv, DELIMITER '@', QUOTE 'c', ESCAPE 'n', FORCE_QUOTE (ssn))"),
    _text("copy_csv_signs_collide", S, CLEAN, "COPY shop.customers (ssn, email) TO STDOUT (FORMAT csv, DELIMITER 'n', QUOTE 'c', ESCAPE 'n')"),
    _text("copy_header_twice", S, CLEAN, "COPY shop.customers (ssn, email) TO STDOUT (FORMAT csv, HEADER, HEADER false)"),
    _text("copy_header_match", S, CLEAN, "COPY shop.customers (ssn, email) TO STDOUT (FORMAT csv, HEADER match)"),
    _text("copy_header_in_text", COPIED, SAME, "COPY shop.customers (ssn, email) TO STDOUT (HEADER on)"),
    _text("copy_between_others", COPIED, SAME, "COPY shop.regions TO STDOUT; COPY shop.customers TO STDOUT CSV; COPY shop.regions TO STDOUT"),
    _text("copy_query_guess", S, SAME, "COPY (SELECT id FROM shop.customers WHERE ssn LIKE '9%' OR pin > 5) TO STDOUT"),
    _text("copy_query_cte", S, SAME, "COPY (WITH c AS (SELECT * FROM shop.customers) SELECT ssn FROM c) TO STDOUT"),
    _text("copy_partition", Defence.PARTITIONS, SAME, "COPY shop.events_2124 TO STDOUT"),
    _text("copy_partitioned_table", Defence.PARTITIONS, NO_COPY_SOURCE, "COPY shop.events TO STDOUT"),
    _text("copy_parent_only", Defence.PARTITIONS, SAME, "COPY shop.memos TO STDOUT"),
    _text("copy_child", Defence.PARTITIONS, SAME, "COPY shop.memos_archive TO STDOUT"),
    _text("copy_view", Defence.VIEWS, NO_COPY_SOURCE, "COPY shop.contacts TO STDOUT"),
    _text("copy_view_of_blocked_table", Defence.VIEWS, DENIED, "COPY shop.payroll TO STDOUT"),
    _text("copy_materialized_view", Defence.RELATIONS, UNPROVEN, "COPY shop.takings TO STDOUT"),
    _text("copy_sequence", Defence.RELATIONS, UNPROVEN, "COPY shop.numbers TO STDOUT"),
    _text("copy_blocked_table", Defence.RELATIONS, DENIED, "COPY shop.salaries TO STDOUT"),
    _text("copy_blocked_table_by_path", Defence.RELATIONS, DENIED, "COPY salaries (person) TO STDOUT"),
    _text("copy_other_schema", Defence.RELATIONS, DENIED, "COPY vault.secrets TO STDOUT"),
    _text("copy_missing_table", Defence.RELATIONS, NO_TABLE, "COPY shop.nothing TO STDOUT"),
    _text("copy_password_catalog", Defence.CATALOGS, DENIED, "COPY pg_authid TO STDOUT"),
    _text("copy_statistics", Defence.CATALOGS, DENIED, "COPY pg_catalog.pg_statistic TO STDOUT"),
    _text("copy_pg_class", Defence.CATALOGS, CLEAN, "COPY pg_class TO STDOUT"),
    _text("copy_large_objects", Defence.CATALOGS, DENIED, "COPY pg_largeobject TO STDOUT"),
    _text("copy_blocked_column", Defence.COLUMNS, DENIED, "COPY shop.products (id, cost) TO STDOUT"),
    _text("copy_without_blocked_column", Defence.COLUMNS, SAME, "COPY shop.products TO STDOUT CSV HEADER"),
    _text("copy_generated_from_blocked", Defence.COLUMNS, DENIED, "COPY shop.products (margin) TO STDOUT"),
    _text("copy_generated_from_masked", Defence.COLUMNS, DENIED, "COPY shop.customers (email_upper) TO STDOUT"),
    _text("copy_system_column", Defence.COLUMNS, SAME, "COPY shop.customers (ctid, xmin) TO STDOUT"),
    _text("copy_force_quote_blocked", Defence.COLUMNS, DENIED, "COPY shop.products TO STDOUT (FORMAT csv, FORCE_QUOTE (name, cost))"),
    _text("copy_force_quote_missing", Defence.COLUMNS, SAME, "COPY shop.products TO STDOUT CSV FORCE QUOTE nothing"),
    _text("copy_force_null_blocked", Defence.COLUMNS, DENIED, "COPY shop.products FROM STDIN CSV FORCE NULL cost"),
    _text("copy_other_encoding", ST, UNPROVEN, "COPY shop.customers TO STDOUT (ENCODING 'LATIN1')"),
    _text("copy_to_file_granted", ST, DENIED, "COPY shop.regions TO '/dev/null' CSV"),
    _text("copy_to_program_granted", ST, DENIED, "COPY shop.regions TO PROGRAM 'cat'"),
    _text("copy_query_to_program", ST, DENIED, "COPY (TABLE shop.regions) TO PROGRAM 'cat'"),
    _text("copy_from_file", ST, DENIED, "COPY shop.regions FROM '/etc/passwd'"),
    _text("copy_from_program_granted", ST, DENIED, "COPY shop.regions FROM PROGRAM 'id'"),
    _text("copy_delete_returning", S, SAME, "COPY (DELETE FROM shop.regions WHERE id = -1 RETURNING *) TO STDOUT"),
    _text("copy_update_returning", S, CLEAN, "COPY (UPDATE shop.customers SET name = 'x' RETURNING *) TO STDOUT"),
    _text("copy_delete_of_hidden_rows", S, CLEAN, "COPY (DELETE FROM shop.memos RETURNING memos) TO STDOUT"),
    _text("copy_insert_returning", S, CLEAN, "COPY (INSERT INTO shop.memos SELECT id, 1, ssn FROM shop.customers RETURNING *) TO STDOUT"),
    _text("copy_query_setting", Defence.SETTINGS, DENIED, "COPY (SELECT set_config('search_path', 'vault', false)) TO STDOUT"),
    _text("copy_query_reads_file", Defence.FUNCTIONS, DENIED, "COPY (SELECT pg_read_file('PG_VERSION')) TO STDOUT"),
    _text("copy_from_filtered_table", ST, UNPROVEN, "COPY shop.memos FROM STDIN"),
    _text("copy_from_filtered_partition", ST, UNPROVEN, "COPY shop.events_2124 FROM STDIN"),
    _text("copy_from_filtered_partitioned", ST, UNPROVEN, "COPY shop.events FROM STDIN"),
    _text("copy_from_blocked_table", Defence.RELATIONS, DENIED, "COPY shop.salaries FROM STDIN"),
    _text("copy_from_blocked_column", Defence.COLUMNS, DENIED, "COPY shop.products (cost) FROM STDIN"),
    _text("copy_from_where_blocked_default", Defence.COLUMNS, DENIED, "COPY shop.products (id) FROM STDIN WHERE cost > 0"),
    _text("copy_from_where_whole_row", Defence.COLUMNS, DENIED, "COPY shop.products (id) FROM STDIN WHERE products::text ~ 'x'"),
    _text("copy_from_where_subquery", ST, UNPROVEN, "COPY shop.regions FROM STDIN WHERE id IN (SELECT pin FROM shop.customers)"),
    _text("copy_from_where_function", Defence.FUNCTIONS, DENIED, "COPY shop.regions FROM STDIN WHERE shop.tell(name)"),
    _text("copy_from_catalog", Defence.CATALOGS, DENIED, "COPY pg_am FROM STDIN"),
    _text("copy_from_view", Defence.VIEWS, UNPROVEN, "COPY shop.contacts FROM STDIN"),
)

OTHERS = (
    _text("explain_guarded", ST, DENIED, "EXPLAIN SELECT * FROM shop.customers WHERE ssn = 'x'"),
    _text("explain_analyze_update", ST, DENIED, "EXPLAIN (ANALYZE, VERBOSE) UPDATE shop.customers SET name = 'x'"),
    _text("explain_delete_using", ST, DENIED, "EXPLAIN DELETE FROM shop.regions USING shop.customers c WHERE c.ssn = 'x'"),
    _text("explain_insert_select", ST, DENIED, "EXPLAIN ANALYZE INSERT INTO shop.regions SELECT pin, ssn FROM shop.customers"),
    _text("explain_execute", ST, UNPROVEN, "EXPLAIN ANALYZE EXECUTE q"),
    _text("explain_declare", ST, UNPROVEN, "EXPLAIN DECLARE c CURSOR FOR SELECT ssn FROM shop.customers"),
    _text("explain_create_table_as", ST, UNPROVEN, "EXPLAIN ANALYZE CREATE TEMP TABLE x AS TABLE shop.customers"),
    _text("explain_moves_path", Defence.SETTINGS, DENIED, "EXPLAIN ANALYZE SELECT set_config('search_path', 'vault', false)"),
    _text("explain_view", ST, DENIED, "EXPLAIN SELECT * FROM shop.contacts"),
    _text("prepare_guarded", S, SAME, f"PREPARE q AS {MASKED}; EXECUTE q; DEALLOCATE q"),
    _text("prepare_blocked", Defence.RELATIONS, DENIED, "PREPARE q AS TABLE shop.salaries"),
    _text("prepare_moves_path", Defence.SETTINGS, DENIED, "PREPARE q AS SELECT set_config('search_path', 'vault', false)"),
    _text("prepare_insert_checked", ST, UNPROVEN, "PREPARE q AS INSERT INTO shop.memos VALUES (1, 2, 'x')"),
    _text("execute_argument_reads", Defence.FUNCTIONS, DENIED, "EXECUTE q(pg_read_file('PG_VERSION'))"),
    _text("execute_argument_subquery", ST, UNPROVEN, "EXECUTE q((SELECT max(ssn) FROM shop.customers))"),
    _text("execute_argument_setting", Defence.SETTINGS, DENIED, "EXECUTE q(set_config('search_path', 'vault', false))"),
    _text("create_table_as_execute", ST, Refused(("0A000", "42501")), "CREATE TEMP TABLE x AS EXECUTE q"),
    _text("declare_blocked", Defence.RELATIONS, DENIED, "DECLARE c SCROLL CURSOR FOR TABLE shop.salaries"),
    _text("declare_moves_path", Defence.SETTINGS, DENIED, "DECLARE c CURSOR FOR SELECT set_config('search_path', 'vault', false)"),
    _text("declare_into", ST, UNPROVEN, "DECLARE c CURSOR FOR SELECT ssn INTO x FROM shop.customers"),
    _text("declare_function_file", Defence.FUNCTIONS, DENIED, "DECLARE c CURSOR FOR SELECT * FROM pg_ls_dir('.')"),
    _text("call_leaking_procedure", ST, DENIED, "CALL shop.tell_all()"),
    _text("call_unqualified", ST, DENIED, "CALL tell_all()"),
    _text("call_argument_reads", Defence.FUNCTIONS, DENIED, "CALL shop.tell_all(pg_read_file('PG_VERSION'))"),
    _text("do_granted_nothing", ST, DENIED, "DO $$ BEGIN RAISE NOTICE '%', (SELECT max(ssn) FROM shop.customers); END $$"),
    _text("do_language", ST, DENIED, "DO LANGUAGE plpgsql 'BEGIN PERFORM set_config(''search_path'', ''vault'', false); END'"),
    _text("lock_blocked_table", Defence.LOCKS, DENIED, "LOCK TABLE shop.regions, shop.salaries IN ACCESS SHARE MODE"),
    _text("lock_other_schema", Defence.LOCKS, DENIED, "LOCK vault.secrets IN ACCESS SHARE MODE"),
    _text("lock_view_of_blocked_table", Defence.LOCKS, DENIED, "LOCK shop.payroll IN ACCESS SHARE MODE"),
    _text("lock_missing_table", Defence.LOCKS, NO_TABLE, "LOCK shop.nothing IN ACCESS SHARE MODE"),
    _text("lock_guarded_table", Defence.LOCKS, SAME, "LOCK TABLE shop.customers, ONLY shop.memos, events IN ACCESS SHARE MODE"),
    _text("lock_catalog", Defence.LOCKS, DENIED, "LOCK pg_catalog.pg_class IN ACCESS EXCLUSIVE MODE"),
    _text("notify_where_sees_hidden_rows", Defence.FENCE, CLEAN, "SELECT id FROM shop.orders WHERE pg_notify('canaries', memo) IS NULL"),
    _text("listening_channels", ST, SAME, "SELECT count(*) FROM pg_listening_channels()"),
    _text("notification_queue", Defence.FUNCTIONS, DENIED, "SELECT pg_notification_queue_usage()"),
    _text("set_config_not_alone", Defence.SETTINGS, DENIED, "SELECT set_config('search_path', 'vault', false) FROM shop.regions"),
    _text("set_config_temp_path", Defence.SETTINGS, DENIED, "SELECT set_config('search_path', 'pg_temp, shop', false)"),
    _text("set_local_role", Defence.SETTINGS, DENIED, "SET LOCAL SESSION AUTHORIZATION postgres"),
    _text("set_role_none", Defence.SETTINGS, DENIED, "SET ROLE NONE"),
    _text("commit_prepared", ST, DENIED, "COMMIT PREPARED 'x'"),
)

CURSORS = (
    _talk("copy_bound", COPIED, CLEAN, _run((parse("COPY shop.customers TO STDOUT (FORMAT binary)"), bind(), describe(), execute(), SYNC))),
    _talk("copy_bound_in_parts", COPIED, CLEAN, _run((parse("COPY shop.customers TO STDOUT"), bind(), execute("", 1), execute("", 1), SYNC))),
    _talk("copy_portal_fetched", COPIED, CLEAN, _run((query("BEGIN"),), (parse("COPY shop.customers TO STDOUT"), bind((), 0, "", "p"), SYNC), (query("FETCH ALL FROM p"),))),
    _talk("cursor_directions", S, SAME, _texts(
        "BEGIN", f"DECLARE c SCROLL CURSOR FOR {MASKED}", "FETCH 3 FROM c", "FETCH PRIOR FROM c", "FETCH ABSOLUTE -1 IN c",
        "FETCH RELATIVE -2 FROM c", "MOVE FIRST FROM c", "FETCH BACKWARD 1 FROM c", "FETCH FORWARD ALL FROM c", "MOVE BACKWARD ALL IN c",
        "FETCH ALL FROM c", "CLOSE c", "COMMIT")),
    _talk("cursor_binary", S, SAME, _texts("BEGIN", f"DECLARE c BINARY CURSOR FOR {MASKED}", "FETCH ALL FROM c", "COMMIT")),
    _talk("cursor_held", S, SAME, _texts("BEGIN", f"DECLARE c CURSOR WITH HOLD FOR {MASKED}", "COMMIT", "FETCH 5 FROM c", "BEGIN", "ROLLBACK", "FETCH ALL FROM c", "CLOSE c")),
    _talk("cursor_whole_row", S, CLEAN, _texts("BEGIN", "DECLARE c CURSOR FOR SELECT c FROM shop.customers AS c", "FETCH ALL FROM c", "ROLLBACK")),
    _talk("cursor_for_update", S, SAME, _texts("BEGIN", "DECLARE c CURSOR FOR SELECT id, ssn FROM shop.customers FOR UPDATE", "FETCH ALL FROM c", "ROLLBACK")),
    _talk("cursor_counts_hidden_rows", Defence.GUARD, SAME, _texts("BEGIN", "DECLARE c SCROLL CURSOR FOR SELECT id FROM shop.orders", "MOVE ALL IN c", "MOVE ABSOLUTE 1000 IN c", "ROLLBACK")),
    _talk("cursor_fetched_extended", S, SAME, _run(
        (query("BEGIN"),), (query(f"DECLARE c CURSOR FOR {MASKED}"),),
        (parse("FETCH 4 FROM c", "f"), bind(name="f", result=BINARY), describe(), execute(), SYNC),
        (bind(name="f"), execute(), SYNC), (query("COMMIT"),))),
    _talk("cursor_declared_extended", S, SAME, _run(
        (query("BEGIN"),), (parse(f"DECLARE c CURSOR FOR {MASKED}"), bind(), execute(), parse("FETCH 4 FROM c"), bind(), execute(), SYNC), (query("COMMIT"),))),
    _talk("cursor_in_one_text", S, SAME, _texts(f"BEGIN; DECLARE c CURSOR FOR {MASKED}; FETCH 2 FROM c; FETCH 2 FROM c; COMMIT")),
    _talk("cursor_read_as_portal", S, CLEAN, _run((query("BEGIN"),), (query(f"DECLARE c CURSOR FOR {MASKED}"),), (describe(b"P", "c"), execute("c"), SYNC), (query("ROLLBACK"),))),
    _talk("fetch_of_portal", P, UNPROVEN, _run(
        (query("BEGIN"),), (parse(MASKED, "s"), bind(name="s", portal="p"), SYNC), (query("FETCH ALL FROM p"),))),
    _talk("fetch_of_half_read_portal", P, UNPROVEN, _run(
        (query("BEGIN"),), (parse(MASKED, "s"), bind(name="s", portal="p"), execute("p", 2), SYNC), (query("FETCH NEXT FROM p"),))),
    _talk("fetch_of_portal_in_pipeline", P, UNPROVEN, _run(
        (query("BEGIN"),),
        (parse(MASKED, "s"), bind(name="s", portal="p"), parse("FETCH ALL FROM p", "f"), bind(name="f", portal="g"), execute("g"), SYNC))),
    _talk("fetch_prepared_before_portal", P, UNPROVEN, _run(
        (parse("FETCH ALL FROM p", "f"), SYNC), (query("BEGIN"),),
        (parse(MASKED, "s"), bind(name="s", portal="p"), bind(name="f", portal="g"), execute("g"), SYNC))),
    _talk("fetch_of_portal_odd_name", P, UNPROVEN, _run(
        (query("BEGIN"),), (parse(MASKED, "s"), bind(name="s", portal="Odd \" p"), SYNC), (query('FETCH ALL FROM "Odd "" p"'),))),
    _talk("fetch_of_portal_long_name", P, CLEAN, _run(
        (query("BEGIN"),), (parse(MASKED, "s"), bind(name="s", portal="x" * 63), SYNC), (query(f"FETCH ALL FROM {'x' * 90}"),))),
    _talk("fetch_of_portal_folded_name", P, UNPROVEN, _run(
        (query("BEGIN"),), (parse(MASKED, "s"), bind(name="s", portal="p"), SYNC), (query("FETCH ALL FROM P"),))),
    _talk("move_in_portal", P, SAME, _run(
        (query("BEGIN"),), (parse(MASKED, "s"), bind(name="s", portal="p"), SYNC), (query("MOVE 3 IN p"),))),
    _talk("fetch_of_portal_after_failed_declare", P, CLEAN, _run(
        (query("BEGIN"),), (parse(MASKED, "s"), bind(name="s", portal="p"), SYNC),
        (query("SAVEPOINT a"),), (query("DECLARE p CURSOR FOR SELECT 1"),), (query("ROLLBACK TO a"),), (query("FETCH ALL FROM p"),))),
    _talk("portal_under_a_closed_cursors_name", P, UNPROVEN, _run(
        (query("BEGIN"),), (query("DECLARE p CURSOR FOR SELECT 1"),), (query("CLOSE p"),),
        (parse(MASKED, "s"), bind(name="s", portal="p"), SYNC), (query("FETCH ALL FROM p"),))),
    _talk("portal_under_a_rolled_back_cursors_name", P, UNPROVEN, _run(
        (query("BEGIN"),), (query("SAVEPOINT a"),), (query("DECLARE p CURSOR FOR SELECT 1"),), (query("ROLLBACK TO a"),),
        (parse(MASKED, "s"), bind(name="s", portal="p"), SYNC), (query("FETCH ALL FROM p"),))),
    _talk("portal_under_an_ended_transactions_cursor", P, UNPROVEN, _run(
        (query("BEGIN"),), (query("DECLARE p CURSOR FOR SELECT 1"),), (query("COMMIT AND CHAIN"),),
        (parse(MASKED, "s"), bind(name="s", portal="p"), SYNC), (query("FETCH ALL FROM p"),))),
    _talk("portal_closed_then_declared", S, SAME, _run(
        (query("BEGIN"),), (parse(MASKED, "s"), bind(name="s", portal="p"), close(b"P", "p"), SYNC),
        (query(f"DECLARE p CURSOR FOR {MASKED}"),), (query("FETCH ALL FROM p"),), (query("COMMIT"),))),
    _talk("declare_and_bind_in_pipeline", P, CLEAN, _run(
        (query("BEGIN"),),
        (parse("DECLARE p CURSOR FOR SELECT 1", "d"), bind(name="d", portal="x"), execute("x"), parse(MASKED, "s"), bind(name="s", portal="p"),
         parse("FETCH ALL FROM p", "f"), bind(name="f", portal="g"), execute("g"), SYNC))),
    _talk("fetch_unknown_cursor", P, Refused(("34000",)), _texts("BEGIN", "FETCH ALL FROM nothing")),
    _talk("declare_fails_then_fetch", P, CLEAN, _texts("BEGIN", "SAVEPOINT a", "DECLARE c CURSOR FOR SELECT ssn FROM shop.nothing", "ROLLBACK TO a", "FETCH c")),
)


def _flushed_fetch(client: RawClient) -> list[Answer]:
    """The portal is bound and half read before the FETCH goes out, without a Sync between them."""
    client.simple("BEGIN")
    client.send(parse(MASKED, "s"), bind(name="s", portal="p"), execute("p", 1), FLUSH)
    first = client.receive(b"sE")
    return [first, client.roundtrip(parse("FETCH 2 FROM p"), bind(), execute(), SYNC)]


PREPARED = (
    _talk("sql_prepared", S, SAME, _texts(f"PREPARE q AS {MASKED}", "EXECUTE q", "DEALLOCATE q", "EXECUTE q")),
    _talk("sql_prepared_parameter", S, SAME, _texts("PREPARE q (text) AS SELECT id FROM shop.customers WHERE ssn >= $1", "EXECUTE q('a')", "EXECUTE q('9' || '9')")),
    _talk("sql_prepared_extended", S, SAME, _run(
        (query(f"PREPARE q AS {MASKED}"),), (parse("EXECUTE q", "e"), bind(name="e", result=BINARY), describe(), execute(), SYNC))),
    _talk("sql_prepared_bound_masked", S, SAME, _run(
        (query(f"PREPARE q AS {MASKED}"),), (bind(name="q", result=BINARY), describe(), execute(), SYNC), (describe(b"S", "q"), SYNC))),
    _talk("sql_prepared_in_parts", S, SAME, _run(
        (query(f"PREPARE q AS {MASKED}"),), (parse("EXECUTE q"), bind(), execute("", 2), execute("", 2), execute(), SYNC))),
    _talk("fetch_flushed", P, UNPROVEN, _flushed_fetch),
    _talk("execute_of_protocol_statement", P, UNPROVEN, _run((parse(MASKED, "s"), SYNC), (query("EXECUTE s"),))),
    _talk("execute_of_protocol_statement_in_pipeline", P, UNPROVEN, _run((parse(MASKED, "s"), parse("EXECUTE s"), bind(), execute(), SYNC))),
    _talk("execute_parsed_before_its_statement", P, UNPROVEN, _run((parse("EXECUTE s", "e"), SYNC), (parse(MASKED, "s"), bind(name="e"), execute(), SYNC))),
    _talk("execute_of_protocol_statement_after_deallocate", P, UNPROVEN, _run(
        (query("PREPARE s AS SELECT 1"),), (query("DEALLOCATE s"),), (parse(MASKED, "s"), SYNC), (query("EXECUTE s"),))),
    _talk("execute_of_protocol_statement_after_discard", P, UNPROVEN, _run(
        (query("PREPARE s AS SELECT 1"),), (query("DISCARD ALL"),), (parse(MASKED, "s"), SYNC), (query("EXECUTE s"),))),
    _talk("execute_after_failed_prepare", P, UNPROVEN, _run(
        (parse(MASKED, "s"), SYNC), (query("PREPARE s AS SELECT 1"),), (query("EXECUTE s"),))),
    _talk("execute_after_prepare_in_failed_text", P, CLEAN, _run(
        (query("PREPARE s AS SELECT 1; SELECT 1/0"),), (parse(MASKED, "s"), SYNC), (query("EXECUTE s"),))),
    _talk("execute_unknown", P, Refused(("26000",)), _texts("EXECUTE nothing")),
    _talk("close_of_sql_prepared_then_parse", P, UNPROVEN, _run(
        (query("PREPARE s AS SELECT 1"),), (close(b"S", "s"), parse(MASKED, "s"), SYNC), (query("EXECUTE s"),))),
)

STATE = (
    _talk("notify_carries_masked_values", S, CLEAN, _texts("LISTEN canaries", "SELECT pg_notify('canaries', ssn || email || pin) FROM shop.customers", "SELECT 1", "UNLISTEN *")),
    _talk("notify_hears_hidden_rows", Defence.FENCE, CLEAN, _texts("LISTEN canaries", "SELECT id FROM shop.orders WHERE pg_notify('canaries', memo) IS NULL", "SELECT 1")),
    _talk("path_set_local", Defence.SETTINGS, SAME, _texts(
        "BEGIN", "SET LOCAL search_path = public", "SELECT 1 FROM customers", "ROLLBACK", "SELECT id, email FROM customers ORDER BY id")),
    _talk("path_savepoints", Defence.SETTINGS, SAME, _texts(
        "BEGIN", "SET search_path = public", "SAVEPOINT a", "SET search_path = shop", "SELECT id, email FROM customers ORDER BY id", "ROLLBACK TO a",
        "COMMIT", "SELECT id, email FROM customers ORDER BY id")),
    _talk("path_by_set_config", Defence.SETTINGS, DENIED, _texts("SELECT pg_catalog.set_config('search_path', 'vault', false)", "SELECT * FROM customers")),
    _talk("path_by_set_config_empty", Defence.SETTINGS, SAME, _texts(
        "SELECT pg_catalog.set_config('search_path', '', false)", "SELECT 1 FROM customers", "SELECT id, email FROM shop.customers ORDER BY id")),
    _talk("path_by_set_config_local", Defence.SETTINGS, SAME, _texts(
        "BEGIN", "SELECT set_config('search_path', 'public', true)", "COMMIT", "SELECT id, email FROM customers ORDER BY id")),
    _talk("path_set_local_alone", Defence.SETTINGS, SAME, _texts("SET LOCAL search_path = public", "SELECT id, email FROM customers ORDER BY id")),
    _talk("path_set_config_local_alone", Defence.SETTINGS, SAME, _texts("SELECT set_config('search_path', 'public', true)", "SELECT id, email FROM customers ORDER BY id")),
    _talk("path_set_local_in_one_text", Defence.SETTINGS, SAME, _texts(
        "SET LOCAL search_path = public; COMMIT; SELECT id, email FROM customers ORDER BY id")),
    _talk("path_rolled_back_in_one_text", Defence.SETTINGS, SAME, _texts(
        "BEGIN; SET search_path = public; ROLLBACK; SELECT id, email FROM customers ORDER BY id",
        "SET search_path = public; BEGIN; ROLLBACK; SELECT id, ssn FROM customers ORDER BY id")),
    _talk("path_rolled_back_to_in_one_text", Defence.SETTINGS, SAME, _texts(
        "BEGIN; SAVEPOINT a; SET search_path = public; ROLLBACK TO a; SELECT id, email FROM customers ORDER BY id; COMMIT", "SELECT id, ssn FROM customers ORDER BY id")),
    _talk("path_of_an_earlier_text_rolled_back", Defence.SETTINGS, UNPROVEN, _texts(
        "BEGIN", "SET search_path = public", "ROLLBACK; SELECT id, email FROM customers ORDER BY id")),
    _talk("path_from_current", Defence.SETTINGS, SAME, _texts(
        "BEGIN", "SET LOCAL search_path = public", "SET search_path FROM CURRENT", "COMMIT", "SELECT 1 FROM customers", "RESET search_path", "SELECT id, email FROM customers ORDER BY id")),
    _talk("path_after_error_in_one_text", Defence.SETTINGS, SAME, _texts(
        "SET search_path = public; SELECT 1/0", "SELECT id, email FROM customers ORDER BY id")),
    _talk("path_and_query_in_one_text", Defence.SETTINGS, SAME, _texts(
        "SET search_path = public; SET search_path = shop; SELECT id, email FROM customers ORDER BY id")),
    _talk("path_of_a_cursor", Defence.SETTINGS, SAME, _texts(
        "BEGIN", "DECLARE c CURSOR FOR SELECT id, email FROM customers ORDER BY id", "SET search_path = public", "FETCH ALL FROM c", "ROLLBACK")),
    _talk("path_of_a_sql_prepared_statement", Defence.SETTINGS, CLEAN, _texts(
        "PREPARE q AS SELECT id, email FROM customers ORDER BY id", "SET search_path = public", "EXECUTE q")),
    _talk("reset_of_roles", Defence.SETTINGS, SAME, _texts("RESET ROLE", "SET SESSION AUTHORIZATION DEFAULT", "SELECT id, ssn FROM shop.customers ORDER BY id")),
    _talk("discard_all_closes_cursors", Defence.SETTINGS, SAME, _texts(
        "BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT id, ssn FROM shop.customers ORDER BY id", "COMMIT", "FETCH 1 FROM c", "DISCARD ALL", "FETCH 1 FROM c")),
)
