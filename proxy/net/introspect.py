"""Reads pg_catalog of an upstream database into a `Catalog`: the only place that knows how to ask for it.

It reads names, types and dependencies, never a row of a user's table, and it must not know policies' rules.
Works on PostgreSQL 14 to 18.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

import asyncpg

from policies.catalog import Catalog, Column, ForeignKey, Relation

CONNECT_TIMEOUT_S = 10.0
QUERY_TIMEOUT_S = 60.0
CLOSE_TIMEOUT_S = 5.0
# The server's own limits end a query that we gave up on. A migration's ACCESS EXCLUSIVE lock would otherwise
# hold pg_get_viewdef for as long as it lasts; the caller keeps its last snapshot and asks again.
SERVER_SETTINGS = {
    "application_name": "pgwarden catalog",
    "statement_timeout": "60000",
    "lock_timeout": "3000",
    "idle_in_transaction_session_timeout": "60000",
    "default_transaction_read_only": "on",
}
# pg_get_viewdef locks what the view reads until its transaction ends, and the lock table is small.
VIEWS_PER_QUERY = 200

# Objects with an OID from here on were made by users (FirstNormalObjectId in access/transam.h).
_IS_USER_SCHEMA = """n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    AND n.nspname !~ '^pg_(toast_)?temp_'"""

_SESSION = """
SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4 AS server_version,
       pg_catalog.current_schemas(false)::pg_catalog.text[] AS search_path,
       ARRAY(SELECT n.nspname::pg_catalog.text FROM pg_catalog.pg_namespace AS n
             WHERE n.nspname !~ '^pg_(toast_)?temp_') AS schemas,
       ARRAY(SELECT DISTINCT p.proname::pg_catalog.text FROM pg_catalog.pg_proc AS p) AS function_names
"""

_RELATIONS = f"""
SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind::pg_catalog.text AS kind
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't' AND {_IS_USER_SCHEMA}
ORDER BY c.oid
"""

# A domain over a domain ends at the last one's base type and modifier, as in getBaseTypeAndTypmod.
_COLUMNS = f"""
WITH RECURSIVE chain AS (
    SELECT t.oid AS domain, t.typbasetype AS base, t.typtypmod AS modifier
    FROM pg_catalog.pg_type AS t WHERE t.typtype = 'd'
    UNION ALL
    SELECT d.domain, t.typbasetype, t.typtypmod
    FROM chain AS d JOIN pg_catalog.pg_type AS t ON t.oid = d.base WHERE t.typtype = 'd'
), domains AS (
    SELECT d.domain, d.base, d.modifier FROM chain AS d
    JOIN pg_catalog.pg_type AS t ON t.oid = d.base WHERE t.typtype <> 'd'
)
SELECT a.attrelid AS relation, a.attname AS name, a.attnum, COALESCE(d.base, a.atttypid) AS type_oid,
       pg_catalog.format_type(COALESCE(d.base, a.atttypid), COALESCE(d.modifier, a.atttypmod)) AS type_name,
       a.attnotnull AS is_not_null, COALESCE(d.domain, 0::pg_catalog.oid) AS domain_oid,
       a.attgenerated <> '' AS is_generated, t.typtype = 'e' AS is_enum,
       a.attcollation NOT IN (0, 100, 950) AS has_own_collation -- none, the database's, C
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN domains AS d ON d.domain = a.atttypid
JOIN pg_catalog.pg_type AS t ON t.oid = COALESCE(d.base, a.atttypid)
WHERE a.attnum > 0 AND NOT a.attisdropped
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't' AND {_IS_USER_SCHEMA}
ORDER BY a.attrelid, a.attnum
"""

# The dependency belongs to the default's pg_attrdef row, or to the column itself on older minor versions.
_GENERATED = """
SELECT a.attrelid AS relation, a.attnum, d.refobjsubid AS reads
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_attrdef AS f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  AND d.refobjid = a.attrelid AND d.refobjsubid > 0 AND d.refobjsubid <> a.attnum
  AND ((d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = f.oid)
    OR (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
        AND d.objid = a.attrelid AND d.objsubid = a.attnum))
