"""Fences stand exactly where a client's condition can fail or run user code on a row that the guard hides."""

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
