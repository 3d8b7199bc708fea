"""Which rows of pg_catalog and information_schema a restricted principal may read, relation by relation.

A relation is open, filtered by a SELECT that stands in its place, or refused; what is not listed is refused.
Everything in these texts is data of the catalog snapshot: numbers and quoted literals, nothing a client wrote.
"""

# ruff: noqa: S608 - building SQL is the job; only OIDs, column numbers and names of this file go into it.

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from policies.catalog import Catalog
from policies.compile.builtins import SETTING_READABLE, VisibleArgument
from policies.compile.catalog_lists import (
    DROPPED,
    EMPTY,
    INFORMATION_COLUMNS,
    OPEN_CATALOG,
    OPEN_INFORMATION,
    PG_ATTRIBUTE_16,
    PG_ATTRIBUTE_18,
    PG_CLASS,
    PG_PROC,
    PG_SEQUENCES,
    PG_STAT_ACTIVITY,
    words,
)
from policies.compile.visibility import Visibility, visibility_of

__all__ = ["CatalogGuard", "GuardKind", "Visibility", "catalog_guard", "visibility_of", "visible_argument"]


class GuardKind(StrEnum):
    OPEN = "open"
    FILTERED = "filtered"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class CatalogGuard:
    """`sql` is a whole SELECT without parentheses or alias when the kind is FILTERED, else empty."""

    kind: GuardKind
    sql: str = ""
    reason: str = ""


_CLASS = "'pg_catalog.pg_class'::pg_catalog.regclass"
# Catalogs whose comments tell nothing about a table.
_COMMENTED = "pg_am pg_cast pg_collation pg_conversion pg_extension pg_language pg_namespace pg_opclass pg_operator"
_COMMENTED_MORE = "pg_opfamily pg_proc pg_publication pg_ts_config pg_ts_dict pg_ts_parser pg_ts_template"


@dataclass(frozen=True, slots=True)
class _Scope:
    """SQL conditions for one principal and server version."""

    visible: str
    changed: str
    blocked: Iterable[tuple[int, int]]
    secret: Iterable[tuple[int, int]]
    server_version: int
    has_temporary: bool
    functions: tuple[str, ...]

    def is_visible(self, oid: str) -> str:
        return f"({oid} < 16384 OR {oid} = ANY ({self.visible}){self._or_temporary(oid)})"

    def is_open(self, oid: str) -> str:
        listed = f"({oid} = ANY ({self.visible}) AND {oid} <> ALL ({self.changed}))"
        return f"({oid} < 16384 OR {listed}{self._or_temporary(oid)})"

    def _or_temporary(self, oid: str) -> str:
        """The session's own temporary relations; the snapshot can't know their numbers."""
        if not self.has_temporary:
            return ""
        own = "SELECT pt.oid FROM pg_catalog.pg_class AS pt WHERE pt.relnamespace = pg_catalog.pg_my_temp_schema()"
        return f" OR {oid} IN ({own})"

    def is_granted(self, function: str) -> str:
        """Whether a row of pg_proc is of a function that the policy names."""
        tests = [self._matches_function(function, pattern) for pattern in self.functions]
        if not tests:
            return "false"
        return (
            f"EXISTS (SELECT 1 FROM pg_catalog.pg_namespace AS fn WHERE fn.oid = {function}.pronamespace"
            f" AND ({' OR '.join(tests)}))"
        )

    @staticmethod
    def _matches_function(function: str, pattern: str) -> str:
        schema, _, name = pattern.partition(".")
        if pattern == "*":
            return "true"
        of_schema = f"fn.nspname = {literal(schema)}"
        return of_schema if name == "*" else f"({of_schema} AND {function}.proname = {literal(name)})"

    def is_function_shown(self, function: str) -> str:
        """The system's, those that run no text of a user, and those that the policy names."""
        return f"({function}.oid < 16384 OR {function}.prolang IN (12, 13) OR {self.is_granted(function)})"

    def has_pair(self, relation: str, test: Callable[[str], str], *, secret: bool = False) -> str:
        """True when one of the hidden columns of `relation` passes `test`, which gets the column's number."""
        pairs = sorted(self.secret if secret else self.blocked)
        if not pairs:
            return "false"
        rows = ", ".join(f"({oid}::pg_catalog.oid, {number}::pg_catalog.int2)" for oid, number in pairs)
        return (
            f"EXISTS (SELECT 1 FROM (VALUES {rows}) AS hidden(r, a) WHERE hidden.r = {relation} AND {test('hidden.a')})"
        )

    def is_hidden_index(self, oid: str) -> str:
        """An index over a blocked column, or with an expression or predicate over a secret one."""
        plain = self.has_pair("ix.indrelid", lambda a: f"{a} = ANY (ix.indkey)")
        if not self.secret:
            return "false"
        depends = self.has_pair(
            "ix.indrelid",
            lambda a: (
                "EXISTS (SELECT 1 FROM pg_catalog.pg_depend AS dx"
                f" WHERE dx.classid = {_CLASS} AND dx.objid = ix.indexrelid AND dx.refclassid = {_CLASS}"
                f" AND dx.refobjid = ix.indrelid AND dx.refobjsubid IN (0, {a}))"
            ),
            secret=True,
        )
        coded = f"((ix.indexprs IS NOT NULL OR ix.indpred IS NOT NULL) AND {depends})"
        return f"EXISTS (SELECT 1 FROM pg_catalog.pg_index AS ix WHERE ix.indexrelid = {oid} AND ({plain} OR {coded}))"

    def has_secret_key(self, table: str) -> str:
        """Whether a partition key is made of a blocked or masked column, or of an expression that may read one."""
        plain = self.has_pair(f"{table}.partrelid", lambda a: f"{a} = ANY ({table}.partattrs)", secret=True)
        return f"({plain} OR ({table}.partexprs IS NOT NULL AND {self.has_secret(f'{table}.partrelid')}))"

    def has_secret(self, relation: str) -> str:
        return self.has_pair(relation, lambda a: "true", secret=True)


