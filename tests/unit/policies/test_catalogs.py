"""The guards on real servers: the questions that psql and drivers ask run, and show nothing hidden."""

from __future__ import annotations

import asyncio
import re

import psycopg
import pytest
from catalog_servers import catalog_dsn

from policies.catalog import Catalog
from policies.compile.builtins import ALLOWED_ON_VISIBLE
from policies.compile.catalog_lists import OPEN_CATALOG, OPEN_INFORMATION
from policies.compile.catalog_refused import REASONS, REVIEWED_REFUSED
from policies.compile.catalogs import (
    FILTERED,
    GuardKind,
    Visibility,
    catalog_guard,
    visible_argument,
)
from proxy.net.introspect import read_catalog

__all__ = ["catalog_dsn"]

GUARDED = sorted(FILTERED)
CANARY = "canary"

# As psql, asyncpg, psycopg, SQLAlchemy and JDBC ask, with the server's catalogs by their whole names.
QUESTIONS = {
    "psql \\dt": """
        SELECT n.nspname, c.relname, pg_catalog.pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class c
        LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
        WHERE c.relkind IN ('r','p','') AND n.nspname !~ '^pg_toast' AND n.nspname <> 'information_schema'""",
    "psql \\di": """
        SELECT n.nspname, c.relname, c2.relname FROM pg_catalog.pg_class c
        LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
        LEFT JOIN pg_catalog.pg_class c2 ON i.indrelid = c2.oid WHERE c.relkind IN ('i','I') AND n.nspname = 'shop'""",
    "psql \\d, columns": """
        SELECT a.attrelid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
          (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d
           WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef), a.attnotnull, a.attmissingval
        FROM pg_catalog.pg_attribute a WHERE a.attnum > 0 AND NOT a.attisdropped""",
    "psql \\d, indexes": """
        SELECT c2.relname, i.indisprimary, pg_catalog.pg_get_indexdef(i.indexrelid, 0, true),
          pg_catalog.pg_get_constraintdef(con.oid, true), contype
        FROM pg_catalog.pg_class c, pg_catalog.pg_class c2, pg_catalog.pg_index i
          LEFT JOIN pg_catalog.pg_constraint con ON (conrelid = i.indrelid AND conindid = i.indexrelid)
        WHERE c.oid = i.indrelid AND i.indexrelid = c2.oid""",
    "psql \\d, foreign keys": """
        SELECT conname, conrelid::pg_catalog.regclass, pg_catalog.pg_get_constraintdef(oid, true), condeferrable
        FROM pg_catalog.pg_constraint c WHERE contype IN ('f', 'c') AND conparentid = 0""",
    "psql \\df": """
        SELECT n.nspname, p.proname, pg_catalog.pg_get_function_result(p.oid), p.prosrc FROM pg_catalog.pg_proc p
        LEFT JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.prokind <> 'a' AND n.nspname = 'shop'""",
    "psql \\dT": """
        SELECT pg_catalog.format_type(t.oid, NULL), pg_catalog.obj_description(t.oid, 'pg_type')
        FROM pg_catalog.pg_type t WHERE (t.typrelid = 0 OR (SELECT c.relkind = 'c' FROM pg_catalog.pg_class c
          WHERE c.oid = t.typrelid)) AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_type el
          WHERE el.oid = t.typelem AND el.typarray = t.oid)""",
    "every type, as asyncpg and Npgsql load them": """
        SELECT t.oid, t.typname, t.typrelid, r.rngsubtype, e.enumlabel FROM pg_catalog.pg_type t
        LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid LEFT JOIN pg_catalog.pg_enum e ON e.enumtypid = t.oid""",
    "SQLAlchemy, comments": """
        SELECT c.relname, d.description FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_description d ON d.objoid = c.oid""",
    "JDBC getColumns": """
        SELECT n.nspname, c.relname, a.attname, dsc.description FROM pg_catalog.pg_namespace n
        JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
        JOIN pg_catalog.pg_type t ON a.atttypid = t.oid
        LEFT JOIN pg_catalog.pg_description dsc ON c.oid = dsc.objoid AND a.attnum = dsc.objsubid
        WHERE c.relkind IN ('r','p','v','f','m') AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname = 'shop'""",
    "information_schema": """
        SELECT t.table_name, c.column_name, c.column_default FROM information_schema.tables t
        JOIN information_schema.columns c ON c.table_name = t.table_name WHERE t.table_schema = 'shop'""",
    "SQLAlchemy, sequences of columns": """
        SELECT a.attname, pg_catalog.pg_get_serial_sequence(a.attrelid::pg_catalog.regclass::pg_catalog.text, a.attname)
        FROM pg_catalog.pg_attribute a WHERE a.attnum > 0 AND a.attrelid >= 16384 AND NOT a.attisdropped
          AND EXISTS (SELECT 1 FROM pg_class k WHERE k.oid = a.attrelid AND k.relkind = 'r')""",
    "Rails, whether a table is there": """
        SELECT pg_catalog.to_regclass('shop.canary_salaries'), pg_catalog.to_regclass('shop.customers')""",
    "Sequelize, names beside counters": """
        SELECT st.relid, st.relname, st.heap_blks_read FROM pg_catalog.pg_statio_all_tables st""",
    "definitions by number": """
        SELECT pg_catalog.pg_get_constraintdef(g::pg_catalog.oid), pg_catalog.pg_get_indexdef(g::pg_catalog.oid),
          pg_catalog.pg_get_viewdef(g::pg_catalog.oid), pg_catalog.col_description(g::pg_catalog.oid, 6)
        FROM pg_catalog.generate_series(16384, 16600) AS g""",
}


