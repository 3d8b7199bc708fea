"""Which relation a name means, and who may read it."""

from pathlib import Path

import pytest

from tests.compile_world import World


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM shop.salaries",
        "SELECT * FROM salaries",
        'SELECT * FROM "salaries"',
        'SELECT * FROM U&"s\\0061laries"',
        "TABLE shop.salaries",
        "SELECT * FROM ONLY (shop.salaries)",
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM salaries)",
        "WITH salaries AS (SELECT * FROM salaries) SELECT * FROM salaries",
        "SELECT 1 FROM orders WHERE EXISTS (WITH salaries AS (SELECT 1) SELECT 1) AND EXISTS (SELECT 1 FROM salaries)",
        "SELECT 1 UNION SELECT 2 FROM shop.salaries",
        "(WITH salaries AS (SELECT 1) SELECT * FROM salaries) UNION SELECT 1 FROM salaries",
        "SELECT * FROM orders, LATERAL (SELECT * FROM salaries) s",
        "SELECT (SELECT max(amount) FROM salaries)",
        "VALUES ((SELECT max(amount) FROM salaries))",
        "SELECT * FROM orders ORDER BY (SELECT max(amount) FROM salaries)",
        "SELECT * FROM orders LIMIT (SELECT max(amount) FROM salaries)::int",
        "SELECT sum(total) FILTER (WHERE EXISTS (SELECT 1 FROM salaries)) FROM orders",
        "SELECT * FROM generate_series(1, (SELECT max(amount) FROM salaries)::int)",
        "SELECT * FROM orders TABLESAMPLE system ((SELECT max(amount) FROM salaries)::int)",
        "SELECT * FROM pay",
        "EXPLAIN SELECT * FROM salaries",
        "SELECT 1; SELECT * FROM salaries",
    ],
)
def test_a_blocked_table_is_refused_wherever_it_stands(world: World, sql: str) -> None:
    assert world.refused(sql) == ("42501", "analysts/tables.block[0]")


def test_the_refusal_says_where_the_rule_stands_and_what_would_help(world: World) -> None:
    refusal = world.decide("SELECT *\n  FROM salaries").refusal
    assert refusal is not None
    assert "policy.yaml:11:" in refusal.detail
    assert "shop.salaries" in refusal.message
    assert refusal.hint
    assert refusal.position == 17


@pytest.mark.parametrize("sql", ["SELECT * FROM nowhere", "SELECT * FROM shop.nowhere", "SELECT * FROM nope.customers"])
def test_what_the_catalog_does_not_know_does_not_exist(world: World, sql: str) -> None:
    assert world.refused(sql)[0] == "42P01"


def test_another_schema_needs_its_own_grant(world: World) -> None:
    assert world.refused("SELECT * FROM public.other")[0] == "42501"


def test_nobody_sees_anything_until_a_policy_allows_it(world: World) -> None:
    assert world.refused("SELECT 1", "bo")[0] == "42501"
    assert world.refused("SELECT * FROM shop.orders", "bo")[0] == "42501"


def test_names_resolve_along_the_search_path_and_are_pinned_to_what_was_found(world: World) -> None:
    assert world.allowed("SELECT id FROM orders").text == 'SELECT id FROM "shop".orders'
    decision = world.decide("SELECT id FROM orders", path=("public",))
    assert decision.refusal is not None
    assert decision.refusal.sqlstate == "42P01"


def test_a_cte_hides_a_table_only_where_the_server_sees_it(world: World) -> None:
    text = world.allowed("WITH customers AS (SELECT 1 AS id) SELECT id FROM customers").text
    assert text == "WITH customers AS (SELECT 1 AS id) SELECT id FROM customers"
    text = world.allowed("WITH customers AS (SELECT id FROM customers) SELECT id FROM customers").text
    assert text.count('FROM "shop"."customers" WHERE (tenant_id = 1)') == 1
    text = world.allowed("WITH RECURSIVE customers AS (SELECT 1 AS id) SELECT id FROM shop.customers").text
    assert '"shop"."customers"' in text


def test_a_partition_is_filtered_like_the_whole(world: World) -> None:
    assert 'FROM "shop"."events_2024" WHERE (tenant_id = 1)' in world.allowed("SELECT id FROM events_2024").text


def test_views_are_guarded_inside(world: World) -> None:
    decision = world.allowed("SELECT * FROM contacts")
    assert 'FROM "shop"."customers" WHERE (tenant_id = 1)' in decision.text
    assert decision.plans[0].masked_columns == ("shop.customers.email",)
    assert decision.plans[0].rule_ids == ("analysts/masks[0]", "analysts/rows[0]")
    assert decision.plans[0].filtered_tables == ("shop.customers",)
    assert not decision.plans[0].column_masks, "a view's columns have no table OID: masked at the source"
    assert world.allowed("SELECT * FROM totals").text == 'SELECT * FROM "shop".totals'


@pytest.mark.parametrize("name", ["daily", "orders_id_seq"])
def test_what_no_guard_can_stand_for_is_refused(world: World, name: str) -> None:
    assert world.refused(f"SELECT * FROM {name}") == ("0A000", "pgwarden/relations")


def test_a_generated_column_goes_with_what_it_is_made_from(world: World) -> None:
    assert "email_domain" not in world.allowed("SELECT * FROM customers").text
    assert world.refused("SELECT email_domain FROM customers") == ("42501", "analysts/masks[0]")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "SELECT id FROM customers AS c TABLESAMPLE bernoulli (10)",
            """(SELECT "id" FROM "shop"."customers" TABLESAMPLE bernoulli (10) WHERE (tenant_id = 1)) AS c""",
        ),
        (
            "SELECT amount FROM payments TABLESAMPLE pg_catalog.system ((1 + 2) * 3) REPEATABLE (5) WHERE id > 1",
            """(SELECT "id", "amount" FROM "shop"."payments" TABLESAMPLE pg_catalog.system ((1 + 2) * 3) REPEATABLE""",
        ),
    ],
)
def test_a_sample_is_drawn_inside_the_guard(world: World, sql: str, expected: str) -> None:
    assert expected in world.allowed(sql).text


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM customers TABLESAMPLE system (10)",  # whole pages: the gaps show
        "SELECT * FROM customers TABLESAMPLE bernoulli (10) REPEATABLE (1)",  # chosen by the row's place
        "SELECT * FROM payments TABLESAMPLE system_rows (10)",
        "SELECT * FROM payments TABLESAMPLE public.system (10)",
        "SELECT * FROM payments TABLESAMPLE system ((SELECT 1))",
        "SELECT * FROM contacts TABLESAMPLE system (10)",
    ],
)
def test_samples_that_tell_of_hidden_rows_are_refused(world: World, sql: str) -> None:
    assert world.refused(sql) == ("0A000", "pgwarden/tablesample")


@pytest.mark.parametrize(("parent", "child"), [("nullify", "redact"), ("redact", "nullify")])
def test_a_partitions_own_mask_never_weakens_its_parents(tmp_path: Path, parent: str, child: str) -> None:
    policy = f"""
principals: [{{user: ada, roles: [a]}}]
policies:
  - name: p
    subjects: {{any: true}}
    statements: [select]
    tables: {{allow: ["shop.*"]}}
    masks:
      - {{column: shop.events.body, mask: {{kind: {parent}}}}}
      - {{column: shop.events_2024.body, mask: {{kind: {child}}}}}
"""
    text = World(tmp_path, policy).allowed("SELECT upper(body) FROM events_2024").text
    assert "REDACTED" not in text, "nullify is the stronger of the two"
