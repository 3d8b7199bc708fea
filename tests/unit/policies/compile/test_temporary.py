"""Temporary tables: who may make them, what their names mean, what they may hold and be joined with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from policies.catalog import Namespace
from policies.decision import Decision, Effect
from tests.compile_world import POLICY, World

PATH = ("shop", "public")


class Maker:
    """Decides for ada with the grant temp_tables. `temporary`: the names in her pg_temp."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder, POLICY.replace("[select, explain]", "[select, explain, temp_tables]"))

    def decide(self, sql: str, *temporary: str) -> Decision:
        namespace = Namespace(PATH, PATH, frozenset(temporary))
        return self.world.compiler.decide(sql, self.world.effective("ada"), self.world.catalog, namespace)

    def text(self, sql: str, *temporary: str) -> str:
        decision = self.decide(sql, *temporary)
        assert decision.refusal is None, decision.refusal
        return decision.text

    def effect(self, sql: str, *temporary: str) -> Effect:
        decision = self.decide(sql, *temporary)
        assert decision.refusal is None, decision.refusal
        return decision.plans[-1].effect

    def sqlstate(self, sql: str, *temporary: str) -> str:
        refusal = self.decide(sql, *temporary).refusal
        assert refusal is not None, sql
        return refusal.sqlstate


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


def test_the_grant_is_needed(world: World) -> None:
    assert world.refused("CREATE TEMP TABLE x (a int)") == ("42501", "analysts/statements")
    assert world.refused("SELECT 1 AS a INTO TEMP x") == ("42501", "analysts/statements")


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("CREATE TEMP TABLE x (a int)", 'CREATE TEMP TABLE "pg_temp".x (a int)'),
        ("CREATE TABLE pg_temp.x (a int)", "CREATE TABLE pg_temp.x (a int)"),
        ("CREATE TEMP TABLE x AS SELECT 1 AS a", 'CREATE TEMP TABLE "pg_temp".x AS SELECT 1 AS a'),
        ("SELECT id INTO TEMP x FROM orders", 'SELECT id INTO TEMP "pg_temp".x FROM "shop".orders'),
        ("CREATE TEMP TABLE x (LIKE orders)", 'CREATE TEMP TABLE "pg_temp".x (LIKE "shop".orders)'),
        (
            "CREATE TEMP TABLE x (a int REFERENCES orders, CHECK (a > 1), UNIQUE (a))",
            'CREATE TEMP TABLE "pg_temp".x (a int REFERENCES "shop".orders, CHECK (a > 1), UNIQUE (a))',
        ),
        ("CREATE TEMP SEQUENCE s", 'CREATE TEMP SEQUENCE "pg_temp".s'),
        ("SELECT * FROM tmp", 'SELECT * FROM "pg_temp".tmp'),
        ("SELECT * FROM pg_temp.tmp", "SELECT * FROM pg_temp.tmp"),
        ("SELECT * FROM customers", 'SELECT * FROM "pg_temp".customers'),
        ("DROP TABLE tmp", 'DROP TABLE "pg_temp".tmp'),
        ("DROP TABLE IF EXISTS tmp, pg_temp.tmp CASCADE", 'DROP TABLE IF EXISTS "pg_temp".tmp, pg_temp.tmp CASCADE'),
        (
            "ALTER TABLE tmp ADD b int, DROP COLUMN a CASCADE",
            'ALTER TABLE "pg_temp".tmp ADD b int, DROP COLUMN a CASCADE',
        ),
        ("ALTER TABLE tmp ALTER a TYPE int USING a::int", 'ALTER TABLE "pg_temp".tmp ALTER a TYPE int USING a::int'),
        ("CREATE INDEX ON tmp (lower(a))", 'CREATE INDEX ON "pg_temp".tmp (lower(a))'),
        ("TRUNCATE tmp CASCADE", 'TRUNCATE "pg_temp".tmp CASCADE'),
        ("ANALYZE tmp (a)", 'ANALYZE "pg_temp".tmp (a)'),
        ("COMMENT ON COLUMN tmp.a IS 'x'", "COMMENT ON COLUMN \"pg_temp\".tmp.a IS 'x'"),
    ],
)
def test_names_are_written_out(maker: Maker, sql: str, text: str) -> None:
    assert maker.text(sql, "tmp", "customers").rstrip() == text


