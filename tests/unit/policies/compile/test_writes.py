"""What becomes of INSERT, UPDATE, DELETE and MERGE: the texts, and what the plans tell of them."""

# ruff: noqa: E501 - a statement reads best on one line

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from policies.decision import CHECK_TOKEN, Plan
from tests.compile_world import World

POLICY = """
principals:
  - {user: wes, roles: [writer], attributes: {tenant_id: 1}}
  - {user: ivy, roles: [inserter], attributes: {tenant_id: 1}}
  - {user: uma, roles: [updater], attributes: {tenant_id: 1}}
policies:
  - {name: writers, subjects: {roles: [writer]}, statements: [select, insert, update, delete, merge]}
  - {name: inserters, subjects: {roles: [inserter]}, statements: [insert]}
  - {name: updaters, subjects: {roles: [updater]}, statements: [update, insert, temp_tables]}
  - name: rules
    subjects: {any: true}
    tables: {allow: ["shop.*", "public.*"], block: [shop.salaries]}
    columns: {block: [shop.payments.card_number]}
    rows:
      - {table: shop.customers, filter: "tenant_id = {tenant_id}"}
      - {table: shop.events, filter: "tenant_id = {tenant_id}"}
      - {table: shop.payments, filter: "order_id IN (SELECT o.id FROM public.other AS o)"}
    masks:
      - {column: shop.customers.email, mask: {kind: nullify}}
      - {column: shop.customers.tags, mask: {kind: partial, keep_first: 1}}
    limits: {rows: 7}
"""
EMAIL = "CAST(NULL AS pg_catalog.text)"
FILTER = '"customers"."tenant_id" = 1'
OWN = '(SELECT order_id IN (SELECT o.id FROM public.other AS o) FROM (SELECT {0}."id", {0}."order_id") AS "payments")'


@pytest.fixture
def writing(tmp_path: Path) -> World:
    return World(tmp_path, POLICY)


def _text(writing: World, sql: str) -> str:
    return writing.allowed(sql, "wes").text


def _plan(writing: World, sql: str, user: str = "wes") -> Plan:
    (plan,) = writing.allowed(sql, user).plans
    return plan


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("UPDATE customers SET name = 'x'", f"""UPDATE "shop".customers SET name = 'x' WHERE ({FILTER})"""),
        ("UPDATE ONLY shop.customers SET name = 'x';", f"UPDATE ONLY shop.customers SET name = 'x' WHERE ({FILTER});"),
        ("DELETE FROM customers c WHERE id = 1 OR id = 2", 'DELETE FROM "shop".customers c WHERE (("c"."tenant_id" = 1)) AND (id = 1 OR id = 2)'),
        ("DELETE FROM ONLY (customers) -- all\n", f'DELETE FROM ONLY ("shop".customers) WHERE ({FILTER}) -- all\n'),
        ("DELETE FROM orders WHERE total / id > 1", 'DELETE FROM "shop".orders WHERE total / id > 1'),
        ("DELETE FROM payments AS o", f'DELETE FROM "shop".payments AS o WHERE ({OWN.format(chr(34) + "o" + chr(34))})'),
        ("DELETE FROM events_2024 WHERE id = 1", 'DELETE FROM "shop".events_2024 WHERE (("events_2024"."tenant_id" = 1)) AND (id = 1)'),
        (
            "DELETE FROM customers WHERE id = 1 AND 1/balance > 2 AND name BETWEEN 'a' AND 'b'",
            f"""DELETE FROM "shop".customers WHERE (({FILTER})) AND (id = 1 AND CASE WHEN (({FILTER})) THEN (1/balance > 2) ELSE false END AND name BETWEEN 'a' AND 'b')""",
        ),
        (
            "DELETE FROM customers WHERE 1/balance > 2 OR id = 1",
            f'DELETE FROM "shop".customers WHERE (({FILTER})) AND (CASE WHEN (({FILTER})) THEN (1/balance > 2 OR id = 1) ELSE false END)',
        ),
        (
            "UPDATE orders SET total = c.balance FROM customers c WHERE c.id = orders.customer_id",
            'UPDATE "shop".orders SET total = c.balance FROM  (SELECT "id", "balance" FROM "shop"."customers" WHERE (tenant_id = 1))  c WHERE c.id = orders.customer_id',
        ),
        ("UPDATE customers SET name = 'x' RETURNING id, email, email AS e", f"""UPDATE "shop".customers SET name = 'x' WHERE ({FILTER}) RETURNING id, ({EMAIL}) AS "email", ({EMAIL}) AS e"""),
        ("DELETE FROM payments p RETURNING *", f'DELETE FROM "shop".payments p WHERE ({OWN.format(chr(34) + "p" + chr(34))}) RETURNING "p"."id", "p"."order_id", "p"."amount"'),
        ("INSERT INTO orders DEFAULT VALUES RETURNING id", 'INSERT INTO "shop".orders DEFAULT VALUES RETURNING id'),
        ("INSERT INTO orders SELECT id, id FROM customers", 'INSERT INTO "shop".orders SELECT id, id FROM  (SELECT "id" FROM "shop"."customers" WHERE (tenant_id = 1)) AS "customers" '),
        ("WITH d AS (DELETE FROM customers WHERE id = 1) DELETE FROM orders", f'WITH d AS (DELETE FROM "shop".customers WHERE (({FILTER})) AND (id = 1)) DELETE FROM "shop".orders'),
        ("WITH customers AS (SELECT 1) DELETE FROM customers USING customers AS c", f'WITH customers AS (SELECT 1) DELETE FROM "shop".customers USING customers AS c WHERE ({FILTER})'),
        (
            "MERGE INTO customers c USING orders o JOIN orders p ON o.id = p.id ON o.customer_id = c.id WHEN MATCHED AND CASE WHEN o.id = 1 THEN true END THEN DELETE",
            'MERGE INTO "shop".customers c USING "shop".orders o JOIN "shop".orders p ON o.id = p.id ON (("c"."tenant_id" = 1)) AND (o.customer_id = c.id) WHEN MATCHED AND CASE WHEN o.id = 1 THEN true END THEN DELETE',
        ),
        (
            "MERGE INTO customers c USING orders o ON o.id = c.id WHEN NOT MATCHED BY SOURCE AND c.id = 1 THEN DELETE WHEN NOT MATCHED BY SOURCE THEN DO NOTHING",
            'MERGE INTO "shop".customers c USING "shop".orders o ON (("c"."tenant_id" = 1)) AND (o.id = c.id) WHEN NOT MATCHED BY SOURCE AND CASE WHEN (("c"."tenant_id" = 1)) THEN (c.id = 1) ELSE false END THEN DELETE WHEN NOT MATCHED BY SOURCE AND (("c"."tenant_id" = 1)) THEN DO NOTHING',
        ),
    ],
)  # fmt: skip
def test_texts(writing: World, sql: str, expected: str) -> None:
    assert _text(writing, sql) == expected


