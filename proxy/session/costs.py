"""Whether a statement is cheap enough to run, by the planner's estimate. The client waits while the planner is asked.

The estimate itself is never shown: it tells how many rows there are, hidden ones too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from audit.cost import cost_of
from policies.decision import Decision, Refusal
from policies.limits import Limit, not_estimated, too_costly
from policies.model import Limits
from proxy.session.conversation import Conversation, Wait
from proxy.session.held import Declared, Held, Portal, Prepared, Run
from proxy.session.ports import CostQuery, Estimate, EstimateCost

_MOST_UNITS = (1 << 63) - 1  # what a record holds


@dataclass(frozen=True, slots=True)
class Ran:
    """What the server will run: the `index`-th statement of the text that it gets or has got."""

    text: str
    index: int
    types: tuple[int, ...] = ()


class Costs:
    def __init__(self, conversation: Conversation) -> None:
        self._c = conversation

    def refusal(self, runs: Iterable[tuple[Run, Ran]]) -> tuple[Refusal | None, list[int | None]]:
        """Why one of these may not run, and what each is estimated at in planner units. Raises Wait."""
        units: list[int | None] = []
        for run, ran in runs:
            limits = run.plan.limits
            named = _named(run, ran)
            if limits.cost is None or named is None:
                units.append(None)
                continue
            estimate = self._estimate(named)
            refusal = self._refusal(limits, estimate)
            units.append(None if estimate.units is None else _whole(estimate.units))
            if refusal is not None:
                self._c.services.count_limit(Limit.COST)
                self._c.estimates.clear()
                return refusal, units
        self._c.estimates.clear()
        return None, units

    def _refusal(self, limits: Limits, estimate: Estimate) -> Refusal | None:
        assert limits.cost is not None
        if estimate.units is None:
            return not_estimated(limits, estimate.problem, estimate.hint)
        prices = self._c.services.prices(self._c.identity.database)
        cost = cost_of(prices, server_time_us=0, bytes_out=0, plan_units=_whole(estimate.units))
        return too_costly(limits, prices.currency) if cost > Decimal(str(limits.cost)) else None

    def _estimate(self, ran: Ran) -> Estimate:
        c = self._c
        catalog = c.services.catalog(c.identity.database)
        path = c.sent.track.namespace.search_path
        version = 0 if catalog is None else catalog.version
        query = CostQuery(c.identity.database, version, path, ran.text, ran.index, ran.types)
        found = c.estimates.get(query) or c.services.known_estimate(query)
        if found is None:
            c.wanted_estimate = query
            c.outbox.commands.append(EstimateCost(query, c.identity.user))
            raise Wait
        return found


def _named(run: Run, ran: Ran) -> Ran | None:
    """What a statement runs by name; None when nothing runs now, or ran before: PREPARE, and FETCH of a cursor."""
    if run.plan.effect.prepares:
        return None
    if run.reads is None:
        return ran
    match run.reads.held:
        case Portal(statement=prepared) as portal:
            return None if portal.is_executed else ran_by(prepared)
        case Prepared() as prepared:
            return ran_by(prepared)
        case declared:
            return None if declared.plan.effect.opens_cursor else _declared(declared)


def ran_by(prepared: Prepared) -> Ran:
    """What an execution of it runs."""
    if prepared.declared is not None:
        return _declared(prepared.declared)
    return Ran(prepared.decision.text, 0, prepared.types)


def ran_of(held: Held) -> Ran:
    """What reading from it runs."""
    match held:
        case Portal(statement=prepared) | (Prepared() as prepared):
            return ran_by(prepared)
        case declared:
            return _declared(declared)


def rans_of(decision: Decision, count: int, prepared: Prepared | None) -> list[Ran]:
    """What each of a text's statements runs; `prepared`: it is run by an Execute."""
    if prepared is not None:
        return [ran_by(prepared)] * count
    return [Ran(decision.text, index) for index in range(count)]


def _declared(declared: Declared) -> Ran:
    plans = declared.decision.plans
    index = next((i for i, plan in enumerate(plans) if plan is declared.plan), 0)
    return Ran(declared.decision.text, index)


def _whole(units: float) -> int:
    return min(round(min(units, float(_MOST_UNITS))), _MOST_UNITS)