@pytest.mark.parametrize(
    ("sql", "effect"),
    [
        ("CREATE TEMP TABLE x (a int)", Effect(makes_temporary=("x",))),
        ("CREATE TEMP TABLE x (a int) ON COMMIT DROP", Effect(makes_temporary=("x",), is_until_commit=True)),
        ("CREATE TEMP TABLE x ON COMMIT DROP AS SELECT 1", Effect(makes_temporary=("x",), is_until_commit=True)),
        ("CREATE TEMP TABLE IF NOT EXISTS tmp (a int)", Effect()),
        ("CREATE TEMP TABLE tmp (a int)", Effect(makes_temporary=("tmp",))),
        ("DROP TABLE tmp", Effect(drops_temporary=("tmp",))),
        ("ALTER TABLE tmp RENAME TO new", Effect(makes_temporary=("new",), drops_temporary=("tmp",))),
        ("ALTER TABLE tmp RENAME COLUMN a TO b", Effect()),
        ("CREATE TEMP SEQUENCE s", Effect(makes_temporary=("s",))),
    ],
)
def test_effects(maker: Maker, sql: str, effect: Effect) -> None:
    assert maker.effect(sql, "tmp") == effect
    assert not maker.decide(sql, "tmp").plans[0].is_ddl


def test_what_nobody_knows_must_not_be_there(maker: Maker) -> None:
    made = maker.text("CREATE TEMP TABLE IF NOT EXISTS x (a int)")
    assert " ".join(made.split()) == 'CREATE TEMP TABLE "pg_temp".x (a int)'


@pytest.mark.parametrize(
    "sql", ["CREATE TEMP TABLE x AS SELECT email, id FROM customers", "SELECT email INTO TEMP x FROM customers"]
)
def test_masks_and_filters_stand_inside(maker: Maker, sql: str) -> None:
    decision = maker.decide(sql)
    assert "tenant_id = 1" in decision.text
    assert "'***@'" in decision.text
    assert decision.plans[0].column_masks == ()
    assert decision.plans[0].masked_columns == ("shop.customers.email",)