Guard = Callable[[_Scope], str]


def catalog_guard(schema: str, name: str, catalog: Catalog, visible: Visibility) -> CatalogGuard:
    """What stands for `schema.name`, one of pg_catalog or information_schema. Never raises."""
    opened = {"pg_catalog": OPEN_CATALOG, "information_schema": OPEN_INFORMATION}.get(schema, frozenset())
    if name in opened:
        return CatalogGuard(GuardKind.OPEN)
    make = _FILTERED.get((schema, name))
    if make is None:
        return CatalogGuard(GuardKind.REFUSED, reason=_reason(name))
    key = (schema, name, catalog.server_version)
    found = visible.texts.get(key)
    if not isinstance(found, CatalogGuard):
        found = visible.texts[key] = CatalogGuard(GuardKind.FILTERED, make(_scope(catalog, visible)))
    return found


def visible_argument(rule: VisibleArgument, arguments: tuple[str, ...], catalog: Catalog, visible: Visibility) -> str:
    """SQL for the first argument of a function of ALLOWED_ON_VISIBLE: the same value, or NULL when it's hidden.

    `arguments` are the texts of as many leading arguments as `rule.columns` has.
    """
    key = (rule, arguments, catalog.server_version)
    found = visible.texts.get(key)
    if not isinstance(found, str):
        found = visible.texts[key] = _make_look_up(rule, arguments, _scope(catalog, visible))
    return found


def _make_look_up(rule: VisibleArgument, arguments: tuple[str, ...], scope: _Scope) -> str:
    body = _FILTERED["pg_catalog", rule.relation](scope)
    # The client's text must not meet a column of ours: an unqualified ``oid`` in it means the client's own.
    names = [f'"pgwarden {number}"' for number in range(len(rule.columns))]
    listed = ", ".join(f"shown.{column} AS {name}" for column, name in zip(rule.columns, names, strict=True))
    conditions = f" WHERE {scope.is_open(f'shown.{rule.columns[0]}')}" if rule.is_open_only else ""
    tests = [f"{names[0]} = CAST(({arguments[0]}) AS pg_catalog.{rule.cast})"]
    if rule.relation == "pg_attribute":
        conditions = " WHERE NOT shown.attisdropped"
    tests += [f"{name} = ({text})" for name, text in zip(names[1:], arguments[1:], strict=True)]
    source = f'(SELECT {listed} FROM ({body}) AS shown{conditions}) AS "pgwarden shown"'
    result = f"{names[0]}::{rule.result}" if rule.result else names[0]
    return f"(SELECT {result} FROM {source} WHERE {' AND '.join(tests)} LIMIT 1)"


