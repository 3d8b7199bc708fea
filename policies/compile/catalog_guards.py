"""Which rows of pg_catalog's tables a restricted principal may read: a SELECT for each of them."""

# ruff: noqa: S608 - building SQL is the job; only what `catalog_scope` gives and names of this file go into it.

from __future__ import annotations

from collections.abc import Iterable, Mapping

from policies.compile.builtins import SETTING_READABLE
from policies.compile.catalog_lists import (
    DROPPED,
    EMPTY,
    PG_ATTRIBUTE_16,
    PG_ATTRIBUTE_18,
    PG_CLASS,
    PG_CURSORS,
    PG_PREPARED_STATEMENTS,
    PG_PROC,
    PG_STAT_ACTIVITY,
    words,
)
from policies.compile.catalog_scope import CLASS, Guard, Scope, listed, rows

# Catalogs whose comments tell nothing about a table.
_COMMENTED = "pg_am pg_cast pg_collation pg_conversion pg_extension pg_language pg_namespace pg_opclass pg_operator"
_COMMENTED_MORE = "pg_opfamily pg_proc pg_publication pg_ts_config pg_ts_dict pg_ts_parser pg_ts_template"


def _pg_class(scope: Scope) -> str:
    hidden = f"(c.oid >= 16384 AND NOT {scope.is_open('c.oid')})"
    bound = (
        "EXISTS (SELECT 1 FROM pg_catalog.pg_inherits AS bi JOIN pg_catalog.pg_partitioned_table AS bp"
        f" ON bp.partrelid = bi.inhparent WHERE bi.inhrelid = c.oid AND {scope.has_secret_key('bp')})"
    )
    columns = [c for c in PG_CLASS if c != "relallfrozen" or scope.server_version >= 180000]
    replaced = {
        column: f"CASE WHEN {hidden} THEN {value} ELSE c.{column} END"
        for column, value in (
            ("relpages", "0"),
            ("reltuples", "(-1)::pg_catalog.float4"),
            ("relallvisible", "0"),
            ("relallfrozen", "0"),
        )
    }
    replaced["relpartbound"] = f"CASE WHEN NOT ({bound}) THEN c.relpartbound END"
    owned = (
        "EXISTS (SELECT 1 FROM pg_catalog.pg_depend AS ds"
        f" WHERE ds.classid = {CLASS} AND ds.objid = c.oid AND ds.deptype IN ('a', 'i')"
        f" AND ds.refclassid = {CLASS} AND ds.refobjid <> ALL ({scope.visible}))"
    )
    return (
        f"SELECT {listed(columns, 'c', replaced)} FROM pg_catalog.pg_class AS c"
        f" WHERE c.relkind = 'c' OR ({scope.is_visible('c.oid')} AND NOT (c.relkind = 'S' AND {owned})"
        f" AND NOT {scope.is_hidden_index('c.oid')})"
    )


def _pg_attribute(scope: Scope) -> str:
    """A blocked column stands as a dropped one: pg_dump wants to find every number up to relnatts."""
    columns = PG_ATTRIBUTE_16 if scope.server_version < 170000 else PG_ATTRIBUTE_18
    columns = [c for c in columns if c != "attcacheoff" or scope.server_version < 180000]
    blocked = sorted(scope.blocked)
    # attmissingval holds a value of the table's rows.
    replaced = {"attmissingval": "NULL::pg_catalog.text"}
    source = "pg_catalog.pg_attribute AS t"
    if blocked:
        replaced |= {c: f"CASE WHEN hidden.r IS NULL THEN t.{c} ELSE {value} END" for c, value in DROPPED.items()}
        rows = ", ".join(f"({oid}::pg_catalog.oid, {number}::pg_catalog.int2)" for oid, number in blocked)
        source += f" LEFT JOIN (VALUES {rows}) AS hidden(r, a) ON hidden.r = t.attrelid AND hidden.a = t.attnum"
    composite = "EXISTS (SELECT 1 FROM pg_catalog.pg_class AS k WHERE k.oid = t.attrelid AND k.relkind = 'c')"
    return (
        f"SELECT {listed(columns, 't', replaced)} FROM {source}"
        f" WHERE ({scope.is_visible('t.attrelid')} OR {composite}) AND NOT {scope.is_hidden_index('t.attrelid')}"
    )


def _pg_proc(scope: Scope) -> str:
    known = f"CASE WHEN p.oid < 16384 OR {scope.is_granted('p')}"
    replaced = {c: f"{known} THEN p.{c} END" for c in ("prosrc", "probin", "prosqlbody")}
    shown = listed(PG_PROC, "p", replaced)
    return f"SELECT {shown} FROM pg_catalog.pg_proc AS p WHERE {scope.is_function_shown('p')}"


