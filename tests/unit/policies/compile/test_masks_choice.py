"""Stream or source: a raw value leaves the database only where it is certainly put out and nothing else."""

from pathlib import Path

import pytest

from tests.compile_world import POLICY, World

EMAIL = 4


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("SELECT email FROM customers", 1),
        ("SELECT * FROM customers", 1),
        ("SELECT c.*, email, c.email AS e FROM customers c", 3),
        ("SELECT shop.customers.email FROM shop.customers WHERE id = $1", 1),
        ("SELECT c.email FROM customers c LEFT JOIN orders o ON o.customer_id = c.id ORDER BY c.id LIMIT 5", 1),
        ("SELECT a.email, b.email FROM customers a, customers b", 2),
        ("TABLE customers", 1),
        ("WITH x AS (SELECT 1) SELECT email FROM customers, x", 1),
        ("SELECT email FROM customers WHERE EXISTS (SELECT 1 FROM orders)", 1),
    ],
)
def test_plain_output_is_masked_in_the_stream(world: World, sql: str, count: int) -> None:
    (mask,) = world.allowed(sql).plans[0].column_masks
    assert (mask.table_oid, mask.attnum, mask.count) == (101, EMAIL, count)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT lower(email) FROM customers",
        "SELECT email || '' FROM customers",
        "SELECT email::text FROM customers",
        'SELECT (email) COLLATE "C" FROM customers',
        "SELECT DISTINCT email FROM customers",
        "SELECT DISTINCT ON (id) email FROM customers",
        "SELECT email FROM customers GROUP BY email",
        "SELECT id, email FROM customers GROUP BY id",
        "SELECT max(email) FROM customers",
        "SELECT email FROM customers WHERE email = 'a'",
        "SELECT email FROM customers ORDER BY email",
        "SELECT email FROM customers ORDER BY 1",
        "SELECT email AS e FROM customers ORDER BY e",
        "SELECT email, row_number() OVER (ORDER BY email) FROM customers",
        "SELECT email, row_number() OVER w FROM customers WINDOW w AS (ORDER BY email)",
        "SELECT email FROM customers UNION SELECT 'x'",
        "SELECT email FROM (SELECT email FROM customers) s",
        "SELECT * FROM (SELECT * FROM customers) s WHERE s.email = 'x'",
        "WITH c AS (SELECT * FROM customers) SELECT email FROM c",
        "SELECT c FROM customers c",
        "SELECT c, c.email FROM customers c",
        "SELECT (c).email FROM customers c",
        "SELECT row_to_json(c), c.email FROM customers c",
        "SELECT c.row_to_json, c.email FROM customers c",
        "SELECT count(c.*), email FROM customers c GROUP BY email",
        "SELECT c.email, (SELECT c.email) FROM customers c",
        "SELECT c.email, x.e FROM customers c, LATERAL (SELECT c.email) x(e)",
        "SELECT s.x FROM customers c, LATERAL (SELECT c.*) s(a, b, n, x)",
        "SELECT c.email FROM customers c JOIN customers d USING (email)",
        "SELECT c.email FROM customers c JOIN customers d ON c.email = d.name",
        "SELECT email FROM customers NATURAL JOIN orders",
        "SELECT j.email FROM (customers c JOIN orders o ON true) j",
        "SELECT x FROM customers AS c(a, b, c, x)",
        "SELECT email FROM contacts",
        "SELECT email FROM customers c WHERE c IS NOT NULL",
        "SELECT CASE WHEN id = 1 THEN email END FROM customers",
        "SELECT ARRAY[email] FROM customers",
        "SELECT email FROM customers FETCH FIRST 1 ROW ONLY FOR UPDATE",
    ],
)
def test_every_other_use_is_masked_at_the_source(world: World, sql: str) -> None:
    decision = world.decide(sql)
    if decision.refusal is None:
        assert not decision.plans[0].column_masks, decision.text
        assert 'CASE WHEN "email" IS NULL' in decision.text
    else:
        assert "FOR UPDATE" in sql


def test_a_type_that_prints_by_session_settings_is_masked_at_the_source(world: World) -> None:
    decision = world.allowed("SELECT birth_date FROM customers")
    assert not decision.plans[0].column_masks
    assert "date_trunc" in decision.text


def test_a_mask_that_the_type_has_no_form_of_is_refused(tmp_path: Path) -> None:
    mask = "masks:\n      - {column: shop.orders.status, mask: {kind: redact}}"
    world = World(tmp_path, POLICY.replace("masks:", mask, 1))
    assert world.refused("SELECT status FROM orders")[0] == "42501"
