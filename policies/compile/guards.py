"""Builds the SELECT that stands in a relation's place: what the policy leaves of it, under its own column names.

Every name in it is qualified and quoted: nothing a client defines (a CTE, an alias) can capture it.
"""

from __future__ import annotations

from collections.abc import Mapping

from policies.catalog import Column
from policies.compile.draft import Access, Draft, Target
from policies.compile.rules.fences import is_user_type
from policies.masks import sql_form
from policies.model import Value

# Types that the planner may try a failing operator on: bytea, name, text, bpchar, varchar by LIKE, jsonb by a jsonpath.
_TRIED = frozenset({17, 19, 25, 1042, 1043, 3802})


def quote(name: str) -> str:
    """A quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def guard_body(draft: Draft, target: Target) -> str:
    """The guard's SELECT without parentheses or alias."""
    if target.access is Access.CATALOG:
        return _catalog_body(draft, target)
    return " ".join(filter(None, guard_parts(draft, target)))


def guard_parts(draft: Draft, target: Target) -> tuple[str, str]:
    """The guard of a user's relation in two parts: up to the relation's name, and what comes behind it, if anything."""
    assert target.relation is not None
    assert target.rule is not None
    attributes = draft.policy.principal.attributes
    columns = [_column(draft, target, column, attributes) for column in target.listed_columns]
    if target.has_tableoid:
        columns.append("tableoid")
    conditions = " AND ".join(f"({draft.surroundings.bound(rule.expression)})" for rule in target.rule.filters)
    tail = [f"WHERE {conditions}"] if conditions else []
    if draft.is_fenced:
        tail.append("OFFSET 0")
    head = f"SELECT {', '.join(columns)}".rstrip()
    return f"{head} FROM {_source(target)}", " ".join(tail)


def _source(target: Target) -> str:
    assert target.relation is not None
    if target.body:  # a view: its own definition, guarded inside
        names = ", ".join(quote(column.name) for column in target.relation.columns)
        return f"({target.body}) AS {quote(target.name)}({names})"
    only = "" if target.use.node.get("inh") or target.relation.kind == "v" else "ONLY "
    return f"{only}{quote(target.schema)}.{quote(target.name)}"


def _catalog_body(draft: Draft, target: Target) -> str:
    """The planner looks at no statistics through a set operation; its second half is known to be empty."""
    if draft.is_blind:
        empty = f"SELECT * FROM ({target.body}) AS b WHERE false"  # noqa: S608 - both are our own text
        return f"SELECT * FROM ({target.body}) AS a UNION ALL {empty} OFFSET 0"  # noqa: S608
    return target.body + (" OFFSET 0" if draft.is_fenced else "")


def _column(draft: Draft, target: Target, column: Column, attributes: Mapping[str, Value]) -> str:
    assert target.rule is not None
    name = quote(column.name)
    rule = target.rule.masks.get(column.name)
    if column.name in target.stream:
        return name
    if rule is None:
        is_matched = draft.is_blind and (column.type_oid in _TRIED or is_user_type(column))
        # The same value, but to the planner an expression that no statistics are kept of.
        return f"CASE WHEN {name} IS NULL THEN {name} ELSE {name} END AS {name}" if is_matched else name
    return f"{sql_form(rule.mask, column.type_oid, column.type_name, name, attributes)} AS {name}"
