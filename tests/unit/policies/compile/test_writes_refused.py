"""Writes that are refused: without a grant, at protected columns and rows, and where nothing could be guarded."""

# ruff: noqa: E501 - a statement reads best on one line

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from policies.catalog import ForeignKey, Namespace
from policies.compile import compilation as module
from policies.compile.draft import Draft
from tests.compile_world import World
from tests.unit.policies.compile.test_writes import POLICY

UPSERT = "INSERT INTO customers (id, email) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET"
MASKED, BLOCKED = ("42501", "rules/masks[0]"), ("42501", "rules/columns.block[0]")


@pytest.fixture
def writing(tmp_path: Path) -> World:
    return World(tmp_path, POLICY)


@pytest.mark.parametrize(
    ("user", "sql", "grant"),
    [
        ("ivy", "UPDATE orders SET total = 1", "update"),
        ("ivy", "DELETE FROM orders", "delete"),
        ("ivy", "MERGE INTO orders o USING other x ON true WHEN MATCHED THEN DELETE", "merge"),
        ("ivy", "SELECT 1", "select"),
        ("ivy", "INSERT INTO orders SELECT * FROM orders", "select"),
        ("ivy", "INSERT INTO orders (id) VALUES ((SELECT 1 FROM other))", "select"),
        ("ivy", "INSERT INTO orders (id) VALUES (1) RETURNING id", "select"),
        ("ivy", "INSERT INTO orders (id) VALUES (1) RETURNING *", "select"),
        ("ivy", "INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET total = 1", "update"),
        ("ivy", "WITH d AS (DELETE FROM orders) INSERT INTO orders (id) VALUES (1)", "delete"),
        ("uma", "UPDATE orders SET total = total + 1", "select"),
        ("uma", "UPDATE orders SET total = 1 WHERE id = 1", "select"),
        ("uma", "UPDATE orders SET total = 1 FROM other", "select"),
        ("uma", "UPDATE orders SET total = 1 WHERE EXISTS (SELECT orders.id)", "select"),
        ("uma", "INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET total = orders.id", "select"),
    ],
)
def test_every_kind_needs_its_grant_and_reading_needs_select(writing: World, user: str, sql: str, grant: str) -> None:
    refusal = writing.decide(sql, user).refusal
    assert refusal is not None
    assert (refusal.sqlstate, refusal.rule) == ("42501", f"{'inserters' if user == 'ivy' else 'updaters'}/statements")
    assert refusal.hint == f"Let a policy of this user list {grant} under statements."


@pytest.mark.parametrize(
    ("user", "sql"),
    [
        ("ivy", "INSERT INTO customers (id) VALUES (1), (DEFAULT)"),
        ("ivy", "INSERT INTO orders (id) SELECT 1"),
        ("ivy", "INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) WHERE id > 1 DO NOTHING RETURNING 1"),
        ("uma", "UPDATE customers SET name = 'x'"),
        ("uma", f"{UPSERT} name = excluded.email"),
    ],
)
def test_what_reads_nothing_needs_no_select(writing: World, user: str, sql: str) -> None:
    writing.allowed(sql, user)


