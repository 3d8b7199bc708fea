"""COPY of tables and queries, both ways."""

from pathlib import Path

import pytest

from policies.catalog import Namespace
from policies.compile.parse import parse
from policies.decision import Decision
from tests.compile_world import World

POLICY = """
principals:
  - {user: ada, roles: [copier], attributes: {tenant_id: 1}}
  - {user: bo, roles: [reader], attributes: {tenant_id: 1}}
  - {user: cy, roles: [outer], attributes: {tenant_id: 1}}
policies:
  - name: data
    subjects: {any: true}
    tables: {allow: ["shop.*"], block: [shop.salaries]}
    columns: {block: [shop.payments.card_number, shop.orders.status]}
    rows:
      - {table: shop.customers, filter: "tenant_id = {tenant_id}"}
      - {table: shop.events_2024, filter: "tenant_id = {tenant_id}"}
    masks:
      - {column: shop.customers.email, mask: {kind: email}}
      - {column: shop.payments.amount, mask: {kind: nullify}}
  - {name: copier, subjects: {roles: [copier]}, statements: [select, copy_to, copy_from]}
  - {name: reader, subjects: {roles: [reader]}, statements: [select]}
  - {name: outer, subjects: {roles: [outer]}, statements: [copy_to]}
"""
ROWS = '(SELECT "id", "order_id", "amount" FROM ('


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, POLICY)


def _query(decision: Decision) -> dict[str, object]:
    (statement,) = parse(decision.text)
    assert "relation" not in statement.tree
    query: dict[str, object] = statement.tree["query"]["SelectStmt"]
    return query


def test_a_guarded_table_becomes_a_query(world: World) -> None:
    decision = world.allowed("COPY customers TO STDOUT")
    (plan,) = decision.plans
    columns = '"id", "tenant_id", "name", "email", "birth_date", "balance", "tags"'
    assert decision.text.startswith(f"COPY (SELECT {columns} FROM (SELECT ")
    assert 'FROM ONLY "shop"."customers" WHERE' in decision.text
    assert decision.text.endswith(') AS "customers") TO STDOUT')
    assert (plan.command, plan.is_guarded, plan.is_rewritten, plan.column_masks) == ("copy", True, True, ())
    assert (plan.masked_columns, plan.filtered_tables) == (("shop.customers.email",), ("shop.customers",))


def test_the_list_of_columns_is_kept_in_its_order(world: World) -> None:
    decision = world.allowed('COPY shop.customers ( email , "id" ) TO STDOUT (FORMAT csv, HEADER)')
    assert decision.text.startswith('COPY (SELECT "email", "id" FROM (SELECT "id", ')
    assert decision.text.endswith(') AS "customers") TO STDOUT (FORMAT csv, HEADER)')
    assert decision.plans[0].rule_ids == ("data/masks[0]", "data/rows[0]")
    assert "tenant_id" not in decision.text.split(" FROM ONLY ")[0]


@pytest.mark.parametrize(
    "options",
    [
        "",
        " WITH CSV",
        " CSV HEADER DELIMITER AS ';' QUOTE '''' ESCAPE '\"' NULL AS 'n'",
        " WITH CSV FORCE QUOTE id, amount",
        " CSV FORCE QUOTE *",
        " (FORMAT csv, FORCE_QUOTE (id, amount), HEADER true)",
        " (FORMAT 'binary')",
        " WITH BINARY",
        " WITH (FORMAT text, DELIMITER E'\\t', NULL '\\N', ENCODING 'utf-8')",
        " (ENCODING UTF8)",
    ],
)
def test_options_stay_as_written(world: World, options: str) -> None:
    text = world.allowed(f"COPY payments TO STDOUT{options}").text
    assert text.startswith(f"COPY {ROWS}")
    assert text.endswith(f' AS "payments") TO STDOUT{options}')


@pytest.mark.parametrize(
    ("sql", "tail"),
    [
        ("COPY BINARY payments TO STDOUT", " TO STDOUT BINARY"),
        ("COPY BINARY payments (id) TO STDOUT WITH NULL 'x'", " TO STDOUT WITH BINARY NULL 'x'"),
    ],
)
def test_the_old_place_of_binary_moves(world: World, sql: str, tail: str) -> None:
    text = world.allowed(sql).text
    assert text.startswith("COPY  (SELECT ")
    assert text.endswith(tail)


