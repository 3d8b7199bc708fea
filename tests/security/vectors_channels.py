"""Ways that carry a value past the rows: hiding places, types and texts that fail, costs, locks, names, encodings."""

# ruff: noqa: E501 - a statement reads best on one line
# fmt: off

from __future__ import annotations

from tests.security.raw_client import SYNC, Answer, RawClient, bind, describe, execute, frame, parse, query, string
from tests.security.vector import (
    BLOCKED,
    BROKEN,
    CLEAN,
    DENIED,
    NO_COLUMN,
    SAME,
    Allowed,
    Ask,
    Defence,
    Refused,
    Vector,
)

F, FN, ST, S, G = Defence.FENCE, Defence.FUNCTIONS, Defence.STATEMENTS, Defence.SOURCE, Defence.GUARD
SET, K, P, SC, R = Defence.SETTINGS, Defence.CATALOGS, Defence.PROTOCOL, Defence.SCRUB, Defence.RELATIONS
WES, FAY = "wes", "fay"
MASKED = "SELECT id, ssn, email, pin, phone FROM shop.customers ORDER BY id"
# Numbers of types in pg_type.
_JSONB, _XML, _RECORD, _REGCLASS, _TEXT, _NAME, _REGPROC, _UNKNOWN, _JSONPATH = 3802, 142, 2249, 2205, 25, 19, 24, 705, 4072


def _run(*groups: tuple[bytes, ...]) -> Ask:
    def ask(client: RawClient) -> list[Answer]:
        return [client.roundtrip(*group) for group in groups]

    return ask


def _texts(*texts: str) -> Ask:
    return _run(*((query(text),) for text in texts))


def _typed(sql: str, type_oid: int, value: bytes | None) -> Ask:
    """The type of ``$1`` is said by Parse, not by the text."""
    return _run((parse(sql, types=(type_oid,)), bind((value,)), describe(), execute(), SYNC))


def _talk(name: str, defence: Defence, expected: Refused | Allowed, *texts: str) -> Vector:
    return Vector(name, defence, expected, _texts(*texts), WES)


def _text(name: str, defence: Defence, expected: Refused | Allowed, sql: str, user: str = "ada") -> Vector:
    return Vector(f"channel_{name}", defence, expected, sql, user)