def test_own_temporary_tables_need_their_own_grant(writing: World) -> None:
    def decide(sql: str, user: str) -> object:
        namespace = Namespace(("shop",), ("shop",), frozenset({"mine"}))
        return writing.compiler.decide(sql, writing.effective(user), writing.catalog, namespace).refusal

    for sql in ("DELETE FROM mine WHERE x > 1 RETURNING *", "WITH d AS (DELETE FROM mine) UPDATE mine SET x = y"):
        assert decide(sql, "uma") is None
        assert decide(sql, "ivy") is not None
    assert decide("INSERT INTO mine SELECT 1 FROM orders", "uma") is not None  # reading needs select


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("UPDATE customers SET name = email", MASKED),
        ("UPDATE customers SET name = customers.email", MASKED),
        ("UPDATE customers SET name = shop.customers.email", MASKED),
        ("UPDATE customers c SET (name, balance) = (c.email, 1)", MASKED),
        ("UPDATE customers SET name = (SELECT email)", MASKED),
        ("UPDATE customers SET name = (SELECT email FROM unnest(ARRAY[1]) AS u)", MASKED),
        ("UPDATE customers SET tags[1] = 'x'", ("42501", "rules/masks[1]")),
        ("UPDATE customers SET name = 'x' WHERE email IS NULL", MASKED),
        ("UPDATE customers SET name = 'x' FROM orders o WHERE o.status::text = email", MASKED),
        ("DELETE FROM customers WHERE email = $1", MASKED),
        ("DELETE FROM customers WHERE EXISTS (SELECT 1 FROM (SELECT customers.email AS e) y, other customers)", MASKED),
        ("DELETE FROM customers c WHERE c IS NULL", MASKED),
        ("DELETE FROM customers WHERE customers::text = ''", MASKED),
        ("DELETE FROM customers c WHERE (c).id = 1", MASKED),
        ("DELETE FROM customers c RETURNING row_to_json(c)", MASKED),
        ("DELETE FROM customers c RETURNING c", MASKED),
        ("DELETE FROM customers c RETURNING ROW(c.*)", MASKED),
        ("DELETE FROM customers c RETURNING (SELECT x FROM (SELECT c.*) x)", MASKED),
        ("DELETE FROM customers c RETURNING c.row_to_json", MASKED),
        ("DELETE FROM customers c RETURNING old", MASKED),
        ("DELETE FROM customers c RETURNING WITH (OLD AS o) to_json(o)", MASKED),
        ("DELETE FROM customers RETURNING email_domain", MASKED),
        ("DELETE FROM customers RETURNING (SELECT y.e FROM (SELECT email AS e) y, (SELECT 1 AS email) z)", MASKED),
        (f"{UPSERT} name = email", MASKED),
        (f"{UPSERT} name = customers.email", MASKED),
        (f"{UPSERT} name = 'x' WHERE customers.email = 'a'", MASKED),
        (f"{UPSERT} name = excluded::text", MASKED),
        (f"{UPSERT} name = excluded.tags[1]", ("42501", "rules/masks[1]")),
        (UPSERT.replace("'x'", "DEFAULT") + " name = excluded.email", MASKED),
        ("MERGE INTO customers c USING orders o ON c.email = '' WHEN MATCHED THEN DELETE", MASKED),
        ("MERGE INTO customers c USING orders o ON true WHEN MATCHED AND c.email = '' THEN DELETE", MASKED),
        ("MERGE INTO customers c USING orders o ON true WHEN MATCHED THEN UPDATE SET name = c.email", MASKED),
        ("UPDATE payments SET card_number = 'x'", BLOCKED),
        ("UPDATE payments SET amount = 1 WHERE card_number = 'x'", BLOCKED),
        ("UPDATE payments p SET amount = 1 RETURNING p.card_number", BLOCKED),
        ("UPDATE payments SET amount = 1 FROM (SELECT 1 AS card_number) x RETURNING card_number", BLOCKED),
        ("UPDATE payments SET amount = 1 RETURNING payments", BLOCKED),
        ("INSERT INTO payments (id, card_number) VALUES (1, 'x')", BLOCKED),
        ("INSERT INTO payments (id) VALUES (1) ON CONFLICT (card_number) DO NOTHING", BLOCKED),
        ("INSERT INTO payments (id) VALUES (1) ON CONFLICT (lower(card_number)) DO NOTHING", BLOCKED),
        ("INSERT INTO payments (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET card_number = 'x'", BLOCKED),
        ("INSERT INTO payments (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET amount = excluded.card_number", BLOCKED),
        ("MERGE INTO payments p USING orders o ON true WHEN NOT MATCHED THEN INSERT (card_number) VALUES (1)", BLOCKED),
        ("DELETE FROM customers WHERE ctid = '(0,1)'", ("42501", "pgwarden/writes")),
        ("DELETE FROM customers RETURNING xmin", ("42501", "pgwarden/writes")),
        ("DELETE FROM customers RETURNING xmax", ("42501", "pgwarden/writes")),
        ("DELETE FROM customers WHERE CURRENT OF c", ("0A000", "pgwarden/writes")),
        ("DELETE FROM salaries", ("42501", "rules/tables.block[0]")),
        ("INSERT INTO orders SELECT * FROM salaries", ("42501", "rules/tables.block[0]")),
        ("DELETE FROM nothing", ("42P01", "pgwarden/relations")),
        ("DELETE FROM pg_class", ("42501", "pgwarden/catalogs")),
        ("INSERT INTO information_schema.sql_features DEFAULT VALUES", ("42501", "pgwarden/catalogs")),
        ("UPDATE pg_settings SET setting = 'x'", ("42501", "pgwarden/catalogs")),
        ("DELETE FROM contacts", ("0A000", "pgwarden/writes")),
        ("DELETE FROM daily", ("0A000", "pgwarden/relations")),
        ("INSERT INTO orders (id) VALUES (evil())", ("42501", "pgwarden/functions")),
        ("UPDATE orders SET total = 1 WHERE evil()", ("42501", "pgwarden/functions")),
        ("UPDATE orders SET total = 1 RETURNING ('x'::text).pg_read_file", ("42501", "pgwarden/functions")),
        ("UPDATE orders SET total = 1 WHERE status <~~> 'x'", ("42501", "pgwarden/functions")),
        ("INSERT INTO orders (id) VALUES (1) ON CONFLICT (evil(id)) DO NOTHING", ("42501", "pgwarden/functions")),
        ("UPDATE customers SET tags[evil()] = 'x'", ("42501", "pgwarden/functions")),
        ("WITH i AS (INSERT INTO customers (id) VALUES (1) RETURNING 1) SELECT * FROM i", ("0A000", "pgwarden/writes")),
        ("UPDATE customers SET name = 'x' FROM orders o RETURNING WITH (OLD AS o) o.id", ("0A000", "pgwarden/nodes")),
    ],
)  # fmt: skip
def test_refusals(writing: World, sql: str, expected: tuple[str, str]) -> None:
    assert writing.refused(sql, "wes") == expected


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE customers SET email = 'x', tags = '{}'",
        "UPDATE customers SET email = DEFAULT WHERE id IN (SELECT id FROM customers WHERE email IS NULL)",
        "UPDATE customers SET name = c.email FROM customers c WHERE c.id = customers.id",
        "DELETE FROM customers WHERE EXISTS (SELECT 1 FROM customers WHERE customers.email = '')",
        f"{UPSERT} name = excluded.email, email = excluded.email",
        "INSERT INTO customers (id, email) VALUES (1, 'x') ON CONFLICT (email) DO NOTHING",
        "INSERT INTO customers (id) VALUES (1) RETURNING xmax = 0, tableoid",
        "DELETE FROM events e RETURNING row_to_json(e), e, e.tableoid",
    ],
)
def test_what_looks_like_it_and_is_harmless(writing: World, sql: str) -> None:
    writing.allowed(sql, "wes")


