"""DDL by grant: what is allowed is written out with its schema, what can't be proven is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from policies.catalog import Namespace
from policies.decision import Decision, Effect
from tests.compile_world import POLICY, World

PATH = ("shop", "public")


class Builder:
    """Decides for ada with the grant ddl. `made`: what her transaction has made in the schema shop."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder, POLICY.replace("[select, explain]", "[select, explain, ddl]"))

    def decide(self, sql: str, *made: str) -> Decision:
        namespace = Namespace(PATH, PATH, made=frozenset(("shop", name) for name in made))
        return self.world.compiler.decide(sql, self.world.effective("ada"), self.world.catalog, namespace)

    def text(self, sql: str, *made: str) -> str:
        decision = self.decide(sql, *made)
        assert decision.refusal is None, decision.refusal
        return " ".join(decision.text.split())

    def effect(self, sql: str, *made: str) -> Effect:
        decision = self.decide(sql, *made)
        assert decision.refusal is None, decision.refusal
        return decision.plans[-1].effect

    def sqlstate(self, sql: str, *made: str) -> str:
        refusal = self.decide(sql, *made).refusal
        assert refusal is not None, sql
        return refusal.sqlstate


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


def test_the_grant_is_needed(world: World) -> None:
    for sql in (
        "CREATE TABLE x (a int)",
        "DROP TABLE orders",
        "CREATE SCHEMA shop",
        "TRUNCATE orders",
        "VACUUM orders",
    ):
        assert world.refused(sql) == ("42501", "analysts/statements")


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("CREATE TABLE x (a int)", 'CREATE TABLE "shop".x (a int)'),
        ("CREATE TABLE IF NOT EXISTS x (a int)", 'CREATE TABLE "shop".x (a int)'),
        ("CREATE TABLE IF NOT EXISTS orders (a int)", 'CREATE TABLE IF NOT EXISTS "shop".orders (a int)'),
        ("CREATE UNLOGGED TABLE x (a serial)", 'CREATE UNLOGGED TABLE "shop".x (a serial)'),
        ("CREATE TABLE x (a int REFERENCES payments)", 'CREATE TABLE "shop".x (a int REFERENCES "shop".payments)'),
        (
            "CREATE TABLE x PARTITION OF fresh FOR VALUES IN (1)",
            'CREATE TABLE "shop".x PARTITION OF "shop".fresh FOR VALUES IN (1)',
        ),
        ("SELECT id INTO x FROM orders", 'SELECT id INTO "shop".x FROM "shop".orders'),
        ("CREATE VIEW v AS SELECT * FROM orders", 'CREATE VIEW "shop".v AS SELECT * FROM "shop".orders'),
        (
            "CREATE OR REPLACE VIEW totals AS SELECT 1 AS total",
            'CREATE OR REPLACE VIEW "shop".totals AS SELECT 1 AS total',
        ),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1 AS a", 'CREATE MATERIALIZED VIEW "shop".v AS SELECT 1 AS a'),
        (
            "CREATE INDEX i ON orders (lower(status::text)) WHERE id > 5",
            'CREATE INDEX i ON "shop".orders (lower(status::text)) WHERE id > 5',
        ),
        ("CREATE SCHEMA IF NOT EXISTS shop", "CREATE SCHEMA IF NOT EXISTS shop"),
        ("CREATE SEQUENCE s INCREMENT 5 OWNED BY NONE", 'CREATE SEQUENCE "shop".s INCREMENT 5 OWNED BY NONE'),
        ("CREATE TYPE m AS ENUM ('a')", "CREATE TYPE \"shop\".m AS ENUM ('a')"),
        ("CREATE TYPE c AS (a int)", 'CREATE TYPE "shop".c AS (a int)'),
        (
            "ALTER TABLE orders ADD FOREIGN KEY (id) REFERENCES payments (id)",
            'ALTER TABLE "shop".orders ADD FOREIGN KEY (id) REFERENCES "shop".payments (id)',
        ),
        (
            "ALTER TABLE ONLY orders ADD n int DEFAULT 5, ALTER n DROP NOT NULL",
            'ALTER TABLE ONLY "shop".orders ADD n int DEFAULT 5, ALTER n DROP NOT NULL',
        ),
        ("ALTER TABLE orders RENAME COLUMN id TO nr", 'ALTER TABLE "shop".orders RENAME COLUMN id TO nr'),
        ("ALTER VIEW totals RENAME TO sums", 'ALTER VIEW "shop".totals RENAME TO sums'),
        ("DROP TABLE orders, fresh", 'DROP TABLE "shop".orders, "shop".fresh'),
        ("DROP TABLE IF EXISTS nothing", 'DROP TABLE IF EXISTS "shop".nothing'),
        ("DROP MATERIALIZED VIEW IF EXISTS daily", 'DROP MATERIALIZED VIEW IF EXISTS "shop".daily'),
        ("DROP VIEW contacts", 'DROP VIEW "shop".contacts'),
        ("DROP TABLE shop.shop.orders, orders", 'DROP TABLE shop.orders, "shop".orders'),
        (
            'CREATE TABLE "shop"."shop".x AS SELECT * FROM shop.shop.orders',
            'CREATE TABLE "shop".x AS SELECT * FROM shop.orders',
        ),
        ("ALTER TABLE shop.shop.orders RENAME TO x", "ALTER TABLE shop.orders RENAME TO x"),
        ("DROP TABLE fresh CASCADE", 'DROP TABLE "shop".fresh CASCADE'),
        ("DROP TABLE payments", None),
        (
            "TRUNCATE ONLY orders, payments RESTART IDENTITY",
            'TRUNCATE ONLY "shop".orders, "shop".payments RESTART IDENTITY',
        ),
        ("COMMENT ON TABLE orders IS 'x'", "COMMENT ON TABLE \"shop\".orders IS 'x'"),
        ("COMMENT ON COLUMN shop.orders.id IS NULL", "COMMENT ON COLUMN shop.orders.id IS NULL"),
        ("VACUUM (FULL, ANALYZE) orders, customers", 'VACUUM (FULL, ANALYZE) "shop".orders, "shop".customers'),
        ("SELECT * FROM fresh", 'SELECT * FROM "shop".fresh'),
    ],
)
def test_written_out(builder: Builder, sql: str, text: str | None) -> None:
    if text is None:
        assert builder.sqlstate(sql, "fresh") == "42501"
    else:
        assert builder.text(sql, "fresh") == text


