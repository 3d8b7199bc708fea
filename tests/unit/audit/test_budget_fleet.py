"""Fifty sidecars on one budget and one real store: together they never spend more than it says, but for what statements
under way cost beyond what they had reserved.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from audit.errors import StoreError, StoreUnreachableError
from audit.store import Store
from audit.store_budgets import Ask, Held, Lease, StoreBudgets
from policies.budgets import NANO, Budget, BudgetSubject, OnExceeded, Period
from policies.model import RuleId, Source
from proxy.purse_file import PurseFile, left_purses
from proxy.purses import AWAY, FINE, MAY, SPENT, Mean, Purse, Reservation, Spending
from proxy.treasury import Clocks, Treasury, period_end

BOOT = UUID(int=7)


def budget(limit: int = 100, **changes: object) -> Budget:
    values: dict[str, object] = {
        "subject": BudgetSubject.TENANT,
        "name": "acme",
        "period": Period.DAILY,
        "limit": limit * NANO,
        "warn": limit * NANO * 9 // 10,
        "on_exceeded": OnExceeded.STOP,
        "wait_s": 1.0,
        "is_open": False,
        "cap": 0,
        "slice": limit * NANO // 100,
        "first": limit * NANO // 1000,
        "timezone": "UTC",
        "currency": "USD",
        "rule": RuleId("budgets/tenant acme/daily", Source("a.yaml", 1, 1)),
    }
    return Budget(**(values | changes))  # type: ignore[arg-type]


@dataclass
class Sidecar:
    """A treasury, two workers' purses, and a clock that the test moves."""

    directory: Path
    bank: StoreBudgets | Away
    one: Budget
    holder: UUID = field(default_factory=uuid4)
    now_us: int = 1_000_000
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.directory.mkdir(exist_ok=True)
        self.file = PurseFile.make(self.directory, 2, self.holder, BOOT)
        clocks = Clocks(lambda: self.now_us, lambda: datetime.now(UTC))
        self.treasury = Treasury(
            self.file, self.holder, self.bank, lambda *said, **_: self.notes.append(said[0]), clocks
        )
        self.treasury.learn([self.one])
        self.purses = [self.file.purse(self.one, worker) for worker in (1, 2)]

    def note(self, shape: str, text: str, **fields: object) -> None:
        self.notes.append(shape)

    @property
    def purse(self) -> Purse:
        return self.purses[0]

    async def tick(self, count: int = 1) -> None:
        for _ in range(count):
            self.now_us += 50_000
            await self.treasury.tick()

    async def take(self, nano: int, worker: int = 1) -> bool:
        """As a statement does: looks, waits for the store, takes."""
        purse = self.purses[worker - 1]
        for _ in range(4):
            if purse.take(nano, self.now_us):
                return True
            purse.look(nano, self.now_us)
            await self.tick()
        return False


class Away:
    """A bank that can't be reached while `is_away`."""

    def __init__(self, bank: StoreBudgets) -> None:
        self._bank = bank
        self.is_away = True

    async def lease(self, holder: UUID, asks: list[Ask]) -> list[Lease]:
        self._require()
        return await self._bank.lease(holder, asks)

    async def settle(self, holder: UUID, held: Held, spent: int) -> None:
        self._require()
        await self._bank.settle(holder, held, spent)

    async def held_by(self, holder: UUID) -> list[Held]:
        self._require()
        return await self._bank.held_by(holder)

    def _require(self) -> None:
        if self.is_away:
            raise StoreUnreachableError("the store can't be reached")


async def standing(store: Store) -> tuple[int, int]:
    """Granted and spent."""
    (found,) = await StoreBudgets(store).standings()
    return found.granted, found.spent