def test_a_refusal_points_at_the_place(writing: World) -> None:
    refusal = writing.decide("UPDATE customers SET name = 'ä' || email", "wes").refusal
    assert refusal is not None
    assert refusal.position == len("UPDATE customers SET name = 'ä' || ") + 1
    assert refusal.message == "column shop.customers.email is masked for wes: it can be assigned, not read"
    assert "policy.yaml:" in refusal.detail
    assert refusal.hint


def _drop_filter(draft: Draft) -> None:
    draft.facts.writes[0].node.pop("whereClause")
    draft.splices[:] = [splice for splice in draft.splices if "WHERE" not in splice.replacement]


def _other_target(draft: Draft) -> None:
    draft.facts.writes[0].node["relation"]["schemaname"] = "vault"
    draft.splices[:] = [
        replace(splice, replacement=splice.replacement.replace("shop", "vault")) for splice in draft.splices
    ]


@pytest.mark.parametrize("sabotage", [_drop_filter, _other_target])
def test_a_write_without_its_filter_is_found_though_text_and_tree_agree(
    writing: World, monkeypatch: pytest.MonkeyPatch, sabotage: Callable[[Draft], None]
) -> None:
    monkeypatch.setattr("policies.compile.kinds.writes.RULES", (*module.RULES, sabotage))
    assert writing.refused("DELETE FROM customers", "wes") == ("0A000", "pgwarden/verify")


def _with_key(writing: World) -> None:
    """payments.order_id references public.other."""
    catalog = writing.catalog
    key = ForeignKey(("order_id",), 112, ("id",))
    changes = {103: {"foreign_keys": (key,)}, 112: {"primary_key": ("id",)}}
    relations = tuple(replace(relation, **changes.get(relation.oid, {})) for relation in catalog.relations)
    writing.catalog = replace(catalog, version=catalog.version + 1, relations=relations)


WIDENING = (
    "INSERT INTO public.other VALUES (1)",
    "INSERT INTO public.other (id) VALUES (1) ON CONFLICT (id) DO NOTHING",
    "WITH i AS (INSERT INTO public.other VALUES (1)) SELECT 1",
    "MERGE INTO public.other o USING orders x ON true WHEN NOT MATCHED THEN INSERT (id) VALUES (1)",
)