@pytest.mark.parametrize(
    ("sql", "effect"),
    [
        ("CREATE TABLE x (a int)", Effect(makes_relations=(("shop", "x"),))),
        ("CREATE TABLE orders (a int)", Effect(makes_relations=(("shop", "orders"),))),
        ("CREATE TABLE IF NOT EXISTS orders (a int)", Effect()),
        ("CREATE VIEW x AS SELECT 1 AS a", Effect(makes_relations=(("shop", "x"),))),
        ("CREATE OR REPLACE VIEW totals AS SELECT 1 AS total", Effect()),
        ("CREATE MATERIALIZED VIEW x AS SELECT 1 AS a", Effect()),
        ("CREATE SEQUENCE x", Effect()),
        (
            "ALTER TABLE orders RENAME TO x",
            Effect(makes_relations=(("shop", "x"),), drops_relations=(("shop", "orders"),)),
        ),
        ("ALTER TABLE orders ADD x int", Effect()),
        ("DROP TABLE orders", Effect(drops_relations=(("shop", "orders"),))),
    ],
)
def test_effects(builder: Builder, sql: str, effect: Effect) -> None:
    (plan,) = builder.decide(sql).plans
    assert builder.effect(sql) == effect
    assert plan.is_ddl
    assert plan.is_guarded  # its errors may name hidden relations


