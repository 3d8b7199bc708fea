"""Prices that a list of amounts can't express: an operator's own function, given what is known of a statement.

It is asked for every statement, on the event loop: it must be quick, and mustn't wait for anything. What it can't
answer costs what the list's amounts say.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from audit.cost import MOST, PriceList, cost_of, rounded_cost
from audit.record import Record

log = logging.getLogger("pgwarden.audit")


@dataclass(frozen=True, slots=True)
class Measured:
    """One statement that has run. `standard` is what it costs by the list's amounts, in the same `currency`."""

    tenant: str
    team: str
    user: str
    end_user: str
    database: str
    workload: str
    shape: str
    tables: tuple[str, ...]
    rows: int
    bytes_out: int
    server_time_us: int
    plan_units: int
    sqlstate: str
    currency: str
    standard: Decimal


PriceFunction = Callable[[Measured], Decimal]


class SafePrice:
    """A price function whose faults cost nobody a record: they are told once for each kind."""

    def __init__(self, name: str, function: PriceFunction) -> None:
        self._name = name
        self._function = function
        self._told: set[str] = set()

    def __call__(self, measured: Measured) -> Decimal:
        """What it says, from 0 to MOST, else `standard`."""
        try:
            return self._checked(self._function(measured))
        except Exception as error:
            if self._is_news(error):
                fields = {"function": self._name, "error": type(error).__name__}
                log.exception("a price function fails; the list's amounts hold instead", extra={"fields": fields})
            return measured.standard

    def _checked(self, answer: object) -> Decimal:
        if isinstance(answer, bool) or not isinstance(answer, Decimal | int):
            raise TypeError(f"a price is a Decimal, not {type(answer).__name__}")
        amount = Decimal(answer)
        if not amount.is_finite() or not 0 <= amount <= MOST:
            raise ValueError(f"a price is from 0 to {MOST}")
        return rounded_cost(amount)

    def _is_news(self, error: Exception) -> bool:
        is_news = type(error).__name__ not in self._told
        self._told.add(type(error).__name__)
        return is_news


def price_of(prices: PriceList, outcome: Record, plan_units: int) -> Decimal:
    """What the statement of this outcome cost, whose measures are in it."""
    standard = cost_of(
        prices, server_time_us=outcome.duration_us or 0, bytes_out=outcome.bytes_out or 0, plan_units=plan_units
    )
    if prices.function is None:
        return standard
    return prices.function(_measured(prices, outcome, plan_units, standard))


def _measured(prices: PriceList, outcome: Record, plan_units: int, standard: Decimal) -> Measured:
    return Measured(
        tenant=outcome.tenant,
        team=outcome.team,
        user=outcome.user,
        end_user=outcome.end_user,
        database=outcome.database,
        workload=outcome.workload,
        shape=outcome.shape,
        tables=outcome.tables,
        rows=outcome.rows or 0,
        bytes_out=outcome.bytes_out or 0,
        server_time_us=outcome.duration_us or 0,
        plan_units=plan_units,
        sqlstate=outcome.sqlstate,
        currency=prices.currency,
        standard=rounded_cost(standard),
    )