@pytest.mark.parametrize(
    ("sql", "sqlstate"),
    [
        ("CREATE TEMP TABLE shop.x (a int)", "42P16"),
        ("CREATE TEMP TABLE text (a int)", "0A000"),
        ("CREATE TEMP TABLE pg_type (a int)", "0A000"),
        ("CREATE TEMP TABLE x AS SELECT * FROM salaries", "42501"),
        ("CREATE TEMP TABLE x AS EXECUTE p", "0A000"),
        ("CREATE TEMP TABLE x (LIKE customers)", "42501"),
        ("CREATE TEMP TABLE x (LIKE payments)", "42501"),
        ("CREATE TEMP TABLE x () INHERITS (customers)", "42501"),
        ("CREATE TEMP TABLE x () INHERITS (pg_catalog.pg_namespace)", "42501"),
        ("CREATE TEMP TABLE x (a int REFERENCES customers)", "42501"),
        ("CREATE TEMP TABLE x (a text DEFAULT pg_read_file('x'))", "42501"),
        ("CREATE TEMP TABLE x (a text DEFAULT ('x'::text).pg_read_file)", "42501"),
        ("CREATE TEMP TABLE x (a text DEFAULT pg_get_viewdef(1))", "0A000"),
        ("CREATE TEMP TABLE x (a text DEFAULT current_setting('time' || 'zone'))", "0A000"),
        ("CREATE TEMP TABLE x (a text DEFAULT set_config('timezone', 'UTC', false))", "0A000"),
        ("CREATE TEMP TABLE x (a int CHECK (a < (SELECT 1)))", "0A000"),
        ("CREATE TEMP TABLE x (a int CHECK (a <~~> 1))", "42501"),
        ("CREATE TEMP TABLE x (a int GENERATED ALWAYS AS (evil(a)) STORED)", "42501"),
        ("CREATE TEMP TABLE x (a int, EXCLUDE (a WITH =))", "0A000"),
        ("CREATE TEMP TABLE x OF shop.pair", "0A000"),
        ("CREATE TEMP TABLE x (a int) PARTITION BY LIST (evil(a))", "42501"),
        ("CREATE TEMP SEQUENCE s OWNED BY orders.id", "0A000"),
        ("CREATE TEMP VIEW x AS SELECT 1", "0A000"),
        ("SELECT * FROM pg_temp.other", "42P01"),
        ("SELECT * FROM pg_temp_3.tmp", "42P01"),
        ("ALTER TABLE tmp ALTER a TYPE text USING pg_read_file(a)", "42501"),
        ("ALTER TABLE tmp ALTER a SET DEFAULT evil()", "42501"),
        ("ALTER TABLE tmp ENABLE TRIGGER ALL", "0A000"),
        ("ALTER TABLE tmp RENAME TO text", "0A000"),
        ("CREATE INDEX ON tmp (evil(a))", "42501"),
        ("CREATE INDEX ON tmp (a) WHERE evil(a) > 0", "42501"),
        ("CREATE INDEX ON tmp (a other.ops)", "0A000"),
        ("DROP TABLE tmp, orders", "42501"),
        ("TRUNCATE tmp, orders", "42501"),
    ],
)
def test_refused(maker: Maker, sql: str, sqlstate: str) -> None:
    assert maker.sqlstate(sql, "tmp") == sqlstate


def test_a_name_that_a_function_reads_bare_is_not_taken(maker: Maker) -> None:
    maker.world.catalog = replace(maker.world.catalog, bare_names=frozenset({"customers"}))
    assert maker.sqlstate("CREATE TEMP TABLE customers (id int)") == "0A000"
    assert maker.sqlstate("ALTER TABLE tmp RENAME TO customers", "tmp") == "0A000"
    assert maker.text("CREATE TEMP TABLE orders (id int)")


def test_joins_with_guarded_tables_are_fenced(maker: Maker) -> None:
    """The columns' types aren't known, so any comparison may fail."""
    joined = maker.text("SELECT t.a, c.name FROM tmp t JOIN customers c ON c.id = t.id", "tmp")
    assert "OFFSET 0" in joined
    assert "OFFSET 0" not in maker.text("SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.id", "tmp")


def test_unknown_columns_are_not_taken_for_blocked_ones(maker: Maker) -> None:
    assert maker.text("SELECT card_number FROM tmp, payments", "tmp")
    assert maker.sqlstate("SELECT payments.card_number FROM tmp, payments", "tmp") == "42501"
    assert maker.sqlstate("SELECT card_number FROM payments", "tmp") == "42501"


def test_attributes_of_unknown_columns_may_be_calls(maker: Maker) -> None:
    assert maker.sqlstate("SELECT t.pg_read_file FROM tmp t", "tmp") == "42501"
    assert maker.text("SELECT t.anything FROM tmp t", "tmp")


def test_masked_columns_beside_unknown_ones_go_out_once(maker: Maker) -> None:
    (mask,) = maker.decide("SELECT t.email, c.email FROM tmp t, customers c", "tmp").plans[0].column_masks
    assert mask.count == 1


def test_a_later_statement_of_the_text_knows_the_name(maker: Maker) -> None:
    text = maker.text("CREATE TEMP TABLE salaries (a int); SELECT * FROM salaries")
    assert 'FROM "pg_temp".salaries' in text
    assert maker.sqlstate("CREATE TEMP TABLE x (a int); DROP TABLE x; SELECT * FROM x") == "42P01"
    assert maker.sqlstate("DISCARD TEMP; SELECT * FROM tmp", "tmp") == "42P01"
