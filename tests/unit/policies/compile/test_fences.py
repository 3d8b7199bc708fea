"""Fences stand exactly where a client's condition can fail or run user code on a row that the guard hides."""

from dataclasses import replace

import pytest

from tests.compile_world import World


@pytest.mark.parametrize(
    "condition",
    [
        "id = 1",
        "id IN (1, 2) AND NOT name = 'x'",
        "id = ANY ($1)",
        "name LIKE 'x%'",
        "name IS NOT DISTINCT FROM 'x'",
        "id BETWEEN 1 AND 2",
        "name IS NULL OR id <> $1",
        "upper(name) = 'X'",
        "birth_date > now() - interval '30 days'",
        "CASE WHEN id = 1 THEN name ELSE 'x' END = 'y'",
        "coalesce(name, 'x') = 'y'",
        "EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = customers.id)",
        "id IN (SELECT customer_id FROM orders)",
    ],
)
def test_conditions_that_cannot_fail_enter_the_guard(world: World, condition: str) -> None:
    assert "OFFSET 0" not in world.allowed(f"SELECT id FROM customers WHERE {condition}").text


@pytest.mark.parametrize(
    "condition",
    [
        "1 / (id - 5) > 0",
        "name::int = 1",
        "CAST(name AS date) > now()",
        "name ~ '(a+)+$'",
        "name LIKE 'canary\\'",
        "name LIKE $1",
        "name ILIKE name",
        "substring(name, id) = 'x'",
        "id = (SELECT o.id FROM orders o WHERE o.customer_id = customers.id)",
        "tags[1] = 'x'",
        "id = 1 AND (balance * 1e300) > 0",
        "balance::float8 = 1.0",
        "EXISTS (SELECT 1 FROM orders WHERE 1 / (customers.id - 5) > 0)",
        "id OPERATOR(public.=) 1",
        "shop.safe_report(name)",
        "to_date(name, 'YYYY') > now()",
        "id IN (SELECT 1 / (c.id - 5) FROM orders c)",
    ],
)
def test_conditions_that_can_fail_stay_outside(world: World, condition: str) -> None:
    assert "OFFSET 0" in world.allowed(f"SELECT id FROM customers WHERE {condition}").text


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM customers c JOIN orders o ON 1 / (c.id - 5) > 0",
        "SELECT tenant_id FROM customers GROUP BY tenant_id HAVING 1 / (tenant_id - 5) > 0",
        "SELECT * FROM (SELECT 1 / (id - 5) AS x FROM customers) s WHERE x > 0",
        "WITH s AS (SELECT 1 / (id - 5) AS x FROM customers) SELECT * FROM s WHERE x > 0",
        "SELECT id FROM customers WHERE id = 1 UNION SELECT id FROM customers WHERE 1 / (id - 5) > 0",
        "SELECT o.id FROM orders o, customers c WHERE o.status = 'paid' AND c.id = o.customer_id",
        "SELECT id FROM contacts WHERE 1 / (id - 5) > 0",
    ],
)
def test_fences_cover_every_place_a_condition_can_come_from(world: World, sql: str) -> None:
    assert "OFFSET 0" in world.allowed(sql).text


def test_output_expressions_run_after_the_filter(world: World) -> None:
    sql = "SELECT 1 / (id - 5), date_trunc('month', birth_date) FROM customers GROUP BY 1, 2 ORDER BY 1 / (id - 5)"
    assert "OFFSET 0" not in world.allowed(sql).text


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FROM customers AS s(a, b) WHERE a = 1",
        "SELECT 1 FROM (SELECT * FROM customers) AS s(a, b) WHERE a = 1",
        "WITH s(a, b) AS (SELECT * FROM customers) SELECT 1 FROM s WHERE a = 1",
        "SELECT 1 FROM (customers JOIN orders ON true) AS s(a, b) WHERE a = 1",
        "SELECT 1 FROM customers JOIN (SELECT '{}'::text[] AS tags) s USING (tags)",
        "SELECT 1 FROM customers NATURAL JOIN (SELECT '{}'::text[] AS tags) s",
        "SELECT 1 FROM (SELECT 1 AS x UNION ALL SELECT * FROM customers) s WHERE x = 1",
        "SELECT 1 FROM customers c JOIN customers d ON c = d",
        "SELECT 1 FROM customers c JOIN customers d ON c.* = d.*",
    ],
)
def test_types_are_known_by_name_only_where_columns_keep_theirs(world: World, sql: str) -> None:
    """An array's comparison isn't known to be safe, under whatever name it is."""
    assert "OFFSET 0" in world.allowed(sql).text


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT 1 FROM customers, (SELECT \'a\' COLLATE "C" AS p, $1 COLLATE "POSIX" AS q) WHERE coalesce(name, p) = q',
        "SELECT (SELECT count(*) FROM customers, (SELECT 'a' COLLATE \"C\" AS p) s WHERE coalesce(name, p) = $1)",
        "SELECT 1 FROM customers WHERE name COLLATE \"C\" < 'x'",
    ],
)
def test_collations_may_meet_on_a_hidden_row(world: World, sql: str) -> None:
    assert "OFFSET 0" in world.allowed(sql).text


def test_an_order_by_collation_needs_no_fence(world: World) -> None:
    sql = "SELECT name FROM customers WHERE name = 'x' ORDER BY name COLLATE \"C\""
    assert "OFFSET 0" not in world.allowed(sql).text


def test_columns_with_a_collation_of_their_own_are_fenced(world: World) -> None:
    relation = world.catalog.by_oid[101]
    collated = tuple(replace(c, has_own_collation=c.name == "name") for c in relation.columns)
    relations = tuple(replace(r, columns=collated) if r.oid == 101 else r for r in world.catalog.relations)
    world.catalog = replace(world.catalog, version=2, relations=relations)
    assert "OFFSET 0" in world.allowed("SELECT id FROM customers WHERE name = 'x'").text
    assert "OFFSET 0" not in world.allowed("SELECT name FROM customers WHERE id = 1").text
