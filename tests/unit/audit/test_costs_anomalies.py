from datetime import UTC, datetime, timedelta
from decimal import Decimal

from audit.costs_anomalies import anomalies, baseline_of
from audit.costs_question import DAY

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
KEY = ("ada", "USD")


def _weeks(weeks: int, workday: int = 10, weekend: int = 1) -> dict[datetime, Decimal]:
    """Days before MONDAY with a little unrest."""
    days = {}
    for back in range(1, 7 * weeks + 1):
        day = MONDAY - DAY * back
        days[day] = Decimal(weekend if day.weekday() >= 5 else workday) + Decimal(back % 3) / 10
    return days


def test_a_day_is_held_against_its_own_weekday() -> None:
    saturday = MONDAY + 5 * DAY
    days = _weeks(8) | {MONDAY + n * DAY: Decimal(10) for n in range(5)} | {saturday: Decimal(10)}
    judged = [MONDAY + n * DAY for n in range(7)]
    (odd,) = anomalies({KEY: days}, judged)
    assert odd.day == saturday
    assert odd.baseline.by_weekday
    assert odd.baseline.days == 8
    assert Decimal(1) <= odd.baseline.median < Decimal("1.3")


def test_one_odd_day_does_not_hide_the_next() -> None:
    days = _weeks(8)
    days[MONDAY - 7 * DAY] = Decimal(1000)
    days[MONDAY] = Decimal(1000)
    (odd,) = anomalies({KEY: days}, [MONDAY])
    assert odd.more > 989


def test_what_always_costs_the_same_may_cost_a_little_more() -> None:
    days = {MONDAY - DAY * back: Decimal(10) for back in range(1, 57)}
    assert not anomalies({KEY: days | {MONDAY: Decimal("11")}}, [MONDAY])
    assert anomalies({KEY: days | {MONDAY: Decimal("13")}}, [MONDAY])


def test_the_young_is_judged_by_all_days_and_the_newborn_not_at_all() -> None:
    week = {MONDAY - DAY * back: Decimal(10) for back in range(1, 8)}
    (odd,) = anomalies({KEY: week | {MONDAY: Decimal(100)}}, [MONDAY])
    assert not odd.baseline.by_weekday
    assert baseline_of({MONDAY: Decimal(100)}, MONDAY) is None
    assert not anomalies({KEY: {MONDAY: Decimal(100)}}, [MONDAY])


def test_days_without_statements_cost_nothing_and_count() -> None:
    days = {MONDAY - timedelta(weeks=8): Decimal(1), MONDAY: Decimal(50)}
    (odd,) = anomalies({KEY: days}, [MONDAY])
    assert odd.baseline.median == 0
    assert odd.score.is_infinite()


def test_what_is_too_little_does_not_matter() -> None:
    days = {MONDAY - DAY * back: Decimal(0) for back in range(1, 57)} | {MONDAY: Decimal("0.001")}
    assert anomalies({KEY: days}, [MONDAY])
    assert not anomalies({KEY: days}, [MONDAY], least=Decimal("0.01"))


def test_what_costs_less_than_usual_is_no_anomaly() -> None:
    assert not anomalies({KEY: _weeks(8) | {MONDAY: Decimal(0)}}, [MONDAY])