def test_an_open_target_with_its_schema_is_left_as_it_is(writing: World) -> None:
    sql = "UPDATE shop.orders SET total = total + 1 WHERE 1/total > 2 RETURNING *, ctid, orders"
    assert _text(writing, sql) == sql


def test_rows_that_are_written_are_checked_in_one_more_column(writing: World) -> None:
    text = _text(writing, "INSERT INTO customers AS c (id, tenant_id) VALUES (1, 1) RETURNING id")
    check = f"""CAST(pg_catalog.textcat('{CHECK_TOKEN}', CAST("c".tableoid AS pg_catalog.text)) AS pg_catalog.int4)"""
    case = f'CASE WHEN (("c"."tenant_id" = 1)) THEN CAST(NULL AS pg_catalog.int4) ELSE {check} END'
    assert text == f'INSERT INTO "shop".customers AS c (id, tenant_id) VALUES (1, 1) RETURNING id, {case}'


@pytest.mark.parametrize(
    ("sql", "hidden", "is_all_hidden"),
    [
        ("INSERT INTO customers (id) VALUES (1)", 1, True),
        ("INSERT INTO customers (id) VALUES (1) RETURNING id", 1, False),
        ("INSERT INTO customers (id) VALUES (1) ON CONFLICT DO NOTHING", 1, True),
        ("UPDATE customers SET tenant_id = 1", 1, True),
        ("UPDATE customers SET (name, tenant_id) = ('x', 1) RETURNING *", 1, False),
        ("UPDATE customers SET name = 'x'", 0, False),
        ("UPDATE customers SET name = 'x' RETURNING *", 0, False),
        ("DELETE FROM customers", 0, False),
        ("INSERT INTO orders VALUES (1)", 0, False),
        ("UPDATE payments SET order_id = 1", 1, True),
        ("UPDATE payments SET amount = 1", 0, False),
    ],
)
def test_the_column_is_there_only_when_it_is_needed(writing: World, sql: str, hidden: int, is_all_hidden: bool) -> None:
    plan = _plan(writing, sql)
    assert (plan.hidden_columns, plan.is_all_hidden, plan.check is not None) == (hidden, is_all_hidden, bool(hidden))


