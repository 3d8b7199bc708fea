"""Ways of reading by writing: what comes back, what is compared, what fails, and what lies elsewhere afterwards."""

# ruff: noqa: E501 - a statement reads best on one line
# fmt: off

from __future__ import annotations

from collections.abc import Callable

from tests.security.raw_client import Answer, RawClient
from tests.security.vector import BLOCKED, CLEAN, DENIED, SAME, UNPROVEN, Defence, Expected, Vector

W, F, S = Defence.WRITES, Defence.FENCE, Defence.STATEMENTS
TABLES = ("customers", "orders", "order_items", "products", "payments", "regions", "events", "memos", "memos_archive")


def _vector(name: str, expected: Expected, ask: str | Callable[[RawClient], list[Answer]], defence: Defence = W) -> Vector:
    return Vector(f"write_{name}", defence, expected, ask, user="wes")


def _then_read(*statements: str) -> Callable[[RawClient], list[Answer]]:
    """Does them, reads all there is, and undoes them."""

    def ask(client: RawClient) -> list[Answer]:
        answers = [client.simple("BEGIN"), *map(client.extended, statements)]
        answers += [client.simple(f"SELECT * FROM shop.{table}") for table in TABLES]
        assert not any(answer.error for answer in answers), [answer.error for answer in answers if answer.error]
        return [*answers, client.simple("ROLLBACK")]

    return ask


NEW = "INSERT INTO shop.customers (id, tenant_id, name, segment) VALUES (9001, 1, 'new', 'vip')"
SAME_KEY = "INSERT INTO shop.customers (id, tenant_id, name, segment, ssn) VALUES (1, 1, 'x', 'vip', 'mine') ON CONFLICT (id) DO UPDATE SET"
HIDDEN_KEY = "INSERT INTO shop.customers (id, tenant_id, name, segment) VALUES (@[hidden customer 1 id], 1, 'x', 'vip')"

