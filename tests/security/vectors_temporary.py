"""Ways to keep what is hidden in something new: temporary tables, tables and views made of queries, names and definitions."""

# ruff: noqa: E501 - a statement reads best on one line
# fmt: off

from __future__ import annotations

from tests.security.raw_client import SYNC, Answer, RawClient, bind, execute, parse, query
from tests.security.vector import (
    BLOCKED,
    CLEAN,
    DENIED,
    NO_TABLE,
    SAME,
    UNPROVEN,
    Allowed,
    Ask,
    Defence,
    Refused,
    Vector,
)

S, G, F = Defence.SOURCE, Defence.GUARD, Defence.FENCE
ST, R, FN, V = Defence.STATEMENTS, Defence.RELATIONS, Defence.FUNCTIONS, Defence.VIEWS
RAW = "SELECT id, ssn, email, pin, phone FROM shop.customers"


def _texts(*texts: str) -> Ask:
    def ask(client: RawClient) -> list[Answer]:
        return [client.roundtrip(query(text)) for text in texts]

    return ask


def _temp(name: str, defence: Defence, expected: Refused | Allowed, *texts: str) -> Vector:
    return Vector(name, defence, expected, _texts(*texts), "wes")


def _ddl(name: str, defence: Defence, expected: Refused | Allowed, *texts: str) -> Vector:
    """By the user who may do DDL, in a transaction that the last text but one, or the end of the link, undoes."""
    return Vector(f"ddl_{name}", defence, expected, _texts("BEGIN", *texts), "max")


def _pipelined(client: RawClient) -> list[Answer]:
    """All in one Sync: the second statement is decided before the first has run."""
    made = (parse(f"CREATE TEMP TABLE kept AS {RAW}"), bind(), execute())
    return [client.roundtrip(*made, parse("SELECT * FROM kept"), bind(), execute(), SYNC)]


