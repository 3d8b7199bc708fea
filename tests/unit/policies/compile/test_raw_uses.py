"""`use` lets a statement compare, join or group by a masked column's real values, and by nothing else about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.decision import RawColumn
from tests.compile_world import POLICY, World

USES = "use: {equality: raw, join: raw, group: raw}"
RAW = POLICY.replace("mask: {kind: email}}", f"mask: {{kind: email}}, {USES}, probes_per_hour: 20}}").replace(
    "    functions: {allow: [shop.safe_report]}",
    "      - {column: shop.customers.name, mask: {kind: redact}, use: {join: raw}}\n"
    "      - {column: shop.customers.tags, mask: {kind: redact}, use: {equality: raw}}\n"
    "      - {column: shop.payments.amount, mask: {kind: redact}, use: {equality: raw}}\n"
    """      - {column: 'shop."Weird Name"."E mail"', mask: {kind: redact}, use: {join: raw}}\n"""
    "    functions: {allow: [shop.safe_report]}",
)


@pytest.fixture
def raw(tmp_path: Path) -> World:
    return World(tmp_path, RAW)


def raw_columns(world: World, sql: str) -> list[tuple[str, int]]:
    return [(one.column.removeprefix("shop."), one.probes) for one in world.allowed(sql).plans[0].raw_columns]


@pytest.mark.parametrize(
    ("condition", "probes"),
    [
        ("email = 'x'", 1),
        ("'x' = email", 1),
        ("email <> $1", 1),
        ("email != 'x'::varchar", 1),
        ("email IN ('a', 'b', $3)", 3),
        ("email NOT IN ('a', 'b')", 2),
        ("email = ANY(ARRAY['a', 'b'])", 2),
        ("email = ANY('{a,b,c}'::text[])", 3),
        ("email <> ALL('{a}')", 1),
        ("email IS DISTINCT FROM 'x'", 1),
        ("email IS NOT DISTINCT FROM NULL", 1),
        ("email IS NOT NULL", 1),
        ("id = 1 AND (email = 'x' OR NOT email = 'y') AND lower(status) = 'b'", 2),
    ],
)
@pytest.mark.parametrize("what", ["c.email", "count(*)", "c.id, o.*"])
def test_equality_goes_raw_and_counts_its_values(raw: World, condition: str, probes: int, what: str) -> None:
    sql = f"SELECT {what} FROM customers c JOIN (SELECT 1 AS one, 'x' AS status) o ON true WHERE {condition}"
    plan = raw.allowed(sql).plans[0]
    rule = raw.effective("ada").policies[0].masks[0].rule
    assert plan.raw_columns == (RawColumn("shop.customers.email", 20, rule, probes),)
    assert len(plan.column_masks) == (what == "c.email")
    assert plan.masked_columns == ("shop.customers.email",)


def test_rows_found_by_an_index_come_in_no_order(raw: World) -> None:
    assert "gen_random_uuid" in raw.allowed("SELECT id FROM customers WHERE email IS NOT NULL").text
    assert "gen_random_uuid" not in raw.allowed("SELECT id FROM customers WHERE email IN ('a', 'b')").text


def test_the_text_keeps_the_comparison_and_its_guard(raw: World) -> None:
    decision = raw.allowed("SELECT count(*) FROM customers WHERE email = 'x'")
    body = '(SELECT "email" FROM "shop"."customers" WHERE (tenant_id = 1)) AS "customers"'
    assert decision.text.split() == f"SELECT count(*) FROM {body} WHERE email = 'x'".split()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT email FROM customers WHERE email > 'x'",
        "SELECT email FROM customers WHERE email LIKE 'x%'",
        "SELECT email FROM customers WHERE email BETWEEN 'a' AND 'b'",
        "SELECT email FROM customers WHERE lower(email) = 'x'",
        "SELECT email FROM customers WHERE email = lower('X')",
        "SELECT email FROM customers WHERE email::bytea = 'x'",
        "SELECT email FROM customers WHERE email = 'x' COLLATE \"C\"",
        "SELECT email FROM customers WHERE email = (SELECT 'x')",
        "SELECT email FROM customers WHERE email = 'x' AND email > 'a'",
        "SELECT email, upper(email) FROM customers WHERE email = 'x'",
        "SELECT email FROM customers WHERE email = status::text AND name = 'x'",
        "SELECT email FROM customers WHERE email = $1::regclass::text",
        "SELECT email = 'x' FROM customers",
        "SELECT CASE WHEN email = 'x' THEN 1 END FROM customers",
        "SELECT count(*) FILTER (WHERE email = 'x') FROM customers",
        "SELECT count(*) FROM customers GROUP BY id HAVING max(email) = 'x'",
        "SELECT email FROM customers WHERE email = 'x' ORDER BY email",
        "SELECT email AS e FROM customers WHERE email = 'x' ORDER BY e",
        "SELECT email, id FROM customers WHERE email = 'x' ORDER BY 1",
        "SELECT * FROM customers WHERE email = 'x' ORDER BY 1",
        "SELECT DISTINCT email FROM customers WHERE email = 'x'",
        "SELECT email FROM customers WHERE email = 'x' UNION SELECT 'y'",
        "SELECT email FROM (SELECT email FROM customers WHERE email = 'x') s",
        "WITH c AS (SELECT * FROM customers) SELECT * FROM c WHERE email = 'x'",
        "SELECT 1 FROM orders WHERE EXISTS (SELECT 1 FROM customers WHERE email = 'x')",
        "SELECT c FROM customers c WHERE email = 'x'",
        "SELECT row_to_json(c) FROM customers c WHERE email = 'x'",
        "SELECT email FROM contacts WHERE email = 'x'",
        "SELECT x FROM customers AS c(a, b, d, x) WHERE x = 'x'",
        "SELECT email FROM customers WHERE (email, 1) = ('x', 1)",
        "SELECT email FROM customers WHERE email = ANY($1)",
        "SELECT array_agg(id) FROM customers WHERE email IS NOT NULL",
        "SELECT email FROM customers WHERE email OPERATOR(shop.=) 'x'",
        "SELECT email FROM customers c WHERE EXISTS (SELECT 1 WHERE c.email = 'x')",
        "SELECT count(*) FROM customers WHERE tags = '{a}'",
        "SELECT 1 FROM payments WHERE amount = 1.5::float8",
        "SELECT 1 FROM payments WHERE amount = ANY($1)",
        "SELECT email FROM customers, orders customers WHERE email = 'x'",
    ],
)
def test_everything_else_about_it_is_masked_at_the_source(raw: World, sql: str) -> None:
    decision = raw.decide(sql)
    for plan in decision.plans:
        assert not plan.raw_columns
        assert all((mask.table_oid, mask.attnum) != (101, 4) for mask in plan.column_masks)
    if decision.refusal is None:
        assert "CASE WHEN" in decision.text


@pytest.mark.parametrize(
    ("sql", "expected", "fields"),
    [
        ("SELECT email, count(*) FROM customers GROUP BY email", [("customers.email", 1)], 1),
        ("SELECT email, count(*) FROM customers GROUP BY 1 ORDER BY 2 DESC", [("customers.email", 1)], 1),
        ("SELECT c.email AS e, sum(balance) FROM customers c GROUP BY e LIMIT 5", [("customers.email", 1)], 1),
        ("SELECT count(DISTINCT email) FROM customers", [("customers.email", 1)], 0),
        ("SELECT id, count(email) FROM customers GROUP BY id ORDER BY count(email)", [("customers.email", 1)], 0),
        ("SELECT count(*) FROM customers GROUP BY email HAVING count(*) > 1", [("customers.email", 1)], 0),
        ("SELECT email FROM customers WHERE email IN ('a', 'b') GROUP BY email", [("customers.email", 2)], 1),
        (
            "SELECT a.email, b.id FROM customers a JOIN customers b ON a.email = b.email",
            [("customers.email", 1)],
            1,
        ),
        ("SELECT b.id FROM customers a LEFT JOIN customers b USING (email)", [("customers.email", 1)], 0),
        (
            'SELECT c.name FROM customers c, "Weird Name" w WHERE c.name = w."E mail"',
            [("customers.name", 1), ("Weird Name.E mail", 1)],
            1,
        ),
    ],
)
def test_groups_and_joins_go_raw_and_their_order_is_hidden(
    raw: World, sql: str, expected: list[tuple[str, int]], fields: int
) -> None:
    decision = raw.allowed(sql)
    assert raw_columns(raw, sql) == expected
    assert [mask.count for mask in decision.plans[0].column_masks] == [fields] * (fields > 0)
    assert "pg_catalog.gen_random_uuid()" in decision.text


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT DISTINCT email FROM customers",
        "SELECT DISTINCT a.id FROM customers a JOIN customers b ON a.email = b.email",
        "SELECT email FROM customers GROUP BY ROLLUP (email)",
        "SELECT email AS e FROM customers GROUP BY ROLLUP (e)",
        "SELECT email, id FROM customers GROUP BY GROUPING SETS ((1), (2))",
        "SELECT lower(email) FROM customers GROUP BY email",
        "SELECT min(email) FROM customers GROUP BY email",
        "SELECT email FROM customers GROUP BY email ORDER BY email",
        "SELECT email FROM customers GROUP BY email ORDER BY 1",
        "SELECT email FROM customers GROUP BY email HAVING email > 'a'",
        "SELECT email, row_number() OVER () FROM customers GROUP BY email",
        "SELECT email, rank() OVER w FROM customers GROUP BY email WINDOW w AS (ORDER BY count(*))",
        "SELECT email, array_agg(id) FROM customers GROUP BY email",
        "SELECT array_agg(id), count(DISTINCT email) FROM customers",
        "SELECT sum(id::float8), count(DISTINCT email) FROM customers",
        "SELECT sum(id ^ 2), count(DISTINCT email) FROM customers",
        "SELECT email, shop.safe_report() FROM customers GROUP BY email",
        "SELECT email, random() FROM customers GROUP BY email",
        'SELECT count(DISTINCT email COLLATE "C") FROM customers',
        "SELECT count(DISTINCT (email, id)) FROM customers",
        "SELECT email FROM customers GROUP BY email ORDER BY count(*) FETCH FIRST 1 ROW WITH TIES",
        "SELECT email, id FROM customers GROUP BY id",
        "SELECT * FROM customers GROUP BY id, email",
        "SELECT name, count(*) FROM customers GROUP BY name",
        "SELECT count(*) FROM customers c JOIN orders o ON c.email = o.status::text",
        "SELECT count(*) FROM customers c JOIN payments p ON c.name = p.card_number",
        "SELECT count(*) FROM customers a JOIN customers b ON a.email = b.name WHERE lower(b.name) = 'x'",
        "SELECT count(*) FROM customers a JOIN (VALUES ('x')) v(e) ON a.email = v.e",
        "SELECT count(*) FROM customers a JOIN (VALUES ('x')) v(email) USING (email)",
        "SELECT count(*) FROM customers a JOIN contacts v USING (email)",
        "SELECT email FROM customers a JOIN customers b USING (email)",
        "SELECT * FROM customers a JOIN customers b USING (email)",
        "SELECT a.id FROM customers a JOIN customers b ON a.email > b.email",
        "SELECT a.id FROM customers a WHERE a.email = a.name",
        "SELECT a.id FROM customers a NATURAL JOIN customers b",
        "(SELECT email FROM customers GROUP BY email)",
    ],
)
def test_no_other_group_and_join_goes_raw(raw: World, sql: str) -> None:
    decision = raw.decide(sql)
    for plan in decision.plans:
        assert not plan.raw_columns
        assert all((mask.table_oid, mask.attnum) != (101, 4) for mask in plan.column_masks)
    if decision.refusal is None:
        assert "CASE WHEN" in decision.text


@pytest.mark.parametrize("granted", ["insert", "update", "merge", "copy_from", "ddl", "all"])
def test_who_can_write_known_values_gets_no_raw_groups_and_joins(tmp_path: Path, granted: str) -> None:
    world = World(
        tmp_path, RAW.replace("statements: [select, explain]", f"statements: [select, explain, {granted}]", 1)
    )
    assert not raw_columns(world, "SELECT email FROM customers GROUP BY email")
    assert raw_columns(world, "SELECT email FROM customers WHERE email = 'x'") == [("customers.email", 1)]


@pytest.mark.parametrize(
    "sql",
    [
        "EXPLAIN SELECT count(*) FROM customers WHERE email = 'x'",
        "PREPARE p AS SELECT count(*) FROM customers WHERE email = 'x'",
        "DECLARE c CURSOR FOR SELECT count(*) FROM customers WHERE email = 'x'",
        "COPY (SELECT count(*) FROM customers WHERE email = 'x') TO STDOUT",
        "CREATE TABLE shop.t AS SELECT id FROM customers WHERE email = 'x'",
    ],
)
def test_what_isnt_the_statements_own_output_stays_masked(tmp_path: Path, sql: str) -> None:
    world = World(tmp_path, RAW.replace("statements: [select, explain]", "statements: [all]", 1))
    decision = world.decide(sql)
    assert not any(plan.raw_columns for plan in decision.plans)


def test_without_a_cap_a_list_of_unknown_length_goes_raw(tmp_path: Path) -> None:
    world = World(tmp_path, RAW.replace(", probes_per_hour: 20", ""))
    assert raw_columns(world, "SELECT email FROM customers WHERE email = ANY($1)") == [("customers.email", 1)]


@pytest.mark.parametrize("place", ["limit 3", "offset 1", "fetch first row only"])
def test_the_hidden_key_comes_last_and_before_the_limit(raw: World, place: str) -> None:
    sql = f"SELECT email AS limit FROM customers GROUP BY email ORDER BY count(*) {place} -- end"
    text = raw.allowed(sql).text
    assert text.index("count(*)") < text.index("gen_random_uuid") < text.index(place)
    assert "gen_random_uuid" in raw.allowed("SELECT email FROM customers GROUP BY email -- ORDER").text


def test_what_is_compared_before_groups_are_made_isnt_grouped_by(raw: World) -> None:
    """GROUP BY email, id would give the rows out by their addresses."""
    text = raw.allowed("SELECT id, balance FROM customers WHERE email <> 'x' GROUP BY id").text
    assert '"email"' not in text.partition("GROUP BY")[2], text


@pytest.mark.parametrize(
    ("child", "is_read"),
    [
        ("{kind: hash}, use: {equality: raw}", True),
        ("{kind: email}", False),
        ("{kind: hash}", False),
        ("{kind: hash}, use: {equality: raw}, probes_per_hour: 5", False),
        ("{kind: redact}, use: {equality: raw}", False),
        ("{kind: partial}, use: {equality: raw, join: raw}", True),
    ],
)
def test_a_childs_stricter_mask_isnt_passed_by_through_its_parent(tmp_path: Path, child: str, is_read: bool) -> None:
    masks = (
        "    masks:\n      - {column: shop.events.body, mask: {kind: hash}, use: {equality: raw}}\n"
        f"      - {{column: shop.events_2024.body, mask: {child}}}"
    )
    world = World(tmp_path, POLICY.replace("    masks:", masks, 1))
    refusal = world.decide("SELECT body FROM events").refusal
    assert (refusal is None) == is_read
    assert is_read or (refusal is not None and refusal.rule == "pgwarden/inheritance")
    assert world.decide("SELECT body FROM events_2024").refusal is None
