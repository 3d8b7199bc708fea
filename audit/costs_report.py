"""Answers about costs that take several questions to the store: odd days with the statements behind them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from audit.costs_anomalies import WEEKS, Anomaly, Days, anomalies, usual
from audit.costs_question import DAY, Costliest, Dimension, Grain, Line, Point, Question
from audit.store_costs import StoreCosts

_CAUSES: Final = 3  # statements named for each odd day
_EXPLAINED: Final = 20  # odd days that are explained
_SMALL_SHARE: Final = 100  # less than a hundredth of an average day's costs doesn't matter unless asked for


@dataclass(frozen=True, slots=True)
class Cause:
    """A shape that cost more than usual that day, and its costliest statement then."""

    shape: str
    cost: Decimal
    usual: Decimal
    costliest: Costliest | None


@dataclass(frozen=True, slots=True)
class Explained:
    anomaly: Anomaly
    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """What `cost show` shows: the whole, its course, and what it consists of."""

    whole: Sequence[Line]
    course: Sequence[Point]
    parts: Mapping[Dimension, Sequence[Line]]
    costliest: Sequence[Costliest]


async def overview(costs: StoreCosts, question: Question, limit: int) -> Overview:
    parts = {}
    for dimension in Dimension:
        if getattr(question, dimension.value) is None:
            parts[dimension] = await costs.top(question, dimension, limit)
    whole = await costs.top(question, Dimension.DATABASE, 1000)
    return Overview(whole, await costs.trend(question), parts, await costs.costliest(question, limit))


async def explained_anomalies(
    costs: StoreCosts, question: Question, dimension: Dimension, least: Decimal | None, weeks: int = WEEKS
) -> list[Explained]:
    """The odd days from `since` until `until` (days of UTC), what cost most beyond the usual first.

    The first ones are explained by the statements that made them. `least` None: a hundredth of an average day.
    """
    earlier = replace(question, since=question.since - timedelta(weeks=weeks), grain=Grain.DAY)
    series = _by_name(await costs.series(earlier, dimension))
    judged = _days(question.since, question.until)
    found = anomalies(series, judged, _small(series, judged) if least is None else least, weeks)
    explained = [await _explained(costs, earlier, dimension, one, weeks) for one in found[:_EXPLAINED]]
    return explained + [Explained(one, ()) for one in found[_EXPLAINED:]]


def _small(series: Mapping[tuple[str, str], Days], judged: Sequence[datetime]) -> Decimal:
    whole = sum((days.get(day, Decimal(0)) for days in series.values() for day in judged), Decimal(0))
    return whole / len(judged) / _SMALL_SHARE


async def _explained(costs: StoreCosts, earlier: Question, dimension: Dimension, odd: Anomaly, weeks: int) -> Explained:
    of_it: dict[str, Any] = {dimension.value: odd.name}
    history = replace(earlier, since=odd.day - timedelta(weeks=weeks), until=odd.day + DAY, **of_it)
    shapes = _by_name(await costs.series(history, Dimension.SHAPE))
    grown = [
        (shape, days[odd.day], usual(days, odd.day, weeks))
        for (shape, currency), days in shapes.items()
        if currency == odd.currency and days.get(odd.day, Decimal(0)) > usual(days, odd.day, weeks)
    ]
    grown.sort(key=lambda one: (one[2] - one[1], one[0]))
    that_day = replace(history, since=odd.day)
    causes = [Cause(*one, await _costliest(costs, that_day, one[0], odd.currency)) for one in grown[:_CAUSES]]
    return Explained(odd, tuple(causes))


async def _costliest(costs: StoreCosts, that_day: Question, shape: str, currency: str) -> Costliest | None:
    found = await costs.costliest(replace(that_day, shape=shape), 10)
    return next((one for one in found if one.currency == currency), None)


def _by_name(rows: Sequence[tuple[str, str, datetime, Decimal]]) -> dict[tuple[str, str], dict[datetime, Decimal]]:
    series: defaultdict[tuple[str, str], dict[datetime, Decimal]] = defaultdict(dict)
    for name, currency, day, cost in rows:
        series[name, currency][day] = cost
    return series


def _days(since: datetime, until: datetime) -> list[datetime]:
    return [since + DAY * number for number in range((until - since) // DAY)]