CHANNELS = (
    # Settings, sequences, locks and notifications as hiding places.
    _text("setting_of_own", SET, DENIED, "SELECT set_config('my.place', ssn, false) FROM shop.customers"),
    _text("setting_in_where", SET, DENIED, "SELECT 1 FROM shop.customers WHERE set_config('my.place', pin::text, false) > ''"),
    _text("setting_in_limit", SET, DENIED, "SELECT 1 LIMIT length(set_config('my.place', (SELECT max(secret) FROM vault.secrets), false))"),
    _text("setting_read_of_others", SET, CLEAN, "SELECT current_setting('shop.tenant', true), current_setting('is_superuser')"),
    _text("setting_attribute_call", SET, DENIED, "SELECT x.current_setting FROM (VALUES ('hba_file')) AS x(x)"),
    _text("setting_by_show_function", SET, DENIED, "SELECT * FROM pg_show_all_settings() WHERE name LIKE '%file'"),
    _text("setting_of_files", SET, DENIED, "SELECT * FROM pg_show_all_file_settings()"),
    _text("sequence_setval", FN, DENIED, "SELECT setval('shop.numbers', pin) FROM shop.customers"),
    _text("sequence_setval_granted_writes", FN, DENIED, "SELECT setval('shop.numbers', (SELECT max(pin) FROM shop.customers))", WES),
    _text("sequence_nextval_counts", FN, BLOCKED, "SELECT nextval('shop.numbers') FROM shop.customers WHERE pin > 0"),
    _text("sequence_data", FN, CLEAN, "SELECT * FROM pg_get_sequence_data('shop.numbers'::regclass)"),
    _text("advisory_try_lock", FN, DENIED, "SELECT pg_try_advisory_lock(id) FROM shop.customers WHERE pin > 5"),
    _text("advisory_unlock", FN, CLEAN, "SELECT pg_advisory_unlock_all()"),
    _text("advisory_of_hash", FN, DENIED, "SELECT pg_advisory_xact_lock(hashtext(ssn)) FROM shop.customers"),
    _text("notify_payload_of_subquery", FN, CLEAN, "SELECT pg_notify('c', (SELECT max(ssn) FROM shop.customers))", WES),
    _text("snapshot_export", FN, DENIED, "SELECT pg_export_snapshot()"),
    _text("log_message", FN, DENIED, "SELECT pg_logical_emit_message(false, 'x', ssn) FROM shop.customers"),
    _text("replication_slot", FN, DENIED, "SELECT pg_create_logical_replication_slot('s', 'test_decoding')"),
    _text("slot_changes", FN, DENIED, "SELECT * FROM pg_logical_slot_get_changes('s', NULL, NULL)"),
    _text("large_object_write", FN, DENIED, "SELECT lo_from_bytea(0, convert_to(ssn, 'UTF8')) FROM shop.customers"),
    _text("large_object_put", FN, DENIED, "SELECT lo_put(424242, 0, photo) FROM shop.customers"),
    _text("large_object_open", FN, DENIED, "SELECT lo_open(424242, 262144)"),
    _text("large_object_import", FN, DENIED, "SELECT lo_import('/etc/passwd')"),
    _text("large_object_table", K, BLOCKED, "TABLE pg_catalog.pg_largeobject"),
    # Time and cost as answers.
    _text("sleep_gate", FN, DENIED, "SELECT 1 FROM shop.customers WHERE ssn LIKE 'c%' AND pg_sleep(1) IS NULL"),
    _text("sleep_for", FN, DENIED, "SELECT CASE WHEN max(pin) > 5 THEN pg_sleep_for('1 s')::text END FROM shop.customers"),
    _text("sleep_until", FN, DENIED, "SELECT pg_sleep_until(now() + make_interval(secs => min(pin))) FROM shop.customers"),
    _text("row_estimate", ST, BLOCKED, "EXPLAIN SELECT * FROM shop.customers WHERE tenant_id = 2", WES),
    _text("row_estimate_of_guess", ST, BLOCKED, "EXPLAIN (FORMAT JSON) SELECT * FROM shop.customers WHERE ssn = '@[hidden customer 1 ssn]'", WES),
    _text("row_estimate_of_view", ST, BLOCKED, "EXPLAIN SELECT * FROM shop.contacts WHERE phone LIKE 'c%'", WES),
    _text("planner_estimates_by_class", K, CLEAN, "SELECT relname, reltuples, relpages, relallvisible FROM pg_class WHERE relnamespace = 'shop'::regnamespace"),
    _text("size_of_table", FN, CLEAN, "SELECT pg_total_relation_size('shop.salaries')"),
    _text("size_of_database", FN, CLEAN, "SELECT pg_database_size(current_database())"),
    _text("statio_counters", K, CLEAN, "SELECT relname, heap_blks_read, idx_blks_hit FROM pg_statio_all_tables WHERE schemaname = 'shop'"),
    _text("stat_all_tables", K, BLOCKED, "SELECT relname, n_live_tup, seq_tup_read FROM pg_stat_all_tables"),
    _text("stat_all_indexes", K, BLOCKED, "SELECT * FROM pg_stat_all_indexes"),
    _text("stat_user_functions", K, BLOCKED, "SELECT * FROM pg_stat_user_functions"),
    _text("stat_xact_tables", K, BLOCKED, "SELECT * FROM pg_stat_xact_user_tables"),
    _text("stat_progress", K, BLOCKED, "SELECT * FROM pg_stat_progress_copy"),
    _text("stat_io", K, Refused(("42501", "42P01")), "SELECT * FROM pg_stat_io"),
    _text("stat_database", K, CLEAN, "SELECT * FROM pg_stat_database"),
    _text("wait_events", K, CLEAN, "SELECT query, wait_event FROM pg_stat_activity"),
    _text("locks_of_others", K, CLEAN, "SELECT relation::regclass, objid FROM pg_locks"),
    # Calls in every syntax.
    _text("read_file_positional", FN, DENIED, "SELECT pg_read_file('/etc/passwd', 0, 10)"),
    _text("read_file_named", FN, BLOCKED, "SELECT pg_read_file(filename => '/etc/passwd')"),
    _text("read_file_variadic", FN, BROKEN, "SELECT pg_read_file(VARIADIC ARRAY['/etc/passwd'])"),
    _text("read_file_lateral", FN, DENIED, "SELECT f FROM (VALUES ('/etc/passwd')) AS v(p), LATERAL pg_read_file(v.p) AS f"),
    _text("read_binary_file", FN, DENIED, "SELECT encode(pg_read_binary_file('/etc/passwd'), 'escape')"),
    _text("read_file_capitals", FN, DENIED, "SELECT PG_CATALOG.PG_READ_FILE('/etc/passwd')"),
    _text("read_file_in_default_of_values", FN, DENIED, "VALUES (pg_read_file('/etc/passwd'))"),
    _text("read_file_in_case", FN, DENIED, "SELECT CASE WHEN false THEN pg_read_file('/etc/passwd') END"),
    _text("read_file_in_aggregate_filter", FN, DENIED, "SELECT count(*) FILTER (WHERE pg_read_file('/etc/passwd') > '') FROM shop.regions"),
    _text("read_file_in_window", FN, DENIED, "SELECT sum(id) OVER (ORDER BY pg_read_file('/etc/passwd')) FROM shop.regions"),
    _text("read_file_in_offset", FN, DENIED, "SELECT 1 OFFSET length(pg_read_file('/etc/passwd'))"),
    _text("read_file_in_tablesample", FN, DENIED, "SELECT * FROM shop.regions TABLESAMPLE SYSTEM (length(pg_read_file('/etc/passwd')))"),
    _text("read_file_in_json_table", FN, BLOCKED, "SELECT * FROM json_array_elements_text(to_json(ARRAY[pg_read_file('/etc/passwd')]))"),
    _text("list_log_directory", FN, DENIED, "SELECT * FROM pg_ls_logdir()"),
    _text("current_logfile", FN, DENIED, "SELECT pg_current_logfile()"),
    _text("xml_of_query", FN, DENIED, "SELECT query_to_xmlschema('SELECT * FROM shop.salaries', true, false, '')"),
    _text("xml_of_query_and_schema", FN, DENIED, "SELECT query_to_xml_and_xmlschema('SELECT * FROM shop.customers', true, false, '')"),
    _text("xml_of_schema", FN, DENIED, "SELECT schema_to_xml_and_xmlschema('shop', true, false, '')"),
    _text("xml_of_table_by_oid", FN, DENIED, "SELECT table_to_xml(n::oid::regclass, true, false, '') FROM generate_series(16384, 16999) n"),
    _text("dblink_exec", FN, BLOCKED, "SELECT dblink_exec('dbname=shop', 'SELECT 1')"),
    _text("dblink_connect", FN, BLOCKED, "SELECT dblink_connect('c', 'host=localhost')"),
    _text("ts_stat_with_weights", FN, DENIED, "SELECT * FROM ts_stat('SELECT to_tsvector(secret) FROM vault.secrets', 'a')"),
    _text("cursor_of_function", FN, DENIED, "SELECT cursor_to_xml('c', 10, true, false, '')"),
    _text("input_error_info", FN, CLEAN, "SELECT (pg_input_error_info(ssn, 'int')).* FROM shop.customers"),
    _text("input_is_valid", FN, CLEAN, "SELECT id, pg_input_is_valid(ssn, 'int') FROM shop.customers ORDER BY id"),
    _text("cast_by_function", F, CLEAN, "SELECT int4in(textout(ssn)) FROM shop.customers"),
    _text("type_input_function", FN, DENIED, "SELECT record_in(c::text::cstring, 'shop.customers'::regtype, -1) FROM shop.customers c"),
    _text("trigger_function", FN, BROKEN, "SELECT suppress_redundant_updates_trigger()"),
    _text("language_handler", FN, DENIED, "SELECT plpgsql_validator('shop.leak'::regproc)"),
    _text("inline_handler", FN, BLOCKED, "SELECT plpgsql_inline_handler(NULL)"),
    _text("amcheck", FN, BLOCKED, "SELECT bt_index_check('shop.customers_pkey')"),
    _text("pageinspect", FN, BLOCKED, "SELECT get_raw_page('shop.customers', 0)"),
    _text("partition_root", K, CLEAN, "SELECT pg_partition_root('shop.events_2124'::regclass), * FROM pg_partition_tree('shop.events')"),
    _text("filenode_of_hidden", FN, BLOCKED, "SELECT pg_relation_filepath('shop.salaries')"),
    _text("identity_of_hidden_object", FN, CLEAN, "SELECT * FROM pg_identify_object_as_address('pg_class'::regclass, (SELECT max(oid) FROM pg_class), 0)"),
    _text("object_by_name", FN, CLEAN, "SELECT * FROM pg_get_object_address('table', '{shop,salaries}', '{}')"),
    # Names, operators and types that stand for others.
    _text("operator_of_path", FN, BLOCKED, "SELECT id FROM shop.customers WHERE name OPERATOR(shop.~~~) 'x'"),
    _text("operator_of_catalog_by_path", S, SAME, "SELECT id FROM shop.customers WHERE pin OPERATOR(pg_catalog.>) 0 ORDER BY id"),
    _text("operator_in_order", FN, BROKEN, "SELECT id FROM shop.customers ORDER BY name USING OPERATOR(shop.<<<>>>)"),
    _text("type_of_hidden_table_array", R, BLOCKED, "SELECT (ARRAY[]::shop.salaries[])[1]"),
    _text("type_of_hidden_table_cast", R, BLOCKED, "SELECT ROW(1, 'a', 2, now()::date)::shop.salaries"),
    _text("type_reference", R, BROKEN, "CREATE TEMP TABLE t (a shop.salaries.person%TYPE)", WES),
    _text("table_of_values_as_row_type", R, CLEAN, "SELECT * FROM json_populate_recordset(NULL::shop.customers, '[{\"id\": 1}]')"),
    _text("row_type_compared", G, SAME, "SELECT count(*) FROM shop.customers a JOIN shop.customers b ON a = b"),
    _text("row_type_ordered", G, SAME, "SELECT id FROM shop.customers c ORDER BY c"),
    _text("row_type_in_set", G, SAME, "SELECT count(*) FROM (SELECT c FROM shop.customers c INTERSECT SELECT c FROM shop.customers c) q"),
    _text("row_hash", G, CLEAN, "SELECT hash_record(c) FROM shop.customers c"),
    _text("row_type_name", G, CLEAN, "SELECT pg_typeof(c), c::text FROM shop.customers c LIMIT 2"),
    _text("inherited_row_cast", G, CLEAN, "SELECT (m::shop.memos).body FROM shop.memos_archive m"),
    _text("system_attribute_tableoid_join", G, CLEAN, "SELECT c.relname, m.body FROM shop.memos m JOIN pg_class c ON c.oid = m.tableoid"),
    # Guesses by what stays: extremes, order, groups, frames, samples.
    _text("extremes_by_group", S, SAME, "SELECT city, min(ssn), max(phone), min(seen_at) FROM shop.customers GROUP BY city ORDER BY city"),
    _text("extremes_by_index", S, SAME, "SELECT max(email) FROM shop.customers"),
    _text("rank_of_guess", S, SAME, "SELECT rank('@[hidden customer 1 ssn]') WITHIN GROUP (ORDER BY ssn) FROM shop.customers"),
    _text("ntile_of_masked", S, SAME, "SELECT id, ntile(4) OVER (ORDER BY credit_limit, id) FROM shop.customers ORDER BY id"),
    _text("first_value_of_masked", S, SAME, "SELECT id, first_value(email) OVER (PARTITION BY city ORDER BY birth_date, id) FROM shop.customers ORDER BY id"),
    _text("group_count_of_masked", S, SAME, "SELECT birth_date, count(*) FROM shop.customers GROUP BY birth_date HAVING count(*) > 1 ORDER BY 1"),
    _text("sample_of_hidden", G, CLEAN, "SELECT count(*) FROM shop.customers TABLESAMPLE BERNOULLI (100) REPEATABLE (1)"),
    _text("sample_of_blocks", G, CLEAN, "SELECT name, ssn FROM shop.customers TABLESAMPLE SYSTEM (100)"),
    _text("correlation_of_masked", S, SAME, "SELECT corr(points, rating), regr_count(points, rating) FROM shop.customers"),
    _text("bits_of_masked", S, SAME, "SELECT bit_and(pin), bit_or(pin), bool_and(pin > 5) FROM shop.customers"),
    _text("hash_of_masked", S, SAME, "SELECT id, hashtext(ssn), sha256(convert_to(ssn, 'UTF8')) FROM shop.customers ORDER BY id"),
    _text("hash_of_blocked", Defence.COLUMNS, NO_COLUMN, "SELECT md5(card_number) FROM shop.payments"),
    _text("length_of_masked", S, SAME, "SELECT id, length(ssn), octet_length(photo), cardinality(tags) FROM shop.customers ORDER BY id"),
    _text("distance_of_masked", S, SAME, "SELECT id, abs(pin - 105000000), points - 1 FROM shop.customers ORDER BY id"),
    _text("time_zone_moves_masked", S, SAME, "SELECT id, seen_at AT TIME ZONE 'Pacific/Auckland', extract(day FROM seen_at) FROM shop.customers ORDER BY id"),
    _text("row_lock_of_hidden", Defence.LOCKS, CLEAN, "SELECT id FROM shop.customers WHERE id = @[hidden customer 1 id] FOR UPDATE NOWAIT", WES),
    _text("key_share_lock", Defence.LOCKS, CLEAN, "SELECT id, ssn FROM shop.customers ORDER BY id FOR KEY SHARE", WES),
    # Spellings.
    _text("escape_string_hex", S, SAME, r"SELECT id FROM shop.customers WHERE ssn = E'\x63nry' ORDER BY id"),
    _text("escape_string_octal", S, SAME, r"SELECT ssn || E'\047' FROM shop.customers ORDER BY id"),
    _text("adjacent_strings", S, SAME, "SELECT ssn || 'a'\n'b'\n'c' FROM shop.customers ORDER BY id"),
    _text("adjacent_strings_and_comment", S, CLEAN, "SELECT ssn || 'a'\n'b' -- '\n'c' FROM shop.customers ORDER BY id"),
    _text("unicode_string", S, SAME, r"SELECT id, ssn FROM shop.customers WHERE name > U&'\0041' ORDER BY id"),
    _text("unicode_string_of_function", FN, DENIED, r"""SELECT U&"pg!005fread!005ffile" UESCAPE '!' ('/etc/passwd')"""),
    _text("dollar_tag_with_quote", S, SAME, "SELECT $q$'; TABLE shop.salaries; --$q$, ssn FROM shop.customers ORDER BY id"),
    _text("dollar_tag_nested", S, SAME, "SELECT $a$ $b$ $a$, id, ssn FROM shop.customers WHERE name <> $b$ $a$ $b$ ORDER BY id"),
    _text("comment_opens_string", S, SAME, "SELECT /* ' */ ssn /* ' */ FROM shop.customers ORDER BY id"),
    _text("comment_in_dollar_tag", S, SAME, "SELECT $$/*$$ || ssn || $$*/$$ FROM shop.customers ORDER BY id"),
    _text("line_comment_ended_by_return", S, SAME, "SELECT id --\r, name\nFROM shop.customers ORDER BY id"),
    _text("operator_eats_comment", S, BROKEN, "SELECT 1 +/* */-- \n@ ssn FROM shop.customers"),
    _text("bit_string", S, SAME, "SELECT B'1010'::int, X'1F'::int, id, pin FROM shop.customers ORDER BY id"),
    _text("number_with_junk", Defence.PARSE, BROKEN, "SELECT 1ssn, pin FROM shop.customers WHERE id = 1and 2"),
    _text("long_identifier_is_cut", S, CLEAN, f'SELECT ssn AS "{"x" * 80}" FROM shop.customers ORDER BY "{"x" * 63}"'),
    _text("zero_width_name", R, Refused(("42",)), 'SELECT * FROM shop."customers\u200b"'),
    _text("look_alike_name", R, Refused(("42",)), "SELECT * FROM shop.\u0441ustomers"),
    _text("combining_name", S, NO_COLUMN, 'SELECT "ssn\u0301" FROM shop.customers'),
    _text("keyword_columns", S, CLEAN, 'SELECT "user", current_user, "session_user" FROM (SELECT ssn AS "user", pin AS "session_user" FROM shop.customers) q'),
    # Functions that a policy grants: what they raise tells of what they were given, and that is masked.
    _text("raised_text", SC, CLEAN, "SELECT shop.complain(ssn) FROM shop.customers", FAY),
    _text("raised_text_of_hidden_rows", SC, CLEAN, "SELECT id FROM shop.customers WHERE shop.complain(name) IS NULL", FAY),
    _text("raised_notice_of_hidden_rows", SC, CLEAN, "SELECT count(*) FROM shop.customers WHERE shop.tell(name) AND tenant_id = 2", FAY),
    _text("raised_notice_of_masked", SC, CLEAN, "SELECT shop.tell(email || ssn) FROM shop.customers", FAY),
    _text("raised_constraint_name", SC, CLEAN, "SELECT shop.complain_as(ssn) FROM shop.customers", FAY),
    _text("raised_context_of_query", SC, CLEAN, "SELECT shop.complain_inside(pin) FROM shop.customers", FAY),
    _text("granted_function_over_whole_row", FN, DENIED, "SELECT shop.leak_of(c) FROM shop.customers c", FAY),
    _text("granted_function_shadowed", FN, BLOCKED, "SELECT tell_two('a', 'b'), vault.tell('a')", FAY),
    _text("granted_name_other_arguments", FN, CLEAN, "SELECT shop.tell(pin::text, ssn) FROM shop.customers", FAY),
)