@pytest.fixture(scope="session")
def snapshot(catalog_dsn: str) -> Catalog:
    return asyncio.run(read_catalog(catalog_dsn, database="shop"))


@pytest.fixture(scope="session")
def visible(snapshot: Catalog) -> Visibility:
    """All but the canary's tables; customers is filtered, without the canary's column and with a masked note."""
    shown = [r for r in snapshot.relations if CANARY not in r.name]
    customers = snapshot.find("shop", "customers")
    view = snapshot.find("shop", "names")
    assert customers is not None
    assert view is not None
    return Visibility(
        visible=frozenset(r.oid for r in shown).union(*(r.index_oids for r in shown)),
        changed=frozenset({customers.oid, view.oid, *customers.index_oids}),
        blocked=frozenset({(customers.oid, 6)}),
        masked=frozenset({(customers.oid, 7)}),
        functions=("shop.more",),
    )


def _guarded(sql: str, snapshot: Catalog, visible: Visibility) -> str:
    """`sql` with each catalog replaced by its guard, and arguments of functions that tell by OID."""
    for function, rule in ALLOWED_ON_VISIBLE.items():
        pattern = rf"pg_catalog\.{function}\(((?:[^(),]|::)+)(, *[^()]*)?\)"

        def replace(found: re.Match[str], function: str = function, count: int = len(rule.columns)) -> str:
            more = [text.strip() for text in (found[2] or "").split(",") if text.strip()]
            arguments = (found[1], *more)[:count]
            shown = visible_argument(ALLOWED_ON_VISIBLE[function], arguments, snapshot, visible)
            return f"pg_catalog.{function}({shown}{found[2] or ''})"

        sql = re.sub(pattern, replace, sql)
    tables = r"(FROM|JOIN|,)\s+(pg_catalog|information_schema)\.(\w+) (?!AS\b)(\w+)(?!\()"

    def guard(found: re.Match[str]) -> str:
        answer = catalog_guard(found[2], found[3], snapshot, visible)
        assert answer.kind is not GuardKind.REFUSED, found[3]
        body = answer.sql or f"SELECT * FROM {found[2]}.{found[3]}"
        return f"{found[1]} ({body}) AS {found[4]}"

    return re.sub(tables, guard, sql)


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_clients_questions_run_and_show_nothing_hidden(
    question: str, catalog_dsn: str, snapshot: Catalog, visible: Visibility
) -> None:
    with psycopg.connect(catalog_dsn) as connection:
        assert CANARY in str(connection.execute(QUESTIONS[question].encode()).fetchall()) or "dT" in question
        rows = connection.execute(_guarded(QUESTIONS[question], snapshot, visible).encode()).fetchall()
    assert rows
    assert CANARY not in str(rows)


@pytest.mark.parametrize(("schema", "name"), GUARDED)
def test_guards_keep_the_columns_and_hide_rows(
    schema: str, name: str, catalog_dsn: str, snapshot: Catalog, visible: Visibility
) -> None:
    guard = catalog_guard(schema, name, snapshot, visible)
    with psycopg.connect(catalog_dsn) as connection:
        whole = connection.execute(f"SELECT * FROM {schema}.{name} LIMIT 0".encode()).description
        answer = connection.execute(f"SELECT g.*, g AS whole_row FROM ({guard.sql}) AS g".encode())
        rows = answer.fetchall()
    assert whole is not None
    assert answer.description is not None
    assert [c.name for c in answer.description][:-1] == [c.name for c in whole]
    assert CANARY not in str(rows)


def test_an_unqualified_argument_means_the_clients_own_column(
    catalog_dsn: str, snapshot: Catalog, visible: Visibility
) -> None:
    shown = visible_argument(ALLOWED_ON_VISIBLE["pg_get_constraintdef"], ("oid",), snapshot, visible)
    table = catalog_guard("pg_catalog", "pg_constraint", snapshot, visible).sql
    query = f"SELECT g.oid, {shown} FROM ({table}) AS g"
    with psycopg.connect(catalog_dsn) as connection:
        rows = connection.execute(query.encode()).fetchall()
    assert len(rows) > 2
    assert all(own == found for own, found in rows)