RETURNING = (
    _vector("returning_star", SAME, "UPDATE shop.customers SET city = 'x' RETURNING *"),
    _vector("returning_alias_star", SAME, "UPDATE shop.customers AS c SET city = 'x' RETURNING c.*, c.id"),
    _vector("returning_delete_star", SAME, "DELETE FROM shop.customers RETURNING *"),
    _vector("returning_plain", SAME, "DELETE FROM shop.customers RETURNING ssn, customers.phone AS p, (email), shop.customers.pin"),
    _vector("returning_expressions", SAME, "UPDATE shop.customers SET city = 'x' RETURNING upper(ssn), left(phone, 4), pin + 1, tags[1], profile -> 'ssn', (tags)[1:2]"),
    _vector("returning_names", SAME, "UPDATE shop.customers SET city = 'x' RETURNING ssn::varchar, CASE WHEN id = 1 THEN 'a' ELSE ssn END, (SELECT ssn), coalesce(ssn, 'x'), ssn || 'x'"),
    _vector("returning_insert", SAME, f"{NEW} RETURNING id, ssn, city, email"),
    _vector("returning_insert_default", CLEAN, f"{NEW} RETURNING *, note, upper(note)"),
    _vector("returning_insert_select", SAME, "INSERT INTO shop.memos SELECT id + 900, 1, ssn FROM shop.customers RETURNING *"),
    _vector("returning_whole_row", DENIED, "UPDATE shop.customers AS c SET city = 'x' RETURNING c"),
    _vector("returning_whole_row_text", DENIED, "UPDATE shop.customers SET city = 'x' RETURNING customers::text"),
    _vector("returning_row_to_json", DENIED, "UPDATE shop.customers AS c SET city = 'x' RETURNING row_to_json(c)"),
    _vector("returning_row_star", DENIED, "UPDATE shop.customers AS c SET city = 'x' RETURNING ROW(c.*)"),
    _vector("returning_row_field", DENIED, "UPDATE shop.customers AS c SET city = 'x' RETURNING (c).ssn"),
    _vector("returning_row_fields", DENIED, "UPDATE shop.customers AS c SET city = 'x' RETURNING (c).*"),
    _vector("returning_row_attribute", DENIED, "UPDATE shop.customers AS c SET city = 'x' RETURNING c.row_to_json"),
    _vector("returning_row_of_subquery", DENIED, "UPDATE shop.customers AS c SET city = 'x' RETURNING (SELECT row_to_json(x) FROM (SELECT c.*) x)"),
    _vector("returning_row_in_values", DENIED, "UPDATE shop.customers AS c SET city = 'x' RETURNING (SELECT v::text FROM (VALUES (c)) AS t(v))"),
    _vector("returning_user_function", DENIED, "UPDATE shop.customers AS c SET city = 'x' RETURNING c.leak_of"),
    _vector("returning_subquery_outer", SAME, "UPDATE shop.customers SET city = 'x' RETURNING (SELECT max(o.memo || customers.ssn) FROM shop.orders o WHERE o.customer_id = customers.id)"),
    _vector("returning_subquery_own_alias", SAME, "UPDATE shop.customers SET city = 'x' RETURNING (SELECT max(customers.ssn) FROM shop.customers)"),
    _vector("returning_sibling_alias", DENIED, "UPDATE shop.customers SET city = 'x' RETURNING (SELECT y.e FROM (SELECT customers.ssn AS e) y, (SELECT 1 AS ssn) customers)"),
    _vector("returning_sibling_unqualified", DENIED, "UPDATE shop.customers SET city = 'x' RETURNING (SELECT y.e FROM (SELECT ssn AS e) y, (SELECT 'a' AS ssn) z)"),
    _vector("returning_lateral", SAME, "UPDATE shop.customers SET city = 'x' RETURNING (SELECT y.e FROM (SELECT 1 AS ssn) z, LATERAL (SELECT customers.ssn AS e) y)"),
    _vector("returning_join_on", SAME, "UPDATE shop.customers SET city = 'x' RETURNING (SELECT count(*) FROM shop.regions a JOIN shop.regions b ON customers.ssn = b.name)"),
    _vector("returning_with", BLOCKED, "UPDATE shop.customers SET city = 'x' RETURNING (WITH w AS (SELECT customers.ssn AS e) SELECT e FROM w)"),
    _vector("returning_alias_is_column", SAME, "UPDATE shop.customers AS ssn SET city = 'x' RETURNING ssn, ssn.ssn"),
    _vector("returning_alias_excluded", CLEAN, f"{NEW.replace('shop.customers', 'shop.customers AS excluded')} RETURNING excluded.ssn, excluded.note"),
    _vector("returning_generated", DENIED, "UPDATE shop.customers SET city = 'x' RETURNING email_upper"),
    _vector("returning_blocked", DENIED, "UPDATE shop.payments SET method = 'x' RETURNING card_number"),
    _vector("returning_blocked_star", SAME, "UPDATE shop.payments SET method = 'x' RETURNING *"),
    _vector("returning_blocked_row", DENIED, "UPDATE shop.payments SET method = 'x' RETURNING payments"),
    _vector("returning_blocked_by_join", DENIED, "UPDATE shop.payments SET method = 'x' FROM (SELECT 'a' AS card_number) z RETURNING card_number"),
    _vector("returning_ctid", DENIED, "DELETE FROM shop.customers RETURNING ctid"),
    _vector("returning_xmin", DENIED, "DELETE FROM shop.customers AS c RETURNING c.xmin, c.cmax"),
    _vector("returning_tableoid", CLEAN, "DELETE FROM shop.events RETURNING tableoid::regclass, actor"),
    _vector("returning_old", CLEAN, "UPDATE shop.customers SET ssn = 'x', email = 'y' RETURNING old.ssn, old.email, upper(old.note)"),
    _vector("returning_old_star", CLEAN, "UPDATE shop.customers SET ssn = 'x' RETURNING old.*, new.*"),
    _vector("returning_old_row", BLOCKED, "UPDATE shop.customers SET ssn = 'x' RETURNING old"),
    _vector("returning_old_row_json", BLOCKED, "DELETE FROM shop.customers RETURNING row_to_json(old)"),
    _vector("returning_old_blocked", BLOCKED, "UPDATE shop.payments SET method = 'x' RETURNING old.card_number"),
    _vector("returning_old_renamed", CLEAN, "UPDATE shop.customers SET ssn = 'x' RETURNING WITH (OLD AS o, NEW AS n) o.ssn, n.ssn, (SELECT o.note)"),
    _vector("returning_old_renamed_row", BLOCKED, "UPDATE shop.customers SET ssn = 'x' RETURNING WITH (OLD AS o) to_jsonb(o)"),
    _vector("returning_old_renamed_system", BLOCKED, "UPDATE shop.customers SET ssn = 'x' RETURNING WITH (OLD AS o) o.xmin"),
    _vector("returning_old_as_source", BLOCKED, "UPDATE shop.customers SET ssn = 'x' FROM (SELECT 'a' AS ssn) s RETURNING WITH (OLD AS s) s.ssn"),
    _vector("returning_old_as_target", BLOCKED, "UPDATE shop.customers SET ssn = 'x' RETURNING WITH (OLD AS customers) customers.ssn"),
    _vector("returning_target_called_old", SAME, "UPDATE shop.customers AS old SET city = 'x' RETURNING old.ssn, old.*"),
    _vector("returning_source_called_old", SAME, "UPDATE shop.customers SET city = old.name FROM shop.regions AS old WHERE old.id = customers.id RETURNING old.*, old.name"),
    _vector("returning_conflict_old", CLEAN, f"{SAME_KEY} name = 'y' RETURNING old.ssn, new.ssn, old.email"),
    _vector("returning_conflict_excluded", CLEAN, f"{SAME_KEY} name = 'y' RETURNING excluded.note"),
)

