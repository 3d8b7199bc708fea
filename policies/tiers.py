"""Tiers of API keys: what a key of each may begin and cost in a month, and what is said when it is used up. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from policies.decision import Refusal
from policies.model import RuleId
from policies.rates import Rate

NANO: Final = 10**9  # parts of one unit of the currency
_BUILT_IN: Final = "pgwarden/keys"


class TierName(StrEnum):
    FREE = "free"
    PRO = "pro"
    PREMIUM = "premium"
    ENTERPRISE = "enterprise"


@dataclass(frozen=True, slots=True)
class Tier:
    """None: without end. Months are UTC's; `cost_per_month` is in the currency of the prices."""

    name: TierName
    rule: RuleId
    statements_per_month: int | None = None
    cost_per_month: Decimal | None = None
    rate: Rate | None = None

    @property
    def has_quota(self) -> bool:
        return self.statements_per_month is not None or self.cost_per_month is not None

    @property
    def cost_nano(self) -> int | None:
        return None if self.cost_per_month is None else int(self.cost_per_month * NANO)


@dataclass(frozen=True, slots=True)
class Uses:
    """What a key has begun and cost in a month; the cost in parts of 10^-9."""

    statements: int = 0
    cost_nano: int = 0

    def __add__(self, other: Uses) -> Uses:
        return Uses(self.statements + other.statements, self.cost_nano + other.cost_nano)


def month_of(day: date) -> date:
    """Its first day."""
    return day.replace(day=1)


def next_month(month: date) -> datetime:
    """Its end, where the next one begins, in UTC."""
    year, number = divmod(month.year * 12 + month.month, 12)
    return datetime(year, number + 1, 1, tzinfo=UTC)


def used_up(tier: Tier, key: str, uses: Uses, statements: int, month: date, currency: str) -> Refusal | None:
    """53400 when a key that has used so much may not begin so many statements more."""
    limit, most = tier.statements_per_month, tier.cost_nano
    if limit is not None and uses.statements + statements > limit:
        return _refused(tier, f"API key {key} has begun its {limit} statements of {month:%Y-%m}", month)
    if most is not None and uses.cost_nano >= most:
        price = f"{tier.cost_per_month} {currency}".rstrip()
        return _refused(tier, f"API key {key} has used up its {price} of {month:%Y-%m}", month)
    return None


def unknown_tier(key: str, tier: str) -> Refusal:
    """A key whose tier the policies don't know has no quota that could hold: it may begin nothing."""
    message = f"the tier of API key {key} isn't defined"
    return Refusal("53400", _BUILT_IN, message, "", f"An administrator defines {tier!r} under 'tiers'.")


def no_room(key: str) -> Refusal:
    """What can't be counted may not begin."""
    message = f"the statements of API key {key} can't be counted now"
    return Refusal("53400", _BUILT_IN, message, "", "Try again later; an administrator finds the reason in the log.")


def _refused(tier: Tier, message: str, month: date) -> Refusal:
    where = f"Rule {tier.rule} at {tier.rule.source}."
    return Refusal(
        "53400", str(tier.rule), message, where, f"Try again from {next_month(month):%Y-%m-%d %H:%M} UTC on."
    )