def test_counts_of_a_changed_table_are_hidden(catalog_dsn: str, snapshot: Catalog, visible: Visibility) -> None:
    guard = catalog_guard("pg_catalog", "pg_class", snapshot, visible)
    query = "SELECT g.reltuples FROM ({}) AS g WHERE g.relname = 'customers'"
    with psycopg.connect(catalog_dsn) as connection:
        plain = connection.execute(query.format("SELECT * FROM pg_catalog.pg_class").encode()).fetchall()
        guarded = connection.execute(query.format(guard.sql).encode()).fetchall()
    assert (plain, guarded) == ([(1.0,)], [(-1.0,)])


def test_allowed_table_keeps_its_columns(catalog_dsn: str, snapshot: Catalog, visible: Visibility) -> None:
    guard = catalog_guard("information_schema", "columns", snapshot, visible)
    query = f"SELECT g.column_name FROM ({guard.sql}) AS g WHERE g.table_name = 'customers' ORDER BY g.ordinal_position"
    with psycopg.connect(catalog_dsn) as connection:
        names = [row[0] for row in connection.execute(query.encode()).fetchall()]
    assert names == ["id", "email", "name", "upper_name", "note"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("pg_authid", "passwords"),
        ("pg_shadow", "passwords"),
        ("pg_statistic", "Statistics"),
        ("pg_stat_user_tables", "Statistics"),
        ("pg_stats_ext", "Statistics"),
        ("pg_largeobject", "Large objects"),
        ("pg_locks", "other sessions"),
        ("pg_hba_file_rules", "server itself"),
        ("pg_rules", "filtered"),
        ("brand_new", "list"),
    ],
)
def test_what_is_not_listed_is_refused(name: str, why: str, snapshot: Catalog, visible: Visibility) -> None:
    guard = catalog_guard("pg_catalog", name, snapshot, visible)
    assert guard.kind is GuardKind.REFUSED
    assert why in guard.reason


RELATIONS = """
SELECT n.nspname::text, c.relname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind NOT IN ('i', 't')
"""


def test_every_catalog_of_the_server_is_in_one_class(catalog_dsn: str) -> None:
    opened = {("pg_catalog", name) for name in OPEN_CATALOG} | {
        ("information_schema", name) for name in OPEN_INFORMATION
    }
    with psycopg.connect(catalog_dsn) as connection:
        found = set(connection.execute(RELATIONS).fetchall())
    assert len(found) > 190
    refused = {(schema, name) for schema, name in found if name in REVIEWED_REFUSED}
    unreviewed = found - opened - FILTERED.keys() - refused
    assert not unreviewed, f"review and list: {sorted(unreviewed)}"
    assert not opened & FILTERED.keys()
    assert not refused & (opened | FILTERED.keys())
    assert sum(map(len, REASONS.values())) == len(REVIEWED_REFUSED)


def test_no_list_names_what_no_server_has(catalog_dsn: str) -> None:
    with psycopg.connect(catalog_dsn) as connection:
        version = connection.info.server_version
        found = set(connection.execute(RELATIONS).fetchall())
    listed = {("pg_catalog", name) for name in OPEN_CATALOG} | {
        ("information_schema", name) for name in OPEN_INFORMATION
    }
    stale = (listed | FILTERED.keys()) - found, REVIEWED_REFUSED - {name for _, name in found}
    if version >= 180000:
        assert stale == (set(), set())


def test_statistics_are_those_of_open_tables(catalog_dsn: str, snapshot: Catalog, visible: Visibility) -> None:
    guard = catalog_guard("pg_catalog", "pg_stats", snapshot, visible).sql
    query = f"SELECT g.schemaname, g.tablename, g.most_common_vals::text, g.histogram_bounds::text FROM ({guard}) AS g"
    opened = Visibility(**{**_fields(visible), "changed": frozenset(), "masked": frozenset(), "blocked": frozenset()})
    with psycopg.connect(catalog_dsn) as connection:
        connection.execute("ANALYZE pg_class; ANALYZE pg_attribute; ANALYZE shop.open_things")
        rows = connection.execute(query.encode()).fetchall()
        more = catalog_guard("pg_catalog", "pg_stats", snapshot, opened).sql
        others = connection.execute(f"SELECT DISTINCT g.tablename FROM ({more}) AS g".encode()).fetchall()
    assert {row[:2] for row in rows} == {("shop", "open_things")}
    assert {name for (name,) in others} == {"open_things", "customers"}


def _fields(visible: Visibility) -> dict[str, object]:
    return {name: getattr(visible, name) for name in ("visible", "changed", "blocked", "masked", "functions")}