def test_delimiters_of_1999_are_refused(world: World) -> None:
    assert world.refused("COPY payments TO STDOUT USING DELIMITERS ';'") == ("0A000", "pgwarden/verify")


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ('COPY "Weird Name" TO STDOUT', 'COPY "shop"."Weird Name" TO STDOUT'),
        ('COPY BINARY "Weird Name" TO STDOUT', 'COPY BINARY "shop"."Weird Name" TO STDOUT'),
        ('COPY "Weird Name" ("E mail") TO STDOUT CSV', 'COPY "shop"."Weird Name" ("E mail") TO STDOUT CSV'),
        ('COPY "Weird Name" FROM STDIN', 'COPY "shop"."Weird Name" FROM STDIN'),
        ('COPY "Weird Name" FROM STDIN WHERE id > 5', 'COPY "shop"."Weird Name" FROM STDIN WHERE id > 5'),
    ],
)
def test_an_open_table_is_qualified(world: World, sql: str, text: str) -> None:
    decision = world.allowed(sql)
    assert decision.text == text
    assert not decision.plans[0].is_guarded


def test_a_view_with_guards_inside_is_no_table(world: World) -> None:
    refusal = world.decide("COPY contacts TO STDOUT").refusal
    assert refusal is not None
    assert (refusal.sqlstate, refusal.message) == ("42809", 'cannot copy from view "contacts"')
    assert "SELECT" in refusal.hint
    refusal = world.decide("COPY events_2024 TO STDOUT").refusal
    assert refusal is None


def test_partitions_with_rules_of_their_own_are_not_copied_through_the_whole(world: World) -> None:
    """Servers before 19 copy no partitioned table; one that does must not pass the rule by."""
    assert world.refused("COPY events TO STDOUT") == ("0A000", "pgwarden/inheritance")


@pytest.mark.parametrize(
    ("sql", "sqlstate", "rule"),
    [
        ("COPY salaries TO STDOUT", "42501", "data/tables.block[0]"),
        ("COPY public.other TO STDOUT", "42501", "data/tables.allow"),
        ("COPY nothing TO STDOUT", "42P01", "pgwarden/relations"),
        ("COPY pg_authid TO STDOUT", "42501", "pgwarden/catalogs"),
        ("COPY payments (id, card_number) TO STDOUT", "42501", "data/columns.block[0]"),
        ("COPY payments (id, nothing) TO STDOUT", "42703", "pgwarden/copy"),
        ("COPY payments (id, ctid) TO STDOUT", "42703", "pgwarden/copy"),
        ("COPY payments (id, id) TO STDOUT", "42701", "pgwarden/copy"),
        ("COPY customers (email_domain) TO STDOUT", "42501", "data/masks[0]"),
        ("COPY payments TO STDOUT (FORMAT csv, FORCE_QUOTE (card_number))", "42501", "data/columns.block[0]"),
        ("COPY payments TO STDOUT CSV FORCE QUOTE id, card_number", "42501", "data/columns.block[0]"),
        ("COPY payments FROM STDIN CSV FORCE NOT NULL card_number", "42501", "data/columns.block[0]"),
        ("COPY payments FROM STDIN (FORMAT csv, FORCE_NULL (card_number))", "42501", "data/columns.block[0]"),
        ("COPY payments TO STDOUT (ENCODING latin1)", "0A000", "pgwarden/copy"),
        ("COPY (SELECT 1) TO STDOUT ENCODING 'SJIS'", "0A000", "pgwarden/copy"),
        ("COPY orders TO '/tmp/x'", "42501", "pgwarden/copy"),
        ("COPY orders TO PROGRAM 'cat'", "42501", "pgwarden/copy"),
        ("COPY orders FROM '/etc/passwd'", "42501", "pgwarden/copy"),
        ("COPY orders FROM PROGRAM 'id'", "42501", "pgwarden/copy"),
        ("COPY (SELECT 1) TO '/tmp/x'", "42501", "pgwarden/copy"),
        ("COPY (SELECT 1) TO PROGRAM 'cat'", "42501", "pgwarden/copy"),
        ("COPY (SELECT * FROM salaries) TO STDOUT", "42501", "data/tables.block[0]"),
        ("COPY (SELECT pg_read_file('x')) TO STDOUT", "42501", "pgwarden/functions"),
        ("COPY (SELECT set_config('search_path', 'x', false)) TO STDOUT", "42501", "pgwarden/settings"),
        ("COPY (SELECT 1 INTO x) TO STDOUT", "0A000", "pgwarden/nodes"),
        ("COPY (DELETE FROM orders RETURNING *) TO STDOUT", "42501", "copier/statements"),
        ("COPY customers FROM STDIN", "0A000", "pgwarden/copy"),
        ("COPY customers (id) FROM STDIN", "0A000", "pgwarden/copy"),
        ("COPY events FROM STDIN", "0A000", "pgwarden/inheritance"),
        ("COPY events_2024 FROM STDIN", "0A000", "pgwarden/copy"),
        ("COPY contacts FROM STDIN", "0A000", "pgwarden/copy"),
        ("COPY pg_class FROM STDIN", "42501", "pgwarden/catalogs"),
        ("COPY pg_am FROM STDIN", "42501", "pgwarden/catalogs"),
        ("COPY salaries FROM STDIN", "42501", "data/tables.block[0]"),
        ("COPY payments (card_number) FROM STDIN", "42501", "data/columns.block[0]"),
        ("COPY payments FROM STDIN WHERE card_number = '1'", "42501", "data/columns.block[0]"),
        ("COPY payments FROM STDIN WHERE payments.card_number = '1'", "42501", "data/columns.block[0]"),
        ("COPY payments FROM STDIN WHERE amount > 1", "42501", "pgwarden/copy"),
        ("COPY payments FROM STDIN WHERE payments IS NOT NULL", "42501", "pgwarden/copy"),
        ("COPY payments FROM STDIN WHERE (payments.*)::text ~ 'x'", "42501", "pgwarden/copy"),
        ("COPY payments FROM STDIN WHERE evil(id)", "42501", "pgwarden/functions"),
        ("COPY payments FROM STDIN WHERE id <~~> 5", "42501", "pgwarden/functions"),
        ("COPY payments FROM STDIN WHERE id IN (SELECT id FROM orders)", "0A000", "pgwarden/copy"),
        ("COPY payments FROM STDIN WHERE EXISTS (SELECT 1)", "0A000", "pgwarden/copy"),
        ("COPY payments FROM STDIN WHERE pg_get_viewdef(id::oid) = 'x'", "0A000", "pgwarden/copy"),
    ],
)
def test_what_is_refused(world: World, sql: str, sqlstate: str, rule: str) -> None:
    assert world.refused(sql) == (sqlstate, rule)