WHERE a.attgenerated <> '' AND a.attrelid >= 16384
ORDER BY a.attrelid, a.attnum, d.refobjsubid
"""

# GROUP BY takes a functional dependency only from a primary key that isn't deferrable.
_KEYS = """
SELECT k.conrelid AS relation, k.conkey::pg_catalog.int4[] AS attnums FROM pg_catalog.pg_constraint AS k
WHERE k.contype = 'p' AND NOT k.condeferrable AND k.conrelid >= 16384
"""

_INHERITS = """
SELECT i.inhrelid AS child, i.inhparent AS parent FROM pg_catalog.pg_inherits AS i ORDER BY i.inhseqno, 1
"""

_INDEXES = """
SELECT i.indrelid AS relation, i.indexrelid AS index, x.relname AS name
FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
WHERE i.indrelid >= 16384 ORDER BY 1, 2
"""

_REFERENCES = """
SELECT DISTINCT k.confrelid AS relation, k.conrelid AS referencing FROM pg_catalog.pg_constraint AS k
WHERE k.contype = 'f' AND k.confrelid >= 16384 AND k.conrelid <> k.confrelid ORDER BY 1, 2
"""

_FOREIGN_KEYS = """
SELECT k.conrelid AS relation, k.confrelid AS referenced, k.conkey::pg_catalog.int4[] AS attnums,
       k.confkey::pg_catalog.int4[] AS referenced_attnums
FROM pg_catalog.pg_constraint AS k
WHERE k.contype = 'f' AND k.convalidated AND k.conrelid >= 16384 ORDER BY 1, 2, k.conname
"""

_OWNED = """
SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS attnum
FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_class AS c ON c.oid = d.objid AND c.relkind = 'S'
WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid >= 16384 ORDER BY 1
"""

# A body that was parsed when it was made holds OIDs. pg_temp comes first unless the path names it.
_SOURCES = """
SELECT pg_catalog.lower(p.prosrc) AS source
FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
WHERE p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal') AND p.prosqlbody IS NULL
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.unnest(p.proconfig) AS s(setting)
                  WHERE s.setting ~ '^search_path=.*pg_temp')
"""

_FUNCTIONS = """
SELECT DISTINCT p.proname AS name, n.nspname AS schema
FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE p.oid >= 16384 AND n.nspname !~ '^pg_(toast_)?temp_'
"""

_OPERATORS = """
SELECT DISTINCT o.oprname AS name FROM pg_catalog.pg_operator AS o
JOIN pg_catalog.pg_proc AS p ON p.oid = o.oprcode JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
WHERE o.oid >= 16384 AND l.lanname NOT IN ('c', 'internal')
"""

# Every table has a row type and an array of it: those are no names a user chose for a type.
_TYPES = """
SELECT DISTINCT t.typname AS name FROM pg_catalog.pg_type AS t
LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem AND t.typcategory = 'A'
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = COALESCE(NULLIF(t.typrelid, 0), e.typrelid)
WHERE t.oid >= 16384 AND (c.oid IS NULL OR c.relkind = 'c')
"""

_TYPE_NAMES = """
SELECT t.oid AS type, n.nspname AS schema, t.typname AS name
FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
WHERE t.oid >= 16384 AND n.nspname !~ '^pg_(toast_)?temp_' ORDER BY 1
"""

_CASTS = """
SELECT DISTINCT pg_catalog.unnest(ARRAY[t.oid, t.typarray]) AS type
FROM pg_catalog.pg_cast AS c JOIN pg_catalog.pg_type AS t ON t.oid = c.castsource
WHERE c.castsource >= 16384 AND c.casttarget < 16384 AND c.castcontext = 'i'
"""

# A cast from or to a type, a domain's CHECK: code that no call in a statement's text names.
_TYPE_FUNCTIONS = """
SELECT DISTINCT t.typname AS type, n.nspname AS schema, p.proname AS name
FROM (SELECT pg_catalog.unnest(ARRAY[c.castsource, c.casttarget]) AS type, c.castfunc AS function
      FROM pg_catalog.pg_cast AS c
      UNION ALL
      SELECT k.contypid, d.refobjid
      FROM pg_catalog.pg_constraint AS k JOIN pg_catalog.pg_depend AS d
        ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid = k.oid
       AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
      WHERE k.contypid <> 0) AS u
JOIN pg_catalog.pg_type AS t ON t.oid = u.type JOIN pg_catalog.pg_proc AS p ON p.oid = u.function
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
WHERE t.oid >= 16384 AND p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal')
"""

_VIEWS = """
SELECT v.oid, pg_catalog.pg_get_viewdef(v.oid) AS definition
FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS v(oid)
"""

_WORD = re.compile(r"[a-z_\x80-\U0010ffff][a-z0-9_$\x80-\U0010ffff]*")
# Not behind a dot: that name has its schema.
_BARE_WORD = re.compile(rf"""(?<!\.)(?<!\.")(?<![a-z0-9_$\x80-\U0010ffff]){_WORD.pattern}""")

