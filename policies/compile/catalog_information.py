"""Which rows of information_schema and of pg_catalog's views by name a restricted principal may read."""

# ruff: noqa: S608 - building SQL is the job; only what `catalog_scope` gives and names of this file go into it.

from __future__ import annotations

from collections.abc import Callable, Mapping

from policies.compile.catalog_guards import PG_CATALOG
from policies.compile.catalog_lists import INFORMATION_COLUMNS, PG_SEQUENCES, PG_STATIO, VIEW_COLUMNS
from policies.compile.catalog_scope import Guard, Scope, listed, rows


def _shown(scope: Scope, schema: str, name: str) -> str:
    """A relation by name is one that the guard of pg_class shows."""
    return (
        f"EXISTS (SELECT 1 FROM ({PG_CATALOG['pg_class'](scope)}) AS vc JOIN pg_catalog.pg_namespace AS vn"
        f" ON vn.oid = vc.relnamespace WHERE vn.nspname = {schema}::pg_catalog.name"
        f" AND vc.relname = {name}::pg_catalog.name)"
    )


def _column_shown(scope: Scope, schema: str, name: str, column: str) -> str:
    return (
        f"EXISTS (SELECT 1 FROM ({PG_CATALOG['pg_attribute'](scope)}) AS va JOIN pg_catalog.pg_class AS vc"
        " ON vc.oid = va.attrelid JOIN pg_catalog.pg_namespace AS vn ON vn.oid = vc.relnamespace"
        f" WHERE vn.nspname = {schema}::pg_catalog.name AND vc.relname = {name}::pg_catalog.name"
        f" AND va.attname = {column}::pg_catalog.name)"
    )


def _constraint_shown(scope: Scope, schema: str, name: str) -> str:
    return (
        f"EXISTS (SELECT 1 FROM ({PG_CATALOG['pg_constraint'](scope)}) AS vk JOIN pg_catalog.pg_namespace AS vn"
        f" ON vn.oid = vk.connamespace WHERE vn.nspname = {schema}::pg_catalog.name"
        f" AND vk.conname = {name}::pg_catalog.name)"
    )


def _information(name: str, *conditions: Callable[[Scope], str]) -> Guard:
    def guard(scope: Scope) -> str:
        where = " AND ".join(condition(scope) for condition in conditions)
        return f"SELECT x.* FROM information_schema.{name} AS x WHERE {where}"

    return guard


def _once(name: str, *conditions: Callable[[Scope], str]) -> Guard:
    """Of views of few rows that tools join: read once. Flattened into the join, each is planned as a single row, and
    the list of fields of Metabase asked all conditions again for every pair of rows: 10 s for 30 tables.
    """
    whole = _information(name, *conditions)
    return lambda scope: f"WITH y AS MATERIALIZED ({whole(scope)}) SELECT y.* FROM y"


def _columns(scope: Scope) -> str:
    """Defaults and generating expressions of secret columns are NULL, as pg_attrdef hides them."""
    secret = (
        "EXISTS (SELECT 1 FROM pg_catalog.pg_attribute AS sa JOIN pg_catalog.pg_class AS sc ON sc.oid = sa.attrelid"
        " JOIN pg_catalog.pg_namespace AS sn ON sn.oid = sc.relnamespace"
        " WHERE sn.nspname = x.table_schema::pg_catalog.name AND sc.relname = x.table_name::pg_catalog.name"
        " AND sa.attname = x.column_name::pg_catalog.name"
        f" AND {scope.has_pair('sa.attrelid', lambda a: f'{a} = sa.attnum', secret=True)})"
    )
    replaced = {
        name: f"CASE WHEN {secret} THEN NULL ELSE x.{name} END" for name in ("column_default", "generation_expression")
    }
    columns = listed(INFORMATION_COLUMNS, "x", replaced)
    return f"SELECT {columns} FROM information_schema.columns AS x WHERE {_by_column(scope)}"


def _by_table(scope: Scope) -> str:
    return _shown(scope, "x.table_schema", "x.table_name")


def _by_column(scope: Scope) -> str:
    return _column_shown(scope, "x.table_schema", "x.table_name", "x.column_name")


def _by_constraint(scope: Scope) -> str:
    return _constraint_shown(scope, "x.constraint_schema", "x.constraint_name")


def _pg_sequences(scope: Scope) -> str:
    columns = listed(PG_SEQUENCES, "x", {"last_value": "NULL::pg_catalog.int8"})
    return f"SELECT {columns} FROM pg_catalog.pg_sequences AS x WHERE {_shown(scope, 'x.schemaname', 'x.sequencename')}"