READS = (
    _vector("set_masked", DENIED, "UPDATE shop.customers SET name = ssn RETURNING name"),
    _vector("set_masked_cast", DENIED, "UPDATE shop.customers SET name = pin::text RETURNING name"),
    _vector("set_masked_row", DENIED, "UPDATE shop.customers SET (name, city) = (ssn, 'x') RETURNING name"),
    _vector("set_masked_subquery", DENIED, "UPDATE shop.customers SET (name, city) = (SELECT customers.ssn, 'x') RETURNING name"),
    _vector("set_masked_unqualified", DENIED, "UPDATE shop.customers SET name = (SELECT ssn) RETURNING name"),
    _vector("set_masked_in_unknown", DENIED, "UPDATE shop.customers SET name = (SELECT ssn FROM generate_series(1, 1) AS g) RETURNING name"),
    _vector("set_whole_row", DENIED, "UPDATE shop.customers SET name = customers::text RETURNING name"),
    _vector("set_whole_row_alias", DENIED, "UPDATE shop.customers c SET name = to_json(c) ->> 'ssn' RETURNING name"),
    _vector("set_generated", DENIED, "UPDATE shop.customers SET name = email_upper RETURNING name"),
    _vector("set_blocked", DENIED, "UPDATE shop.payments SET method = card_number RETURNING method"),
    _vector("set_masked_element", DENIED, "UPDATE shop.customers SET tags[1] = 'x'"),
    _vector("set_masked_json_element", DENIED, "UPDATE shop.customers SET profile['ssn']['x'] = '1'"),
    _vector("set_element_by_masked", DENIED, "UPDATE shop.products p SET sizes[(SELECT pin FROM shop.customers LIMIT 1)] = 1 FROM shop.customers c WHERE p.cost = 1"),
    _vector("set_from_self", SAME, "UPDATE shop.customers SET name = o.ssn || o.phone FROM shop.customers o WHERE o.id = customers.id RETURNING customers.name"),
    _vector("set_from_cte", SAME, "WITH s AS (SELECT id, ssn FROM shop.customers) UPDATE shop.customers SET name = coalesce(s.ssn, '') FROM s WHERE s.id = customers.id RETURNING name"),
    _vector("set_from_function", DENIED, "UPDATE shop.customers c SET name = f.x FROM LATERAL upper(c.ssn) AS f(x)"),
    _vector("where_masked", DENIED, "UPDATE shop.customers SET city = 'x' WHERE ssn = '@[own customer 1 ssn]' RETURNING id"),
    _vector("where_masked_like", DENIED, "DELETE FROM shop.customers WHERE customers.ssn LIKE 'cnry%' RETURNING id"),
    _vector("where_masked_is_null", DENIED, "DELETE FROM shop.customers WHERE rating IS NULL RETURNING id"),
    _vector("where_masked_in_subquery", DENIED, "DELETE FROM shop.customers c WHERE EXISTS (SELECT 1 FROM shop.regions r WHERE r.name < c.ssn)"),
    _vector("where_masked_hidden_by_alias", DENIED, "DELETE FROM shop.customers c WHERE EXISTS (SELECT 1 FROM (SELECT c.ssn AS e) y, shop.customers c WHERE y.e LIKE 'cnry%')"),
    _vector("where_row_is_null", DENIED, "DELETE FROM shop.customers c WHERE c IS NOT NULL RETURNING id"),
    _vector("where_row_compared", DENIED, "DELETE FROM shop.customers c WHERE c < ROW(1, 2) RETURNING id"),
    _vector("where_row_function", DENIED, "DELETE FROM shop.customers WHERE row_to_json(customers) ->> 'ssn' LIKE 'cnry%'"),
    _vector("where_ctid", DENIED, "DELETE FROM shop.customers WHERE ctid = '(0,1)'"),
    _vector("where_xmin", DENIED, "DELETE FROM shop.customers c WHERE c.xmin::text::int > 5"),
    _vector("where_blocked", DENIED, "DELETE FROM shop.payments WHERE card_number LIKE 'cnry%'"),
    _vector("where_blocked_qualified", DENIED, "DELETE FROM shop.payments p USING shop.orders card_number WHERE p.card_number LIKE 'cnry%'"),
    _vector("where_old", BLOCKED, "DELETE FROM shop.customers WHERE old.ssn LIKE 'cnry%'"),
    _vector("where_excluded", CLEAN, "DELETE FROM shop.customers WHERE excluded.ssn LIKE 'cnry%'"),
    _vector("using_masked", SAME, "DELETE FROM shop.memos USING shop.customers c WHERE c.ssn LIKE 'cnry%' RETURNING *"),
    _vector("using_own_masked", DENIED, "DELETE FROM shop.customers USING shop.customers o WHERE o.ssn = customers.ssn"),
    _vector("conflict_reads_masked", DENIED, f"{SAME_KEY} name = customers.ssn RETURNING name"),
    _vector("conflict_reads_masked_unqualified", DENIED, f"{SAME_KEY} name = ssn RETURNING name"),
    _vector("conflict_where_masked", DENIED, f"{SAME_KEY} name = 'y' WHERE customers.ssn LIKE 'cnry%' RETURNING id"),
    _vector("conflict_reads_row", DENIED, f"{SAME_KEY} name = customers::text RETURNING name"),
    _vector("conflict_reads_subquery", DENIED, f"{SAME_KEY} name = (SELECT customers.ssn) RETURNING name"),
    _vector("conflict_excluded", SAME, f"{SAME_KEY} name = excluded.name || excluded.ssn RETURNING name"),
    _vector("conflict_excluded_default", DENIED, f"{SAME_KEY} name = excluded.note RETURNING name"),
    _vector("conflict_excluded_written_default", DENIED, "INSERT INTO shop.customers (id, tenant_id, name, segment, note) VALUES (1, 1, 'x', 'vip', DEFAULT) ON CONFLICT (id) DO UPDATE SET name = excluded.note RETURNING name"),
    _vector("conflict_excluded_row", DENIED, f"{SAME_KEY} name = excluded::text RETURNING name"),
    _vector("conflict_excluded_blocked", DENIED, "INSERT INTO shop.payments (id, tenant_id, method) VALUES (1, 1, 'x') ON CONFLICT (id) DO UPDATE SET method = excluded.card_number"),
    _vector("conflict_on_blocked", DENIED, "INSERT INTO shop.payments (id, tenant_id, method) VALUES (1, 1, 'x') ON CONFLICT (card_number) DO NOTHING"),
    _vector("merge_set_masked", DENIED, "MERGE INTO shop.customers c USING shop.regions r ON r.id = c.id WHEN MATCHED THEN UPDATE SET name = c.ssn"),
    _vector("merge_on_masked", DENIED, "MERGE INTO shop.customers c USING shop.regions r ON r.name < c.ssn WHEN MATCHED THEN DELETE"),
    _vector("merge_when_masked", DENIED, "MERGE INTO shop.customers c USING shop.regions r ON r.id = c.id WHEN MATCHED AND ssn LIKE 'cnry%' THEN DELETE"),
    _vector("merge_when_row", DENIED, "MERGE INTO shop.customers c USING shop.regions r ON r.id = c.id WHEN MATCHED AND c IS NOT NULL THEN DELETE"),
    _vector("merge_returning", CLEAN, "MERGE INTO shop.customers c USING shop.regions r ON r.id = c.id WHEN MATCHED THEN UPDATE SET city = 'x' RETURNING merge_action(), *, c.ssn, upper(c.ssn)"),
    _vector("merge_returning_row", BLOCKED, "MERGE INTO shop.customers c USING shop.regions r ON r.id = c.id WHEN MATCHED THEN UPDATE SET city = 'x' RETURNING c"),
)

