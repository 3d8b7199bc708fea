"""Questions to the roll-ups, and what the answers consist of. Pure: knows no SQL, no clock and no terminal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from audit.errors import FilterError

HOURS_KEPT_DAYS = 100
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class Dimension(StrEnum):
    """What costs are attributed to. A statement over n tables costs each of them an n-th."""

    TENANT = "tenant"
    TEAM = "team"
    USER = "user"
    END_USER = "end_user"
    DATABASE = "database"
    WORKLOAD = "workload"
    SHAPE = "shape"
    TABLE = "table"


class Grain(StrEnum):
    """How long the roll-ups' intervals are. They begin at whole hours and days of UTC."""

    HOUR = "hour"
    DAY = "day"

    @property
    def length(self) -> timedelta:
        return HOUR if self is Grain.HOUR else DAY


@dataclass(frozen=True, slots=True)
class Question:
    """Which costs are wanted; None doesn't matter. `since` counts, `until` doesn't: whole intervals of `grain`."""

    since: datetime
    until: datetime
    grain: Grain
    tenant: str | None = None
    team: str | None = None
    user: str | None = None
    end_user: str | None = None
    database: str | None = None
    workload: str | None = None
    shape: str | None = None
    table: str | None = None


@dataclass(frozen=True, slots=True)
class Sums:
    """What some statements came to. Where they are attributed to a table, all but the counts are its share."""

    statements: int
    failed: int
    denied: int
    rows: Decimal
    bytes_out: Decimal
    duration_us: Decimal
    plan_units: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Line:
    """One value of a dimension, in one currency. `whole`: what all values together cost in that currency."""

    name: str
    currency: str
    sums: Sums
    whole: Decimal


@dataclass(frozen=True, slots=True)
class Point:
    """One interval, in one currency."""

    starts_at: datetime
    currency: str
    sums: Sums


@dataclass(frozen=True, slots=True)
class Difference:
    """An hour for which the records and the roll-ups say other things, in one currency."""

    starts_at: datetime
    currency: str
    recorded: int  # outcomes
    recorded_cost: Decimal
    counted: int
    counted_cost: Decimal


@dataclass(frozen=True, slots=True)
class Costliest:
    """The costliest statement of a shape; `sql_text` None when its record is gone, as retention says."""

    shape: str
    statement_id: str
    at: datetime
    user: str
    workload: str
    cost: Decimal
    currency: str
    sql_text: str | None


def span(
    since: datetime, until: datetime, now: datetime, grain: Grain | None = None
) -> tuple[datetime, datetime, Grain]:
    """The whole intervals that hold these moments (aware). Without a `grain` it is hours while those are kept.

    Raises FilterError when nothing lies between them.
    """
    if since >= until:
        raise FilterError("the time to look at ends before it begins")
    chosen = grain or (Grain.HOUR if since > now - timedelta(days=HOURS_KEPT_DAYS) else Grain.DAY)
    return _begin(since, chosen), _begin(until - timedelta(microseconds=1), chosen) + chosen.length, chosen


def whole_hours(since: datetime, until: datetime, now: datetime) -> tuple[datetime, datetime]:
    """The hours between that are kept and over. Raises FilterError when there is none."""
    begins = _begin(max(since, now - timedelta(days=HOURS_KEPT_DAYS - 1)), Grain.HOUR)
    ends = _begin(min(until, now), Grain.HOUR)
    if begins >= ends:
        raise FilterError("no whole hour lies between these times")
    return begins, ends


def _begin(moment: datetime, grain: Grain) -> datetime:
    hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return hour if grain is Grain.HOUR else hour.replace(hour=0)


def parse_dimension(text: str) -> Dimension:
    """By its name; "end-user" will do. Raises FilterError."""
    try:
        return Dimension(text.strip().lower().replace("-", "_"))
    except ValueError as error:
        raise FilterError(f"{text!r} is nothing that costs are attributed to: {', '.join(Dimension)}") from error