def _pg_type(scope: Scope) -> str:
    def row(alias: str) -> str:
        composite = (
            f"EXISTS (SELECT 1 FROM pg_catalog.pg_class AS k WHERE k.oid = {alias}.typrelid AND k.relkind = 'c')"
        )
        return f"({scope.is_visible(f'{alias}.typrelid')} OR {composite})"

    array = f"EXISTS (SELECT 1 FROM pg_catalog.pg_type AS e WHERE e.oid = t.typelem AND NOT {row('e')})"
    return f"SELECT t.* FROM pg_catalog.pg_type AS t WHERE {row('t')} AND NOT {array}"


def _pg_constraint(scope: Scope) -> str:
    own = scope.has_pair("k.conrelid", lambda a: f"{a} = ANY (k.conkey)")
    foreign = scope.has_pair("k.confrelid", lambda a: f"{a} = ANY (k.confkey)")
    check = scope.has_pair("k.conrelid", lambda a: f"k.contype = 'c' AND {a} = ANY (k.conkey)", secret=True)
    return (
        "SELECT k.* FROM pg_catalog.pg_constraint AS k"
        f" WHERE {scope.is_visible('k.conrelid')} AND {scope.is_visible('k.confrelid')}"
        f" AND NOT COALESCE({own}, false) AND NOT COALESCE({foreign}, false) AND NOT COALESCE({check}, false)"
        f" AND NOT {scope.is_hidden_index('k.conindid')}"
    )


def _pg_trigger(scope: Scope) -> str:
    blocked = scope.has_pair("g.tgrelid", lambda a: f"{a} = ANY (g.tgattr)")
    function = (
        "(g.tgfoid < 16384 OR EXISTS (SELECT 1 FROM pg_catalog.pg_proc AS tp"
        f" WHERE tp.oid = g.tgfoid AND {scope.is_function_shown('tp')}))"
    )
    return (
        "SELECT g.* FROM pg_catalog.pg_trigger AS g"
        f" WHERE {scope.is_visible('g.tgrelid')} AND {scope.is_visible('g.tgconstrrelid')} AND NOT {blocked}"
        f" AND NOT (g.tgqual IS NOT NULL AND {scope.has_secret('g.tgrelid')}) AND {function}"
    )


def _pg_description(scope: Scope) -> str:
    kinds = ", ".join(f"'pg_catalog.{name}'::pg_catalog.regclass" for name in words(f"{_COMMENTED} {_COMMENTED_MORE}"))
    column = scope.has_pair("d.objoid", lambda a: f"{a} = d.objsubid")
    table = (
        f"d.classoid = {CLASS} AND {scope.is_visible('d.objoid')} AND NOT {column}"
        f" AND NOT {scope.is_hidden_index('d.objoid')}"
    )
    return (
        f"SELECT d.* FROM pg_catalog.pg_description AS d WHERE d.objoid < 16384 OR d.classoid IN ({kinds}) OR ({table})"
    )


def _pg_depend(scope: Scope) -> str:
    def side(prefix: str) -> str:
        blocked = scope.has_pair(f"d.{prefix}objid", lambda a: f"{a} = d.{prefix}objsubid")
        seen = f"{scope.is_visible(f'd.{prefix}objid')} AND NOT {blocked}"
        return f"(d.{prefix}classid <> {CLASS} OR ({seen}))"

    return f"SELECT d.* FROM pg_catalog.pg_depend AS d WHERE {side('')} AND {side('ref')}"


def _pg_stat_activity(scope: Scope) -> str:
    # The server knows the rewritten text only, with its filters in it.
    columns = listed(PG_STAT_ACTIVITY, "s", {"query": "NULL::pg_catalog.text"})
    return f"SELECT {columns} FROM pg_catalog.pg_stat_activity AS s WHERE s.pid = pg_catalog.pg_backend_pid()"


def _pg_settings(scope: Scope) -> str:
    names = ", ".join(f"'{name}'" for name in sorted(SETTING_READABLE))
    return f"SELECT s.* FROM pg_catalog.pg_settings AS s WHERE pg_catalog.lower(s.name) IN ({names})"


def _pg_cursors(scope: Scope) -> str:
    # The session's own, by names it knows; the server's texts have guards in them.
    shown = listed(PG_CURSORS, "x", {"statement": "NULL::pg_catalog.text"})
    return f"SELECT {shown} FROM pg_catalog.pg_cursors AS x"


