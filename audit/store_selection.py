"""The SQL of a question: filters in, one statement and its arguments out. Knows no connection.

Only what is asked for stands in the statement, so that the planner sees which index serves it. Lists (tables, columns)
are asked by way of the distinct lists: an index holds each with its records in order of time. There are few of them,
and none is missed by a guess: the planner's of how often a rare name comes is a thousand times too high.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from audit.query import Filters

NEWEST_FIRST: Final = "at DESC, id DESC"
OLDEST_FIRST: Final = "at, id"

# A list's index, and the condition that it is there under.
_LISTS: Final = {"tables": "tables <> '{}'", "masked_columns": "masked_columns <> '{}'"}
_NAMED: Final = "EXISTS (SELECT FROM unnest({list}) AS one (name) WHERE {test})"
_TEST: Final = "one.name = ${n} OR right(one.name, length(${n}) + 1) = '.' || ${n}"
# The distinct lists of all records, from each to the next greater one, then those among them that are wanted. "From
# this list to this list, ordered by it": no other index can give that, so the planner can't choose to walk back through
# all records until it has met enough.
_BY_LIST: Final = """
    WITH RECURSIVE known AS (
        (SELECT {list} FROM pgwarden.records WHERE {condition} ORDER BY {list} LIMIT 1)
        UNION ALL
        SELECT (SELECT r.{list} FROM pgwarden.records r WHERE r.{list} > known.{list} AND {condition}
                ORDER BY r.{list} LIMIT 1)
        FROM known WHERE known.{list} IS NOT NULL),
    wanted AS MATERIALIZED (SELECT {list} FROM known WHERE {named})
    SELECT found.* FROM wanted CROSS JOIN LATERAL (
        SELECT * FROM pgwarden.records r
        WHERE r.{list} >= wanted.{list} AND r.{list} <= wanted.{list} AND {condition}{others}
        ORDER BY r.{list}, {order} LIMIT {limit}) AS found
    ORDER BY {order} LIMIT {limit}"""


@dataclass(slots=True)
class _Arguments:
    values: list[Any] = field(default_factory=list)

    def take(self, value: Any) -> int:
        """The number of the place that stands for the value."""
        self.values.append(value)
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Selection:
    """A statement over pgwarden.records, and what stands for its places."""

    sql: str
    arguments: tuple[Any, ...]


def newest(filters: Filters) -> Selection:
    """The newest matching records, newest first, as many as `limit` says."""
    arguments = _Arguments()
    by_list = _list_to_go_by(filters)
    if by_list is None:
        conditions = " AND ".join(_conditions(filters, arguments)) or "true"
        limit = arguments.take(filters.limit)
        sql = f"SELECT * FROM pgwarden.records r WHERE {conditions} ORDER BY {NEWEST_FIRST} LIMIT ${limit}"
        return Selection(sql, tuple(arguments.values))
    name, wanted = by_list
    named = _named(name, arguments.take(wanted))
    others = "".join(f" AND {one}" for one in _conditions(filters, arguments, without=name))
    limit = arguments.take(filters.limit)
    sql = _BY_LIST.format(
        list=name, condition=_LISTS[name], named=named, others=others, order=NEWEST_FIRST, limit=f"${limit}"
    )
    return Selection(sql, tuple(arguments.values))


def oldest(filters: Filters) -> Selection:
    """All matching records, oldest first; `limit` doesn't count."""
    arguments = _Arguments()
    conditions = " AND ".join(_conditions(filters, arguments)) or "true"
    sql = f"SELECT * FROM pgwarden.records r WHERE {conditions} ORDER BY {OLDEST_FIRST}"
    return Selection(sql, tuple(arguments.values))


def _list_to_go_by(filters: Filters) -> tuple[str, str] | None:
    """With a tenant, a user or a statement the index of those serves: its records are few beside all."""
    if filters.tenant is not None or filters.user is not None or filters.statement is not None:
        return None
    if filters.column is not None:
        return "masked_columns", filters.column
    return ("tables", filters.table) if filters.table is not None else None


def _conditions(filters: Filters, arguments: _Arguments, without: str = "") -> Iterator[str]:
    if filters.decision is not None:
        yield f"r.decision = '{filters.decision.value}'"  # in the text: partial indexes go by it
    for column, value in (
        ("tenant", filters.tenant),
        ('"user"', filters.user),
        ("stage", filters.stage),
        ("workload", filters.workload),
        ("statement_id", filters.statement),
    ):
        if value is not None:
            # Not known while it is planned, so that the planner counts on a usual one: a tenant that made half of all
            # records, but none for weeks, isn't to be looked for among all.
            yield f"r.{column} = (SELECT ${arguments.take(value)}::text)"
    if filters.since is not None:
        yield f"r.at >= ${arguments.take(filters.since)}"
    if filters.until is not None:
        yield f"r.at < ${arguments.take(filters.until)}"
    if filters.table is not None and without != "tables":
        yield _named("r.tables || r.filtered_tables", arguments.take(filters.table))
    if filters.column is not None and without != "masked_columns":
        yield _named("r.masked_columns", arguments.take(filters.column))


def _named(of: str, place: int) -> str:
    return _NAMED.format(list=of, test=_TEST.format(n=place))
