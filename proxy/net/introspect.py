"""Reads pg_catalog of an upstream database into a `Catalog`: the only place that knows how to ask for it.

It reads names, types and dependencies, never a row of a user's table, and it must not know policies' rules.
Works on PostgreSQL 14 to 18.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import asyncpg

from policies.catalog import Catalog, Column, ForeignKey, Relation, ViewAccess
from policies.stored_code import StoredCode, StoredFunction, Trigger
from proxy.net.catalog_queries import CLUSTER, FUNCTIONS_CODE, PARTS, SESSION, TRIGGERS, VIEWS

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

_WORD = re.compile(r"[a-z_\x80-\U0010ffff][a-z0-9_$\x80-\U0010ffff]*")
# Not behind a dot: that name has its schema.
_BARE_WORD = re.compile(rf"""(?<!\.)(?<!\.")(?<![a-z0-9_$\x80-\U0010ffff]){_WORD.pattern}""")

FAILURES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

if TYPE_CHECKING:
    CatalogConnection = asyncpg.Connection[asyncpg.Record]
else:
    CatalogConnection = asyncpg.Connection  # no generic class at run time

Rows = Sequence[asyncpg.Record]
K = TypeVar("K")
V = TypeVar("V")


class CatalogReadError(Exception):
    """The upstream can't be reached or won't answer. The last snapshot stays good."""


@dataclass(frozen=True, slots=True)
class _Answers:
    """What the server said, query by query."""

    session: asyncpg.Record
    parts: Mapping[str, Rows]  # by the names of PARTS
    views: Mapping[int, str]
    cluster: str


async def read_catalog(
    dsn: str, *, database: str, previous: Catalog | None = None, password: str | None = None
) -> Catalog:
    """A snapshot of the database behind `dsn`, called `database` by the configuration.

    The version is the previous one's when nothing differs, else the next number, starting at 1.
    Raises CatalogReadError after at most about a minute per query.
    """
    try:
        answers = await _ask(dsn, password)
    except FAILURES as error:
        raise CatalogReadError(f"the catalog of {database} can't be read: {error or 'time-out'}") from error
    # A large catalog takes a second to build: off the loop that moves bytes.
    return await asyncio.to_thread(_number, answers, database, previous)


async def read_stored_code(dsn: str, *, database: str) -> StoredCode:
    """The users' functions and triggers, for `pgwarden check`. Raises CatalogReadError."""
    try:
        async with _connected(dsn, None) as connection:
            functions = await connection.fetch(FUNCTIONS_CODE)
            triggers = await connection.fetch(TRIGGERS)
    except FAILURES as error:
        raise CatalogReadError(f"the functions of {database} can't be read: {error or 'time-out'}") from error
    return StoredCode(
        tuple(StoredFunction(row["schema"], row["name"], tuple(row["reads"]), row["source"]) for row in functions),
        tuple(Trigger(row["relation"], row["name"], row["runs"]) for row in triggers),
    )


async def _ask(dsn: str, password: str | None) -> _Answers:
    async with _connected(dsn, password) as connection:
        return await _read_all(connection)


@asynccontextmanager
async def _connected(dsn: str, password: str | None) -> AsyncIterator[CatalogConnection]:
    connection = await open_connection(dsn, password)
    try:
        yield connection
    finally:
        with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await connection.close(timeout=CLOSE_TIMEOUT_S)


async def open_connection(dsn: str, password: str | None = None) -> CatalogConnection:
    """For questions about the catalog only: nothing on it waits or locks for long. Raises one of FAILURES."""
    return await asyncpg.connect(
        dsn,
        password=password,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=QUERY_TIMEOUT_S,
        statement_cache_size=0,
        server_settings=SERVER_SETTINGS,
    )


async def _read_all(connection: CatalogConnection) -> _Answers:
    cluster = await _cluster(connection)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        session = await connection.fetchrow(SESSION)
        # Names in format_type's and pg_get_viewdef's texts are qualified when nothing is on the path.
        await connection.execute("SET LOCAL search_path = ''")
        parts: dict[str, Rows] = {name: await connection.fetch(query) for name, query in PARTS.items()}
    if session is None:
        raise asyncpg.InterfaceError("the server described no session")
    views = [row["oid"] for row in parts["relations"] if row["kind"] in ("v", "m")]
    return _Answers(session, parts, await _read_views(connection, views), cluster)


async def _cluster(connection: CatalogConnection) -> str:
    """The cluster's own number; every role may ask for it unless somebody took that away."""
    try:
        return str(await connection.fetchval(CLUSTER))
    except asyncpg.InsufficientPrivilegeError:
        return ""


async def _read_views(connection: CatalogConnection, oids: Sequence[int]) -> dict[int, str]:
    """Definitions by OID; a view dropped meanwhile has none, so that it is refused until it is read again."""
    await connection.execute("SET search_path = ''")
    found: dict[int, str] = {}
    for start in range(0, len(oids), VIEWS_PER_QUERY):
        rows = await connection.fetch(VIEWS, oids[start : start + VIEWS_PER_QUERY])
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
        identity=f"{answers.cluster}/{session['database']}",
        view_access=_view_access(answers.parts["access"]),
    )


def _bare_names(sources: Rows, names: Iterable[str]) -> frozenset[str]:
    """Of the relations' names those that a function's text may hold, as a word or, when it's none, anywhere."""
    text = "\n".join(row["source"] for row in sources)
    words = set(_BARE_WORD.findall(text))
    return frozenset(name for name in names if (name in words if _WORD.fullmatch(name) else name.lower() in text))


def _type_functions(rows: Rows) -> dict[str, frozenset[tuple[str, str]]]:
    found = _grouped((row["type"], (row["schema"], row["name"])) for row in rows)
    return {name: frozenset(functions) for name, functions in found.items()}


def _view_access(rows: Rows) -> dict[tuple[int, int], ViewAccess]:
    """Of the pairs that differ; where both may not read, the server refuses either way."""
    found: dict[tuple[int, int], ViewAccess] = {}
    for row in rows:
        if row["is_owner_allowed"] != row["is_login_allowed"]:
            found[row["role"], row["relation"]] = ViewAccess.RIGHTS
        elif row["is_row_different"]:
            found[row["role"], row["relation"]] = ViewAccess.ROWS
    return found


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
    reads = _grouped((row["view"], row["reads"]) for row in answers.parts["reads"])
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
            owner=row["owner"],
            reads=tuple(reads.get(oid, ())),
            is_invoker=row["is_invoker"],
            is_selectable=row["is_selectable"],
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
    expressions = {(row["relation"], row["attnum"]): row["expression"] for row in answers.parts["generated"]}
    reads = _grouped(((row["relation"], row["attnum"]), row["reads"]) for row in answers.parts["generated"])
    for (relation, attnum), attnums in reads.items():
        own = columns.get(relation, [])
        sources = _names(own, attnums)
        text = expressions[relation, attnum]
        columns[relation] = [
            replace(c, generated_from=sources, generation=text) if c.attnum == attnum else c for c in own
        ]
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
