"""Budgets: what a tenant, a team, a user or a workload may spend in a day or a month, and what is said when it has.

Pure: it counts nothing. Amounts are whole nano-units, 10^-9 of the currency that the prices are in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from policies.decision import Refusal
from policies.model import RuleId

NANO: Final = 10**9
_CANCELLED: Final = "canceling statement due to user request"


class BudgetSubject(StrEnum):
    """Whose statements count."""

    TENANT = "tenant"
    TEAM = "team"
    USER = "user"
    WORKLOAD = "workload"


class Period(StrEnum):
    DAILY = "daily"
    MONTHLY = "monthly"


class OnExceeded(StrEnum):
    """What becomes of a statement that finds the budget spent."""

    STOP = "stop"
    QUEUE = "queue"  # it waits, up to `wait_s`
    SHADOW = "shadow"  # it runs, and its record says that it would have been refused


@dataclass(frozen=True, slots=True)
class Budget:
    """One amount for one period. `rule` names it and says where it stands.

    `warn`: spent beyond it warns. `slice`: what a sidecar takes from the store at once. `first`: what a statement
    reserves whose cost nobody knows yet. `is_open`: without the store a sidecar may spend `cap` more in a period.
    Days and months begin at midnight in `timezone`.
    """

    subject: BudgetSubject
    name: str
    period: Period
    limit: int
    warn: int
    on_exceeded: OnExceeded
    wait_s: float
    is_open: bool
    cap: int
    slice: int
    first: int
    timezone: str
    currency: str
    rule: RuleId

    @property
    def whose(self) -> str:
        """As the store keeps it: "tenant acme"."""
        return f"{self.subject} {self.name}"

    @property
    def key(self) -> str:
        return f"{self.whose}/{self.period}"


class BudgetIndex:
    """Which budgets a statement counts against."""

    def __init__(self, budgets: Iterable[Budget]) -> None:
        by_subject: dict[tuple[BudgetSubject, str], tuple[Budget, ...]] = {}
        for budget in budgets:
            subject = budget.subject, budget.name
            by_subject[subject] = (*by_subject.get(subject, ()), budget)
        self._by_subject = by_subject
        self.has_workloads = any(subject is BudgetSubject.WORKLOAD for subject, _ in by_subject)

    def of(self, tenant: str | None, team: str | None, user: str, workload: str) -> tuple[Budget, ...]:
        """`workload`: a budget may be for all of it, or for its first word, the tool."""
        found = self._by_subject
        tool = workload.partition(" ")[0]
        return (
            *found.get((BudgetSubject.TENANT, tenant or ""), ()),
            *found.get((BudgetSubject.TEAM, team or ""), ()),
            *found.get((BudgetSubject.USER, user), ()),
            *found.get((BudgetSubject.WORKLOAD, workload), ()),
            *(found.get((BudgetSubject.WORKLOAD, tool), ()) if tool != workload else ()),
        )


# what is said: 53400, and a NOTICE


def spent(budget: Budget, frees_at: datetime, now: datetime) -> Refusal:
    """There is nothing left of it for such a statement."""
    message = f"the {budget.period} budget of {budget.whose} is spent: {money(budget.limit)} {budget.currency}".rstrip()
    hint = f"It frees up at {_moment(frees_at)}, in {_span(frees_at - now)}."
    return Refusal("53400", str(budget.rule), message, _where(budget), hint)


def unknown(budget: Budget) -> Refusal:
    """Nobody can say how much is left."""
    message = f"the {budget.period} budget of {budget.whose} can't be checked: the audit store can't be reached"
    return Refusal("53400", str(budget.rule), message, _where(budget), "Try again in a few seconds.")


def cancelled(budget: Budget) -> Refusal:
    """The client cancelled what waited for the budget."""
    return Refusal("57014", str(budget.rule), _CANCELLED, _where(budget))


def warning(budget: Budget, frees_at: datetime) -> Refusal:
    """What the NOTICE says, once in a session and period."""
    percent = f"{100 * budget.warn / budget.limit:.4g}"
    amount = f"{money(budget.limit)} {budget.currency}".rstrip()
    message = f"{percent} % of the {budget.period} budget of {budget.whose} are spent: it is {amount}"
    hint = f"A new one begins at {_moment(frees_at)}."
    return Refusal("01000", str(budget.rule), message, _where(budget), hint)


def money(nano: int) -> str:
    """Nano-units as people write an amount: 2 decimal places at least."""
    text = f"{Decimal(nano) / NANO:.9f}"
    whole, _, places = text.partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"


def _where(budget: Budget) -> str:
    return f"Rule {budget.rule} at {budget.rule.source}."


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _span(span: timedelta) -> str:
    minutes = max(1, -(-int(span.total_seconds()) // 60))
    days, hours = minutes // 1440, minutes % 1440 // 60
    parts = ((days, "d"), (hours, "h"), (minutes % 60, "min"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "1 min"