@pytest.mark.parametrize(
    ("sql", "sqlstate"),
    [
        ("CREATE TABLE salaries (a int)", "42501"),
        ("CREATE TABLE public.x (a int)", "42501"),
        ("CREATE TABLE pg_catalog.x (a int)", "42501"),
        ("CREATE TABLE elsewhere.shop.x (a int)", "0A000"),
        ("CREATE TABLE x (a int DEFAULT evil())", "42501"),
        ("CREATE TABLE x (a text DEFAULT pg_read_file('x'))", "42501"),
        ("CREATE TABLE x (LIKE salaries)", "42501"),
        ("CREATE TABLE x (LIKE customers INCLUDING ALL)", "42501"),
        ("CREATE TABLE x (LIKE pg_class)", "42501"),
        ("CREATE TABLE x (a int REFERENCES salaries)", "42501"),
        ("CREATE TABLE x (a text REFERENCES payments (card_number))", "42501"),
        ("CREATE TABLE x PARTITION OF events DEFAULT", "42501"),
        ("CREATE VIEW v AS SELECT id FROM customers", "0A000"),
        ("CREATE VIEW v AS SELECT id FROM contacts", "0A000"),
        ("CREATE VIEW v AS SELECT * FROM pay", "42501"),
        ("CREATE VIEW v AS SELECT evil()", "42501"),
        ("CREATE VIEW v AS SELECT pg_get_viewdef(1::oid)", "0A000"),
        ("CREATE OR REPLACE VIEW contacts AS SELECT 1 AS id", "42501"),
        ("CREATE OR REPLACE VIEW pay AS SELECT 1 AS amount", "42501"),
        ("CREATE MATERIALIZED VIEW v AS SELECT id FROM customers", "0A000"),
        ("CREATE TABLE x AS SELECT * FROM salaries", "42501"),
        ("CREATE INDEX ON customers (email)", "42501"),
        ("CREATE INDEX ON pg_catalog.pg_namespace (nspname)", "42501"),
        ("CREATE SCHEMA other", "42501"),
        ("CREATE SCHEMA shop CREATE TABLE x AS SELECT 1", "42601"),
        ("CREATE SCHEMA shop AUTHORIZATION me", "0A000"),
        ("CREATE SEQUENCE s OWNED BY salaries.id", "0A000"),
        ("CREATE TYPE public.m AS ENUM ('a')", "42501"),
        ("ALTER TABLE customers ADD x int", "42501"),
        ("ALTER TABLE contacts RENAME TO x", "42501"),
        ("ALTER TABLE orders RENAME TO salaries", "42501"),
        ("ALTER TABLE orders OWNER TO me", "0A000"),
        ("ALTER TABLE orders DROP COLUMN id CASCADE", "0A000"),
        ("ALTER TABLE orders ADD FOREIGN KEY (id) REFERENCES customers", "42501"),
        ("ALTER TABLE orders ALTER id TYPE int USING evil(id)", "42501"),
        ("ALTER TABLE orders DISABLE ROW LEVEL SECURITY", "0A000"),
        ("ALTER TABLE fresh ATTACH PARTITION customers DEFAULT", "0A000"),
        ("ALTER TABLE fresh INHERIT customers", "0A000"),
        ("ALTER INDEX orders RENAME TO x", "0A000"),
        ("ALTER TABLE orders SET SCHEMA public", "0A000"),
        ("DROP TABLE customers", "42501"),
        ("DROP TABLE salaries", "42501"),
        ("DROP TABLE events_2024", "42501"),
        ("DROP TABLE orders CASCADE", None),
        ("DROP TABLE elsewhere.shop.orders", "0A000"),
        ("DROP SCHEMA shop CASCADE", "0A000"),
        ("DROP SCHEMA public", "42501"),
        ("DROP FUNCTION safe_report", "0A000"),
        ("DROP INDEX orders_pkey", None),
        ("TRUNCATE customers", "42501"),
        ("TRUNCATE contacts", "42501"),
        ("TRUNCATE orders CASCADE", "0A000"),
        ("COMMENT ON COLUMN customers.email IS 'x'", "42501"),
        ("COMMENT ON SCHEMA shop IS 'x'", "0A000"),
        ("VACUUM", "0A000"),
        ("VACUUM (VERBOSE) orders", "0A000"),
        ("ANALYZE customers (email)", "42501"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "0A000"),
        ("CREATE TRIGGER t BEFORE INSERT ON orders EXECUTE FUNCTION evil()", "0A000"),
        ("CREATE RULE r AS ON INSERT TO orders DO INSTEAD NOTHING", "0A000"),
        ("CREATE EXTENSION dblink", "0A000"),
        ("CREATE ROLE r", "0A000"),
        ("GRANT SELECT ON orders TO public", "0A000"),
        ("REFRESH MATERIALIZED VIEW daily", "0A000"),
        ("ALTER SYSTEM SET work_mem = '1MB'", "0A000"),
    ],
)
def test_refused(builder: Builder, sql: str, sqlstate: str | None) -> None:
    if sqlstate is None:
        assert builder.text(sql, "fresh")
    else:
        assert builder.sqlstate(sql, "fresh") == sqlstate


