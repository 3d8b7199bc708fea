"""Names and numbers of relations as values: a hidden one isn't there, and no number becomes a name."""

from dataclasses import replace

import pytest

from policies.catalog import Namespace
from tests.compile_world import World


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'shop.salaries'::regclass",
        "SELECT 'salaries'::regclass::oid",
        "SELECT CAST('SALARIES' AS regclass)",
        "SELECT regclass 'shop.\"salaries\"'",
        "SELECT pg_catalog.regclass ' shop . salaries '",
        "SELECT 'salaries'::text::regclass",
        "SELECT 104::oid::regclass",
        "SELECT '99999'::regclass",
        "SELECT attname FROM pg_attribute WHERE attrelid = 'shop.salaries'::regclass",
        "SELECT has_table_privilege('shop.salaries', 'select')",
        "SELECT has_table_privilege('ada', 'salaries', 'select')",
        "SELECT has_column_privilege('salaries', 'amount', 'select')",
        "SELECT 'shop.salaries_pkey'::regclass",
    ],
)
def test_a_hidden_relation_is_not_there(world: World, sql: str) -> None:
    relations = tuple(
        replace(r, index_names=("salaries_pkey",)) if r.name == "salaries" else r for r in world.catalog.relations
    )
    world.catalog = replace(world.catalog, version=2, relations=relations)
    assert world.refused(sql) == ("42P01", "pgwarden/names")