def _scope(catalog: Catalog, visible: Visibility) -> _Scope:
    return _Scope(
        visible=_oids(visible.visible),
        changed=_oids(visible.changed),
        blocked=visible.blocked,
        secret=visible.blocked | visible.masked,
        server_version=catalog.server_version,
        has_temporary=visible.has_temporary,
        functions=visible.functions,
    )


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _oids(oids: Iterable[int]) -> str:
    return f"'{{{','.join(map(str, sorted(oids)))}}}'::pg_catalog.oid[]"


def _reason(name: str) -> str:
    if name.startswith(("pg_stat", "pg_statio")):
        return "Statistics tell about rows that a policy hides, and about other sessions."
    if name in ("pg_authid", "pg_shadow", "pg_user_mapping", "pg_user_mappings", "pg_subscription"):
        return "It holds passwords."
    return "It is not on the list of catalogs that are safe to read, or tells about the server itself."


def _listed(columns: Iterable[str], alias: str, replaced: Mapping[str, str]) -> str:
    return ", ".join(f"{replaced[c]} AS {c}" if c in replaced else f"{alias}.{c}" for c in columns)


def _pg_class(scope: _Scope) -> str:
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
        f" WHERE ds.classid = {_CLASS} AND ds.objid = c.oid AND ds.deptype IN ('a', 'i')"
        f" AND ds.refclassid = {_CLASS} AND ds.refobjid <> ALL ({scope.visible}))"
    )
    return (
        f"SELECT {_listed(columns, 'c', replaced)} FROM pg_catalog.pg_class AS c"
        f" WHERE c.relkind = 'c' OR ({scope.is_visible('c.oid')} AND NOT (c.relkind = 'S' AND {owned})"
        f" AND NOT {scope.is_hidden_index('c.oid')})"
    )


def _pg_attribute(scope: _Scope) -> str:
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
        f"SELECT {_listed(columns, 't', replaced)} FROM {source}"
        f" WHERE ({scope.is_visible('t.attrelid')} OR {composite}) AND NOT {scope.is_hidden_index('t.attrelid')}"
    )


def _pg_proc(scope: _Scope) -> str:
    known = f"CASE WHEN p.oid < 16384 OR {scope.is_granted('p')}"
    replaced = {c: f"{known} THEN p.{c} END" for c in ("prosrc", "probin", "prosqlbody")}
    listed = _listed(PG_PROC, "p", replaced)
    return f"SELECT {listed} FROM pg_catalog.pg_proc AS p WHERE {scope.is_function_shown('p')}"


def _pg_type(scope: _Scope) -> str:
    def row(alias: str) -> str:
        composite = (
            f"EXISTS (SELECT 1 FROM pg_catalog.pg_class AS k WHERE k.oid = {alias}.typrelid AND k.relkind = 'c')"
        )
        return f"({scope.is_visible(f'{alias}.typrelid')} OR {composite})"

    array = f"EXISTS (SELECT 1 FROM pg_catalog.pg_type AS e WHERE e.oid = t.typelem AND NOT {row('e')})"
    return f"SELECT t.* FROM pg_catalog.pg_type AS t WHERE {row('t')} AND NOT {array}"


def _pg_constraint(scope: _Scope) -> str:
    own = scope.has_pair("k.conrelid", lambda a: f"{a} = ANY (k.conkey)")
    foreign = scope.has_pair("k.confrelid", lambda a: f"{a} = ANY (k.confkey)")
    check = scope.has_pair("k.conrelid", lambda a: f"k.contype = 'c' AND {a} = ANY (k.conkey)", secret=True)
    return (
        "SELECT k.* FROM pg_catalog.pg_constraint AS k"
        f" WHERE {scope.is_visible('k.conrelid')} AND {scope.is_visible('k.confrelid')}"
        f" AND NOT COALESCE({own}, false) AND NOT COALESCE({foreign}, false) AND NOT COALESCE({check}, false)"
        f" AND NOT {scope.is_hidden_index('k.conindid')}"
    )