TEMPORARY = (
    _temp("temp_of_query", S, SAME, f"CREATE TEMP TABLE kept AS {RAW}", "SELECT * FROM kept ORDER BY id"),
    _temp("temp_of_table_command", S, SAME, "CREATE TEMP TABLE kept AS TABLE shop.customers", "SELECT * FROM pg_temp.kept ORDER BY id"),
    _temp("temp_by_select_into", S, SAME, "SELECT id, ssn INTO TEMP kept FROM shop.customers AS c", "SELECT id, ssn FROM kept ORDER BY id"),
    _temp("temp_of_whole_rows", S, CLEAN, "CREATE TEMP TABLE kept AS SELECT id, c FROM shop.customers AS c", "SELECT id, (c).ssn FROM kept ORDER BY id"),
    _temp("temp_by_schema_name", S, SAME, f"CREATE TABLE pg_temp.kept AS {RAW}", "SELECT * FROM kept ORDER BY id"),
    _temp("temp_of_cte", S, SAME, "CREATE TEMP TABLE kept AS WITH c AS (SELECT * FROM customers) SELECT ssn, email FROM c", "SELECT * FROM kept ORDER BY email"),
    _temp("temp_of_hidden_table", R, DENIED, "CREATE TEMP TABLE kept AS SELECT * FROM shop.salaries"),
    _temp("temp_of_execute", ST, UNPROVEN, f"PREPARE q AS {RAW}", "CREATE TEMP TABLE kept AS EXECUTE q"),
    _temp("temp_of_blocked_column", Defence.COLUMNS, DENIED, "CREATE TEMP TABLE kept AS SELECT card_number FROM shop.payments"),
    _temp("temp_shadows_name", R, SAME, "CREATE TEMP TABLE orders (id int, memo text)", "INSERT INTO orders VALUES (1, 'mine')", "SELECT * FROM orders"),
    _temp("temp_shadows_hidden_name", R, SAME, "CREATE TEMP TABLE salaries (id int, amount int)", "SELECT * FROM salaries"),
    _temp("temp_shadow_gone", R, DENIED, "CREATE TEMP TABLE salaries (id int)", "DROP TABLE salaries", "SELECT * FROM salaries"),
    _temp("temp_shadow_rolled_back", R, DENIED, "BEGIN", "CREATE TEMP TABLE salaries (id int)", "ROLLBACK", "SELECT * FROM salaries"),
    _temp("temp_shadow_rolled_back_to", R, SAME, "BEGIN", "SAVEPOINT a", "CREATE TEMP TABLE customers (id int)", "ROLLBACK TO a", f"{RAW} ORDER BY id", "ROLLBACK"),
    _temp("temp_shadow_until_commit", R, SAME, "BEGIN", "CREATE TEMP TABLE customers (id int) ON COMMIT DROP", "SELECT * FROM customers", "COMMIT", "SELECT id, ssn FROM customers ORDER BY id"),
    _temp("temp_shadow_discarded", R, SAME, "CREATE TEMP TABLE customers (id int)", "DISCARD TEMP", "SELECT id, ssn FROM customers ORDER BY id"),
    _temp("temp_shadow_failed", R, SAME, "CREATE TEMP TABLE customers (id int, id int)", "SELECT id, ssn FROM customers ORDER BY id"),
    _temp("temp_shadow_renamed", R, SAME, "CREATE TEMP TABLE a (id int)", "ALTER TABLE a RENAME TO customers", "SELECT * FROM customers", "ALTER TABLE customers RENAME TO b", "SELECT id, ssn FROM customers ORDER BY id"),
    _temp("temp_shadow_does_not_reach_qualified", G, SAME, "CREATE TEMP TABLE customers (id int)", "SELECT id, ssn FROM shop.customers ORDER BY id"),
    _temp("temp_shadow_of_filters_table", G, SAME, "CREATE TEMP TABLE orders (id int, tenant_id int)", "INSERT INTO orders SELECT i, 1 FROM generate_series(1, 500) i", "SELECT * FROM shop.order_items ORDER BY 1, 2"),
    _temp("temp_named_as_type", R, UNPROVEN, "CREATE TEMP TABLE text (id int)"),
    _temp("temp_named_as_catalog", R, UNPROVEN, "CREATE TEMP TABLE pg_class AS SELECT 1 AS oid"),
    _temp("temp_untracked_name", R, NO_TABLE, "SELECT * FROM pg_temp.customers"),
    _temp("temp_of_another_session", R, NO_TABLE, "SELECT * FROM pg_temp_3.kept"),
    _temp("temp_toast_schema", R, NO_TABLE, "SELECT * FROM pg_toast.pg_toast_1255"),
    _temp("temp_joined_with_guarded", S, SAME, "CREATE TEMP TABLE t AS SELECT 1 AS id, 'x' AS ssn", "SELECT t.ssn, c.ssn, email FROM t JOIN shop.customers c USING (id)"),
    _temp("temp_join_probes_by_cast", F, CLEAN, "CREATE TEMP TABLE t (v float8)", "INSERT INTO t VALUES (1e300)", "SELECT id FROM shop.orders o JOIN t ON o.total * 1e300 = t.v"),
    _temp("temp_join_probes_division", F, CLEAN, "CREATE TEMP TABLE t AS SELECT i AS id FROM generate_series(1, 60) i", "SELECT o.id FROM shop.orders o JOIN t USING (id) WHERE 1 / (t.id - 5) > 0"),
    _temp("temp_compared_with_masked", S, SAME, "CREATE TEMP TABLE t AS SELECT ssn FROM shop.customers", "SELECT c.id FROM shop.customers c JOIN t USING (ssn) ORDER BY 1 LIMIT 3"),
    _temp("temp_like_guarded", ST, BLOCKED, "CREATE TEMP TABLE t (LIKE shop.customers INCLUDING ALL)"),
    _temp("temp_like_blocked_column", ST, BLOCKED, "CREATE TEMP TABLE t (LIKE shop.payments)"),
    _temp("temp_like_hidden", R, DENIED, "CREATE TEMP TABLE t (LIKE shop.salaries INCLUDING ALL)"),
    _temp("temp_inherits_guarded", ST, DENIED, "CREATE TEMP TABLE t () INHERITS (shop.customers)"),
    _temp("temp_inherits_hidden", R, DENIED, "CREATE TEMP TABLE t () INHERITS (shop.salaries)"),
    _temp("temp_references_guarded", ST, BLOCKED, "CREATE TEMP TABLE t (id int REFERENCES shop.customers)"),
    _temp("temp_default_reads_file", FN, DENIED, "CREATE TEMP TABLE t (a text DEFAULT pg_read_file('/etc/passwd'))"),
    _temp("temp_default_leaks", FN, DENIED, "CREATE TEMP TABLE t (a text DEFAULT shop.leak())"),
    _temp("temp_default_runs_sql", FN, DENIED, "CREATE TEMP TABLE t (a xml DEFAULT query_to_xml('SELECT * FROM shop.salaries', true, true, ''))"),
    _temp("temp_default_subquery", ST, UNPROVEN, "CREATE TEMP TABLE t (a int DEFAULT (SELECT max(pin) FROM shop.customers))"),
    _temp("temp_default_attribute", FN, DENIED, "CREATE TEMP TABLE t (a text DEFAULT ('/etc/passwd'::text).pg_read_file)"),
    _temp("temp_default_look_up", ST, UNPROVEN, "CREATE TEMP TABLE t (a text DEFAULT pg_get_constraintdef(1))"),
    _temp("temp_default_setting", ST, UNPROVEN, "CREATE TEMP TABLE t (a text DEFAULT set_config('timezone', 'UTC', false))"),
    _temp("temp_check_leaks", FN, DENIED, "CREATE TEMP TABLE t (a text CHECK (shop.leak() = a))"),
    _temp("temp_generated_reads_file", FN, DENIED, "CREATE TEMP TABLE t (a text, b text GENERATED ALWAYS AS (pg_read_file(a)) STORED)"),
    _temp("temp_alter_default", FN, DENIED, "CREATE TEMP TABLE t (a text)", "ALTER TABLE t ALTER a SET DEFAULT pg_read_file('/etc/passwd')"),
    _temp("temp_alter_using", FN, DENIED, "CREATE TEMP TABLE t (a text)", "ALTER TABLE t ALTER a TYPE text USING pg_read_file(a)"),
    _temp("temp_index_expression", FN, DENIED, "CREATE TEMP TABLE t (a text)", "CREATE INDEX ON t (pg_read_file(a))"),
    _temp("temp_index_predicate", FN, DENIED, "CREATE TEMP TABLE t (a text)", "CREATE INDEX ON t (a) WHERE shop.leak() = a"),
    _temp("temp_partition_bound", FN, DENIED, "CREATE TEMP TABLE t (a text) PARTITION BY LIST (a)", "CREATE TEMP TABLE u PARTITION OF t FOR VALUES IN (pg_read_file('/etc/passwd'))"),
    _temp("temp_view", V, UNPROVEN, f"CREATE TEMP VIEW kept AS {RAW}"),
    _temp("temp_view_by_schema_name", V, BLOCKED, f"CREATE VIEW pg_temp.kept AS {RAW}"),
    _temp("temp_attribute_calls", FN, DENIED, "CREATE TEMP TABLE t AS SELECT '/etc/passwd'::text AS a", "SELECT a.pg_read_file FROM t"),
    _temp("temp_column_hides_guarded", S, SAME, "CREATE TEMP TABLE t AS SELECT 'mine'::text AS card_number", "SELECT card_number FROM t, shop.payments LIMIT 1"),
    _temp("temp_copied_out", S, SAME, f"CREATE TEMP TABLE kept AS {RAW} ORDER BY id", "COPY kept TO STDOUT"),
    _temp("temp_in_catalogs", Defence.CATALOGS, CLEAN, f"CREATE TEMP TABLE kept AS {RAW}", "SELECT relname, attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE relname = 'kept'"),
    _temp("temp_statistics", Defence.CATALOGS, CLEAN, f"CREATE TEMP TABLE kept AS {RAW}", "ANALYZE kept", "SELECT * FROM pg_stats WHERE tablename = 'kept'"),
    _temp("temp_if_not_exists", R, SAME, "CREATE TEMP TABLE IF NOT EXISTS kept (a int)", "CREATE TEMP TABLE IF NOT EXISTS kept AS SELECT 5 AS a", "SELECT * FROM kept"),
    _temp("temp_column_of_hidden_row_type", R, DENIED, "CREATE TEMP TABLE t (a shop.salaries)"),
    _temp("hidden_row_type", R, DENIED, "SELECT (NULL::shop.salaries).*"),
    _temp("hidden_row_type_by_json", R, DENIED, "SELECT * FROM json_populate_record(NULL::salaries, '{}')"),
    Vector("temp_pipelined", R, CLEAN, _pipelined, "wes"),
)