@pytest.mark.parametrize(
    ("sql", "user", "rule"),
    [
        ("COPY orders TO STDOUT", "bo", "reader/statements"),
        ("COPY (SELECT 1) TO STDOUT", "bo", "reader/statements"),
        ("COPY orders FROM STDIN", "bo", "reader/statements"),
        ("COPY orders TO STDOUT", "cy", "outer/statements"),
        ("COPY (SELECT 1) TO STDOUT", "cy", "outer/statements"),
    ],
)
def test_reading_needs_two_grants(world: World, sql: str, user: str, rule: str) -> None:
    assert world.refused(sql, user) == ("42501", rule)


def test_a_generated_column_is_left_out_as_the_server_leaves_it_out(tmp_path: Path) -> None:
    world = World(tmp_path, POLICY.replace("shop.customers.email", "shop.customers.name"))
    assert '"email_domain"' not in world.allowed("COPY customers TO STDOUT").text.split(" FROM (")[0]
    refusal = world.decide("COPY customers (email_domain) TO STDOUT").refusal
    assert refusal is not None
    assert (refusal.sqlstate, refusal.message) == ("42P10", 'column "email_domain" is a generated column')


def test_rows_go_to_the_columns_that_are_left(world: World) -> None:
    decision = world.allowed("COPY payments FROM STDIN CSV")
    (plan,) = decision.plans
    assert decision.text == 'COPY "shop".payments ("id", "order_id", "amount") FROM STDIN CSV'
    assert (plan.is_guarded, plan.rule_ids) == (True, ("data/columns.block[0]",))
    assert (plan.masked_columns, plan.tables) == ((), ("shop.payments",))
    assert world.allowed("COPY shop.payments(amount) FROM STDIN WHERE id > 5 AND payments.order_id < 3").text == (
        "COPY shop.payments(amount) FROM STDIN WHERE id > 5 AND payments.order_id < 3"
    )
    assert world.allowed("COPY BINARY payments FROM STDIN").text == (
        'COPY BINARY "shop".payments ("id", "order_id", "amount") FROM STDIN'
    )


