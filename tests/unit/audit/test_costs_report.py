"""Odd days and overviews out of a real store, and how they are shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
from audit_samples import intent, outcome

from audit.costs_question import Costliest, Dimension, Grain, Line, Point, Question, Sums, parse_dimension, span
from audit.costs_report import explained_anomalies, overview
from audit.errors import FilterError
from audit.record import Record, completed
from audit.rollups import Rollups
from audit.store import Store
from audit.store_costs import StoreCosts
from audit.store_rows import ChainedRecord
from proxy.commands import cost_views

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
JUDGED = Question(MONDAY, MONDAY + 7 * DAY, Grain.DAY)


def _statement(name: str, at: datetime, cost: Decimal, text: str, **fields: object) -> list[Record]:
    us = int((at + timedelta(hours=9)).timestamp() * 1e6)
    given = {"shape": text, "at": us, **fields}
    return [intent(name, sql_text=text, **given), outcome(name, cost=cost, **given)]


async def _filled(store: Store) -> StoreCosts:
    """Eight weeks at 2 a day, 1 for each of two shapes; on Wednesday one of them costs 50 more."""
    records = []
    for back in range(-3, 57):
        at = MONDAY - back * DAY
        for text in ("select 1", "select 2"):
            records += _statement(f"{text} {back}", at, Decimal(1) + Decimal(back % 3) / 10, text)
    records += _statement("odd", MONDAY + 2 * DAY, Decimal(50), "select 2", tables=("shop.orders",))
    chained = []
    for number, record in enumerate(records, 1):
        whole = msgspec.structs.replace(completed(record, f"{number:032x}", 1), prev_hash="00" * 32, hash="11" * 32)
        chained.append(ChainedRecord("a", number, whole))
    await store.copy_records(chained)
    costs = StoreCosts(store)
    await Rollups(costs, lambda: MONDAY).look()
    return costs


async def test_an_odd_day_is_told_with_the_statement_that_made_it(store: Store) -> None:
    costs = await _filled(store)
    for dimension in (Dimension.USER, Dimension.TENANT, Dimension.SHAPE, Dimension.DATABASE):
        await _is_told(costs, dimension)
    assert not await explained_anomalies(costs, JUDGED, Dimension.USER, Decimal(60)), "too little for who asks"


async def _is_told(costs: StoreCosts, dimension: Dimension) -> None:
    (found,) = await explained_anomalies(costs, JUDGED, dimension, None)
    assert found.anomaly.day == MONDAY + 2 * DAY
    assert Decimal(51) < found.anomaly.cost < Decimal(53)
    (cause, *others) = found.causes
    assert (cause.shape, cause.cost > 50, cause.usual < 2) == ("select 2", True, True)
    assert cause.costliest is not None
    assert (cause.costliest.statement_id, cause.costliest.cost) == ("odd", 50)
    assert all(other.cost < 2 for other in others)
    shown = cost_views.anomalies([found], dimension, JUDGED)
    assert "Wed 2026-06-03" in shown
    assert "by 8 Wednesdays" in shown
    assert "select 2 (ada, 09:00:00, 50.00 USD at once)" in shown


async def test_an_overview_adds_up(store: Store) -> None:
    found = await overview(await _filled(store), Question(**{**_fields(JUDGED), "user": "ada"}), 5)
    assert Dimension.USER not in found.parts
    whole = sum((point.sums.cost for point in found.course), Decimal(0))
    assert sum((line.sums.cost for line in found.parts[Dimension.SHAPE]), Decimal(0)) == whole
    assert sum((line.sums.cost for line in found.parts[Dimension.TABLE]), Decimal(0)) == whole
    shown = cost_views.overview(found, Dimension.USER, "ada", JUDGED)
    assert "select 2" in shown
    assert "Wed 2026-06-03  ████████████████████████████████████████" in shown


def _fields(question: Question) -> dict[str, object]:
    return {name: getattr(question, name) for name in Question.__slots__}


def _sums(cost: str, count: int = 1) -> Sums:
    nothing = Decimal(0)
    return Sums(count, 0, 0, nothing, nothing, nothing, nothing, Decimal(cost))


def test_what_clients_wrote_cannot_drive_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    evil = "\x1b]0;evil\x07[bold]x[/bold]"
    shown = cost_views.top([Line(evil, "EUR", _sums("1"), Decimal(1))], Dimension.WORKLOAD, JUDGED)
    assert "\x1b" not in shown
    assert "[bold]x[/bold]" in shown
    one = Costliest("s", "id", MONDAY, evil, evil, Decimal(1), "EUR", f"select '{evil}'")
    assert "\x1b" not in "".join(str(text) for text in cost_views._costliest([one]))


def test_days_without_statements_are_shown_as_such() -> None:
    points = [Point(MONDAY, "EUR", _sums("4")), Point(MONDAY + 2 * DAY, "EUR", _sums("2"))]
    lines = cost_views.trend(points, JUDGED).splitlines()
    assert lines[0] == "6.00 EUR, 2026-06-01 until 2026-06-08 (UTC)"
    assert lines[1].startswith("Mon 2026-06-01  " + 40 * "█")
    assert lines[2].split() == ["Tue", "2026-06-02", "0.00", "EUR"]
    assert lines[3].startswith("Wed 2026-06-03  " + 20 * "█" + " ")
    assert len(lines) == 8


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0", "0.00 EUR"), ("1234.567", "1,234.57 EUR"), ("0.5", "0.500 EUR"), ("0.000012345", "0.0000123 EUR")],
)
def test_money_has_as_many_places_as_it_needs(amount: str, text: str) -> None:
    assert cost_views.money(Decimal(amount), "EUR") == text


def test_spans_are_whole_intervals() -> None:
    now = datetime(2026, 6, 10, 12, 34, 56, tzinfo=UTC)
    begins, ends, grain = span(now - timedelta(hours=2), now, now)
    assert (begins.hour, ends.hour, grain) == (10, 13, Grain.HOUR)
    begins, ends, grain = span(now - timedelta(days=200), now, now)
    assert (begins, ends, grain) == (datetime(2025, 11, 22, tzinfo=UTC), datetime(2026, 6, 11, tzinfo=UTC), Grain.DAY)
    with pytest.raises(FilterError):
        span(now, now, now)
    assert parse_dimension("End-User") is Dimension.END_USER
