"""Holds statements against the purses that they draw on: reserves, waits, refuses, warns. It counts nothing itself."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from audit.cost import cost_of
from audit.lines import Lines
from audit.record import ShadowDecision
from policies.budgets import NANO, OnExceeded, cancelled, spent, unknown, warning
from policies.decision import Refusal
from policies.limits import Limit
from proxy.purses import AWAY, LOW, OVER, SPENT, WARNED, Mean, Purse, Reservation, Spending
from proxy.session.held import Run, Shadowed
from proxy.session.ports import AwaitPurse
from proxy.session.shared_link import RUN_NOTHING
from proxy.wire.errors import notice_response

if TYPE_CHECKING:
    from proxy.session.conversation import Conversation

_WORKLOADS: Final = 16  # that a session remembers the purses of
_PATIENCE_US: Final = 3_000_000  # for what is on its way from the store
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class BudgetWait(Exception):
    """The statement waits for money; a command that says for how long is in the outbox."""


class Budgeting:
    """Of one session."""

    def __init__(self, conversation: Conversation) -> None:
        # The conversation has this object: a reference back would keep both until the collector comes.
        self._c: Conversation = weakref.proxy(conversation)
        self._told: dict[str, int] = {}
        self._seen: tuple[object, ...] = ()
        self._spending: dict[str, Spending | None] = {}  # by workload
        self.goes_by_workload = False
        self._until_us = 0  # until when the statement that waits may wait; 0: none does
        self.is_waiting = False
        self.is_cancelled = False
        self.notices: list[bytes] = []

    def spending(self, text: str = "", lines: Lines | None = None) -> Spending | None:
        """What a statement of this session draws on; None where no budget concerns it.

        `text`, or `lines` for its records: of the statement, whose comments may name another workload.
        """
        c = self._c
        identity = c.identity
        seen = c.services.epoch.number, identity.principal, identity.application
        if seen != self._seen:
            self._seen = seen
            self._spending.clear()
            self.goes_by_workload = c.services.has_workload_budgets()
        workload = ""
        if self.goes_by_workload:
            workload = identity.application
            if lines is not None:
                workload = lines.workload
            elif text:
                workload = c.ledger.workload(text)
        if workload not in self._spending:
            if len(self._spending) >= _WORKLOADS:
                self._spending.clear()
            self._spending[workload] = self._spending_of(workload)
        return self._spending[workload]

    def _spending_of(self, workload: str) -> Spending | None:
        principal = self._c.identity.principal
        purses = () if principal is None else self._c.services.purses(principal, workload)
        return Spending(purses, self._told) if purses else None

    # before statements begin

    def reserve(
        self, spending: Spending, runs: Sequence[Run], units: Sequence[int | None]
    ) -> list[Reservation] | Refusal:
        """For each of these, all or none. `units`: the planner's, for each where it was asked. Raises BudgetWait."""
        c = self._c
        held: list[Reservation] = []
        for run, planned in itertools.zip_longest(runs, units):
            mean = c.services.mean_cost(c.identity.database, run.plan.shape)
            nano = 0 if run.plan.command in RUN_NOTHING else self._estimate(spending, mean, planned)
            found = self._take(spending, nano) if nano else None
            if found is not None:
                for reservation in held:
                    reservation.undo()
                return self._hindered(*found, nano)
            held.append(Reservation(spending, mean, nano))
        self._until_us = 0
        self._warn(spending)
        return held

    def _estimate(self, spending: Spending, mean: Mean, units: int | None) -> int:
        """What such statements have cost, else what the planner thinks, else what the budgets say."""
        if mean.nano >= 0 or units is None:
            return spending.estimate(mean)
        prices = self._c.services.prices(self._c.identity.database)
        return max(1, int(cost_of(prices, server_time_us=0, bytes_out=0, plan_units=units) * NANO))

    def shadows(self, spending: Spending, shadows: Sequence[Shadowed], count: int) -> Sequence[Shadowed]:
        """What budgets in shadow mode would have refused, added to what policies would have."""
        now_us = self._c.services.now_us()
        rules = [
            str(purse.budget.rule)
            for purse in spending.purses
            if not purse.is_binding and purse.look(0, now_us) == OVER
        ]
        if not rules:
            return shadows
        return [_denied(one, rules) for one in shadows or [Shadowed(ShadowDecision.DENY)] * count]

    def _take(self, spending: Spending, nano: int) -> tuple[Purse, int] | None:
        """Which purse says no, and how, when it does."""
        now_us = self._c.services.now_us()
        if spending.take(nano, now_us):
            return None
        looks = [(purse, purse.look(nano, now_us)) for purse in spending.purses if purse.is_binding]
        return next(((purse, found) for purse, found in looks if found == OVER), None) or next(
            ((purse, found) for purse, found in looks if found == LOW), (spending.purses[0], LOW)
        )

    def _hindered(self, purse: Purse, found: int, nano: int) -> Refusal:
        """Why not. Raises BudgetWait when it may be otherwise soon."""
        if self.is_cancelled:
            self.is_cancelled, self._until_us = False, 0
            return cancelled(purse.budget)
        now_us = self._c.services.now_us()
        if not self._until_us:
            self._until_us = now_us + self._patience_us(purse, found)
        if now_us < self._until_us:
            self.is_waiting = True
            self._c.outbox.commands.append(AwaitPurse(purse, nano, (self._until_us - now_us) / 1e6))
            raise BudgetWait
        self._until_us = 0
        self._c.services.count_limit(Limit.BUDGET)
        if found == LOW or purse.state() == AWAY:
            return unknown(purse.budget)
        return spent(purse.budget, _moment(purse.frees_at()), self._c.services.now())

    def _patience_us(self, purse: Purse, found: int) -> int:
        if purse.budget.on_exceeded is OnExceeded.QUEUE:
            return int(purse.budget.wait_s * 1e6)
        return _PATIENCE_US if found == LOW else 0

    # what the client reads beside

    def _warn(self, spending: Spending) -> None:
        for purse in spending.purses:
            if purse.state() in (WARNED, SPENT) and not spending.is_told(purse):
                self._told[purse.budget.key] = purse.starts_at()
                if purse.is_binding:
                    self.notices.append(_notice(warning(purse.budget, _moment(purse.frees_at()))))

    def take_notices(self) -> list[bytes]:
        found, self.notices = self.notices, []
        return found


def _notice(told: Refusal) -> bytes:
    return notice_response("NOTICE", told.sqlstate, f"{told.message} (rule {told.rule})", told.detail, told.hint)


def _denied(shadow: Shadowed, rules: Sequence[str]) -> Shadowed:
    known = shadow.rule_ids
    added = tuple(rule for rule in rules if rule not in known)
    return replace(shadow, decision=ShadowDecision.DENY, rule_ids=(*known, *added))


def _moment(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)