async def test_fifty_sidecars_spend_no_more_than_the_budget(store: Store, tmp_path: Path) -> None:
    bank, chance = StoreBudgets(store), random.Random(6)
    fleet = [Sidecar(tmp_path / str(number), bank, budget()) for number in range(50)]
    spent, beyond, running = 0, 0, []
    for _ in range(300):
        sidecar = chance.choice(fleet)
        reserved = chance.randrange(NANO // 10, NANO)
        worker = chance.choice((1, 2))
        if await sidecar.take(reserved, worker):
            running.append((sidecar.purses[worker - 1], reserved))
        if len(running) > 5 or chance.random() < 0.7:
            while running:
                purse, was = running.pop()
                cost = int(was * chance.uniform(0.2, 1.1))
                purse.put(cost - was)
                spent += cost
                beyond = max(beyond, cost - was)
        granted, _ = await standing(store)
        assert granted <= 100 * NANO + 6 * beyond
    for purse, was in running:
        purse.put(-was)
    assert spent <= 100 * NANO + 6 * beyond
    for _ in range(3):  # who doesn't spend gives back what others may need
        for sidecar in fleet[1:]:
            sidecar.now_us += 11_000_000
            await sidecar.tick()
    fleet[0].now_us += 2_000_000
    while await fleet[0].take(NANO // 4):
        spent += NANO // 4
    assert 98 * NANO < spent <= 100 * NANO + 6 * beyond
    for sidecar in fleet:
        await sidecar.treasury.close()
    granted, told = await standing(store)
    assert granted == told == spent
    names = [note for sidecar in fleet for note in sidecar.notes]
    assert names.count("budget_warning") == 1
    assert names.count("budget_exceeded") == 1


async def test_a_statement_too_large_for_what_is_left_leaves_it_to_smaller_ones(store: Store, tmp_path: Path) -> None:
    sidecar = Sidecar(tmp_path / "a", StoreBudgets(store), budget(10))
    assert await sidecar.take(8 * NANO)
    assert not await sidecar.take(3 * NANO)
    assert sidecar.purse.state() == SPENT
    assert await sidecar.take(NANO)


async def test_what_a_killed_sidecar_spent_is_settled_from_its_file(store: Store, tmp_path: Path) -> None:
    killed = Sidecar(tmp_path / "a", StoreBudgets(store), budget())
    assert await killed.take(5 * NANO)
    killed.purses[1].put(NANO // 2)  # the store was never told
    after = Sidecar(tmp_path / "a", StoreBudgets(store), budget())
    (left,) = left_purses(tmp_path / "a", after.holder)
    await after.treasury.settle_left(left, BOOT)
    assert await standing(store) == (5 * NANO + NANO // 2, 5 * NANO + NANO // 2)
    left.forget()
    assert left_purses(tmp_path / "a", after.holder) == []


async def test_after_a_power_cut_all_that_was_in_hand_counts_as_spent(store: Store, tmp_path: Path) -> None:
    killed = Sidecar(tmp_path / "a", StoreBudgets(store), budget())
    assert await killed.take(NANO // 2)
    await killed.tick()
    granted, _ = await standing(store)
    (left,) = left_purses(tmp_path / "a", uuid4())
    await killed.treasury.settle_left(left, UUID(int=8))
    assert await standing(store) == (granted, granted)


async def test_without_the_store_a_cap_may_be_spent_and_is_told_afterwards(store: Store, tmp_path: Path) -> None:
    bank = Away(StoreBudgets(store))
    sidecar = Sidecar(tmp_path / "a", bank, budget(is_open=True, cap=2 * NANO))
    assert await sidecar.take(NANO)
    assert await sidecar.take(NANO)
    assert not await sidecar.take(NANO)
    assert sidecar.purse.state() == AWAY
    bank.is_away = False
    await sidecar.tick(30)
    assert await sidecar.take(NANO)
    await sidecar.tick(30)
    assert (await standing(store))[1] == 3 * NANO
    assert sidecar.notes == ["budgets_away", "budgets_back"]


async def test_closed_nothing_runs_that_was_not_in_hand(store: Store, tmp_path: Path) -> None:
    bank = Away(StoreBudgets(store))
    sidecar = Sidecar(tmp_path / "a", bank, budget())
    assert not await sidecar.take(NANO)
    bank.is_away = False
    await sidecar.tick(30)
    assert sidecar.purse.look(NANO, sidecar.now_us) == MAY
    assert sidecar.purse.state() == FINE


async def test_a_period_that_ends_settles_and_what_was_left_is_worth_nothing(store: Store, tmp_path: Path) -> None:
    sidecar = Sidecar(tmp_path / "a", StoreBudgets(store), budget())
    assert await sidecar.take(NANO)
    sidecar.now_us += 25 * 3600 * 1_000_000  # as the machine counts; the store's day goes on
    assert not sidecar.purse.take(1, sidecar.now_us)
    await sidecar.tick(2)
    assert (await standing(store))[1] == NANO
    assert sidecar.purse.take(1, sidecar.now_us)


async def test_what_was_spent_never_falls_and_nobody_may_write_it(store: Store) -> None:
    bank, holder = StoreBudgets(store), uuid4()
    ask = Ask("tenant acme", "daily", "UTC", "USD", 100, 90, None, 0, 0, 50, 0)
    (lease,) = await bank.lease(holder, [ask])
    held = Held("tenant acme", "daily", lease.starts_at, 0, 0)
    await bank.settle(holder, held, 40)
    await bank.settle(holder, held, 3)
    assert await standing(store) == (40, 40)
    with pytest.raises(StoreError):
        async with store.writing() as connection:
            await connection.execute("UPDATE pgwarden.budgets SET spent = 0")


async def test_a_time_zone_that_the_store_does_not_know_stops_its_budget_alone(store: Store, tmp_path: Path) -> None:
    sidecar = Sidecar(tmp_path / "a", StoreBudgets(store), budget(timezone="No/Where"))
    other = budget(name="other")
    sidecar.treasury.learn([sidecar.one, other])
    purse = sidecar.file.purse(other, 1)
    sidecar.purse.look(NANO, sidecar.now_us)
    purse.look(NANO, sidecar.now_us)
    await sidecar.tick(2)
    assert sidecar.purse.state() == AWAY
    assert purse.take(NANO, sidecar.now_us)


def test_statements_reserve_what_such_ones_cost_before(tmp_path: Path) -> None:
    file = PurseFile.make(tmp_path, 1, uuid4())
    purse = file.purse(budget(on_exceeded=OnExceeded.SHADOW), 1)
    spending, mean = Spending((purse,), {}), Mean()
    assert spending.estimate(mean) == purse.budget.first
    for cost in (800, 1600):
        Reservation(spending, mean, 0).settle(cost)
    assert spending.estimate(mean) == 900
    assert purse.used() == 2400


def test_periods_end_at_midnight_of_their_zone() -> None:
    now = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    assert period_end(budget(), now) == datetime(2027, 1, 1, tzinfo=UTC)
    assert period_end(budget(timezone="Europe/Berlin"), now) == datetime(2027, 1, 1, 23, tzinfo=UTC)
    monthly = budget(period=Period.MONTHLY, timezone="Europe/Berlin")
    assert period_end(monthly, now) == datetime(2027, 1, 31, 23, tzinfo=UTC)