@pytest.mark.parametrize("sql", [*WIDENING, "UPDATE public.other SET id = 1"])
def test_a_table_that_a_filter_reads_can_not_be_written(writing: World, sql: str) -> None:
    assert writing.refused(sql, "wes") == ("42501", "rules/rows[2]")


def test_but_for_writes_that_can_not_show_more(writing: World) -> None:
    writing.allowed("DELETE FROM public.other", "wes")
    _with_key(writing)
    for sql in WIDENING:
        writing.allowed(sql, "wes")
    assert writing.refused("UPDATE public.other SET id = 1", "wes") == ("42501", "rules/rows[2]")


FILTER = "order_id IN (SELECT o.id FROM public.other AS o)"


@pytest.mark.parametrize(
    ("expression", "is_insert_harmless", "is_delete_harmless"),
    [
        (FILTER, True, True),
        ("EXISTS (SELECT * FROM public.other o WHERE o.id = order_id AND o.id > 5)", True, True),
        ("EXISTS (SELECT FROM public.other WHERE payments.order_id = id) AND amount > 1", True, True),
        ("NOT EXISTS (SELECT FROM public.other WHERE payments.order_id = id)", True, False),
        ("order_id NOT IN (SELECT id FROM public.other)", True, False),
        ("(SELECT max(id) FROM public.other WHERE order_id = other.id) > 5", True, False),
        ("order_id > ALL (SELECT id FROM public.other)", False, False),
        ("order_id > ANY (SELECT id FROM public.other)", False, False),
        ("EXISTS (SELECT FROM public.other)", False, True),
        ("EXISTS (SELECT FROM public.other o WHERE o.id = order_id OR o.id = 5)", False, True),
        ("EXISTS (SELECT FROM public.other o WHERE o.id = id)", False, True),
        ("id IN (SELECT id FROM public.other)", False, True),
        ("EXISTS (SELECT FROM shop.orders x WHERE EXISTS (SELECT FROM public.other o WHERE o.id = order_id))", False, True),
        ("EXISTS (SELECT FROM public.other o, shop.orders x WHERE o.id = order_id)", False, True),
        ("order_id IN (SELECT id FROM public.other EXCEPT SELECT id FROM shop.orders)", False, False),
        (f"{FILTER} AND EXISTS (SELECT FROM public.other)", False, True),
    ],
)  # fmt: skip
def test_how_a_filter_must_read_it(
    tmp_path: Path, expression: str, is_insert_harmless: bool, is_delete_harmless: bool
) -> None:
    writing = World(tmp_path, POLICY.replace(FILTER, expression))
    _with_key(writing)
    insert, delete = (
        writing.decide(sql, "wes").refusal
        for sql in ("INSERT INTO public.other VALUES (1)", "DELETE FROM public.other")
    )
    assert (insert is None, delete is None) == (is_insert_harmless, is_delete_harmless)


def test_what_a_tables_own_filter_holds_may_be_assigned(tmp_path: Path) -> None:
    """An ORM assigns all columns: the row is in the same tenant before and after."""
    same = "EXISTS (SELECT 1 FROM shop.customers AS c WHERE c.id = order_id AND c.tenant_id = {tenant_id})"
    writing = World(tmp_path, POLICY.replace(FILTER, same))
    writing.allowed("UPDATE customers SET tenant_id = 1, name = 'x' WHERE id = 1", "wes")
    assert writing.refused("UPDATE customers SET id = 7 WHERE id = 1", "wes") == ("42501", "rules/rows[2]")
    other = World(tmp_path, POLICY.replace(FILTER, same.replace("= {tenant_id}", "> 0")))
    assert other.refused("UPDATE customers SET tenant_id = 1", "wes") == ("42501", "rules/rows[2]")


def test_a_view_is_written_through_to_what_is_behind_it(tmp_path: Path) -> None:
    writing = World(tmp_path, POLICY.replace(FILTER, "order_id IN (SELECT id FROM shop.orders)"))
    assert writing.refused("INSERT INTO totals VALUES (1)", "wes") == ("42501", "rules/rows[2]")
    World(tmp_path, POLICY).allowed("INSERT INTO totals VALUES (1)", "wes")


def test_a_filter_may_read_by_way_of_a_view(tmp_path: Path) -> None:
    writing = World(tmp_path, POLICY.replace(FILTER, "order_id IN (SELECT total::int FROM shop.totals)"))
    assert writing.refused("INSERT INTO orders (id) VALUES (1)", "wes") == ("42501", "rules/rows[2]")
    writing.allowed("INSERT INTO public.other VALUES (1)", "wes")