_PARTS = {
    "relations": _RELATIONS,
    "columns": _COLUMNS,
    "generated": _GENERATED,
    "keys": _KEYS,
    "inherits": _INHERITS,
    "indexes": _INDEXES,
    "references": _REFERENCES,
    "foreign_keys": _FOREIGN_KEYS,
    "owned": _OWNED,
    "sources": _SOURCES,
    "functions": _FUNCTIONS,
    "operators": _OPERATORS,
    "types": _TYPES,
    "casts": _CASTS,
    "type_functions": _TYPE_FUNCTIONS,
    "type_names": _TYPE_NAMES,
}

Rows = Sequence[asyncpg.Record]
K = TypeVar("K")
V = TypeVar("V")


class CatalogReadError(Exception):
    """The upstream can't be reached or won't answer. The last snapshot stays good."""


@dataclass(frozen=True, slots=True)
class _Answers:
    """What the server said, query by query."""

    session: asyncpg.Record
    parts: Mapping[str, Rows]  # by the names of _PARTS
    views: Mapping[int, str]


async def read_catalog(
    dsn: str, *, database: str, previous: Catalog | None = None, password: str | None = None
) -> Catalog:
    """A snapshot of the database behind `dsn`, called `database` by the configuration.

    The version is the previous one's when nothing differs, else the next number, starting at 1.
    Raises CatalogReadError after at most about a minute per query.
    """
    try:
        answers = await _ask(dsn, password)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise CatalogReadError(f"the catalog of {database} can't be read: {error or 'time-out'}") from error
    # A large catalog takes a second to build: off the loop that moves bytes.
    return await asyncio.to_thread(_number, answers, database, previous)


async def _ask(dsn: str, password: str | None) -> _Answers:
    connection = await asyncpg.connect(
        dsn,
        password=password,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=QUERY_TIMEOUT_S,
        statement_cache_size=0,
        server_settings=SERVER_SETTINGS,
    )
    try:
        return await _read_all(connection)
    finally:
        with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await connection.close(timeout=CLOSE_TIMEOUT_S)


async def _read_all(connection: asyncpg.Connection[asyncpg.Record]) -> _Answers:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        session = await connection.fetchrow(_SESSION)
        # Names in format_type's and pg_get_viewdef's texts are qualified when nothing is on the path.
        await connection.execute("SET LOCAL search_path = ''")
        parts: dict[str, Rows] = {name: await connection.fetch(query) for name, query in _PARTS.items()}
    if session is None:
        raise asyncpg.InterfaceError("the server described no session")
    views = [row["oid"] for row in parts["relations"] if row["kind"] in ("v", "m")]
    return _Answers(session, parts, await _read_views(connection, views))


async def _read_views(connection: asyncpg.Connection[asyncpg.Record], oids: Sequence[int]) -> dict[int, str]:
    """Definitions by OID; a view dropped meanwhile has none, so that it is refused until it is read again."""
    await connection.execute("SET search_path = ''")
    found: dict[int, str] = {}
    for start in range(0, len(oids), VIEWS_PER_QUERY):
        rows = await connection.fetch(_VIEWS, oids[start : start + VIEWS_PER_QUERY])
        found.update((row["oid"], row["definition"]) for row in rows if row["definition"] is not None)
    return found


def _number(answers: _Answers, database: str, previous: Catalog | None) -> Catalog:
    """Gives the snapshot its version."""
    if previous is None:
        return _build(answers, database, 1)
    fresh = _build(answers, database, previous.version)
    return previous if fresh == previous else replace(fresh, version=previous.version + 1)


def _build(answers: _Answers, database: str, version: int) -> Catalog:
    session = answers.session
    relations = _relations(answers)
    return Catalog(
        version=version,
        database=database,
        server_version=session["server_version"],
        relations=relations,
        search_path=tuple(session["search_path"]),
        schemas=frozenset(session["schemas"]),
        function_names=frozenset(session["function_names"]),
        user_functions=_functions(answers.parts["functions"]),
        user_operators=frozenset(row["name"] for row in answers.parts["operators"]),
        user_types=frozenset(row["name"] for row in answers.parts["types"]),
        cast_types=frozenset(row["type"] for row in answers.parts["casts"]),
        bare_names=_bare_names(answers.parts["sources"], {relation.name for relation in relations}),
        type_functions=_type_functions(answers.parts["type_functions"]),
        type_names={row["type"]: (row["schema"], row["name"]) for row in answers.parts["type_names"]},
    )


