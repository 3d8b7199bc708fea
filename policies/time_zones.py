"""Finds what in a row filter depends on the session's TimeZone or DateStyle, which every client may set.

``created_at > '2024-01-01'`` over a timestamptz moves with the client's TimeZone, by up to a week: rows would come back
that the operator meant to hide. It knows the types of the filtered table's columns and nothing of any client.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from sqlglot import exp

from policies.expressions import expression_tree
from policies.qualification import ascii_lower

_DATE, _TIMESTAMP, _TIMESTAMPTZ, _TIMETZ = 1082, 1114, 1184, 1266
_ZONED: Final = frozenset({_TIMESTAMPTZ, _TIMETZ})
_WRITTEN_AS_DATES: Final = frozenset({_DATE, _TIMESTAMP, _TIMESTAMPTZ})
# What starts with the year is read alike under every DateStyle; a zone is an offset, Z or UTC.
_YEAR_FIRST: Final = re.compile(r"\s*\d{4}-\d\d?-\d\d?|\s*-?infinity\s*$|\s*epoch\s*$", re.IGNORECASE)
_WITH_ZONE: Final = re.compile(
    r"(:\d\d(\.\d+)?|\d\s)\s*([+-]\d\d(:?\d\d)?|z|utc|gmt)\s*$|infinity\s*$|epoch\s*$", re.IGNORECASE
)
_MOMENTS: Final = frozenset({"now", "clock_timestamp", "statement_timestamp", "transaction_timestamp"})
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Between, exp.NullSafeEQ, exp.NullSafeNEQ)
_LOCAL_NOW = (exp.CurrentDate, exp.CurrentTime, exp.Localtime, exp.Localtimestamp, exp.CurrentDatetime)
_HARMLESS = (exp.Is, exp.AtTimeZone, exp.Paren, exp.And, exp.Or, exp.Not)


def session_dependent_parts(expression: str, types: Mapping[str, int]) -> list[str]:
    """What is wrong, one sentence each. `types`: type OIDs of the table's own columns by name."""
    tree = expression_tree(expression)
    found = [_local_now(node) for node in tree.find_all(*_LOCAL_NOW)]
    for column in tree.find_all(exp.Column):
        type_oid = types.get(_name(column), 0)
        if type_oid in _WRITTEN_AS_DATES:
            found += _unclear_literals(column)
        if type_oid in _ZONED:
            found += _local_reading(column)
        elif type_oid in _WRITTEN_AS_DATES:
            found += _crossings(column)
    return sorted(set(found))


def _name(column: exp.Expression) -> str:
    identifier = column.this
    return str(identifier.name) if identifier.args.get("quoted") else ascii_lower(identifier.name)


def _local_now(node: exp.Expr) -> str:
    written = node.sql("postgres").lower()
    return f"{written} depends on the client's TimeZone; write (now() AT TIME ZONE 'UTC')::date or the like"


def _others(column: exp.Expression) -> Iterator[exp.Expression]:
    """What the column is compared with, when it is compared as it is."""
    parent = column.parent
    if isinstance(parent, _COMPARISONS):
        for value in parent.iter_expressions():
            if value is not column:
                yield _bare(value)


def _bare(value: exp.Expression) -> exp.Expression:
    while isinstance(value, exp.Paren):
        value = value.this
    return value


def _unclear_literals(column: exp.Expression) -> Iterator[str]:
    for value in _others(column):
        text = _text(value)
        if text is not None and not _YEAR_FIRST.match(text):
            yield f"'{text}' depends on the client's DateStyle; begin with the year, as in '2024-01-31'"


def _text(value: exp.Expression) -> str | None:
    """A string literal, also under a cast."""
    if isinstance(value, exp.Cast):
        value = value.this
    return str(value.this) if isinstance(value, exp.Literal) and value.is_string else None


def _local_reading(column: exp.Expression) -> Iterator[str]:
    """A column with a time zone may be compared with moments, or turned into local time of a zone that is written."""
    parent, name = column.parent, _name(column)
    if isinstance(parent, exp.Extract) and str(parent.this).lower() == "epoch":
        return
    if not isinstance(parent, (*_COMPARISONS, *_HARMLESS)):
        yield f"{name} is read in the client's TimeZone here; write {name} AT TIME ZONE 'UTC'"
    for value in _others(column):
        if not _is_moment(value):
            yield (
                f"{name} is compared with something that depends on the client's TimeZone;"
                " write the zone, as in '2024-01-31 00:00+00'"
            )


def _crossings(column: exp.Expression) -> Iterator[str]:
    """A local time compared with a moment: one of them is turned by the session's zone."""
    for value in _others(column):
        while isinstance(value, exp.Add | exp.Sub):
            value = _bare(value.this)
        is_cast = isinstance(value, exp.Cast) and value.to.is_type("timestamptz", "timetz")
        if is_cast or isinstance(value, exp.CurrentTimestamp) or _is_moment_call(value):
            yield f"{_name(column)} is compared with a moment in the client's TimeZone; write now() AT TIME ZONE 'UTC'"


def _is_moment_call(value: exp.Expression) -> bool:
    return isinstance(value, exp.Anonymous) and ascii_lower(str(value.this)) in _MOMENTS


def _is_moment(value: exp.Expression) -> bool:
    """Whether a value is the same moment in every zone. A placeholder's value is the operator's to write well."""
    value = _bare(value)
    if isinstance(value, exp.Add | exp.Sub):
        return _is_moment(value.this) and isinstance(_bare(value.expression), exp.Interval)
    if _is_moment_call(value):
        return True
    if isinstance(value, exp.Cast) and not value.to.is_type("timestamptz", "timetz"):
        return False
    text = _text(value)
    if text is not None:
        return _WITH_ZONE.search(text) is not None
    return isinstance(value, exp.CurrentTimestamp | exp.Column | exp.Null | exp.Subquery | exp.Query)