def _pg_trigger(scope: _Scope) -> str:
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


def _pg_description(scope: _Scope) -> str:
    kinds = ", ".join(f"'pg_catalog.{name}'::pg_catalog.regclass" for name in words(f"{_COMMENTED} {_COMMENTED_MORE}"))
    column = scope.has_pair("d.objoid", lambda a: f"{a} = d.objsubid")
    table = (
        f"d.classoid = {_CLASS} AND {scope.is_visible('d.objoid')} AND NOT {column}"
        f" AND NOT {scope.is_hidden_index('d.objoid')}"
    )
    return (
        f"SELECT d.* FROM pg_catalog.pg_description AS d WHERE d.objoid < 16384 OR d.classoid IN ({kinds}) OR ({table})"
    )


def _pg_depend(scope: _Scope) -> str:
    def side(prefix: str) -> str:
        blocked = scope.has_pair(f"d.{prefix}objid", lambda a: f"{a} = d.{prefix}objsubid")
        seen = f"{scope.is_visible(f'd.{prefix}objid')} AND NOT {blocked}"
        return f"(d.{prefix}classid <> {_CLASS} OR ({seen}))"

    return f"SELECT d.* FROM pg_catalog.pg_depend AS d WHERE {side('')} AND {side('ref')}"


def _pg_stat_activity(scope: _Scope) -> str:
    # The server knows the rewritten text only, with its filters in it.
    columns = _listed(PG_STAT_ACTIVITY, "s", {"query": "NULL::pg_catalog.text"})
    return f"SELECT {columns} FROM pg_catalog.pg_stat_activity AS s WHERE s.pid = pg_catalog.pg_backend_pid()"


def _pg_settings(scope: _Scope) -> str:
    names = ", ".join(f"'{name}'" for name in sorted(SETTING_READABLE))
    return f"SELECT s.* FROM pg_catalog.pg_settings AS s WHERE pg_catalog.lower(s.name) IN ({names})"


def _pg_foreign_table(scope: _Scope) -> str:
    # Options name tables of another server.
    options = f"CASE WHEN {scope.is_open('x.ftrelid')} THEN x.ftoptions END AS ftoptions"
    return (
        f"SELECT x.ftrelid, x.ftserver, {options} FROM pg_catalog.pg_foreign_table AS x"
        f" WHERE {scope.is_visible('x.ftrelid')}"
    )


def _pg_foreign_server(scope: _Scope) -> str:
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

    def guard(scope: _Scope) -> str:
        shown = [f"NULL::pg_catalog.{kind} AS {name}" for name, kind, since in columns if since <= scope.server_version]
        return f"SELECT {', '.join(shown)} WHERE false"

    return guard


def _rows(name: str, condition: Callable[[_Scope], str]) -> Guard:
    """A catalog with all its columns; its alias in `condition` is x."""
    return lambda scope: f"SELECT x.* FROM pg_catalog.{name} AS x WHERE {condition(scope)}"


def _shown(scope: _Scope, schema: str, name: str) -> str:
    """A relation by name is one that the guard of pg_class shows."""
    return (
        f"EXISTS (SELECT 1 FROM ({_pg_class(scope)}) AS vc JOIN pg_catalog.pg_namespace AS vn"
        f" ON vn.oid = vc.relnamespace WHERE vn.nspname = {schema}::pg_catalog.name"
        f" AND vc.relname = {name}::pg_catalog.name)"
    )


def _column_shown(scope: _Scope, schema: str, name: str, column: str) -> str:
    return (
        f"EXISTS (SELECT 1 FROM ({_pg_attribute(scope)}) AS va JOIN pg_catalog.pg_class AS vc"
        " ON vc.oid = va.attrelid JOIN pg_catalog.pg_namespace AS vn ON vn.oid = vc.relnamespace"
        f" WHERE vn.nspname = {schema}::pg_catalog.name AND vc.relname = {name}::pg_catalog.name"
        f" AND va.attname = {column}::pg_catalog.name)"
    )