DEFINITIONS = (
    _ddl("table_of_query", S, SAME, f"CREATE TABLE shop.kept AS {RAW}", "SELECT * FROM shop.kept ORDER BY id"),
    _ddl("table_by_select_into", S, SAME, "SELECT id, ssn INTO kept FROM customers", "SELECT * FROM kept ORDER BY id"),
    _ddl("table_outside_of_policy", R, DENIED, f"CREATE TABLE public.kept AS {RAW}"),
    _ddl("table_under_hidden_name", R, DENIED, "CREATE TABLE IF NOT EXISTS shop.salaries (id int)"),
    _ddl("table_under_guarded_name", R, CLEAN, "CREATE TABLE IF NOT EXISTS shop.customers (id int)", f"{RAW} ORDER BY id"),
    _ddl("table_of_known_name", R, CLEAN, "CREATE TABLE shop.customers (id int, ssn text)", RAW),
    _ddl("view_over_guarded", V, UNPROVEN, f"CREATE VIEW shop.kept AS {RAW}"),
    _ddl("view_over_hidden", V, DENIED, "CREATE VIEW shop.kept AS SELECT * FROM shop.salaries"),
    _ddl("view_over_view_over_guarded", V, UNPROVEN, "CREATE VIEW shop.kept AS SELECT * FROM shop.contacts"),
    _ddl("view_over_catalog", V, UNPROVEN, "CREATE VIEW shop.kept AS SELECT * FROM pg_class"),
    _ddl("view_replaced_by_guarded", V, BLOCKED, "CREATE VIEW shop.kept AS SELECT * FROM shop.regions", f"CREATE OR REPLACE VIEW shop.kept AS {RAW}"),
    _ddl("view_leaks_by_function", FN, DENIED, "CREATE VIEW shop.kept AS SELECT shop.leak()"),
    _ddl("view_over_open_table", V, SAME, "CREATE VIEW shop.kept AS SELECT * FROM shop.regions", "SELECT * FROM shop.kept ORDER BY 1"),
    _ddl("matview_over_guarded", V, UNPROVEN, f"CREATE MATERIALIZED VIEW shop.kept AS {RAW}"),
    _ddl("rename_guarded_table", ST, DENIED, "ALTER TABLE shop.customers RENAME TO kept"),
    _ddl("rename_masked_column", ST, DENIED, "ALTER TABLE shop.customers RENAME COLUMN ssn TO nothing"),
    _ddl("rename_hidden_table", R, DENIED, "ALTER TABLE shop.salaries RENAME TO kept"),
    _ddl("rename_guarded_view", ST, DENIED, "ALTER VIEW shop.contacts RENAME TO kept"),
    _ddl("move_guarded_table", ST, UNPROVEN, "ALTER TABLE shop.customers SET SCHEMA public"),
    _ddl("rename_schema", ST, BLOCKED, "ALTER SCHEMA shop RENAME TO kept"),
    _ddl("alter_guarded_using", ST, DENIED, "ALTER TABLE shop.customers ALTER ssn TYPE int USING ssn::int"),
    _ddl("alter_guarded_adds_generated", ST, DENIED, "ALTER TABLE shop.customers ADD COLUMN x text GENERATED ALWAYS AS (ssn) STORED"),
    _ddl("alter_open_reads_file", FN, DENIED, "ALTER TABLE shop.regions ADD COLUMN x text DEFAULT pg_read_file('/etc/passwd')"),
    _ddl("attach_guarded_partition", ST, UNPROVEN, "CREATE TABLE shop.kept (LIKE shop.regions) PARTITION BY LIST (id)", "ALTER TABLE shop.kept ATTACH PARTITION shop.customers DEFAULT"),
    _ddl("inherit_guarded", ST, BLOCKED, "CREATE TABLE shop.kept (id int)", "ALTER TABLE shop.customers INHERIT shop.kept"),
    _ddl("index_of_masked_column", ST, DENIED, "CREATE UNIQUE INDEX ON shop.customers (ssn)"),
    _ddl("check_of_masked_column", ST, DENIED, "ALTER TABLE shop.customers ADD CHECK (ssn <> '1')"),
    _ddl("reference_probes_hidden_rows", ST, BLOCKED, "CREATE TABLE shop.kept (id int REFERENCES shop.customers(id))"),
    _ddl("reference_hidden_table", R, DENIED, "CREATE TABLE shop.kept (id int REFERENCES shop.salaries)"),
    _ddl("drop_hidden", R, DENIED, "DROP TABLE shop.salaries"),
    _ddl("drop_guarded", ST, DENIED, "DROP TABLE shop.customers CASCADE"),
    _ddl("drop_table_of_filter", ST, DENIED, "DROP TABLE shop.orders"),
    _ddl("truncate_filtered", ST, DENIED, "TRUNCATE shop.customers"),
    _ddl("truncate_cascades", ST, UNPROVEN, "TRUNCATE shop.regions CASCADE"),
    _ddl("comment_on_guarded", ST, DENIED, "COMMENT ON COLUMN shop.customers.ssn IS 'x'"),
    _ddl("vacuum_verbose", ST, UNPROVEN, "VACUUM (VERBOSE) shop.customers"),
    _ddl("analyze_blocked_column", ST, BLOCKED, "ANALYZE shop.payments (card_number)"),
    _ddl("create_function", ST, UNPROVEN, "CREATE FUNCTION shop.kept() RETURNS text LANGUAGE sql AS 'SELECT ssn FROM shop.customers'"),
    _ddl("create_trigger", ST, UNPROVEN, "CREATE TRIGGER t BEFORE INSERT ON shop.regions EXECUTE FUNCTION shop.leak()"),
    _ddl("create_rule", ST, UNPROVEN, "CREATE RULE r AS ON SELECT TO shop.regions DO INSTEAD SELECT * FROM shop.customers"),
    _ddl("create_policy", ST, UNPROVEN, "CREATE POLICY p ON shop.regions USING (true)"),
    _ddl("create_statistics", ST, UNPROVEN, "CREATE STATISTICS s ON id, ssn FROM shop.customers"),
    _ddl("create_publication", ST, UNPROVEN, "CREATE PUBLICATION p FOR ALL TABLES"),
    _ddl("grant", ST, UNPROVEN, "GRANT SELECT ON shop.salaries TO public"),
    _ddl("alter_system", ST, UNPROVEN, "ALTER SYSTEM SET work_mem = '1MB'"),
    _ddl("security_label", ST, UNPROVEN, "SECURITY LABEL ON TABLE shop.regions IS 'x'"),
    _ddl("create_operator", ST, UNPROVEN, "CREATE OPERATOR shop.=== (leftarg = int, rightarg = int, function = int4eq)"),
    _ddl("create_cast", ST, UNPROVEN, "CREATE CAST (int AS text) WITH INOUT AS IMPLICIT"),
    _ddl("create_extension", ST, UNPROVEN, "CREATE EXTENSION dblink"),
    _ddl("refresh_materialized_view", ST, UNPROVEN, "REFRESH MATERIALIZED VIEW shop.kept"),
    _ddl("reassign_owned", ST, UNPROVEN, "REASSIGN OWNED BY current_user TO postgres"),
)