HIDDEN = (
    _vector("hidden_update", SAME, "UPDATE shop.customers SET city = 'x' WHERE id = @[hidden customer 1 id] RETURNING *"),
    _vector("hidden_delete", SAME, "DELETE FROM shop.orders WHERE id = @[hidden order 1 id] OR customer_id IS NOT NULL RETURNING *"),
    _vector("hidden_child", SAME, "DELETE FROM shop.order_items WHERE order_id = @[hidden order of item 1] RETURNING *"),
    _vector("hidden_count", SAME, "WITH d AS (DELETE FROM shop.customers RETURNING 1) SELECT count(*) FROM d"),
    _vector("hidden_partition", SAME, "UPDATE shop.events_2124 SET payload = NULL WHERE id > 1000 RETURNING *"),
    _vector("hidden_only", SAME, "DELETE FROM ONLY shop.memos RETURNING *"),
    _vector("hidden_division", SAME, "DELETE FROM shop.customers WHERE 1 / (id - @[hidden customer 1 id]) < 5 RETURNING id", F),
    _vector("hidden_division_last", SAME, "DELETE FROM shop.customers WHERE id > 3 AND name IS NOT NULL AND 1 / (id - @[hidden customer 1 id]) < 5 RETURNING id", F),
    _vector("hidden_cast", SAME, "UPDATE shop.customers SET city = 'x' WHERE (CASE WHEN id > 1000 THEN name ELSE '1' END)::int = 1 RETURNING id", F),
    _vector("hidden_subquery_fails", SAME, "DELETE FROM shop.customers WHERE name = (SELECT r.name FROM shop.regions r WHERE customers.id > 1000) RETURNING id", F),
    _vector("hidden_set_fails", SAME, "UPDATE shop.customers SET city = (1 / (id - @[hidden customer 1 id]))::text RETURNING id, city", F),
    _vector("hidden_returning_fails", SAME, "DELETE FROM shop.customers RETURNING 1 / (id - @[hidden customer 1 id])", F),
    _vector("hidden_join_fails", SAME, "UPDATE shop.memos m SET body = 'x' FROM shop.customers c WHERE c.id = m.id AND 1 / (c.id - @[hidden customer 1 id]) < 5 RETURNING m.id", F),
    _vector("hidden_merge_fails", SAME, "MERGE INTO shop.customers c USING shop.regions r ON r.id = c.id AND 1 / (c.id - @[hidden customer 1 id]) < 5 WHEN MATCHED THEN DELETE", F),
    _vector("hidden_merge_by_source", SAME, "MERGE INTO shop.customers c USING shop.regions r ON r.id = c.id WHEN NOT MATCHED BY SOURCE AND 1 / (c.id - @[hidden customer 1 id]) < 5 THEN DELETE", F),
    _vector("hidden_key_update", CLEAN, "UPDATE shop.customers SET id = @[hidden customer 1 id] WHERE id = 1 RETURNING *"),
    _vector("hidden_key_insert", CLEAN, f"{HIDDEN_KEY} RETURNING *"),
    _vector("hidden_key_nothing", CLEAN, f"{HIDDEN_KEY} ON CONFLICT DO NOTHING RETURNING *"),
    _vector("hidden_key_conflict", DENIED, f"{HIDDEN_KEY} ON CONFLICT (id) DO UPDATE SET city = 'x' RETURNING *"),
    _vector("hidden_key_conflict_condition", DENIED, f"{HIDDEN_KEY} ON CONFLICT (id) DO UPDATE SET city = 'x' WHERE customers.name LIKE 'cnry%' RETURNING *"),
    _vector("hidden_key_conflict_set", DENIED, f"{HIDDEN_KEY} ON CONFLICT (id) DO UPDATE SET name = customers.name, tenant_id = 1 RETURNING *"),
    _vector("leaving_update", DENIED, "UPDATE shop.customers SET tenant_id = 2 WHERE id = 1"),
    _vector("leaving_update_returning", DENIED, "UPDATE shop.customers SET tenant_id = tenant_id + 1 RETURNING *"),
    _vector("leaving_insert", DENIED, "INSERT INTO shop.customers (id, tenant_id, name, segment) VALUES (9001, 1, 'x', 'vip'), (9002, 2, 'x', 'vip')"),
    _vector("leaving_insert_null", DENIED, "INSERT INTO shop.memos (id) VALUES (9001) RETURNING *"),
    _vector("leaving_insert_select", DENIED, "INSERT INTO shop.memos SELECT id + 9000, id, name FROM shop.customers"),
    _vector("leaving_partition", DENIED, "UPDATE shop.events_2124 SET tenant_id = 2"),
    _vector("leaving_child", DENIED, "UPDATE shop.memos_archive SET tenant_id = 2"),
    _vector("leaving_by_key", DENIED, "UPDATE shop.order_items SET order_id = @[hidden order 1 id], line = 77 WHERE order_id = 2 AND line = 1"),
    _vector("leaving_conflict", DENIED, f"{SAME_KEY} tenant_id = 2"),
    _vector("leaving_merge", BLOCKED, "MERGE INTO shop.customers c USING shop.regions r ON r.id = c.id WHEN MATCHED THEN UPDATE SET tenant_id = 2"),
    _vector("leaving_cte", DENIED, "WITH u AS (UPDATE shop.customers SET tenant_id = 2) SELECT 1"),
    _vector("leaving_cte_returning", DENIED, "WITH u AS (UPDATE shop.customers SET tenant_id = 2 RETURNING *) SELECT id FROM u WHERE false"),
    _vector("leaving_cte_unread", DENIED, "WITH i AS (INSERT INTO shop.memos VALUES (9001, 2, 'x') RETURNING id) SELECT 1 LIMIT 0"),
    _vector("leaving_cte_unproven", UNPROVEN, "WITH i AS (INSERT INTO shop.memos VALUES (9001, 2, 'x') RETURNING 1) SELECT * FROM i"),
    _vector("widening_insert", DENIED, "INSERT INTO shop.orders (id, tenant_id, state, placed_on) VALUES (@[hidden order of item 1], 1, 'open', '2024-01-01')"),
    _vector("widening_update", DENIED, "UPDATE shop.orders SET id = @[hidden order of item 1] WHERE id = 1"),
    _vector("widening_conflict", DENIED, "INSERT INTO shop.orders (id, tenant_id, state, placed_on) VALUES (1, 1, 'open', '2024-01-01') ON CONFLICT (id) DO UPDATE SET id = @[hidden order of item 1]"),
    _vector("widening_merge", BLOCKED, "MERGE INTO shop.orders o USING shop.regions r ON r.id = o.id + 9000 WHEN NOT MATCHED THEN INSERT (id, tenant_id, state, placed_on) VALUES (@[hidden order of item 1] + r.id - 1, 1, 'open', '2024-01-01')"),
    _vector("widening_with", DENIED, "WITH w AS (INSERT INTO shop.orders (id, tenant_id, state, placed_on) VALUES (@[hidden order of item 1], 1, 'open', '2024-01-01')) SELECT * FROM shop.order_items"),
    _vector("current_of", UNPROVEN, "UPDATE shop.customers SET city = 'x' WHERE CURRENT OF c"),
)

