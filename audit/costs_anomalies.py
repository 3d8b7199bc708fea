"""Days that cost far more than their weekday usually does. Pure arithmetic: knows no store and no clock.

The baseline is robust: the median of the same weekday in the weeks before, and the median absolute deviation (MAD)
from it, so that one odd day doesn't hide the next. A day is odd when its modified z-score, 0.6745 * (cost - median) /
MAD, is above 3.5 (Iglewicz and Hoaglin's advice).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Final

from audit.costs_question import DAY

WEEKS: Final = 8
LEAST_SCORE: Final = Decimal("3.5")
_WEEK: Final = timedelta(weeks=1)
_TO_SIGMA: Final = Decimal("0.6745")
_LEAST_SAME_WEEKDAYS: Final = 4
_LEAST_DAYS: Final = 7
_LEAST_SPREAD: Final = Decimal("0.05")  # of the median: what always costs the same may cost a little more for once

Days = Mapping[datetime, Decimal]  # midnight UTC -> what that day cost


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a day usually costs, judged by so many earlier `days`; `by_weekday`: all of them the same weekday."""

    median: Decimal
    spread: Decimal
    days: int
    by_weekday: bool

    def score(self, cost: Decimal) -> Decimal:
        """The modified z-score; what usually costs nothing and now does is as odd as can be."""
        if self.spread == 0:
            return Decimal(0) if cost <= self.median else Decimal("Infinity")
        return _TO_SIGMA * (cost - self.median) / self.spread


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One day of one value of a dimension."""

    name: str
    currency: str
    day: datetime
    cost: Decimal
    baseline: Baseline

    @property
    def score(self) -> Decimal:
        return self.baseline.score(self.cost)

    @property
    def more(self) -> Decimal:
        """What it cost beyond the usual."""
        return self.cost - self.baseline.median


def anomalies(
    series: Mapping[tuple[str, str], Days], judged: Iterable[datetime], least: Decimal = Decimal(0), weeks: int = WEEKS
) -> list[Anomaly]:
    """The odd ones of the `judged` days (midnights, UTC) for each (name, currency); what cost most beyond the usual
    first.

    A day without an entry cost nothing. Days before a series begins say nothing; what is too young isn't judged.
    `least`: what a day must cost beyond the usual to matter.
    """
    days = sorted(judged)
    found = [
        Anomaly(name, currency, day, costs[day], baseline)
        for (name, currency), costs in series.items()
        for day in days
        if day in costs and (baseline := baseline_of(costs, day, weeks)) is not None
    ]
    odd = [one for one in found if one.score > LEAST_SCORE and one.more >= least]
    return sorted(odd, key=lambda one: (-one.more, one.name, one.day))


def baseline_of(costs: Days, day: datetime, weeks: int = WEEKS) -> Baseline | None:
    """By the same weekday of `weeks` weeks, where there are enough; else by all days of that time; else None."""
    begins = min(costs, default=day)
    same = [day - _WEEK * back for back in range(1, weeks + 1) if day - _WEEK * back >= begins]
    if len(same) >= _LEAST_SAME_WEEKDAYS:
        return _baseline([costs.get(one, Decimal(0)) for one in same], by_weekday=True)
    every = [day - DAY * back for back in range(1, 7 * weeks + 1) if day - DAY * back >= begins]
    if len(every) >= _LEAST_DAYS:
        return _baseline([costs.get(one, Decimal(0)) for one in every], by_weekday=False)
    return None


def usual(costs: Days, day: datetime, weeks: int = WEEKS) -> Decimal:
    """The median that this day is held against; 0 for what is too young."""
    baseline = baseline_of(costs, day, weeks)
    return Decimal(0) if baseline is None else baseline.median


def _baseline(costs: list[Decimal], *, by_weekday: bool) -> Baseline:
    middle = median(costs)
    deviation = median([abs(cost - middle) for cost in costs])
    return Baseline(middle, max(deviation, middle * _LEAST_SPREAD), len(costs), by_weekday)