@pytest.mark.parametrize(
    "sql",
    ["SELECT 'shop.salaries'::regtype", "SELECT 'salaries[]'::regtype", "SELECT '_salaries'::regtype::oid"],
)
def test_a_hidden_row_type_is_not_there(world: World, sql: str) -> None:
    assert world.refused(sql) == ("42704", "pgwarden/names")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'shop.customers'::regclass, 'orders'::regclass::oid, 'pg_class'::regclass, 101::regclass",
        "SELECT 'nowhere.nothing'::regclass",  # the server's own error
        "SELECT 'shop.orders_id_seq'::regclass",
        "SELECT 'integer'::regtype, 'name'::regtype, 'text[]'::regtype, 'shop.customers'::regtype",
        "SELECT c.oid::regclass, c.oid::oid::regclass::text FROM pg_class c",
        "SELECT conrelid::regclass FROM pg_constraint",
        "SELECT s.r::regclass FROM (SELECT c.conrelid AS r FROM pg_constraint c) s",
        "WITH s AS (SELECT oid FROM pg_class) SELECT s.oid::regclass FROM s",
        "SELECT s.oid::regclass FROM (SELECT * FROM pg_class) s",
        "SELECT tableoid::regclass FROM orders",
        "WITH RECURSIVE t(o, e, d) AS (SELECT oid, CASE WHEN typlen = -1 THEN typelem END, 0 FROM pg_type"
        " WHERE oid = ANY ($1) UNION ALL SELECT y.oid, y.typelem, t.d + 1 FROM pg_type y, t WHERE y.oid = t.e)"
        " SELECT e::regtype::text FROM t",
        "SELECT s.o::regclass FROM pg_class s(o)",
        "SELECT inhparent::regclass FROM pg_class c JOIN pg_inherits i ON c.oid = inhrelid",
        "SELECT conrelid::regclass FROM pg_constraint, pg_partition_ancestors('101') WHERE conrelid = relid",
        "SELECT conrelid::regclass FROM pg_constraint c, pg_class k",
        "SELECT x.b::regtype FROM (SELECT (CASE WHEN typtype = 'd' THEN (WITH RECURSIVE b(oid, d) AS ("
        "SELECT t2.typbasetype, 0 FROM pg_type t2 UNION ALL SELECT t2.typbasetype, b.d + 1 FROM pg_type t2, b"
        " WHERE b.oid = t2.oid) SELECT oid FROM b ORDER BY d DESC LIMIT 1) END) AS b FROM pg_type) x",
        "SELECT NULL::oid::regclass, 'shop.orders'::regclass::oid::regclass, $1::regclass::oid::regclass",
        "SELECT col_description(CAST(CAST(format('%I.%I', relname, relname) AS regclass) AS oid), 1) FROM pg_class",
        "SELECT a.atttypid::regtype FROM pg_attribute a",
        "SELECT pg_typeof(total)::regtype, to_regclass('shop.orders')::regclass FROM orders",
        "SELECT has_table_privilege('shop.customers', 'select'), has_table_privilege(c.oid, 'x') FROM pg_class c",
    ],
)
def test_what_may_be_seen_is_there(world: World, sql: str) -> None:
    world.allowed(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT g::regclass FROM generate_series(1, 99999) g",
        "SELECT g::oid::regclass FROM generate_series(1, 99999) g",
        "SELECT g::text::regclass FROM generate_series(1, 99999) g",
        "SELECT id::regclass FROM orders",
        "SELECT name::regtype FROM customers",
        "SELECT v.o::regclass FROM (VALUES (104)) v(o)",
        "SELECT (100 + 4)::regclass",
        "SELECT (SELECT 104)::regclass",
        "SELECT '{104}'::regclass[]",
        "SELECT '104'::numeric::int8::oid::regclass",
        "SELECT $1::oid::regclass",
        "SELECT id::regclass FROM (pg_class CROSS JOIN orders) AS j",
        "SELECT g::regclass FROM pg_class JOIN LATERAL generate_series(1, 99999) AS s(g) ON true",
        "SELECT g::regclass FROM pg_class, generate_series(1, 99999) AS s(g)",
        "SELECT id::regclass FROM pg_class, orders",
        "SELECT s.o::regclass, s.o::regclass FROM (SELECT 1 + 1 AS o) s",
        "SELECT '{104}'::_regclass",
        "SELECT s.oid::regclass FROM (SELECT oid FROM pg_class UNION SELECT 16400) s",
        "SELECT s.oid::regclass FROM (SELECT oid FROM pg_class UNION SELECT '16400') s",
        "SELECT s.oid::regclass FROM (SELECT oid FROM pg_class UNION SELECT $1) s",
        "SELECT s.oid::regclass FROM (SELECT oid FROM pg_class UNION SELECT length(repeat('x', 9))) s",
        "SELECT s.oid::regclass FROM (SELECT oid FROM pg_class UNION SELECT total FROM orders) s",
        "SELECT s.oid::regclass FROM (SELECT oid FROM pg_class UNION VALUES (1)) s",
        "SELECT format('%s', id)::regclass::oid::regclass FROM orders",
        "SELECT CASE WHEN true THEN 104 ELSE c.oid END::regclass FROM pg_class c",
        "WITH RECURSIVE t(o) AS (SELECT oid FROM pg_class UNION SELECT o + 1 FROM t) SELECT o::regclass FROM t",
        "SELECT s.oid::regclass FROM (SELECT c.oid + 1 AS oid FROM pg_class c) s",
        "SELECT ($1 + 1)::regclass",
    ],
)
def test_no_number_becomes_a_name(world: World, sql: str) -> None:
    assert world.refused(sql) == ("0A000", "pgwarden/names")


def test_parameters_are_looked_up(world: World) -> None:
    text = world.allowed("SELECT $1::regclass, CAST($2 AS regtype) WHERE 1 = $3").text
    assert '"pgwarden 0" = CAST(($1) AS pg_catalog.regclass)' in text
    assert "CAST(($2) AS pg_catalog.regtype) LIMIT 1) AS regtype)" in text
    for call in ("pg_get_viewdef($1::regclass)", "pg_get_indexdef($1::regclass::oid)", "obj_description($1::regclass)"):
        assert world.allowed(f"SELECT {call}").text.count("pgwarden shown") == 2
    declared = Namespace(("shop",), ("shop",), parameter_types=(2205,))
    decision = world.compiler.decide("SELECT $1::text", world.effective("ada"), world.catalog, declared)
    assert decision.refusal is not None