def _constraint_shown(scope: _Scope, schema: str, name: str) -> str:
    return (
        f"EXISTS (SELECT 1 FROM ({_pg_constraint(scope)}) AS vk JOIN pg_catalog.pg_namespace AS vn"
        f" ON vn.oid = vk.connamespace WHERE vn.nspname = {schema}::pg_catalog.name"
        f" AND vk.conname = {name}::pg_catalog.name)"
    )


def _information(name: str, *conditions: Callable[[_Scope], str]) -> Guard:
    def guard(scope: _Scope) -> str:
        where = " AND ".join(condition(scope) for condition in conditions)
        return f"SELECT x.* FROM information_schema.{name} AS x WHERE {where}"

    return guard


def _columns(scope: _Scope) -> str:
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
    columns = _listed(INFORMATION_COLUMNS, "x", replaced)
    return f"SELECT {columns} FROM information_schema.columns AS x WHERE {_by_column(scope)}"


def _by_table(scope: _Scope) -> str:
    return _shown(scope, "x.table_schema", "x.table_name")


def _by_column(scope: _Scope) -> str:
    return _column_shown(scope, "x.table_schema", "x.table_name", "x.column_name")


def _by_constraint(scope: _Scope) -> str:
    return _constraint_shown(scope, "x.constraint_schema", "x.constraint_name")


def sequence_start(oid: str) -> str:
    """A sequence's state as if it had never been used, for the one whose number the SQL text `oid` gives."""
    # The client's text must not meet a column or an alias of ours.
    source = 'SELECT q.seqrelid AS "pgwarden 0", q.seqstart AS "pgwarden 1" FROM pg_catalog.pg_sequence AS q'
    return (
        'SELECT "pgwarden 1" AS last_value, false AS is_called, 0::pg_catalog.int8 AS log_cnt'
        f' FROM ({source}) AS "pgwarden shown" WHERE "pgwarden 0" = CAST(({oid}) AS pg_catalog.oid)'
    )


def _pg_sequences(scope: _Scope) -> str:
    columns = _listed(PG_SEQUENCES, "x", {"last_value": "NULL::pg_catalog.int8"})
    return f"SELECT {columns} FROM pg_catalog.pg_sequences AS x WHERE {_shown(scope, 'x.schemaname', 'x.sequencename')}"


def _definitions(name: str, relation: str, columns: tuple[str, ...]) -> Guard:
    """A view of definitions: shown for open relations, NULL for the others; the definition is its last column."""

    def guard(scope: _Scope) -> str:
        is_open = (
            "EXISTS (SELECT 1 FROM pg_catalog.pg_class AS oc JOIN pg_catalog.pg_namespace AS xn"
            f" ON xn.oid = oc.relnamespace WHERE xn.nspname = x.schemaname AND oc.relname = x.{relation}"
            f" AND {scope.is_open('oc.oid')})"
        )
        listed = _listed(columns, "x", {"definition": f"CASE WHEN {is_open} THEN x.definition END"})
        return f"SELECT {listed} FROM pg_catalog.{name} AS x WHERE {_shown(scope, 'x.schemaname', f'x.{relation}')}"

    return guard