def _bare_names(sources: Rows, names: Iterable[str]) -> frozenset[str]:
    """Of the relations' names those that a function's text may hold, as a word or, when it's none, anywhere."""
    text = "\n".join(row["source"] for row in sources)
    words = set(_BARE_WORD.findall(text))
    return frozenset(name for name in names if (name in words if _WORD.fullmatch(name) else name.lower() in text))


def _type_functions(rows: Rows) -> dict[str, frozenset[tuple[str, str]]]:
    found = _grouped((row["type"], (row["schema"], row["name"])) for row in rows)
    return {name: frozenset(functions) for name, functions in found.items()}


def _functions(rows: Rows) -> dict[str, frozenset[str]]:
    """A function that somebody added to pg_catalog is listed under it: its name alone proves nothing."""
    schemas: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        schemas[row["name"]].add(row["schema"])
    return {name: frozenset(found) for name, found in schemas.items()}


def _relations(answers: _Answers) -> tuple[Relation, ...]:
    columns = _columns(answers)
    keys = {row["relation"]: row["attnums"] for row in answers.parts["keys"]}
    parents = _grouped((row["child"], row["parent"]) for row in answers.parts["inherits"])
    children = _grouped((row["parent"], row["child"]) for row in answers.parts["inherits"])
    indexes = _grouped((row["relation"], row["index"]) for row in answers.parts["indexes"])
    index_names = _grouped((row["relation"], row["name"]) for row in answers.parts["indexes"])
    references = _grouped((row["relation"], row["referencing"]) for row in answers.parts["references"])
    owners = {
        row["sequence"]: (row["relation"], name)
        for row in answers.parts["owned"]
        for name in _names(columns.get(row["relation"], ()), (row["attnum"],))
    }
    foreign_keys = _grouped((row["relation"], _foreign_key(columns, row)) for row in answers.parts["foreign_keys"])
    return tuple(
        Relation(
            oid=(oid := row["oid"]),
            schema=row["schema"],
            name=row["name"],
            kind=row["kind"],
            columns=tuple(columns.get(oid, ())),
            primary_key=_names(columns.get(oid, ()), keys.get(oid, ())),
            parents=tuple(parents.get(oid, ())),
            children=tuple(children.get(oid, ())),
            referenced_by=tuple(references.get(oid, ())),
            foreign_keys=tuple(foreign_keys.get(oid, ())),
            owned_by=owners.get(oid),
            index_oids=tuple(indexes.get(oid, ())),
            index_names=tuple(index_names.get(oid, ())),
            view_definition=answers.views.get(oid),
        )
        for row in answers.parts["relations"]
    )


def _foreign_key(columns: Mapping[int, Sequence[Column]], row: asyncpg.Record) -> ForeignKey:
    return ForeignKey(
        _names(columns.get(row["relation"], ()), row["attnums"]),
        row["referenced"],
        _names(columns.get(row["referenced"], ()), row["referenced_attnums"]),
    )


def _columns(answers: _Answers) -> dict[int, list[Column]]:
    """By relation, in order of attnum."""
    columns: dict[int, list[Column]] = defaultdict(list)
    for row in answers.parts["columns"]:
        columns[row["relation"]].append(_column(row))
    reads = _grouped(((row["relation"], row["attnum"]), row["reads"]) for row in answers.parts["generated"])
    for (relation, attnum), attnums in reads.items():
        own = columns.get(relation, [])
        sources = _names(own, attnums)
        columns[relation] = [replace(c, generated_from=sources) if c.attnum == attnum else c for c in own]
    return columns


def _column(row: asyncpg.Record) -> Column:
    return Column(
        name=row["name"],
        attnum=row["attnum"],
        type_oid=row["type_oid"],
        type_name=row["type_name"],
        is_not_null=row["is_not_null"],
        domain_oid=row["domain_oid"],
        is_generated=row["is_generated"],
        is_enum=row["is_enum"],
        has_own_collation=row["has_own_collation"],
    )


def _names(columns: Sequence[Column], attnums: Iterable[int]) -> tuple[str, ...]:
    by_attnum = {column.attnum: column.name for column in columns}
    return tuple(by_attnum[attnum] for attnum in attnums if attnum in by_attnum)


def _grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    groups: dict[K, list[V]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return groups