def test_ones_own_temporary_table_comes_first(world: World) -> None:
    own = Namespace(("shop",), ("shop",), temporary=frozenset({"salaries"}))
    assert (
        world.compiler.decide("SELECT 'salaries'::regclass", world.effective("ada"), world.catalog, own).refusal is None
    )
    assert world.refused("SELECT 'shop.salaries'::regclass")[0] == "42P01"


def test_to_regtype_of_a_hidden_row_type_is_null(world: World) -> None:
    text = world.allowed("SELECT to_regtype($1), to_regtype('integer')").text
    assert "pg_catalog.to_regtype(CAST(($1) AS pg_catalog.text))" in text


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT setting::oid::regclass FROM pg_settings",
        "SELECT x.tableoid::regclass FROM (SELECT 104::oid AS tableoid) x",
        "SELECT tableoid::regclass FROM (SELECT 104::oid) x(tableoid)",
        "SELECT (SELECT x::regclass FROM pg_am LIMIT 1) FROM (SELECT 104 AS x) s",
        "SELECT (SELECT prrelid::regclass FROM pg_am LIMIT 1) FROM (SELECT 104 AS prrelid) s",
        "SELECT (SELECT prrelid::regclass FROM (SELECT * FROM pg_am) q LIMIT 1) FROM (SELECT 104 AS prrelid) s",
        "SELECT (SELECT oid::regclass FROM (SELECT amname FROM pg_am) q) FROM (SELECT 104 AS oid) s",
        "SELECT 'shop.salariesx'::varchar(13)::regclass",
        "SELECT x FROM json_to_record('{\"x\":104}') AS t(x regclass)",
        "SELECT JSON_VALUE('104', '$' RETURNING regclass)",
        "SELECT COALESCE(to_regclass('nope'), 104)",
        "SELECT COALESCE(to_regclass('nope'), 'shop.salaries')",
        "SELECT COALESCE(x, 104) FROM (SELECT to_regclass('nope') AS x) s",
        "SELECT COALESCE(y, 104) FROM (SELECT to_regclass('nope')) s(y)",
        "SELECT CASE WHEN true THEN 104::oid ELSE 'pg_class'::regclass END",
        "SELECT NULL::regclass UNION ALL SELECT 104",
        "WITH RECURSIVE r(x) AS (SELECT 'pg_class'::regclass UNION SELECT 104) SELECT x FROM r",
        "VALUES ('pg_class'::regclass), ('shop.salaries')",
        "SELECT ARRAY[pg_typeof(1), 104]",
        "SELECT array_append(ARRAY['pg_class'::regclass], $1)",
        "SELECT lag('pg_class'::regclass, 1, 104) OVER ()",
        "SELECT to_regclass('pg_class') || ARRAY[104::oid]",
        "SELECT data_type FROM pg_sequences UNION ALL SELECT 104",
    ],
)
def test_no_number_becomes_a_name_beside_one(world: World, sql: str) -> None:
    assert world.refused(sql) == ("0A000", "pgwarden/names")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT c.oid::regclass, CASE WHEN relkind = 'r' THEN 'table' ELSE 'other' END FROM pg_class c",
        "SELECT COALESCE(c.oid::regclass::text, 'none') FROM pg_class c",
        "SELECT COALESCE(NULL::regclass, 'pg_class'::regclass)",
        "SELECT pg_partition_ancestors('101') UNION ALL VALUES ('101'::regclass)",
        "SELECT CASE WHEN data_type LIKE 'x' THEN data_type || 'x' ELSE data_type END FROM information_schema.columns",
    ],
)
def test_names_beside_names_are_no_matter(world: World, sql: str) -> None:
    world.allowed(sql)


def test_a_type_is_told_by_its_number_where_it_may_be_seen(world: World) -> None:
    assert "pgwarden shown" in world.allowed("SELECT format_type(104, NULL)").text
    assert "pgwarden shown" not in world.allowed("SELECT format_type(atttypid, atttypmod) FROM pg_attribute").text
