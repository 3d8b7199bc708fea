"""The SQL conditions that guards of catalogs are made of, for one principal and server version.

Numbers, column numbers, and names of the policy as quoted literals: nothing a client wrote goes into them.
"""

# ruff: noqa: S608 - building SQL is the job; only OIDs, column numbers, literals and names of this file go into it.

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from policies.catalog import Catalog
from policies.compile.visibility import Visibility

CLASS = "'pg_catalog.pg_class'::pg_catalog.regclass"


@dataclass(frozen=True, slots=True)
class Scope:
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
                f" WHERE dx.classid = {CLASS} AND dx.objid = ix.indexrelid AND dx.refclassid = {CLASS}"
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


# What stands for a catalog: a whole SELECT.
Guard = Callable[[Scope], str]


def scope_of(catalog: Catalog, visible: Visibility) -> Scope:
    return Scope(
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


def listed(columns: Iterable[str], alias: str, replaced: Mapping[str, str]) -> str:
    return ", ".join(f"{replaced[c]} AS {c}" if c in replaced else f"{alias}.{c}" for c in columns)


def rows(name: str, condition: Callable[[Scope], str]) -> Guard:
    """A catalog with all its columns; its alias in `condition` is x."""
    return lambda scope: f"SELECT x.* FROM pg_catalog.{name} AS x WHERE {condition(scope)}"
