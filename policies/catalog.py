"""A snapshot of what the compiler must know of pg_catalog. Filled by `proxy.net.introspect`; pure data here.

It holds names, types and dependencies, never a row of a user's table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Namespace:
    """What unqualified names mean in one session at one moment.

    `reset_path` is what RESET search_path goes back to. `temporary`: names of the relations in the session's pg_temp.
    `made`: (schema, name) of relations that the session's own transaction made, under the policy of now: no snapshot
    can know them before the commit. `is_dirty`: the end of the session's transaction, or a return to one of its
    savepoints, would change some of it.
    """

    search_path: tuple[str, ...]
    reset_path: tuple[str, ...] = ()
    temporary: frozenset[str] = frozenset()
    made: frozenset[tuple[str, str]] = frozenset()
    is_dirty: bool = False
    parameter_types: tuple[int, ...] = ()  # OIDs that Parse declared, as far as a decision may depend on them


@dataclass(frozen=True, slots=True)
class Column:
    """`type_oid` is the base type's for a domain; `type_name` is format_type's text, e.g. ``character varying(20)``."""

    name: str
    attnum: int
    type_oid: int
    type_name: str
    is_not_null: bool = False
    domain_oid: int = 0  # the domain's own OID, 0 when the type is no domain
    is_generated: bool = False
    generated_from: tuple[str, ...] = ()  # columns of the same table that a generated column reads
    is_enum: bool = False
    has_own_collation: bool = False  # neither the database's nor C
    generation: str | None = None  # a generated column's expression; names outside pg_catalog are qualified


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A validated one: every value of `columns` without NULL is a value of `referenced_columns` in that relation."""

    columns: tuple[str, ...]
    referenced: int  # OID
    referenced_columns: tuple[str, ...]


class ViewAccess(Enum):
    """How reading a relation with a view owner's rights differs from reading it with the gateway's."""

    RIGHTS = "one of them has no SELECT there"
    ROWS = "row-level security shows them different rows"


@dataclass(frozen=True, slots=True)
class Relation:
    """`kind` is pg_class.relkind: r table, p partitioned, v view, m materialized view, f foreign, S sequence, ..."""

    oid: int
    schema: str
    name: str
    kind: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    parents: tuple[int, ...] = ()  # pg_inherits, OIDs
    children: tuple[int, ...] = ()
    index_oids: tuple[int, ...] = ()
    view_definition: str | None = None  # pg_get_viewdef with an empty search_path: every name in it is qualified
    index_names: tuple[str, ...] = ()  # in the table's own schema
    referenced_by: tuple[int, ...] = ()  # tables with a foreign key to it, OIDs
    foreign_keys: tuple[ForeignKey, ...] = ()
    owned_by: tuple[int, str] | None = None  # a sequence's table (OID) and column: serial, identity, OWNED BY
    owner: int = 0  # a role's OID
    reads: tuple[int, ...] = ()  # relations that a view's or materialized view's definition reads, OIDs
    is_invoker: bool = False  # a view with security_invoker
    is_selectable: bool = True  # False for a view that the gateway's login may not read

    def column(self, name: str) -> Column | None:
        return next((c for c in self.columns if c.name == name), None)


@dataclass(frozen=True, slots=True)
class FormerName:
    """A name that a relation, or a parent of it, bore while rules named it: they still hold for the relation.

    `columns`: what a column of those rules is called now; `moved`: those of them that have other names by now.
    """

    schema: str
    table: str
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    moved: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Catalog:
    """`version` rises with every snapshot that differs from the one before; plans are cached under it.

    `function_names`: every pg_proc.proname, system ones too (attribute notation can call any of them).
    `user_functions`: unqualified name -> schemas outside pg_catalog and information_schema that define it.
    `user_operators`: names of operators outside pg_catalog that are not plain C or internal functions.
    `user_types`: names of types outside pg_catalog (not the row types of tables).
    `cast_types`: OIDs of those that the server casts to a type of its own in silence, such as citext.
    `bare_names`: names of relations that occur in the text of a user's function without a search_path of its own that
    puts pg_temp last: such a function may take another relation of that name.
    `type_functions`: name of a user's type -> users' functions, as (schema, name), that its casts and checks run.
    `type_names`: OID -> (schema, name) of every type outside pg_catalog, row types and arrays too.
    `view_access`: (OID of a view's owner, OID of a relation that views read) where the owner's reading differs.
    `identity`: the database's own, whatever it is called. `former_names`, `newcomers` and `remembered` come from
    `policies.known_names`: by OID the names whose rules hold too; by OID what has appeared since the policies changed
    (names of columns, None for all of the relation); names of tables, and of their columns, that rules may still use.
    `schemas`: all schema names. `search_path`: current_schemas(false) of a fresh session of the gateway's user.
    """

    version: int
    database: str
    server_version: int  # server_version_num, e.g. 150018
    relations: tuple[Relation, ...]
    search_path: tuple[str, ...] = ("public",)
    schemas: frozenset[str] = frozenset()
    function_names: frozenset[str] = frozenset()
    user_functions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    user_operators: frozenset[str] = frozenset()
    user_types: frozenset[str] = frozenset()
    cast_types: frozenset[int] = frozenset()
    bare_names: frozenset[str] = frozenset()
    type_functions: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    type_names: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    view_access: Mapping[tuple[int, int], ViewAccess] = field(default_factory=dict)
    identity: str = ""
    former_names: Mapping[int, tuple[FormerName, ...]] = field(default_factory=dict)
    newcomers: Mapping[int, frozenset[str] | None] = field(default_factory=dict)
    remembered: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    @cached_property
    def by_name(self) -> Mapping[tuple[str, str], Relation]:
        return {(r.schema, r.name): r for r in self.relations}

    @cached_property
    def cast_columns(self) -> frozenset[str]:
        """Names, in lower case, of all columns of a type in `cast_types`."""
        return frozenset(
            column.name.lower()
            for relation in self.relations
            for column in relation.columns
            if column.type_oid in self.cast_types
        )

    @cached_property
    def by_oid(self) -> Mapping[int, Relation]:
        return {r.oid: r for r in self.relations}

    @cached_property
    def relation_names(self) -> frozenset[str]:
        return frozenset(relation.name for relation in self.relations)

    def find(self, schema: str, name: str) -> Relation | None:
        return self.by_name.get((schema, name))

    def ancestors(self, relation: Relation) -> tuple[Relation, ...]:
        """Parents, their parents and so on, each once."""
        found: list[Relation] = []
        waiting = list(relation.parents)
        while waiting:
            parent = self.by_oid.get(waiting.pop())
            if parent is not None and parent not in found:
                found.append(parent)
                waiting.extend(parent.parents)
        return tuple(found)