TARGETS = (
    _vector("blocked_table", DENIED, "INSERT INTO shop.salaries (id) VALUES (1) RETURNING *", Defence.RELATIONS),
    _vector("other_schema", DENIED, "DELETE FROM vault.secrets RETURNING *", Defence.RELATIONS),
    _vector("source_in_other_schema", DENIED, "INSERT INTO shop.memos SELECT id, 1, secret FROM vault.secrets", Defence.RELATIONS),
    _vector("merge_source", DENIED, "MERGE INTO shop.memos m USING vault.secrets s ON m.id = s.id WHEN MATCHED THEN DELETE", Defence.RELATIONS),
    _vector("catalog", DENIED, "UPDATE pg_catalog.pg_class SET relname = relname RETURNING relname", Defence.CATALOGS),
    _vector("catalog_by_path", DENIED, "DELETE FROM pg_authid RETURNING rolpassword", Defence.CATALOGS),
    _vector("information_schema", DENIED, "UPDATE information_schema.sql_features SET comments = 'x'", Defence.CATALOGS),
    _vector("view_of_guarded", UNPROVEN, "UPDATE shop.contacts SET name = email RETURNING *", Defence.VIEWS),
    _vector("view_of_view", UNPROVEN, "DELETE FROM shop.contact_names RETURNING *", Defence.VIEWS),
    _vector("view_of_blocked", BLOCKED, "DELETE FROM shop.payroll RETURNING *", Defence.VIEWS),
    _vector("materialized_view", BLOCKED, "DELETE FROM shop.takings RETURNING *", Defence.RELATIONS),
    _vector("blocked_column", DENIED, "UPDATE shop.payments SET card_number = 'x'", Defence.COLUMNS),
    _vector("blocked_column_inserted", DENIED, "INSERT INTO shop.payments (id, tenant_id, method, card_number) VALUES (9001, 1, 'x', 'y')", Defence.COLUMNS),
    _vector("blocked_column_generated", DENIED, "INSERT INTO shop.products (id, margin) VALUES (9001, DEFAULT)", Defence.COLUMNS),
    _vector("blocked_column_unlisted", UNPROVEN, "INSERT INTO shop.payments SELECT x.* FROM (SELECT 1, 2) x", Defence.COLUMNS),
    _vector("blocked_column_guessed", DENIED, "UPDATE shop.payments SET card_numbe = 'x', method = card_number", Defence.COLUMNS),
    _vector("blocked_column_hint", CLEAN, "UPDATE shop.payments SET method = card_numbe", Defence.COLUMNS),
    _vector("function_in_values", DENIED, "INSERT INTO shop.memos VALUES (9001, 1, pg_read_file('PG_VERSION')) RETURNING body", Defence.FUNCTIONS),
    _vector("function_in_set", DENIED, "UPDATE shop.memos SET body = shop.leak() RETURNING body", Defence.FUNCTIONS),
    _vector("function_in_where", DENIED, "DELETE FROM shop.memos WHERE shop.tell(body)", Defence.FUNCTIONS),
    _vector("function_in_returning", DENIED, "UPDATE shop.memos SET body = 'x' RETURNING query_to_xml('TABLE vault.secrets', true, true, '')", Defence.FUNCTIONS),
    _vector("function_in_conflict", DENIED, "INSERT INTO shop.memos VALUES (1, 1, 'x') ON CONFLICT (shop.leak_of(id)) DO NOTHING", Defence.FUNCTIONS),
    _vector("function_in_conflict_set", DENIED, "INSERT INTO shop.memos VALUES (1, 1, 'x') ON CONFLICT (id) DO UPDATE SET body = shop.leak() RETURNING body", Defence.FUNCTIONS),
    _vector("function_in_merge", DENIED, "MERGE INTO shop.memos m USING shop.regions r ON m.id = r.id WHEN MATCHED THEN UPDATE SET body = lo_get(424242)::text", Defence.FUNCTIONS),
    _vector("function_in_index", DENIED, "UPDATE shop.products SET sizes[shop.text_of(1)::int] = 1", Defence.FUNCTIONS),
    _vector("operator_in_where", DENIED, "DELETE FROM shop.memos WHERE body ~~~ 'x'", Defence.FUNCTIONS),
    _vector("attribute_in_returning", DENIED, "UPDATE shop.memos SET body = 'x' RETURNING ('PG_VERSION'::text).pg_read_file", Defence.FUNCTIONS),
    Vector("write_without_grant_in_with", S, DENIED, "WITH u AS (UPDATE shop.regions SET name = 'x' RETURNING *) SELECT * FROM u"),
)

