"""The SQL of budgets: slices that sidecars take, what they have spent, how it stands. Runs on a Store's connections.

Amounts are whole nano-units, 10^-9 of the currency. Knows no policies and no shared memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from audit.store import Store

_LEASE = """
    SELECT lease.* FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
                               $8::timestamptz[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[])
        WITH ORDINALITY
        AS asked (budget, period, zone, currency, amount, warn, said_at, spent, keep, want, need, number),
    LATERAL pgwarden.lease_budget(budget, period, zone, currency, amount, warn, $1, said_at, spent, keep, want, need)
        AS lease
    ORDER BY number"""
_SETTLE = "SELECT pgwarden.settle_budget($1, $2, $3, $4, $5, $6)"
_OF_HOLDER = """
    SELECT budget, period, starts_at, granted, spent FROM pgwarden.budget_leases
    WHERE holder = $1 AND granted > spent"""
_STANDINGS = """
    SELECT *, (SELECT count(*) FROM pgwarden.budget_leases AS l
               WHERE (l.budget, l.period, l.starts_at) = (b.budget, b.period, b.starts_at) AND l.granted > l.spent)
              AS holders
    FROM pgwarden.budgets AS b WHERE ends_at > clock_timestamp() AND starts_at <= clock_timestamp()
    ORDER BY budget, period, starts_at"""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a holder says and wants of one budget. `said_at`: the start of the period that it says it of."""

    budget: str
    period: str
    zone: str
    currency: str
    amount: int
    warn: int
    said_at: datetime | None
    spent: int
    keep: int
    want: int
    need: int


@dataclass(frozen=True, slots=True)
class Lease:
    """What it has got: `granted` in all in this period. `left_us`: until the period ends, by the store's clock.

    `is_short`: the store could not give what was needed. `is_warning` and `is_exceeding`: true once in a period, for
    one holder of all.
    """

    starts_at: datetime
    ends_at: datetime
    left_us: int
    granted: int
    all_granted: int
    all_spent: int
    is_short: bool
    is_warning: bool
    is_exceeding: bool


@dataclass(frozen=True, slots=True)
class Held:
    """What a holder of earlier has left behind."""

    budget: str
    period: str
    starts_at: datetime
    granted: int
    spent: int


@dataclass(frozen=True, slots=True)
class BudgetStanding:
    """How one budget stands in its period of now. `holders`: sidecars that have something in hand."""

    budget: str
    period: str
    starts_at: datetime
    ends_at: datetime
    amount: int
    currency: str
    granted: int
    spent: int
    holders: int


class StoreBudgets:
    """Raises what Store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def lease(self, holder: UUID, asks: Sequence[Ask]) -> list[Lease]:
        """An answer to each, all in one transaction. `asks` must be in one order everywhere: rows are locked in it."""
        columns = [
            [getattr(ask, name) for ask in asks]
            for name in (
                "budget",
                "period",
                "zone",
                "currency",
                "amount",
                "warn",
                "said_at",
                "spent",
                "keep",
                "want",
                "need",
            )
        ]
        async with self._store.writing() as connection:
            rows = await connection.fetch(_LEASE, holder, *columns)
        return [Lease(**dict(row)) for row in rows]

    async def settle(self, holder: UUID, held: Held, spent: int) -> None:
        """It has spent so much, and gives the rest back."""
        async with self._store.writing() as connection:
            await connection.execute(_SETTLE, held.budget, held.period, held.starts_at, holder, spent, 0)

    async def held_by(self, holder: UUID) -> list[Held]:
        """What a holder has not spent, as far as the store knows."""
        async with self._store.writing() as connection:
            return [Held(**dict(row)) for row in await connection.fetch(_OF_HOLDER, holder)]

    async def standings(self) -> list[BudgetStanding]:
        """Of all periods of now that anybody has asked about."""
        async with self._store.connected("pgwarden_auditor") as connection:
            rows = await connection.fetch(_STANDINGS)
        names = BudgetStanding.__dataclass_fields__
        return [BudgetStanding(**{name: row[name] for name in names}) for row in rows]
