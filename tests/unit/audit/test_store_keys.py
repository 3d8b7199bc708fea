"""API keys in a real store, and what sidecars make of them: events, counts that add up, a writer that can do little."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest
from audit_store import execute

from audit.api_keys import KeyUse, NewKey, StoredKey, make_key
from audit.errors import StoreError
from audit.store import Store
from audit.store_keys import StoreKeys
from policies.model import PolicySet, Principal, RuleId, Source
from policies.prices import PriceBook
from policies.rates import LocalBuckets
from policies.tiers import Tier, TierName, Uses
from proxy.allowances import Allowances
from proxy.control import Keys, KeysSeen, Order
from proxy.key_keeping import SNAPSHOT_NAME, KeyKeeping
from proxy.key_ring import KeyRing
from proxy.quotas import FILE_NAME, Quotas

NOVEMBER = date(2026, 11, 1)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


async def made(store: Store, user: str = "ci") -> NewKey:
    new = make_key(os.urandom)
    assert await StoreKeys(store).make(new, user=user, tier="pro", owner="data", by="me", expires_at=None)
    return new


def use(key: str, statements: int, cost_nano: int = 0) -> KeyUse:
    return KeyUse(key, NOVEMBER, statements, cost_nano, NOON)


async def test_making_and_revoking_changes_the_mark_and_cannot_be_undone(store: Store) -> None:
    keys = StoreKeys(store)
    marks = [await keys.mark()]
    new = await made(store)
    assert not await keys.make(new, user="x", tier="pro", owner="", by="me", expires_at=None)
    marks.append(await keys.mark())
    assert [await keys.revoke(new.id, "me", "lost"), await keys.revoke(new.id, "you", "?")] == [True, False]
    assert await keys.revoke("pgw_00000000", "me", "") is None
    marks.append(await keys.mark())
    assert len(set(marks)) == 3
    (entry,) = await keys.entries()
    assert (entry.key.id, entry.key.sha256, entry.key.is_revoked) == (new.id, new.sha256, True)
    assert (entry.revoked_by, entry.reason, entry.owner, entry.created_by) == ("me", "lost", "data", "me")


async def test_totals_may_be_told_again_and_never_sink(store: Store) -> None:
    keys, one, other = StoreKeys(store), uuid4(), uuid4()
    new = await made(store)
    for statements in (5, 9, 9, 7):
        await keys.count(one, [use(new.id, statements, 2 * statements)])
    await keys.count(other, [use(new.id, 4), use("pgw_00000000", 1)])
    assert [(u.statements, u.cost_nano) for u in await keys.counted_by(one, NOVEMBER)] == [(9, 18)]
    assert [u.statements for u in await keys.counted_elsewhere(one, NOVEMBER)] == [4]
    _, uses = await keys.listed(NOVEMBER)
    assert uses == {new.id: KeyUse(new.id, NOVEMBER, 13, 18, NOON)}
    assert (await keys.listed(date(2026, 12, 1)))[1][new.id].statements == 0


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO pgwarden.api_keys (id, sha256, \"user\", tier, owner, created_by) VALUES ('pgw_aaaaaaaa',"
        " sha256('x'), 'ci', 'pro', '', 'me')",
        "DELETE FROM pgwarden.api_key_revocations",
        "UPDATE pgwarden.api_keys SET tier = 'enterprise'",
        "UPDATE pgwarden.api_key_uses SET statements = 0",
        "DELETE FROM pgwarden.api_key_uses",
    ],
)
async def test_the_writer_makes_no_key_and_takes_nothing_back(store: Store, statement: str) -> None:
    await made(store)
    with pytest.raises(StoreError, match="InsufficientPrivilege"):
        async with store.writing() as connection:
            await connection.execute(statement)


async def test_auditors_read_no_hash_and_tenants_no_key(store: Store) -> None:
    await made(store)
    async with store.connected("pgwarden_auditor") as connection:
        assert await connection.fetchval("SELECT count(id) FROM pgwarden.api_keys") == 1
    with pytest.raises(StoreError, match="InsufficientPrivilege"):
        async with store.connected("pgwarden_auditor") as connection:
            await connection.fetch("SELECT sha256 FROM pgwarden.api_keys")
    with pytest.raises(StoreError, match="InsufficientPrivilege"):
        async with store.connected("pgwarden_reader") as connection:
            await connection.fetch("SELECT id FROM pgwarden.api_keys")


# sidecars


class Sidecar:
    def __init__(self, store: Store, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.orders: list[Order] = []
        self.events: list[tuple[str, str]] = []
        self.now_s, self.steady_s = NOON.timestamp(), 100.0
        self.quotas = Quotas.prepare(folder)
        self.keeping = KeyKeeping(
            store,
            self.quotas,
            folder,
            self.orders.append,
            lambda shape, text: self.events.append((shape, text)),
            lambda: self.now_s,
            lambda: self.steady_s,
        )

    def elsewhere(self, key: str) -> int:
        seen = next(order for order in reversed(self.orders) if isinstance(order, KeysSeen))
        return seen.elsewhere.get(key, (0, 0))[0]


MakeSidecar = Callable[..., Sidecar]


@pytest.fixture
def sidecar(store: Store, tmp_path: Path) -> Iterator[MakeSidecar]:
    found: list[Sidecar] = []

    def make(name: str, over: Store | None = None) -> Sidecar:
        found.append(Sidecar(over or store, tmp_path / name))
        return found[-1]

    yield make
    for one in found:
        one.quotas.close()


async def test_sidecars_tell_each_other_what_keys_use(store: Store, sidecar: MakeSidecar) -> None:
    new = await made(store)
    many = [sidecar(f"s{number}") for number in range(5)]
    for number, one in enumerate(many, start=1):
        one.quotas.add(new.id, NOVEMBER, Uses(number, 10 * number))
        assert await one.keeping.look()
    for number, one in enumerate(many, start=1):
        await one.keeping.look()
        assert one.elsewhere(new.id) == 15 - number
    _, uses = await StoreKeys(store).listed(NOVEMBER)
    assert (uses[new.id].statements, uses[new.id].cost_nano) == (15, 150)


async def test_each_change_is_an_event_once_also_over_a_restart(store: Store, sidecar: MakeSidecar) -> None:
    old = await made(store)
    first = sidecar("a")
    await first.keeping.look()
    assert first.events == [("keys_read", "1 API keys are in the store, 0 of them revoked")]
    new = await made(store, "etl")
    again = sidecar("a")
    again.keeping.restore()
    await again.keeping.look()
    await StoreKeys(store).revoke(old.id, "me", "lost")
    await again.keeping.look()
    await again.keeping.look()
    assert [shape for shape, _ in again.events] == ["key_learned", "key_revocation_learned"]
    assert again.events[0][1].startswith(f"API key {new.id} of user etl, tier pro, owner data, was made by me at 2")
    assert again.events[1][1] == f"API key {old.id} of user ci was revoked by me: lost"
    told = [order for order in again.orders if isinstance(order, Keys)]
    assert [key.is_revoked for key in told[-1].keys] == [True, False]


async def test_while_the_store_is_away_the_last_snapshot_ages(store: Store, sidecar: MakeSidecar) -> None:
    new = await made(store)
    first = sidecar("a")
    await first.keeping.look()
    away = sidecar("a", Store("postgresql://nobody@127.0.0.1:1/none", connect_timeout_s=0.5))
    away.now_s += 500
    away.keeping.restore()
    assert not await away.keeping.look()
    keys, seen = away.keeping.orders()
    assert isinstance(keys, Keys)
    assert isinstance(seen, KeysSeen)
    assert ([key.id for key in keys.keys], seen.age_s) == ([new.id], 500)
    away.now_s -= 100_000  # whatever the wall clock does from now on
    away.steady_s += 20
    assert away.keeping.age_s == 520
    assert away.keeping.problem


async def test_a_snapshot_of_the_future_vouches_for_nothing(
    store: Store, sidecar: MakeSidecar, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = sidecar("a")
    await first.keeping.look()
    again = sidecar("a")
    again.now_s -= 3600
    again.keeping.restore()
    assert again.keeping.age_s is None
    assert "the clock has gone back" in caplog.text
    (tmp_path / "a" / SNAPSHOT_NAME).write_text("{")
    torn = sidecar("a")
    torn.keeping.restore()
    assert torn.keeping.age_s is None
    assert await torn.keeping.look()


async def test_counts_that_a_power_cut_took_from_the_file_come_back(
    store: Store, sidecar: MakeSidecar, tmp_path: Path
) -> None:
    new = await made(store)
    first = sidecar("a")
    before = (tmp_path / "a" / FILE_NAME).read_bytes()
    first.quotas.add(new.id, NOVEMBER, Uses(9, 90))
    await first.keeping.look()
    (tmp_path / "a" / FILE_NAME).write_bytes(before)
    again = sidecar("a")
    again.quotas.add(new.id, NOVEMBER, Uses(2, 20))  # used before the store answered
    await again.keeping.look()
    assert [one.uses for one in again.quotas.counted()] == [Uses(11, 110)]
    assert again.elsewhere(new.id) == 0


async def test_a_sidecar_that_lost_its_file_counts_on_beside_what_it_had(
    store: Store, sidecar: MakeSidecar, tmp_path: Path
) -> None:
    new = await made(store)
    first = sidecar("a")
    first.quotas.add(new.id, NOVEMBER, Uses(9))
    await first.keeping.look()
    (tmp_path / "a" / FILE_NAME).unlink()
    again = sidecar("a")
    await again.keeping.look()
    assert again.elsewhere(new.id) == 9


async def test_a_store_of_before_keys_is_a_problem_and_no_end(
    store: Store, store_dsn: str, sidecar: MakeSidecar
) -> None:
    await execute(store_dsn, "DROP TABLE pgwarden.api_key_uses")
    one = sidecar("a")
    assert not await one.keeping.look()
    assert "UndefinedTable" in one.keeping.problem


async def test_sidecars_together_exceed_a_quota_by_two_intervals_at_most(store: Store, sidecar: MakeSidecar) -> None:
    """As docs/keys.md says: what they begin within two intervals."""
    new = await made(store)
    sidecars, quota, at_once, rounds = 10, 1_000, 13, 14
    tier = Tier(TierName.PRO, RuleId("tiers.pro", Source("p.yaml", 1, 1)), statements_per_month=quota)
    policies = PolicySet({}, (), {}, PriceBook(), "f", tiers={TierName.PRO: tier})
    chance, found = Random(6), []
    for number in range(sidecars):
        one, ring = sidecar(f"s{number}"), KeyRing()
        allowances = Allowances(LocalBuckets(), ring, one.quotas, now_s=lambda: NOON.timestamp())
        ring.replace([StoredKey(new.id, new.sha256, "ci", "pro")])
        allowance = allowances.of(policies, Principal("ci"), new.id)
        assert allowance is not None
        found.append((one, ring, allowance))
    begun = 0
    for _ in range(rounds):
        for one, ring, allowance in chance.sample(found, sidecars):
            begun += sum(allowance.take(1) is None for _ in range(at_once))
            await one.keeping.look()
            seen = one.orders[-1]
            assert isinstance(seen, KeysSeen)
            ring.set_elsewhere(date.fromisoformat(seen.month), seen.elsewhere)
    assert quota <= begun <= quota + 2 * sidecars * at_once
    assert all(allowance.take(1) is not None for _, _, allowance in found)
    assert sum(counted.uses.statements for one, _, _ in found for counted in one.quotas.counted()) == begun
