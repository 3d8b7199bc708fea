"""Prices on the lane: the planner's estimate gets into the templates, an operator's function has the last word."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from audit.cost import PriceList, price_list
from audit.price_functions import SafePrice
from audit.record import Record
from policies.decision import Decision, Plan
from tests.bench.session import SIMPLE_ANSWER
from tests.playbooks.test_lane_whole import WARMING, Whole, query


class Prices:
    """Always the same."""

    def __init__(self, prices: PriceList) -> None:
        self.prices = prices

    def of(self, database: str) -> PriceList:
        return self.prices


class Weights:
    def __init__(self) -> None:
        self.units: int | None = None

    def of(self, database: str, decision: Decision, plan: Plan) -> int | None:
        return self.units


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Whole]:
    made = Whole(tmp_path, True)
    yield made
    made.journal.close()


def priced(whole: Whole, prices: PriceList) -> Weights:
    weights = Weights()
    whole.services.pricing, whole.services.weights = Prices(prices), weights
    whole.services.epoch.advance()
    for number in range(WARMING):
        whole.exchange(query(number), SIMPLE_ANSWER)
    return weights


def on_the_lane(whole: Whole, number: int) -> Record:
    """The outcome of a statement that goes by the lane both ways."""
    lane = whole.ends.session.lane
    assert lane is not None
    assert lane.client(query(number)) is not None
    assert lane.server(SIMPLE_ANSWER) is not None
    return whole.records()[-1]


def test_an_estimate_gets_into_prices_without_leaving_the_lane(whole: Whole) -> None:
    weights = priced(whole, price_list(0, 0, 1000, "EUR"))
    before = on_the_lane(whole, 4711)
    assert (before.plan_units, before.cost) == (None, 0)
    weights.units = 2500
    whole.services.epoch.advance()
    whole.exchange(query(1), SIMPLE_ANSWER)
    after = on_the_lane(whole, 4712)
    assert (after.plan_units, after.cost, after.currency) == (2500, Decimal("2.5"), "EUR")


def test_a_price_function_is_asked_on_the_lane_too(whole: Whole) -> None:
    priced(whole, price_list(1, 0, 0, "EUR", SafePrice("rows", lambda measured: Decimal(measured.rows))))
    outcome = on_the_lane(whole, 4711)
    assert outcome.rows
    assert outcome.cost == outcome.rows


def test_no_estimate_is_asked_for_where_prices_have_no_use_for_it(whole: Whole) -> None:
    weights = priced(whole, price_list(1, 1, 0, "EUR"))
    weights.units = 2500
    whole.services.epoch.advance()
    whole.exchange(query(1), SIMPLE_ANSWER)
    assert on_the_lane(whole, 4711).plan_units is None