def _definitions(name: str, relation: str, columns: tuple[str, ...]) -> Guard:
    """A view of definitions: shown for open relations, NULL for the others; the definition is its last column."""

    def guard(scope: Scope) -> str:
        is_open = (
            "EXISTS (SELECT 1 FROM pg_catalog.pg_class AS oc JOIN pg_catalog.pg_namespace AS xn"
            f" ON xn.oid = oc.relnamespace WHERE xn.nspname = x.schemaname AND oc.relname = x.{relation}"
            f" AND {scope.is_open('oc.oid')})"
        )
        shown = listed(columns, "x", {"definition": f"CASE WHEN {is_open} THEN x.definition END"})
        return f"SELECT {shown} FROM pg_catalog.{name} AS x WHERE {_shown(scope, 'x.schemaname', f'x.{relation}')}"

    return guard


def _pg_stats(scope: Scope) -> str:
    """Of tables that no rule touches. Never of catalogs: their frequent values are names, and texts of functions."""
    is_open = (
        "EXISTS (SELECT 1 FROM pg_catalog.pg_class AS oc JOIN pg_catalog.pg_namespace AS xn ON xn.oid = oc.relnamespace"
        " WHERE xn.nspname = x.schemaname AND oc.relname = x.tablename AND oc.oid >= 16384"
        f" AND {scope.is_open('oc.oid')})"
    )
    return f"SELECT x.* FROM pg_catalog.pg_stats AS x WHERE {is_open}"


def _views(scope: Scope) -> str:
    """Definitions of open views only, as in pg_views."""
    is_open = (
        "EXISTS (SELECT 1 FROM pg_catalog.pg_class AS oc JOIN pg_catalog.pg_namespace AS xn ON xn.oid = oc.relnamespace"
        " WHERE xn.nspname = x.table_schema::pg_catalog.name AND oc.relname = x.table_name::pg_catalog.name"
        f" AND {scope.is_open('oc.oid')})"
    )
    shown = listed(VIEW_COLUMNS, "x", {"view_definition": f"CASE WHEN {is_open} THEN x.view_definition END"})
    return f"SELECT {shown} FROM information_schema.views AS x WHERE {_by_table(scope)}"


def _counters(name: str) -> Guard:
    """Names of tables; what the server counts tells of rows and of others' work. Sequelize joins it for the names."""
    counted = ", ".join(f"NULL::pg_catalog.int8 AS {column}" for column in PG_STATIO)

    def guard(scope: Scope) -> str:
        return (
            f"SELECT x.relid, x.schemaname, x.relname, {counted} FROM pg_catalog.{name} AS x"
            f" WHERE {_shown(scope, 'x.schemaname', 'x.relname')}"
        )

    return guard


PG_VIEWS: Mapping[str, Guard] = {
    "pg_statio_all_tables": _counters("pg_statio_all_tables"),
    "pg_statio_user_tables": _counters("pg_statio_user_tables"),
    "pg_sequences": _pg_sequences,
    "pg_stats": _pg_stats,
    "pg_tables": rows("pg_tables", lambda s: _shown(s, "x.schemaname", "x.tablename")),
    "pg_views": _definitions("pg_views", "viewname", ("schemaname", "viewname", "viewowner", "definition")),
    "pg_matviews": _definitions(
        "pg_matviews",
        "matviewname",
        ("schemaname", "matviewname", "matviewowner", "tablespace", "hasindexes", "ispopulated", "definition"),
    ),
    "pg_indexes": rows("pg_indexes", lambda s: _shown(s, "x.schemaname", "x.indexname")),
}
INFORMATION_SCHEMA: Mapping[str, Guard] = {
    "tables": _information("tables", _by_table),
    "views": _views,
    "columns": _columns,
    "column_privileges": _information("column_privileges", _by_column),
    "role_column_grants": _information("role_column_grants", _by_column),
    "table_privileges": _information("table_privileges", _by_table),
    "role_table_grants": _information("role_table_grants", _by_table),
    "table_constraints": _once("table_constraints", _by_table, _by_constraint),
    "key_column_usage": _once("key_column_usage", _by_column, _by_constraint),
    "constraint_column_usage": _once("constraint_column_usage", _by_column, _by_constraint),
    "constraint_table_usage": _once("constraint_table_usage", _by_table, _by_constraint),
    "referential_constraints": _once("referential_constraints", _by_constraint),
    "check_constraints": _once("check_constraints", _by_constraint),
    "sequences": _information("sequences", lambda s: _shown(s, "x.sequence_schema", "x.sequence_name")),
}