_FILTERED: Mapping[tuple[str, str], Guard] = {
    ("pg_catalog", "pg_class"): _pg_class,
    ("pg_catalog", "pg_attribute"): _pg_attribute,
    ("pg_catalog", "pg_proc"): _pg_proc,
    ("pg_catalog", "pg_type"): _pg_type,
    ("pg_catalog", "pg_constraint"): _pg_constraint,
    ("pg_catalog", "pg_trigger"): _pg_trigger,
    ("pg_catalog", "pg_description"): _pg_description,
    ("pg_catalog", "pg_depend"): _pg_depend,
    ("pg_catalog", "pg_stat_activity"): _pg_stat_activity,
    ("pg_catalog", "pg_settings"): _pg_settings,
    ("pg_catalog", "pg_sequences"): _pg_sequences,
    ("pg_catalog", "pg_attrdef"): _rows(
        "pg_attrdef",
        lambda s: (
            f"{s.is_visible('x.adrelid')} AND NOT {s.has_pair('x.adrelid', lambda a: f'{a} = x.adnum', secret=True)}"
        ),
    ),
    ("pg_catalog", "pg_index"): _rows(
        "pg_index", lambda s: f"{s.is_visible('x.indrelid')} AND NOT {s.is_hidden_index('x.indexrelid')}"
    ),
    ("pg_catalog", "pg_inherits"): _rows(
        "pg_inherits", lambda s: f"{s.is_visible('x.inhrelid')} AND {s.is_visible('x.inhparent')}"
    ),
    ("pg_catalog", "pg_rewrite"): _rows("pg_rewrite", lambda s: s.is_open("x.ev_class")),
    ("pg_catalog", "pg_policy"): _rows("pg_policy", lambda s: s.is_open("x.polrelid")),
    ("pg_catalog", "pg_statistic_ext"): _rows(
        "pg_statistic_ext", lambda s: f"{s.is_visible('x.stxrelid')} AND NOT {s.has_secret('x.stxrelid')}"
    ),
    ("pg_catalog", "pg_sequence"): _rows("pg_sequence", lambda s: s.is_visible("x.seqrelid")),
    ("pg_catalog", "pg_partitioned_table"): _rows(
        "pg_partitioned_table", lambda s: f"{s.is_visible('x.partrelid')} AND NOT {s.has_secret_key('x')}"
    ),
    **{("pg_catalog", name): _empty(columns) for name, columns in EMPTY.items()},
    ("pg_catalog", "pg_init_privs"): _rows(
        "pg_init_privs", lambda s: f"(x.classoid <> {_CLASS} OR {s.is_visible('x.objoid')})"
    ),
    ("pg_catalog", "pg_foreign_server"): _pg_foreign_server,
    ("pg_catalog", "pg_publication_rel"): _rows("pg_publication_rel", lambda s: s.is_open("x.prrelid")),
    ("pg_catalog", "pg_foreign_table"): _pg_foreign_table,
    ("pg_catalog", "pg_tables"): _rows("pg_tables", lambda s: _shown(s, "x.schemaname", "x.tablename")),
    ("pg_catalog", "pg_views"): _definitions(
        "pg_views", "viewname", ("schemaname", "viewname", "viewowner", "definition")
    ),
    ("pg_catalog", "pg_matviews"): _definitions(
        "pg_matviews",
        "matviewname",
        ("schemaname", "matviewname", "matviewowner", "tablespace", "hasindexes", "ispopulated", "definition"),
    ),
    ("pg_catalog", "pg_indexes"): _rows("pg_indexes", lambda s: _shown(s, "x.schemaname", "x.indexname")),
    ("information_schema", "tables"): _information("tables", _by_table),
    ("information_schema", "columns"): _columns,
    ("information_schema", "column_privileges"): _information("column_privileges", _by_column),
    ("information_schema", "role_column_grants"): _information("role_column_grants", _by_column),
    ("information_schema", "table_privileges"): _information("table_privileges", _by_table),
    ("information_schema", "role_table_grants"): _information("role_table_grants", _by_table),
    ("information_schema", "table_constraints"): _information("table_constraints", _by_table, _by_constraint),
    ("information_schema", "key_column_usage"): _information("key_column_usage", _by_column, _by_constraint),
    ("information_schema", "constraint_column_usage"): _information(
        "constraint_column_usage", _by_column, _by_constraint
    ),
    ("information_schema", "constraint_table_usage"): _information("constraint_table_usage", _by_table, _by_constraint),
    ("information_schema", "referential_constraints"): _information("referential_constraints", _by_constraint),
    ("information_schema", "check_constraints"): _information("check_constraints", _by_constraint),
    ("information_schema", "sequences"): _information(
        "sequences", lambda s: _shown(s, "x.sequence_schema", "x.sequence_name")
    ),
}
