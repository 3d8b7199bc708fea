"""What a statement cost. Pure arithmetic: prices and measures come in as plain numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_PLACES = Decimal("0.000000001")
_US_PER_SECOND = Decimal(1_000_000)
_BYTES_PER_GIB = Decimal(1 << 30)
_UNITS_PER_MILLION = Decimal(1_000_000)
MOST = Decimal(10**9)  # that one statement can cost: beyond it sums of it might not fit where they are counted


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices in one currency: per second of server time, per GiB sent to clients, per million planner cost
    units. `function` has the last word: see audit.price_functions.
    """

    per_second: Decimal = Decimal(0)
    per_gib_out: Decimal = Decimal(0)
    per_million_plan_units: Decimal = Decimal(0)
    currency: str = ""
    function: Callable[[Any], Decimal] | None = None


def price_list(
    per_second: float | Decimal = 0,
    per_gib_out: float | Decimal = 0,
    per_million_plan_units: float | Decimal = 0,
    currency: str = "",
    function: Callable[[Any], Decimal] | None = None,
) -> PriceList:
    """A price list from plain numbers. 0.0005 means exactly that, not the nearest binary fraction."""
    return PriceList(_exact(per_second), _exact(per_gib_out), _exact(per_million_plan_units), currency, function)


def cost_of(prices: PriceList, *, server_time_us: int, bytes_out: int, plan_units: float | Decimal = 0) -> Decimal:
    """The price of one statement, rounded to 9 places (half to even), at most MOST.

    `server_time_us`: microseconds the server worked on it; `bytes_out`: bytes sent to the client;
    `plan_units`: total cost of the planner's EXPLAIN, 0 if unknown.
    """
    total = prices.per_second * server_time_us / _US_PER_SECOND
    total += prices.per_gib_out * bytes_out / _BYTES_PER_GIB
    total += prices.per_million_plan_units * _exact(plan_units) / _UNITS_PER_MILLION
    return rounded_cost(min(total, MOST))


def rounded_cost(amount: Decimal) -> Decimal:
    """`amount` with exactly 9 decimal places, the one form in which costs are stored and hashed."""
    return amount.quantize(_PLACES)


def _exact(number: float | Decimal) -> Decimal:
    return number if isinstance(number, Decimal) else Decimal(str(number))