def test_what_the_plan_tells(writing: World) -> None:
    plan = _plan(writing, "UPDATE customers SET tenant_id = 1 FROM payments p WHERE p.id = 1 RETURNING email")
    assert (plan.command, plan.is_guarded, plan.is_rewritten, plan.limits.rows) == ("update", True, True, 7)
    assert plan.tables == ("shop.customers", "shop.payments")
    assert plan.filtered_tables == ("shop.customers", "shop.payments")
    assert plan.masked_columns == ("shop.customers.email",)
    assert plan.rule_ids == ("rules/masks[0]", "rules/rows[0]", "rules/rows[2]")
    assert plan.column_masks == ()
    assert plan.check is not None
    assert (plan.check.sqlstate, plan.check.rule) == ("42501", "rules/rows[0]")
    assert plan.check.message == 'new row violates the row filter for table "customers"'
    assert "policy.yaml:" in plan.check.detail


def test_a_condition_without_failing_parts_needs_no_case(writing: World) -> None:
    for condition in ("id = 1 AND name LIKE 'a%' AND tenant_id IN (1, 2)", "id IN (SELECT id FROM orders)"):
        assert "CASE" not in _text(writing, f"DELETE FROM customers WHERE {condition}")


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("INSERT INTO payments VALUES (1, 2, 3)", '("id", "order_id", "amount")'),
        ("INSERT INTO payments AS p VALUES (1)", '("id")'),
        ("INSERT INTO shop.payments OVERRIDING USER VALUE VALUES (1), (2)", '("id")'),
        ("INSERT INTO payments SELECT * FROM orders", '("id", "order_id", "amount")'),
        ("INSERT INTO payments SELECT o.*, 1 FROM other o", '("id", "order_id")'),
        ("INSERT INTO payments (SELECT 1, 2 UNION SELECT 3, 4)", '("id", "order_id")'),
        ("INSERT INTO payments TABLE other", '("id")'),
        ("INSERT INTO payments VALUES (1, 2, 3, 4)", '("id", "order_id", "amount")'),  # the server counts them
    ],
)
def test_unnamed_columns_are_the_visible_ones(writing: World, sql: str, columns: str) -> None:
    assert columns in _text(writing, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO payments SELECT x.* FROM (SELECT 1) x",
        "INSERT INTO payments SELECT (o).* FROM orders o",
        "MERGE INTO payments p USING orders o ON o.id = p.id WHEN NOT MATCHED THEN INSERT VALUES (1, 2)",
    ],
)
def test_where_they_can_not_be_counted_they_must_be_named(writing: World, sql: str) -> None:
    assert writing.refused(sql, "wes") == ("0A000", "pgwarden/writes")


def test_columns_that_are_named_or_defaulted_stay(writing: World) -> None:
    assert "(id)" in _text(writing, "INSERT INTO payments (id) VALUES (1)")
    assert '"id"' not in _text(writing, "INSERT INTO payments DEFAULT VALUES").split("RETURNING")[0]


def test_do_update_of_a_row_that_is_not_visible_fails(writing: World) -> None:
    sql = "INSERT INTO customers (id) VALUES (1) ON CONFLICT (id) WHERE id > 0 DO UPDATE SET name = 'x'"
    fails = """CAST(pg_catalog.textcat('pgwarden:row_filter:', CAST("customers".tableoid AS pg_catalog.text)) AS pg_catalog.bool)"""
    assert f"SET name = 'x' WHERE CASE WHEN (({FILTER})) THEN true ELSE {fails} END RETURNING" in _text(writing, sql)
    text = _text(writing, f"{sql} WHERE customers.id = 3")
    assert f"WHERE CASE WHEN (({FILTER})) THEN (customers.id = 3) ELSE {fails} END RETURNING" in text


def test_a_shared_source_of_several_columns_is_guarded_once(writing: World) -> None:
    text = _text(writing, "UPDATE orders SET (customer_id, total) = (SELECT id, balance FROM customers LIMIT 1)")
    assert text.count('FROM "shop"."customers" WHERE (tenant_id = 1)') == 1


def test_a_merge_that_writes_rows_needs_a_server_that_can_check_them(writing: World) -> None:
    sql = "MERGE INTO customers c USING orders o ON o.id = c.id WHEN NOT MATCHED THEN INSERT (id) VALUES (o.id)"
    assert writing.refused(sql, "wes") == ("0A000", "pgwarden/writes")
    writing.catalog = replace(writing.catalog, version=2, server_version=170_000)
    assert _plan(writing, sql).is_all_hidden


