"""The SQL of costs: has the store roll them up, and asks the roll-ups. Runs on a Store's connections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from audit.costs_question import Costliest, Difference, Dimension, Grain, Line, Point, Question, Sums
from audit.store import Role, Store
from audit.store_rows import Row

if TYPE_CHECKING:
    from audit.store import Connection

_TABLES: Final = {Grain.HOUR: "pgwarden.costs_hour", Grain.DAY: "pgwarden.costs_day"}
_USED: Final = """
    CROSS JOIN LATERAL unnest(CASE WHEN c.tables = '{}' THEN ARRAY[''] ELSE c.tables END) AS used (name)"""
_SHARE: Final = " / greatest(cardinality(c.tables), 1)"
_WHERE: Final = """
    WHERE c.starts_at >= $1 AND c.starts_at < $2
      AND ($3::text IS NULL OR c.tenant = $3)
      AND ($4::text IS NULL OR c.team = $4)
      AND ($5::text IS NULL OR c."user" = $5)
      AND ($6::text IS NULL OR c.end_user = $6)
      AND ($7::text IS NULL OR c.database = $7)
      AND ($8::text IS NULL OR c.workload = $8)
      AND ($9::text IS NULL OR c.shape = $9)
      AND ($10::text IS NULL OR EXISTS (
            SELECT FROM unnest(c.tables) AS one (name)
            WHERE one.name = $10 OR right(one.name, length($10) + 1) = '.' || $10))"""
_COSTLIEST: Final = """
    SELECT DISTINCT ON (c.shape, c.currency) c.shape, c.currency, c.top_cost, c.top_at, c.top_id, c."user", c.workload,
           sum(c.cost) OVER (PARTITION BY c.shape, c.currency) AS whole
    FROM {table} c {where} AND c.statements > 0
    ORDER BY c.shape, c.currency, c.top_cost DESC"""
_TOP: Final = "SELECT * FROM ({costliest}) AS top ORDER BY whole DESC, shape LIMIT $11"
_STATEMENT_ID: Final = "SELECT statement_id FROM pgwarden.records WHERE at = $1 AND id = $2"
_TEXT: Final = "SELECT sql_text FROM pgwarden.records WHERE statement_id = $1 AND stage = 'intent' LIMIT 1"
# Of hours whose records are all there: what retention has dropped can't be held against anything.
_DIFFERENCES: Final = """
    WITH span AS (
        SELECT greatest($1::timestamptz, (SELECT max(ends_at) FROM pgwarden.dropped_partitions)) AS since,
               $2::timestamptz AS until
    ), recorded AS (
        SELECT date_trunc('hour', r.at, 'UTC') AS starts_at, r.currency, count(*) AS statements,
               sum(coalesce(r.cost, 0)) AS cost
        FROM pgwarden.records r
        WHERE r.at >= (SELECT since FROM span) AND r.at < (SELECT until FROM span) AND r.stage = 'outcome' GROUP BY 1, 2
    ), counted AS (
        SELECT c.starts_at, c.currency, sum(c.statements) AS statements, sum(c.cost) AS cost FROM pgwarden.costs_hour c
        WHERE c.starts_at >= (SELECT since FROM span) AND c.starts_at < (SELECT until FROM span) AND c.statements > 0
        GROUP BY 1, 2
    )
    SELECT starts_at, currency, coalesce(r.statements, 0) AS recorded, coalesce(r.cost, 0) AS recorded_cost,
           coalesce(c.statements, 0) AS counted, coalesce(c.cost, 0) AS counted_cost
    FROM recorded r FULL JOIN counted c USING (starts_at, currency)
    WHERE (r.statements, r.cost) IS DISTINCT FROM (c.statements, c.cost) ORDER BY 1, 2"""
_ROLL_UP: Final = "SELECT pgwarden.roll_up($1)"
_DROP_HOURS: Final = """
    DELETE FROM pgwarden.costs_hour WHERE starts_at < least($1::timestamptz, now()) - $2::interval"""


class StoreCosts:
    """Raises what Store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def roll_up(self, most: int) -> int | None:
        """Counts about so many records; gives how many they were. None: another sidecar is at it."""
        async with self._store.writing() as connection:
            counted: int | None = await connection.fetchval(_ROLL_UP, most)
        return counted

    async def drop_hours(self, now: datetime, keep: timedelta) -> None:
        """Forgets hours that are older, not the days. Our clock and the store's must agree that they are."""
        async with self._store.connected() as connection:
            await connection.execute(_DROP_HOURS, now, keep)

    async def top(self, question: Question, dimension: Dimension, limit: int) -> list[Line]:
        """The costliest values of a dimension first."""
        name, used, share = _attributed(dimension)
        sql = f"""
            SELECT {name} AS name, c.currency, {_sums(share)},
                   sum(sum(c.cost{share})) OVER (PARTITION BY c.currency) AS whole
            FROM {_TABLES[question.grain]} c {used} {_WHERE}
            GROUP BY 1, 2 ORDER BY cost DESC, statements DESC, 1 LIMIT $11"""
        async with self._asking(question) as connection:
            rows = await connection.fetch(sql, *_arguments(question), limit)
        return [Line(row["name"], row["currency"], _sums_of(row), row["whole"]) for row in rows]

    async def trend(self, question: Question) -> list[Point]:
        """Interval by interval, in order; those without any statement are left out."""
        sql = f"""
            SELECT c.starts_at, c.currency, {_sums("")} FROM {_TABLES[question.grain]} c {_WHERE}
            GROUP BY 1, 2 ORDER BY 1, 2"""
        async with self._asking(question) as connection:
            rows = await connection.fetch(sql, *_arguments(question))
        return [Point(row["starts_at"], row["currency"], _sums_of(row)) for row in rows]

    async def series(self, question: Question, dimension: Dimension) -> list[tuple[str, str, datetime, Decimal]]:
        """What each value of a dimension cost in each interval: name, currency, beginning, cost."""
        name, used, share = _attributed(dimension)
        sql = f"""
            SELECT {name} AS name, c.currency, c.starts_at, sum(c.cost{share}) AS cost
            FROM {_TABLES[question.grain]} c {used} {_WHERE} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
        async with self._asking(question) as connection:
            rows = await connection.fetch(sql, *_arguments(question))
        return [(row["name"], row["currency"], row["starts_at"], row["cost"]) for row in rows]

    async def costliest(self, question: Question, limit: int) -> list[Costliest]:
        """The shapes that cost most, each with its costliest single statement."""
        costliest = _COSTLIEST.format(table=_TABLES[question.grain], where=_WHERE)
        async with self._asking(question) as connection:
            rows = await connection.fetch(_TOP.format(costliest=costliest), *_arguments(question), limit)
            return [await _costliest(connection, row) for row in rows]

    async def differences(self, since: datetime, until: datetime) -> list[Difference]:
        """The hours between for which the roll-ups don't say what the records say. Reads all records of that time."""
        async with self._store.connected("pgwarden_auditor") as connection:
            rows = await connection.fetch(_DIFFERENCES, since, until)
        return [
            Difference(
                row["starts_at"],
                row["currency"],
                int(row["recorded"]),
                row["recorded_cost"],
                int(row["counted"]),
                row["counted_cost"],
            )
            for row in rows
        ]

    @asynccontextmanager
    async def _asking(self, question: Question) -> AsyncIterator[Connection]:
        """With a tenant, row-level security stands behind the filter."""
        role: Role = "pgwarden_reader" if question.tenant is not None else "pgwarden_auditor"
        async with self._store.connected(role) as connection:
            await connection.execute("SELECT set_config('pgwarden.tenant', $1, false)", question.tenant or "")
            yield connection