def _masked(decision: Decision) -> tuple[int, list[tuple[int, str, bool]]] | None:
    """How many columns a row has, and for those that the stream masks their place, name and whether they're quoted."""
    masks = decision.plans[0].copy_masks
    return masks and (masks.column_count, [(one.index, one.column, one.is_quoted) for one in masks.columns])


EMAIL = "shop.customers.email"
BY_PLACE: list[tuple[str, int, list[int]]] = [
    ("customers", 7, [3]),
    ("customers (email, id)", 2, [0]),
    ("(SELECT id, email FROM customers ORDER BY id)", 2, [1]),
    ("(SELECT * FROM customers LIMIT 5)", 7, [3]),
    ("(TABLE customers)", 7, [3]),
    ("(SELECT email AS name, id + 1, c.email, (SELECT 1) FROM customers AS c WHERE id = 1)", 4, [0, 2]),
    ("(SELECT 1, c.*, email AS x FROM customers c JOIN orders o ON true)", 9, [4, 8]),
    ("(SELECT o.*, shop.customers.email FROM customers, orders o)", 4, [3]),
    ("(SELECT *, 1 FROM orders o CROSS JOIN customers)", 11, [6]),
    ("(SELECT ROW(id), (tags)[1], email FROM customers)", 3, [2]),
    ("(SELECT email, tableoid, c.* FROM customers c)", 9, [0, 5]),
    ("(WITH c AS (SELECT 1 AS a) SELECT a, customers.email FROM customers, c)", 2, [1]),
]


@pytest.mark.parametrize(("source", "count", "places"), BY_PLACE)
@pytest.mark.parametrize("options", ["", " (FORMAT csv, HEADER)", " BINARY"])
def test_masks_wait_for_the_stream(world: World, source: str, count: int, places: list[int], options: str) -> None:
    decision = world.allowed(f"COPY {source} TO STDOUT{options}")
    assert _masked(decision) == (count, [(place, EMAIL, False) for place in places])
    assert decision.plans[0].column_masks == ()
    assert decision.plans[0].masked_columns == (EMAIL,)
    assert decision.verdict == "rewrite"
    assert "CASE WHEN" not in decision.text


@pytest.mark.parametrize(
    "source",
    [
        "(SELECT email FROM customers WHERE email = 'x')",
        "(SELECT email FROM customers ORDER BY 1)",
        "(SELECT DISTINCT email FROM customers)",
        "(SELECT email FROM customers GROUP BY email)",
        "(SELECT email, lower(email) FROM customers)",
        "(SELECT c FROM customers c)",
        "(SELECT (c).*, email FROM customers c)",
        "(SELECT (c).email FROM customers c)",
        "(SELECT email FROM customers UNION ALL SELECT email FROM customers)",
        "(SELECT * FROM (SELECT email FROM customers) AS c)",
        "(SELECT *, email FROM customers, (SELECT 1 AS a) AS b)",
        "(SELECT *, email FROM customers, generate_series(1, 2))",
        "(SELECT b.*, email FROM customers, (SELECT 1 AS a) AS b)",
        "(SELECT o.*, email FROM customers, products o)",
        "(SELECT *, email FROM customers JOIN orders USING (id))",
        "(SELECT * FROM customers NATURAL JOIN orders)",
        "(SELECT j.* FROM (customers CROSS JOIN orders) AS j)",
        "(SELECT * FROM customers AS c (a, b, c, d))",
        "(SELECT email FROM customers TABLESAMPLE system (50))",
        "(SELECT shop.customers.email FROM customers, public.other AS customers)",
    ],
)
def test_masks_stay_where_more_is_done_or_places_are_unsure(world: World, source: str) -> None:
    decision = world.decide(f"COPY {source} TO STDOUT", "ada")
    assert decision.plans[0].copy_masks is None
    assert decision.refusal is not None or "CASE WHEN" in decision.text