def _pg_prepared_statements(scope: Scope) -> str:
    columns = [c for c in PG_PREPARED_STATEMENTS if c != "result_types" or scope.server_version >= 160000]
    shown = listed(columns, "x", {"statement": "NULL::pg_catalog.text"})
    return f"SELECT {shown} FROM pg_catalog.pg_prepared_statements AS x"


def _pg_foreign_table(scope: Scope) -> str:
    # Options name tables of another server.
    options = f"CASE WHEN {scope.is_open('x.ftrelid')} THEN x.ftoptions END AS ftoptions"
    return (
        f"SELECT x.ftrelid, x.ftserver, {options} FROM pg_catalog.pg_foreign_table AS x"
        f" WHERE {scope.is_visible('x.ftrelid')}"
    )


def _pg_foreign_server(scope: Scope) -> str:
    """Servers of visible tables, without their addresses."""
    columns = "x.oid, x.srvname, x.srvowner, x.srvfdw, x.srvtype, x.srvversion, x.srvacl"
    used = (
        "EXISTS (SELECT 1 FROM pg_catalog.pg_foreign_table AS ft"
        f" WHERE ft.ftserver = x.oid AND {scope.is_visible('ft.ftrelid')})"
    )
    return (
        f"SELECT {columns}, NULL::pg_catalog.text[] AS srvoptions FROM pg_catalog.pg_foreign_server AS x WHERE {used}"
    )


def _empty(columns: Iterable[tuple[str, str, int]]) -> Guard:
    """No row, whatever there is, and no right to read it needed."""

    def guard(scope: Scope) -> str:
        shown = [f"NULL::pg_catalog.{kind} AS {name}" for name, kind, since in columns if since <= scope.server_version]
        return f"SELECT {', '.join(shown)} WHERE false"

    return guard


def sequence_start(oid: str) -> str:
    """A sequence's state as if it had never been used, for the one whose number the SQL text `oid` gives."""
    # The client's text must not meet a column or an alias of ours.
    source = 'SELECT q.seqrelid AS "pgwarden 0", q.seqstart AS "pgwarden 1" FROM pg_catalog.pg_sequence AS q'
    return (
        'SELECT "pgwarden 1" AS last_value, false AS is_called, 0::pg_catalog.int8 AS log_cnt'
        f' FROM ({source}) AS "pgwarden shown" WHERE "pgwarden 0" = CAST(({oid}) AS pg_catalog.oid)'
    )


PG_CATALOG: Mapping[str, Guard] = {
    "pg_class": _pg_class,
    "pg_attribute": _pg_attribute,
    "pg_proc": _pg_proc,
    "pg_type": _pg_type,
    "pg_constraint": _pg_constraint,
    "pg_trigger": _pg_trigger,
    "pg_description": _pg_description,
    "pg_depend": _pg_depend,
    "pg_stat_activity": _pg_stat_activity,
    "pg_settings": _pg_settings,
    "pg_cursors": _pg_cursors,
    "pg_prepared_statements": _pg_prepared_statements,
    "pg_attrdef": rows(
        "pg_attrdef",
        lambda s: (
            f"{s.is_visible('x.adrelid')} AND NOT {s.has_pair('x.adrelid', lambda a: f'{a} = x.adnum', secret=True)}"
        ),
    ),
    "pg_index": rows("pg_index", lambda s: f"{s.is_visible('x.indrelid')} AND NOT {s.is_hidden_index('x.indexrelid')}"),
    "pg_inherits": rows("pg_inherits", lambda s: f"{s.is_visible('x.inhrelid')} AND {s.is_visible('x.inhparent')}"),
    "pg_rewrite": rows("pg_rewrite", lambda s: s.is_open("x.ev_class")),
    "pg_policy": rows("pg_policy", lambda s: s.is_open("x.polrelid")),
    "pg_statistic_ext": rows(
        "pg_statistic_ext", lambda s: f"{s.is_visible('x.stxrelid')} AND NOT {s.has_secret('x.stxrelid')}"
    ),
    "pg_sequence": rows("pg_sequence", lambda s: s.is_visible("x.seqrelid")),
    "pg_partitioned_table": rows(
        "pg_partitioned_table", lambda s: f"{s.is_visible('x.partrelid')} AND NOT {s.has_secret_key('x')}"
    ),
    **{name: _empty(columns) for name, columns in EMPTY.items()},
    "pg_init_privs": rows("pg_init_privs", lambda s: f"(x.classoid <> {CLASS} OR {s.is_visible('x.objoid')})"),
    "pg_foreign_server": _pg_foreign_server,
    "pg_publication_rel": rows("pg_publication_rel", lambda s: s.is_open("x.prrelid")),
    "pg_foreign_table": _pg_foreign_table,
}
