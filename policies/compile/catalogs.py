"""Which rows of pg_catalog and information_schema a restricted principal may read, relation by relation.

A relation is open, filtered by a SELECT that stands in its place, or refused; what is not listed is refused.
Everything in these texts is data of the catalog snapshot: numbers and quoted literals, nothing a client wrote.
"""

# ruff: noqa: S608 - building SQL is the job; only OIDs, column numbers and names of our own files go into it.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from policies.catalog import Catalog
from policies.compile.builtins import VisibleArgument
from policies.compile.catalog_guards import PG_CATALOG, sequence_start
from policies.compile.catalog_information import INFORMATION_SCHEMA, PG_VIEWS
from policies.compile.catalog_lists import OPEN_CATALOG, OPEN_INFORMATION
from policies.compile.catalog_refused import reason
from policies.compile.catalog_scope import Guard, Scope, scope_of
from policies.compile.visibility import Visibility, visibility_of

__all__ = [
    "FILTERED",
    "CatalogGuard",
    "GuardKind",
    "Visibility",
    "catalog_guard",
    "sequence_start",
    "visibility_of",
    "visible_argument",
]


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


FILTERED: Mapping[tuple[str, str], Guard] = {
    **{("pg_catalog", name): guard for name, guard in (*PG_CATALOG.items(), *PG_VIEWS.items())},
    **{("information_schema", name): guard for name, guard in INFORMATION_SCHEMA.items()},
}


def catalog_guard(schema: str, name: str, catalog: Catalog, visible: Visibility) -> CatalogGuard:
    """What stands for `schema.name`, one of pg_catalog or information_schema. Never raises."""
    opened = {"pg_catalog": OPEN_CATALOG, "information_schema": OPEN_INFORMATION}.get(schema, frozenset())
    if name in opened:
        return CatalogGuard(GuardKind.OPEN)
    make = FILTERED.get((schema, name))
    if make is None:
        return CatalogGuard(GuardKind.REFUSED, reason=reason(name))
    key = (schema, name, catalog.server_version)
    found = visible.texts.get(key)
    if not isinstance(found, CatalogGuard):
        found = visible.texts[key] = CatalogGuard(GuardKind.FILTERED, make(scope_of(catalog, visible)))
    return found


def visible_argument(rule: VisibleArgument, arguments: tuple[str, ...], catalog: Catalog, visible: Visibility) -> str:
    """SQL for the first argument of a function of ALLOWED_ON_VISIBLE: the same value, or NULL when it's hidden.

    `arguments` are the texts of as many leading arguments as `rule.columns` has.
    """
    key = (rule, arguments, catalog.server_version)
    found = visible.texts.get(key)
    if not isinstance(found, str):
        found = visible.texts[key] = _make_look_up(rule, arguments, scope_of(catalog, visible))
    return found


def _make_look_up(rule: VisibleArgument, arguments: tuple[str, ...], scope: Scope) -> str:
    body = FILTERED["pg_catalog", rule.relation](scope)
    # The client's text must not meet a column of ours: an unqualified ``oid`` in it means the client's own.
    names = [f'"pgwarden {number}"' for number in range(len(rule.columns))]
    listed = ", ".join(f"shown.{column} AS {name}" for column, name in zip(rule.columns, names, strict=True))
    conditions = f" WHERE {scope.is_open(f'shown.{rule.columns[0]}')}" if rule.is_open_only else ""
    given = f"CAST(({arguments[0]}) AS pg_catalog.{rule.cast})"
    if rule.is_soft:
        given = f"pg_catalog.to_{rule.cast}(CAST(({arguments[0]}) AS pg_catalog.text))"
    tests = [f"{names[0]} = {given}"]
    if rule.relation == "pg_proc":  # whose source is shown
        conditions = " WHERE shown.prosrc IS NOT NULL"
    if rule.relation == "pg_attribute":
        conditions = " WHERE NOT shown.attisdropped"
    tests += [f"{name} = ({text})" for name, text in zip(names[1:], arguments[1:], strict=True)]
    source = f'(SELECT {listed} FROM ({body}) AS shown{conditions}) AS "pgwarden shown"'
    result = f"{names[0]}::{rule.result}" if rule.result else names[0]
    return f"(SELECT {result} FROM {source} WHERE {' AND '.join(tests)} LIMIT 1)"
