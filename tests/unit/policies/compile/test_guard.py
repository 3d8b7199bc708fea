"""Where guards stand in the text, and that everything else stays byte for byte."""

import pytest

from tests.compile_world import World

GUARD = '(SELECT "id" FROM "shop"."customers" WHERE (tenant_id = 1))'


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT id FROM customers", f'SELECT id FROM  {GUARD} AS "customers" '),
        ("SELECT id FROM shop.customers AS c", f"SELECT id FROM  {GUARD}  AS c"),
        ("SELECT id FROM customers c(id)", None),
        ("SELECT id FROM customers *", f'SELECT id FROM  {GUARD} AS "customers" '),
        ("SELECT id FROM ONLY customers", GUARD.replace('FROM "', 'FROM ONLY "')),
        ("SELECT id FROM ONLY (customers) x", GUARD.replace('FROM "', 'FROM ONLY "')),
        ("SELECT shop.customers.id FROM shop.customers", f'SELECT customers.id FROM  {GUARD} AS "customers" '),
        ("SELECT shop . customers . id FROM shop.customers", f'SELECT customers . id FROM  {GUARD} AS "customers" '),
        ("select/*x*/id from\n-- c\ncustomers;", f'select/*x*/id from\n-- c\n {GUARD} AS "customers" ;'),
        ("SELECT é.id FROM customers é", f"SELECT é.id FROM  {GUARD}  é"),
        ("SELECT 'ü', id FROM customers", f"SELECT 'ü', id FROM  {GUARD} AS \"customers\" "),
    ],
)
def test_a_guard_stands_in_the_relations_place(world: World, sql: str, expected: str | None) -> None:
    text = world.allowed(sql).text
    if expected is not None:
        assert expected in text


def test_table_command_becomes_a_select(world: World) -> None:
    assert world.allowed("TABLE payments").text == (
        ' SELECT * FROM (SELECT "id", "order_id", "amount" FROM "shop"."payments") AS "payments" '
    )


def test_a_guard_lists_only_what_can_be_meant(world: World) -> None:
    assert '(SELECT FROM "shop"."customers"' in world.allowed("SELECT count(*) FROM customers").text
    for whole in ("c", "c.*", "(c).id", "row_to_json(c)", "count(c)", "c.row_to_json"):
        assert '"tags"' in world.allowed(f"SELECT {whole} FROM customers c").text, whole
    assert '"tags"' in world.allowed("SELECT j.* FROM (customers c JOIN orders o ON true) j").text
    assert '"tags"' in world.allowed("SELECT a FROM (customers c CROSS JOIN orders o) AS j(a, b, c, d)").text
    assert '"tags"' in world.allowed("SELECT 1 FROM customers NATURAL JOIN orders").text
    using = world.allowed("SELECT 1 FROM customers JOIN payments USING (id)").text
    assert '(SELECT "id" FROM "shop"."customers"' in using


def test_a_blocked_column_is_gone_from_stars_and_refused_by_name(world: World) -> None:
    assert "card_number" not in world.allowed("SELECT * FROM payments").text
    for sql in (
        "SELECT card_number FROM payments",
        "SELECT p.card_number FROM payments p",
        "SELECT shop.payments.card_number FROM shop.payments",
        "SELECT 1 FROM payments WHERE card_number LIKE '4%'",
        "SELECT (SELECT p.card_number) FROM payments p",
        "SELECT 1 FROM orders o JOIN payments p ON p.card_number = o.id::text",
        "SELECT count(*) FROM payments GROUP BY card_number",
        "SELECT 1 FROM payments a JOIN payments b USING (id, card_number)",
        "SELECT 1 FROM (SELECT 1 AS card_number) a LEFT JOIN payments b USING (card_number)",
    ):
        assert world.refused(sql) == ("42501", "analysts/columns.block[0]"), sql


def test_a_blocked_columns_name_may_mean_something_else(world: World) -> None:
    world.allowed("SELECT card_number FROM (SELECT 'x' AS card_number) s, payments")
    world.allowed("SELECT x.card_number FROM payments p, (SELECT 1 AS card_number) x")


def test_attributes_with_quotes_stay_one_literal(tmp_path) -> None:  # type: ignore[no-untyped-def]
    policy = """
principals:
  - {user: ada, roles: [a], attributes: {name: "o'Hara'); DROP TABLE x; --"}}
policies:
  - name: p
    subjects: {any: true}
    statements: [select]
    tables: {allow: ["shop.*"]}
    rows: [{table: shop.customers, filter: "name = {name}"}]
"""
    text = World(tmp_path, policy).allowed("SELECT id FROM customers").text
    assert "(name = 'o''Hara''); DROP TABLE x; --')" in text


def test_group_by_primary_key_keeps_its_dependencies(world: World) -> None:
    text = world.allowed("SELECT c.id, c.name, count(*) FROM customers c JOIN orders o ON true GROUP BY c.id").text
    assert 'GROUP BY "c"."id", "c"."name",  c.id' in text
    text = world.allowed("SELECT id, name FROM customers GROUP BY 1").text
    assert 'GROUP BY "customers"."id", "customers"."name",  1' in text
    assert '"c"."name"' not in world.allowed("SELECT c.name FROM customers c GROUP BY c.name").text


def test_positions_map_back_to_the_clients_text(world: World) -> None:
    sql = "SELECT nope FROM customers WHERE wrong = 1"
    decision = world.allowed(sql)
    assert decision.client_position(decision.text.index("wrong") + 1) == sql.index("wrong") + 1
    assert decision.client_position(decision.text.index("tenant_id") + 1) == 0
    assert decision.client_position(8) == 8


def test_untouched_statements_are_the_clients_own_object(world: World) -> None:
    for sql in ("SELECT 1", "", "  ;; ", "BEGIN", "SELECT $1,$2 -- $1,$", 'SELECT id FROM shop."orders"'):
        assert world.allowed(sql).text is sql
