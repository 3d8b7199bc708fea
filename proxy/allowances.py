"""What sessions may begin: token buckets of rates. It counts in memory that all workers share, and decides nothing
about a statement's content.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from audit.lines import Lines
from policies.decision import Refusal
from policies.limits import Limit
from policies.model import PolicySet, Principal
from policies.rates import Buckets, Charge, LocalBuckets, charges_of, too_fast

if TYPE_CHECKING:
    from proxy.session.ports import Allowance


class RateAllowance:
    """`session.ports.Allowance` of one whose statements take from these buckets."""

    counts_cost = False

    def __init__(self, buckets: Buckets, charges: Sequence[Charge], now_ns: Callable[[], int]) -> None:
        self._buckets = buckets
        self._charges = charges
        self._now_ns = now_ns

    def take(self, statements: int) -> tuple[Limit, Refusal] | None:
        empty = self._buckets.take(self._charges, statements, self._now_ns())
        return None if empty is None else (Limit.RATE, too_fast(empty))

    def give_back(self, statements: int) -> None:
        self._buckets.give_back(self._charges, statements)

    def spend(self, lines: Lines, plan_units: int | None, duration_us: int, bytes_out: int) -> None:
        """Nothing: buckets count statements."""


class Allowances:
    """Those of one worker. `now_ns`: a clock that all workers of the machine share."""

    def __init__(self, buckets: Buckets | None = None, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._buckets = buckets or LocalBuckets()
        self._now_ns = now_ns

    def of(self, policies: PolicySet, principal: Principal, key: str) -> Allowance | None:
        """None where no rate concerns this principal, and no key was used."""
        charges = charges_of(policies.rates, principal)
        return RateAllowance(self._buckets, charges, self._now_ns) if charges else None