def test_stars_are_told_apart(writing: World) -> None:
    text = _text(writing, "UPDATE customers c SET name = 'x' FROM orders o, (VALUES (1)) AS v(k) RETURNING *")
    assert text.endswith('"c"."balance", ' + text.split('"c"."balance", ')[1])
    assert text.endswith('AS "tags", "o".*, "v".*')
    joined = "UPDATE customers c SET name = 'x' FROM orders o JOIN orders p USING (id) RETURNING {}"
    assert writing.refused(joined.format("*"), "wes") == ("0A000", "pgwarden/writes")
    assert _text(writing, joined.format("o.*")).endswith("RETURNING o.*")


def test_old_and_new_are_the_target(writing: World) -> None:
    text = _text(writing, "UPDATE customers SET email = 'x' RETURNING WITH (OLD AS o) o.email, new.id, o.*")
    assert (
        f"""WITH (OLD AS o) ({EMAIL}) AS "email", new.id, "o"."id", "o"."tenant_id", "o"."name", ({EMAIL}) AS "email", """
        in text
    )
    other = _text(writing, "UPDATE customers SET name = 'x' FROM orders AS old RETURNING old.*")
    assert other.endswith("RETURNING old.*")


FAILS = """CAST(pg_catalog.textcat('pgwarden:row_filter:', CAST("customers".tableoid AS pg_catalog.text)) AS pg_catalog.bool)"""
HELD = f"CASE WHEN (CASE WHEN (({FILTER})) THEN true ELSE {FAILS} END) THEN ({{}}) END"


@pytest.mark.parametrize(
    ("returning", "expected"),
    [
        ("id", f'{HELD.format("id")} AS "id"'),
        ("1, id AS x", f"1, {HELD.format('id')} AS x"),
        ("id x, name", f"{HELD.format('id')} x, name"),
        ("email, id", f'{HELD.format(f"({EMAIL})")} AS "email", id'),
        ("upper(name) || 'x', lower(name)", f"upper(name) || 'x', {HELD.format('lower(name)')} AS " + '"lower"'),
        ("customers.*", HELD.format('"customers"."id"') + ' AS "id", "customers"."tenant_id"'),
    ],
)
def test_in_with_the_check_stands_in_place(writing: World, returning: str, expected: str) -> None:
    sql = f"WITH i AS (INSERT INTO customers (id) VALUES (1) RETURNING {returning}) SELECT * FROM i"
    assert f"VALUES (1) RETURNING {expected}" in _text(writing, sql)
    plan = _plan(writing, sql)
    assert (plan.hidden_columns, plan.is_all_hidden, plan.check is not None) == (0, False, True)


def test_in_with_without_returning_the_check_is_all_there_is(writing: World) -> None:
    plan = _plan(writing, "WITH u AS (UPDATE customers SET tenant_id = 1) INSERT INTO customers (id) VALUES (1)")
    assert (plan.hidden_columns, plan.is_all_hidden) == (1, True)
    assert plan.check is not None
    assert plan.check.message == "new row violates a row filter"
    text = _text(writing, "WITH u AS (UPDATE customers SET tenant_id = 1) DELETE FROM orders")
    assert f"WHERE ({FILTER}) RETURNING CASE WHEN (({FILTER})) THEN CAST(NULL" in text


def test_a_filter_can_not_be_caught_by_a_clients_names(tmp_path: Path) -> None:
    caught = POLICY.replace(
        "order_id IN (SELECT o.id FROM public.other AS o)", "EXISTS (SELECT 1 FROM public.other AS o WHERE o.id = gone)"
    )
    writing = World(tmp_path, caught)
    assert writing.refused("DELETE FROM payments USING (SELECT 1 AS gone) x", "wes") == ("42501", "rules/rows[2]")
    elsewhere = World(
        tmp_path,
        caught.replace("o.id = gone)", "o.id = order_id) AND name = 'x'").replace(
            "public.other AS o", "shop.customers AS o"
        ),
    )
    assert elsewhere.refused("DELETE FROM payments USING (SELECT 'x' AS name) x", "wes") == ("42501", "rules/rows[2]")
    missing = World(
        tmp_path,
        POLICY.replace(
            'filter: "tenant_id = {tenant_id}"}\n      - {table: shop.ev',
            'filter: "gone = 1"}\n      - {table: shop.ev',
        ),
    )
    assert missing.refused("DELETE FROM customers USING (SELECT 1 AS gone) x", "wes") == ("42501", "rules/rows[0]")