WRITES = (*RETURNING, *READS, *HIDDEN, *TARGETS)

EFFECTS = (
    _vector("laundering_insert", SAME, _then_read("INSERT INTO shop.regions SELECT id + 900, coalesce(ssn, '') || coalesce(phone, ''), pin FROM shop.customers RETURNING *")),
    _vector("laundering_update", SAME, _then_read("UPDATE shop.regions SET name = c.nickname FROM shop.customers c WHERE c.id = regions.id AND c.nickname IS NOT NULL RETURNING *")),
    _vector("laundering_row", SAME, _then_read("INSERT INTO shop.regions SELECT id + 900, row_to_json(c) ->> 'ssn', 1 FROM shop.customers c WHERE ssn IS NOT NULL")),
    _vector("laundering_cte", SAME, _then_read("WITH u AS (UPDATE shop.customers SET tenant_id = 1 RETURNING *), d AS (DELETE FROM shop.payments RETURNING *) INSERT INTO shop.regions SELECT u.id + 600, u.ssn || d.method, d.id FROM u, d WHERE d.id = u.id AND u.ssn IS NOT NULL", "WITH d AS (DELETE FROM shop.customers RETURNING *) INSERT INTO shop.regions SELECT id + 900, coalesce(ssn, ''), pin FROM d RETURNING *")),
    _vector("laundering_merge", SAME, _then_read("MERGE INTO shop.regions r USING shop.customers c ON c.id = r.id WHEN MATCHED AND c.ssn IS NOT NULL THEN UPDATE SET name = c.ssn WHEN NOT MATCHED THEN INSERT VALUES (c.id, c.name, c.pin)")),
    _vector("laundering_masked_to_masked", SAME, _then_read("UPDATE shop.customers SET ssn = o.ssn FROM shop.customers o WHERE o.id = 2")),
    _vector("effect_update", SAME, _then_read("UPDATE shop.customers SET city = upper(city), name = name || '!' WHERE id % 2 = 0", "UPDATE shop.orders SET memo = DEFAULT, total = total + 1 WHERE state = 'open'")),
    _vector("effect_delete", SAME, _then_read("DELETE FROM shop.payments WHERE order_id IN (SELECT id FROM shop.orders WHERE id < 9)", "DELETE FROM shop.order_items USING shop.products p WHERE p.id = product_id AND p.price > 20")),
    _vector("effect_insert", SAME, _then_read("INSERT INTO shop.payments VALUES (9001, 1, 1, 5, 'cash')", "INSERT INTO shop.payments SELECT 9002, 1, 2, 7, 'cash'", "INSERT INTO shop.payments (id, tenant_id, method) VALUES (9003, 1, 'x') RETURNING *")),
    _vector("effect_multi", SAME, _then_read("UPDATE shop.customers SET (city, name) = (SELECT r.name, 'n' FROM shop.regions r WHERE r.id = customers.id) WHERE id < 5")),
    _vector("effect_upsert", SAME, _then_read("INSERT INTO shop.memos (id, tenant_id, body) VALUES (1, 1, 'a'), (9001, 1, 'b') ON CONFLICT (id) DO UPDATE SET body = memos.body || excluded.body RETURNING *")),
    _vector("effect_partition", SAME, _then_read("UPDATE shop.events SET payload = '{}' WHERE id < 10", "INSERT INTO shop.events (day, tenant_id, id) VALUES ('2124-05-05', 1, 9001)", "DELETE FROM shop.events_2125")),
    _vector("effect_child", SAME, _then_read("UPDATE shop.memos SET body = 'x' || id", "DELETE FROM shop.memos_archive WHERE id = 51")),
    _vector("effect_merge", SAME, _then_read("MERGE INTO shop.customers c USING shop.regions r ON r.id = c.id WHEN MATCHED AND c.id > 3 THEN DELETE WHEN MATCHED THEN UPDATE SET city = r.name")),
    _vector("effect_array", SAME, _then_read("UPDATE shop.products SET sizes[2] = 77, labels = array_append(labels, 'new') WHERE id < 3 RETURNING *")),
)
