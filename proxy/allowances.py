"""What sessions may begin: token buckets of rates, monthly quotas of API keys. It counts in memory that all workers
share, and decides nothing about a statement's content.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from audit.lines import Lines
from audit.price_functions import price_of
from audit.tariff import tariff_of
from policies.decision import Refusal
from policies.limits import Limit
from policies.model import PolicySet, Principal
from policies.rates import Buckets, Charge, LocalBuckets, charges_of, too_fast
from policies.tiers import Tier, TierName, Uses, month_of, no_room, unknown_tier, used_up
from proxy.key_ring import KeyRing
from proxy.quotas import Quotas, Slot

if TYPE_CHECKING:
    from proxy.session.ports import Allowance, Spent

_DAY_S: Final = 86_400
_COST_PLACES: Final = 9
_MICROSECONDS: Final = 1_000_000

Refused = tuple[Limit, Refusal]


class RateAllowance:
    """`session.ports.Allowance` of one whose statements take from these buckets."""

    counts_cost = False

    def __init__(self, buckets: Buckets, charges: Sequence[Charge], now_ns: Callable[[], int]) -> None:
        self._buckets = buckets
        self._charges = charges
        self._now_ns = now_ns

    def take(self, statements: int) -> Refused | None:
        if not self._charges:
            return None
        empty = self._buckets.take(self._charges, statements, self._now_ns())
        return None if empty is None else (Limit.RATE, too_fast(empty))

    def give_back(self, statements: int) -> None:
        self._buckets.give_back(self._charges, statements)

    def spend(self, lines: Lines, measured: Spent) -> None:
        """Nothing: buckets count statements."""


class KeyAllowance:
    """The same of a session that logged in by a key of the store: its month's quota, then the buckets.

    `elsewhere` says what other sidecars have counted in a month.
    """

    counts_cost = True

    def __init__(
        self,
        key: str,
        tier: Tier,
        quotas: Quotas,
        rates: RateAllowance,
        elsewhere: Callable[[date], Uses],
        now_s: Callable[[], float],
        currency: str,
    ) -> None:
        self._key = key
        self._tier = tier
        self._quotas = quotas
        self._rates = rates
        self._elsewhere = elsewhere
        self._now_s = now_s
        self._currency = currency
        self._day = -1
        self._month = date.min
        self._slot: Slot | None = None

    def take(self, statements: int) -> Refused | None:
        now_s = self._now_s()
        slot = self._slot_of(now_s)
        if slot is None:
            return Limit.KEY_QUOTA, no_room(self._key)
        with slot.lock:
            refusal = self._used_up(slot, statements) if self._tier.has_quota else None
            if refusal is not None:
                return Limit.KEY_QUOTA, refusal
            slot.add(statements)
            slot.touch(int(now_s * _MICROSECONDS))
        refused = self._rates.take(statements)
        if refused is not None:
            self._return(slot, statements)
        return refused

    def give_back(self, statements: int) -> None:
        if self._slot is not None:
            self._return(self._slot, statements)
        self._rates.give_back(statements)

    def spend(self, lines: Lines, measured: Spent) -> None:
        cost_nano = int(_cost(lines, measured).scaleb(_COST_PLACES))
        slot = self._slot_of(self._now_s()) if cost_nano else None
        if slot is not None:
            with slot.lock:
                slot.add(0, cost_nano)

    def _used_up(self, slot: Slot, statements: int) -> Refusal | None:
        used = slot.uses + self._elsewhere(self._month)
        return used_up(self._tier, self._key, used, statements, self._month, self._currency)

    def _return(self, slot: Slot, statements: int) -> None:
        with slot.lock:
            slot.add(-statements)

    def _slot_of(self, now_s: float) -> Slot | None:
        """That of the month of now."""
        day = int(now_s) // _DAY_S
        if day != self._day:
            self._day, self._month, self._slot = day, month_of(datetime.fromtimestamp(now_s, UTC).date()), None
        if self._slot is None or not self._slot.is_mine:
            self._slot = self._quotas.slot(self._key, self._month)
        return self._slot


class Barred:
    """The same of one who may begin nothing."""

    counts_cost = False

    def __init__(self, refusal: Refusal) -> None:
        self._refusal = refusal

    def take(self, statements: int) -> Refused | None:
        return Limit.KEY_QUOTA, self._refusal

    def give_back(self, statements: int) -> None:
        """Nothing was taken."""

    def spend(self, lines: Lines, measured: Spent) -> None:
        """Nothing began."""


class Allowances:
    """Those of one worker. `now_ns`: a clock that all workers of the machine share; `now_s`: the wall clock."""

    def __init__(
        self,
        buckets: Buckets | None = None,
        ring: KeyRing | None = None,
        quotas: Quotas | None = None,
        now_ns: Callable[[], int] = time.monotonic_ns,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._buckets = buckets or LocalBuckets()
        self._ring = ring
        self._quotas = quotas
        self._now_ns = now_ns
        self._now_s = now_s

    def of(self, policies: PolicySet, principal: Principal, key: str) -> Allowance | None:
        """None where no rate concerns this principal, and no key of the store was used."""
        charges = charges_of(policies.rates, principal)
        if key:
            return self._of_key(policies, charges, key)
        return RateAllowance(self._buckets, charges, self._now_ns) if charges else None

    def _of_key(self, policies: PolicySet, charges: tuple[Charge, ...], key_id: str) -> Allowance:
        ring, quotas = self._ring, self._quotas
        key = None if ring is None else ring.get(key_id)
        if ring is None or quotas is None or key is None:
            return Barred(no_room(key_id))  # its session is about to be ended
        tier = policies.tiers.get(TierName(key.tier)) if key.tier in list(TierName) else None
        if tier is None:
            return Barred(unknown_tier(key_id, key.tier))
        if tier.rate is not None:
            charges = (*charges, Charge(tier.rate, key_id))
        rates = RateAllowance(self._buckets, charges, self._now_ns)
        currency = policies.prices.currency
        return KeyAllowance(
            key_id, tier, quotas, rates, lambda month: ring.elsewhere(key_id, month), self._now_s, currency
        )


def _cost(lines: Lines, measured: Spent) -> Decimal:
    """As the outcome's record bears it."""
    units = lines.outcome.plan_units if measured.plan_units is None else measured.plan_units
    if lines.prices.function is None:
        return tariff_of(lines.prices, units or 0).cost(measured.duration_us, measured.bytes_out)
    outcome = msgspec.structs.replace(
        lines.outcome,
        rows=measured.rows,
        bytes_out=measured.bytes_out,
        duration_us=measured.duration_us,
        sqlstate=measured.sqlstate,
    )
    return price_of(lines.prices, outcome, units or 0)
