"""Rates: how fast statements may begin, as token buckets, and what is said when one is empty.

Pure: moments come in as nanoseconds of any clock that doesn't go back; where buckets are kept is not known here.
A bucket is one number, the moment at which it will be full again: a statement moves it on by one interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from policies.decision import Refusal
from policies.model import Principal, RuleId

SECOND_NS: Final = 1_000_000_000
_MILLISECOND_NS: Final = 1_000_000
_MOST_LOCAL: Final = 10_000


class RateSubject(StrEnum):
    """Whose statements share a bucket."""

    TENANT = "tenant"
    TEAM = "team"
    USER = "user"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_second` on average, `burst` at once. `name` None: each of the subject's kind has a bucket of its own."""

    subject: RateSubject
    name: str | None
    per_second: float
    burst: int
    rule: RuleId

    @property
    def interval_ns(self) -> int:
        return max(1, round(SECOND_NS / self.per_second))

    @property
    def depth_ns(self) -> int:
        """How far ahead of now an empty bucket is due."""
        return self.burst * self.interval_ns


@dataclass(frozen=True, slots=True)
class Charge:
    """A bucket that a statement takes from. `name` tells it from all others; the rest is what its rate says."""

    rate: Rate
    of: str
    name: str = field(init=False)
    interval_ns: int = field(init=False)
    depth_ns: int = field(init=False)

    def __post_init__(self) -> None:
        """Once, as every statement asks for these."""
        object.__setattr__(self, "name", f"{self.rate.rule.name}\0{self.rate.subject}\0{self.of}")
        object.__setattr__(self, "interval_ns", self.rate.interval_ns)
        object.__setattr__(self, "depth_ns", self.rate.depth_ns)


@dataclass(frozen=True, slots=True)
class Empty:
    """The first bucket that has too little. `wait_ns` None: it can never have enough."""

    charge: Charge
    wait_ns: int | None


class Buckets(Protocol):
    """Where buckets are kept. All charges are met together, or nothing is taken."""

    def take(self, charges: Sequence[Charge], statements: int, now_ns: int) -> Empty | None: ...

    def give_back(self, charges: Sequence[Charge], statements: int) -> None: ...


class LocalBuckets:
    """Those of one process."""

    def __init__(self) -> None:
        self._due: dict[str, int] = {}

    def take(self, charges: Sequence[Charge], statements: int, now_ns: int) -> Empty | None:
        due: dict[str, int] = {}
        for charge in charges:
            found = next_due(self._due.get(charge.name, 0), charge, statements, now_ns)
            if isinstance(found, Empty):
                return found
            due[charge.name] = found
        if len(self._due) > _MOST_LOCAL:
            self._due = {name: moment for name, moment in self._due.items() if moment > now_ns}
        self._due |= due
        return None

    def give_back(self, charges: Sequence[Charge], statements: int) -> None:
        for charge in charges:
            if charge.name in self._due:
                self._due[charge.name] -= statements * charge.interval_ns


def next_due(due_ns: int, charge: Charge, statements: int, now_ns: int) -> int | Empty:
    """When a bucket that is due at `due_ns` will be full again if so many statements begin now."""
    depth_ns = charge.depth_ns
    if statements > charge.rate.burst:
        return Empty(charge, None)
    # Policies may have changed since: what a larger bucket owed is nothing that a smaller one can owe.
    due_ns = min(max(due_ns, now_ns), now_ns + depth_ns) + statements * charge.interval_ns
    wait_ns = due_ns - now_ns - depth_ns
    return due_ns if wait_ns <= 0 else Empty(charge, wait_ns)


def charges_of(rates: Iterable[Rate], principal: Principal) -> tuple[Charge, ...]:
    """The buckets that this principal's statements take from."""
    names = {
        RateSubject.TENANT: principal.tenant,
        RateSubject.TEAM: principal.team,
        RateSubject.USER: principal.user,
    }
    found = ((rate, names.get(rate.subject)) for rate in rates)
    return tuple(Charge(rate, name) for rate, name in found if name is not None and rate.name in (None, name))


def too_fast(empty: Empty) -> Refusal:
    """53400, with when to try again."""
    rate = empty.charge.rate
    pace = f"{rate.per_second:g} statements a second, {rate.burst} at once"
    message = f'{rate.subject} "{empty.charge.of}" may begin {pace}'
    hint = f"Send at most {rate.burst} statements in one text." if empty.wait_ns is None else _try_again(empty.wait_ns)
    return Refusal("53400", str(rate.rule), message, f"Rule {rate.rule} at {rate.rule.source}.", hint)


def _try_again(wait_ns: int) -> str:
    if wait_ns < SECOND_NS:
        return f"Try again in {max(1, -(-wait_ns // _MILLISECOND_NS))} ms."
    return f"Try again in {-(-wait_ns // SECOND_NS)} s."