OPTIONS: list[tuple[str, bool]] = [
    ("DELIMITER '|'", True),
    ("NULL '\\N', HEADER false", True),
    ("HEADER MATCH", False),
    ("HEADER 'maybe'", False),
    ("NULL 'ada@example.com'", False),
    ("NULL ''", False),
    ("DELIMITER 'b'", False),
    ("DELIMITER 'ab'", False),
    ("QUOTE 'x'", False),
    ("FORMAT csv, NULL 'none', QUOTE '''', ESCAPE '\\', DELIMITER ';', HEADER on, ENCODING 'UTF8'", True),
    ("FORMAT csv, NULL ''", True),
    ("FORMAT csv, NULL 'é'", False),
    ("FORMAT csv, NULL 'a,b'", False),
    ("FORMAT csv, QUOTE ','", False),
    ("FORMAT csv, ESCAPE ','", False),
    ("FORMAT csv, FORCE_NULL (email)", False),
    ("FORMAT csv, FORMAT csv", False),
    ("FORMAT 'CSV'", False),
    ("FORMAT", False),
    ("FORMAT binary, HEADER", False),
    ("FORMAT binary, DELIMITER ','", False),
    ("FREEZE", False),
    ("WHATEVER 5", False),
]


@pytest.mark.parametrize(("options", "is_certain"), OPTIONS)
def test_masks_stay_where_options_are_unsure(world: World, options: str, is_certain: bool) -> None:
    for source in ("customers (email)", "(SELECT email FROM customers)"):
        decision = world.decide(f"COPY {source} TO STDOUT ({options})")
        assert (decision.plans[0].copy_masks is not None) is is_certain
        assert decision.refusal is not None or ("CASE WHEN" in decision.text) is not is_certain


def test_forced_quotes_go_by_names_of_a_table(world: World) -> None:
    for forced, is_quoted in (("*", True), ("(email, id)", True), ("(id)", False)):
        options = f"(FORMAT csv, FORCE_QUOTE {forced})"
        decision = world.allowed(f"COPY customers (id, email) TO STDOUT {options}")
        assert _masked(decision) == (2, [(1, EMAIL, is_quoted)])
        query = world.allowed(f"COPY (SELECT email FROM customers) TO STDOUT {options}")
        assert _masked(query) == ((1, [(0, EMAIL, True)]) if forced == "*" else None)


def test_a_query_keeps_what_stands_around_it(world: World) -> None:
    decision = world.allowed("COPY (SELECT id, email FROM customers ORDER BY id) TO STDOUT (FORMAT binary)")
    assert decision.text.startswith("COPY (SELECT id, email FROM  (SELECT ")
    assert decision.text.endswith(" ORDER BY id) TO STDOUT (FORMAT binary)")
    assert world.allowed("COPY ((SELECT 1 AS a) UNION VALUES (2)) TO STDOUT").text


def test_several_statements_of_one_text(world: World) -> None:
    text = world.allowed("COPY payments TO STDOUT; COPY payments (id) FROM STDIN; COPY payments TO STDOUT CSV").text
    assert [part.strip().endswith(end) for part, end in zip(text.split(";"), ("STDOUT", "STDIN", "CSV"), strict=True)]
    assert text.count(ROWS) == 2


def test_the_expected_tree_holds_the_guard_and_nothing_else(world: World) -> None:
    query = _query(world.allowed("COPY payments TO STDOUT"))
    assert set(query) == {"targetList", "fromClause", "limitOption", "op"}


def test_temporary_tables_are_open_both_ways(world: World) -> None:
    namespace = Namespace(("shop",), ("shop",), frozenset({"payments"}))
    for sql, text in (
        ("COPY payments TO STDOUT CSV", "COPY pg_temp.payments TO STDOUT CSV"),
        ("COPY pg_temp.payments (a) TO STDOUT", "COPY pg_temp.payments (a) TO STDOUT"),
        ("COPY payments FROM STDIN WHERE card_number > 1", "COPY pg_temp.payments FROM STDIN WHERE card_number > 1"),
        ("COPY payments (card_number) FROM STDIN", "COPY pg_temp.payments (card_number) FROM STDIN"),
    ):
        decision = world.compiler.decide(sql, world.effective("ada"), world.catalog, namespace)
        assert decision.refusal is None
        assert decision.text.replace('"', "") == text
        assert not decision.plans[0].is_guarded


def test_a_table_that_a_filter_reads_takes_no_rows(tmp_path: Path) -> None:
    """A row put there could let more rows through the filter of another table."""
    subquery = "EXISTS (SELECT 1 FROM shop.payments AS p WHERE p.order_id = tenant_id)"
    world = World(tmp_path, POLICY.replace('filter: "tenant_id = {tenant_id}"', f'filter: "{subquery}"', 1))
    assert world.refused("COPY payments FROM STDIN")[0] == "42501"