CHANNEL_TALKS = (
    # Types that Parse or PREPARE declare.
    Vector("channel_parse_type_regclass", K, CLEAN, _typed("SELECT $1::text", _REGCLASS, b"shop.salaries")),
    Vector("channel_parse_type_regproc", FN, CLEAN, _typed("SELECT $1", _REGPROC, b"shop.leak")),
    Vector("channel_parse_type_json", S, SAME, _typed("SELECT id, to_jsonb(c) -> 'ssn' FROM shop.customers c WHERE to_jsonb(c) @> $1 ORDER BY id", _JSONB, b'{"tenant_id": 1}')),
    Vector("channel_parse_type_jsonpath", F, SAME, _typed("SELECT count(*) FROM shop.customers WHERE profile @? $1", _JSONPATH, b"$.ssn ? (@ like_regex \"c\")")),
    Vector("channel_parse_type_xml", S, CLEAN, _typed("SELECT xmlconcat($1, xmlelement(name x, ssn)) FROM shop.customers", _XML, b"<a/>")),
    Vector("channel_parse_type_record", G, CLEAN, _typed("SELECT id FROM shop.customers c WHERE c = $1", _RECORD, b"(1)")),
    Vector("channel_parse_type_text_for_number", S, CLEAN, _typed("SELECT id FROM shop.customers WHERE pin = $1", _TEXT, b"5")),
    Vector("channel_parse_type_name", S, SAME, _typed("SELECT id FROM shop.customers WHERE ssn > $1 ORDER BY id", _NAME, b"R")),
    Vector("channel_parse_type_unknown", S, SAME, _typed("SELECT id FROM shop.customers WHERE ssn > $1 ORDER BY id", _UNKNOWN, b"R")),
    Vector("channel_parse_type_nobody_has", P, CLEAN, _typed("SELECT $1, ssn FROM shop.customers", 4_000_000_000, b"x")),
    _talk("channel_prepare_row_type", R, BLOCKED, "PREPARE q (shop.salaries) AS SELECT ($1).person"),
    _talk("channel_prepare_guarded_row_type", G, CLEAN, "PREPARE q (shop.customers) AS SELECT $1.ssn", "EXECUTE q((SELECT c FROM shop.customers c LIMIT 1))"),
    _talk("channel_prepare_regclass", K, CLEAN, "PREPARE q (regclass) AS SELECT pg_get_viewdef($1)", "EXECUTE q('shop.payroll')"),
    _talk("channel_prepare_generic_plan", S, SAME, "SET plan_cache_mode = force_generic_plan", "PREPARE q (int) AS SELECT id, pin, ssn FROM shop.customers WHERE id = $1", "EXECUTE q(3)"),
    # Hiding places that outlive a statement.
    _talk("channel_setting_written_then_read", SET, CLEAN, "SET my.place = 'x'", "SELECT current_setting('my.place', true), ssn FROM shop.customers"),
    _talk("channel_application_name_carries", SET, CLEAN, "SET application_name = 'x'", "SELECT set_config('application_name', max(ssn), false) FROM shop.customers", "SHOW application_name"),
    _talk("channel_temp_table_of_masked_then_read", S, SAME, f"CREATE TEMP TABLE kept AS {MASKED}", "SELECT * FROM kept ORDER BY id"),
    _talk("channel_temp_table_joined_back", S, SAME, "CREATE TEMP TABLE kept AS SELECT id, pin FROM shop.customers", "SELECT c.id FROM shop.customers c JOIN kept k ON k.pin = c.pin AND k.id = c.id ORDER BY 1"),
    _talk("channel_temp_sequence", ST, CLEAN, "CREATE TEMP SEQUENCE place", "SELECT setval('place', max(pin)) FROM shop.customers", "SELECT nextval('place')"),
    _talk("channel_temp_function", ST, DENIED, "CREATE FUNCTION pg_temp.f(text) RETURNS text LANGUAGE sql AS 'SELECT ssn FROM shop.customers'"),
    _talk("channel_temp_operator", ST, DENIED, "CREATE OPERATOR pg_temp.= (leftarg = text, rightarg = text, function = texteq)"),
    _talk("channel_temp_operator_public", ST, DENIED, "CREATE OPERATOR public.= (leftarg = text, rightarg = int, function = int4eq)"),
    _talk("channel_temp_domain", ST, BLOCKED, "CREATE DOMAIN pg_temp.d AS text CHECK (pg_read_file(VALUE) > '')"),
    _talk("channel_temp_trigger", ST, BLOCKED, "CREATE TEMP TABLE kept (a int)", "CREATE TRIGGER t BEFORE INSERT ON kept EXECUTE FUNCTION shop.leak()"),
    _talk("channel_temp_rule", ST, BLOCKED, "CREATE TEMP TABLE kept (a text)", "CREATE RULE r AS ON INSERT TO kept DO INSTEAD SELECT ssn FROM shop.customers"),
    _talk("channel_cursor_hold_of_masked", S, SAME, f"DECLARE c CURSOR WITH HOLD FOR {MASKED}", "FETCH ALL FROM c", "CLOSE c"),
    _talk("channel_binary_cursor_of_masked", S, SAME, "BEGIN", f"DECLARE c BINARY CURSOR FOR {MASKED}", "FETCH 7 FROM c", "COMMIT"),
    _talk("channel_cursor_for_update_of_masked", Defence.LOCKS, SAME, "BEGIN", "DECLARE c CURSOR FOR SELECT id, pin FROM shop.customers ORDER BY id FOR UPDATE", "FETCH 3 FROM c", "ROLLBACK"),
    _talk("channel_where_current_of", Defence.WRITES, CLEAN, "BEGIN", "DECLARE c CURSOR FOR SELECT * FROM shop.customers FOR UPDATE", "FETCH 1 FROM c", "UPDATE shop.customers SET name = ssn WHERE CURRENT OF c", "ROLLBACK"),
    _talk("channel_constraint_detail_of_insert", SC, CLEAN, "BEGIN", "INSERT INTO shop.customers (id, tenant_id, name, segment, email) SELECT 9000, 1, 'x', 'vip', email FROM shop.customers LIMIT 2", "ROLLBACK"),
    _talk("channel_constraint_detail_of_key", SC, CLEAN, "BEGIN", "INSERT INTO shop.customers (id, tenant_id, name, segment) VALUES (1, 1, 'x', 'vip')", "ROLLBACK"),
    _talk("channel_constraint_detail_of_check", SC, CLEAN, "BEGIN", "UPDATE shop.customers SET ssn = 'cnryconstant' || 'check' WHERE id = 2", "ROLLBACK"),
    _talk("channel_constraint_detail_of_not_null", SC, CLEAN, "BEGIN", "UPDATE shop.customers SET name = NULL WHERE id = 2", "ROLLBACK"),
    _talk("channel_too_long_for_column", SC, CLEAN, "BEGIN", "UPDATE shop.customers SET city = repeat('x', 90) WHERE id = 2", "ROLLBACK"),
    _talk("channel_merge_returning_action", Defence.WRITES, CLEAN, "BEGIN", "MERGE INTO shop.customers t USING (VALUES (2)) v(i) ON t.id = v.i WHEN MATCHED THEN UPDATE SET name = 'x' RETURNING merge_action(), t.*", "ROLLBACK"),
    _talk("channel_merge_returning_source", Defence.WRITES, CLEAN, "BEGIN", "MERGE INTO shop.orders t USING shop.customers c ON t.customer_id = c.id WHEN MATCHED THEN UPDATE SET memo = 'x' RETURNING c.*", "ROLLBACK"),
    # The session's settings of text and time.
    _talk("channel_time_zone_then_masked", S, SAME, "SET TIME ZONE 'Pacific/Kiritimati'", "SELECT id, seen_at, birth_date FROM shop.customers ORDER BY id"),
    _talk("channel_date_style_then_masked", SET, CLEAN, "SET DateStyle = 'ISO, DMY'", "SELECT id, birth_date::text FROM shop.customers ORDER BY id"),
    _talk("channel_interval_style", SET, CLEAN, "SET IntervalStyle = 'sql_standard'", "SELECT age(birth_date) FROM shop.customers"),
    _talk("channel_xml_settings", SET, CLEAN, "SET xmlbinary = 'hex'", "SELECT xmlelement(name p, photo) FROM shop.customers"),
    _talk("channel_collation_setting", SET, CLEAN, "SET lc_messages = 'C'", "SELECT ssn::int FROM shop.customers"),
    _talk("channel_verbosity", SET, CLEAN, "SET client_min_messages = debug5", "SELECT ssn::int FROM shop.customers"),
    _talk("channel_parameter_logging", SET, CLEAN, "SET log_parameter_max_length_on_error = -1", "SELECT ssn::int FROM shop.customers"),
    _talk("channel_back_slash_setting", SET, CLEAN, "SET backslash_quote = on", r"SELECT '\'' || ssn || '\'' FROM shop.customers"),
    _talk("channel_transform_null_equals", SET, CLEAN, "SET transform_null_equals = on", "SELECT id FROM shop.customers WHERE ssn = NULL"),
    _talk("channel_array_nulls", SET, CLEAN, "SET array_nulls = off", "SELECT '{NULL}'::text[] || tags FROM shop.customers"),
    # The protocol's own corners.
    Vector("channel_function_call_by_oid", P, CLEAN, _run((frame(b"F", (2085).to_bytes(4, "big"), b"\0\0\0\0\0\0"), query("SELECT 1")))),
    Vector("channel_flush_without_sync", P, SAME, _run((parse(MASKED), bind(), describe(), execute(limit=3), frame(b"H"), execute(), SYNC))),
    Vector("channel_describe_of_refused", P, Refused(("42501",)), _run((parse("SELECT * FROM shop.salaries"), describe(b"S"), SYNC))),
    Vector("channel_describe_of_blocked_column", P, Refused(("42501", "42703")), _run((parse("SELECT card_number FROM shop.payments"), describe(b"S"), SYNC))),
    Vector("channel_query_after_nul", P, CLEAN, _run((frame(b"Q", b"SELECT 1\0; TABLE shop.salaries\0"), SYNC))),
    Vector("channel_bind_formats_mixed", P, CLEAN, _run((parse("SELECT id, ssn, birth_date, pin FROM shop.customers ORDER BY id"), bind(result=(1, 0, 1, 1)), describe(), execute(), SYNC))),
    Vector("channel_bind_too_many_formats", P, CLEAN, _run((parse(MASKED), bind(result=(1, 1, 1, 1, 1, 1, 1)), describe(), execute(), SYNC))),
    Vector("channel_statement_name_of_bytes", P, CLEAN, _run((frame(b"P", b"\xff\xfe\0", string(MASKED), b"\0\0"), SYNC), (query("SELECT 1"),))),
    Vector("channel_two_selects_one_masked", P, SAME, _texts(f"SELECT 1; {MASKED}; SELECT 2")),
    Vector("channel_refused_last", P, Refused(("42501",)), _texts("SELECT 1; SELECT * FROM shop.salaries")),
)
# fmt: on
