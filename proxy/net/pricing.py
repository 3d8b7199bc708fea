"""The prices of now, by database: the policies' price lists on the wall clock, and the operator's price functions.

It must not know sessions: they learn of other prices by the epoch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import entry_points
from typing import Final

from audit.cost import PriceList, price_list
from audit.price_functions import PriceFunction, SafePrice
from policies.model import PolicySet
from policies.prices import NO_PRICES
from policies.prices import PriceList as Written
from policies.prices_reader import FUNCTIONS_GROUP
from proxy.net.policies import PolicyHolder

LOOK_S: Final = 30.0  # also when no list is about to begin: the clock may have been set
_LEAST_S: Final = 0.01

log = logging.getLogger("pgwarden.net")


class Pricing:
    """`now_s`: the wall clock. `functions` gives an installed price function by its name, or raises."""

    def __init__(
        self, policies: PolicyHolder, now_s: Callable[[], float], functions: Callable[[str], PriceFunction]
    ) -> None:
        self._policies = policies
        self._now_s = now_s
        self._functions = functions
        self._set: PolicySet | None = None
        self._holding: dict[str, Written | None] = {}
        self._made: dict[Written | None, PriceList] = {}
        self._told: set[str] = set()

    def of(self, database: str) -> PriceList:
        """The same object until the epoch rises. Raises PoliciesError while there are no policies."""
        current = self._policies.current
        if self._set is not current:
            self._set, self._holding, self._made = current, {}, {}
        if database not in self._holding:
            self._holding[database] = current.prices.holding(database, self._now())
        return self._price_list(self._holding[database])

    def look(self) -> None:
        """Whether other lists hold by now."""
        current = self._policies.loaded
        if current is None:
            return
        self._tell_ended(current)
        now = self._now()
        if self._set is current and any(current.prices.holding(n, now) is not one for n, one in self._holding.items()):
            self._holding = {}
            self._policies.epoch.advance()
            log.info("other prices hold from now on")

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(self._pause_s())

    def _pause_s(self) -> float:
        current = self._policies.loaded
        due = None if current is None else current.prices.next_change(self._now())
        return LOOK_S if due is None else min(LOOK_S, max(_LEAST_S, due.timestamp() - self._now_s()))

    def _price_list(self, written: Written | None) -> PriceList:
        made = self._made.get(written)
        if made is None:
            made = self._made[written] = self._make(written)
        return made

    def _make(self, written: Written | None) -> PriceList:
        if written is None:
            return price_list(currency=NO_PRICES.currency)
        p = written.prices
        function = self._function(written.function) if written.function else None
        return price_list(p.per_second, p.per_gib_out, p.per_million_plan_units, p.currency, function)

    def _function(self, name: str) -> SafePrice | None:
        try:
            return SafePrice(name, self._functions(name))
        except Exception:
            fields = {"function": name}
            log.exception("a price function can't be loaded; the list's amounts hold instead", extra={"fields": fields})
            return None

    def _tell_ended(self, current: PolicySet) -> None:
        for one in current.prices.ended(self._now()):
            if one.name not in self._told:
                self._told.add(one.name)
                fields = {"list": one.name}
                log.warning("a price list has ended and goes on, because none follows it", extra={"fields": fields})

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._now_s(), UTC)


def price_function(name: str) -> PriceFunction:
    """That of an installed package. Raises whatever its import raises, LookupError when there is none."""
    (found, *_) = [*entry_points(group=FUNCTIONS_GROUP, name=name)] or [None]
    if found is None:
        raise LookupError(f"there is no price function {name!r}")
    function: PriceFunction = found.load()
    return function