def _attributed(dimension: Dimension) -> tuple[str, str, str]:
    """The name's expression, what must be joined for it, and how a statement is shared out."""
    if dimension is Dimension.TABLE:
        return "used.name", _USED, _SHARE
    return f'c."{dimension.value}"', "", ""


def _sums(share: str) -> str:
    counts = ("statements", "failed", "denied")
    measures = ("rows", "bytes_out", "duration_us", "plan_units", "cost")
    return ", ".join(
        [*(f"sum(c.{name}) AS {name}" for name in counts), *(f"sum(c.{name}{share}) AS {name}" for name in measures)]
    )


def _arguments(question: Question) -> tuple[object, ...]:
    q = question
    return q.since, q.until, q.tenant, q.team, q.user, q.end_user, q.database, q.workload, q.shape, q.table


def _sums_of(row: Row) -> Sums:
    return Sums(
        statements=int(row["statements"]),
        failed=int(row["failed"]),
        denied=int(row["denied"]),
        rows=row["rows"],
        bytes_out=row["bytes_out"],
        duration_us=row["duration_us"],
        plan_units=row["plan_units"],
        cost=row["cost"],
    )


async def _costliest(connection: Connection, row: Row) -> Costliest:
    """With its text, one look after the other: the planner doesn't guess that both are looks into an index."""
    statement_id = await connection.fetchval(_STATEMENT_ID, row["top_at"], row["top_id"])
    text = None if statement_id is None else await connection.fetchval(_TEXT, statement_id)
    return Costliest(
        shape=row["shape"],
        statement_id=statement_id or "",
        at=row["top_at"],
        user=row["user"],
        workload=row["workload"],
        cost=row["top_cost"],
        currency=row["currency"],
        sql_text=text,
    )