def test_a_table_made_under_a_name_with_rules_waits(builder: Builder) -> None:
    assert builder.sqlstate("SELECT * FROM customers", "customers") == "0A000"
    assert builder.sqlstate("SELECT * FROM salaries", "salaries") == "42501"


def test_statements_of_one_text_know_what_came_before(builder: Builder) -> None:
    text = builder.text("CREATE TABLE x (a int); ALTER TABLE x RENAME TO y; SELECT * FROM y; DROP TABLE y")
    assert text.endswith('SELECT * FROM "shop".y; DROP TABLE "shop".y')
    assert builder.sqlstate("CREATE TABLE x (a int); DROP TABLE x; SELECT * FROM x") == "42P01"


def test_cascade_spares_what_is_hidden(builder: Builder) -> None:
    """A view over orders that the policy filters, and a hidden table that references orders."""
    catalog = builder.world.catalog
    salaries = catalog.find("shop", "salaries")
    assert salaries is not None
    relations = [replace(r, referenced_by=(salaries.oid,)) if r.name == "orders" else r for r in catalog.relations]
    builder.world.catalog = replace(catalog, version=2, relations=tuple(relations))
    assert builder.sqlstate("DROP TABLE orders CASCADE") == "42501"
    assert builder.text("DROP TABLE orders")
    definition = " SELECT amount FROM shop.salaries s, shop.orders o;"
    views = [replace(r, view_definition=definition) if r.name == "pay" else r for r in catalog.relations]
    hidden = [replace(r, name="hidden", schema="vault") if r.name == "pay" else r for r in views]
    builder.world.catalog = replace(catalog, version=3, relations=tuple(hidden))
    assert builder.sqlstate("DROP TABLE orders CASCADE") == "42501"


@pytest.mark.parametrize("read", ["shop.orders AS o WHERE o.id = 1", "shop.totals AS t WHERE t.total > 0"])
def test_what_rules_read_stays_as_it_is(tmp_path: Path, read: str) -> None:
    """By its name, or behind a view."""
    filters = '{table: shop.customers, filter: "tenant_id = {tenant_id}"}'
    policy = POLICY.replace("[select, explain]", "[select, explain, ddl]").replace(
        filters, f'{{table: shop.customers, filter: "EXISTS (SELECT 1 FROM {read})"}}'
    )
    world = World(tmp_path, policy)
    for sql in (
        "DROP TABLE orders",
        "ALTER TABLE orders RENAME TO x",
        "TRUNCATE orders",
        "CREATE INDEX ON orders (id)",
    ):
        assert world.refused(sql) == ("42501", "analysts/rows[0]")
    for sql in (
        "CREATE OR REPLACE VIEW totals AS SELECT 1 AS total",
        "DROP VIEW totals",
        "ALTER VIEW totals RENAME TO x",
    ):
        if "totals" in read:
            assert world.refused(sql) == ("42501", "analysts/rows[0]")
        else:
            world.allowed(sql)


def test_tables_that_rules_read_stay_as_they_are(tmp_path: Path) -> None:
    policy = POLICY.replace("[select, explain]", "[select, explain, ddl]").replace(
        '{table: shop.customers, filter: "tenant_id = {tenant_id}"}',
        '{table: shop.customers, filter: "id IN (SELECT o.customer_id FROM shop.orders AS o)"}',
    )
    world = World(tmp_path, policy)
    for sql in (
        "DROP TABLE orders",
        "ALTER TABLE orders RENAME TO x",
        "TRUNCATE orders",
        "CREATE INDEX ON orders (id)",
    ):
        assert world.refused(sql) == ("42501", "analysts/rows[0]")
