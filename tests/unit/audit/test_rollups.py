"""Roll-ups in a real store: each record counted once, whatever comes late, twice, out of order or goes again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import msgspec
import pytest
from audit_samples import intent, outcome
from audit_store import execute, fetch

from audit.costs_question import Dimension, Grain, Question
from audit.errors import StoreError, StoreUnreachableError
from audit.record import Record, Verdict, completed
from audit.rollups import Rollups
from audit.store import Store
from audit.store_costs import StoreCosts
from audit.store_rows import ChainedRecord

NOON = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)
HOUR_US = 3_600_000_000
WHOLE = Question(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC), Grain.HOUR)


def _chained(records: Sequence[Record], chain: str = "a", first: int = 1) -> list[ChainedRecord]:
    """With ids and hashes of any kind."""
    made = []
    for number, record in enumerate(records, first):
        whole = completed(record, f"{ord(chain[0]):08x}{number:024x}", _us(NOON))
        made.append(ChainedRecord(chain, number, msgspec.structs.replace(whole, prev_hash="00" * 32, hash="11" * 32)))
    return made


def _us(at: datetime) -> int:
    return int(at.timestamp() * 1e6)


def _statement(name: str, at: int = _us(NOON), **fields: object) -> list[Record]:
    return [intent(name, at=at, **fields), outcome(name, at=at, **fields)]


async def _look(store: Store, most: int = 1000) -> int:
    return await Rollups(StoreCosts(store), lambda: NOON, most_records=most).look()


async def _whole(store: Store) -> tuple[int, Decimal]:
    lines = await StoreCosts(store).top(WHOLE, Dimension.DATABASE, 10)
    return sum(line.sums.statements for line in lines), sum((line.sums.cost for line in lines), Decimal(0))


@pytest.mark.parametrize("most", [1, 1000])
async def test_every_record_is_counted_once_in_any_order_and_number_of_passes(store: Store, most: int) -> None:
    random = Random(5)
    statements = [_statement(f"s{n}", _us(NOON) + random.randrange(-40, 40) * HOUR_US) for n in range(30)]
    records = _chained([record for pair in statements for record in pair])
    records += _chained([record for pair in statements for record in pair], "b")
    random.shuffle(records)
    for start in range(0, len(records), 25):
        await store.copy_records(records[start : start + 25])
        await store.copy_records(records[max(0, start - 10) : start + 5])
        await _look(store, most)
    assert await _whole(store) == (60, 60 * Decimal("0.000000750"))
    assert await _look(store, most) == 0
    days = await StoreCosts(store).trend(replace(WHOLE, grain=Grain.DAY))
    assert sum(point.sums.statements for point in days) == 60


async def test_two_sidecars_count_nothing_twice(store: Store, store_dsn: str) -> None:
    await store.copy_records(_chained([record for n in range(200) for record in _statement(f"s{n}")]))
    others = [Store(store_dsn) for _ in range(4)]
    try:
        await asyncio.gather(*(_look(other, 16) for other in others))
        await _look(store)
    finally:
        for other in others:
            await other.close()
    assert await _whole(store) == (200, 200 * Decimal("0.000000750"))


async def test_a_pass_that_is_broken_off_leaves_nothing_behind(store: Store, store_dsn: str) -> None:
    await store.copy_records(_chained(_statement("s1")))
    async with store.writing() as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert await connection.fetchval("SELECT pgwarden.roll_up(10)") == 2
        await transaction.rollback()
    assert await _whole(store) == (0, 0)
    assert await _look(store) == 2


async def test_roll_ups_outlive_the_records(store: Store, store_dsn: str) -> None:
    await store.copy_records(_chained(_statement("s1")))
    await _look(store)
    assert await store.apply_retention(datetime.now(UTC) + timedelta(days=1), 0) == ["records_2026_03"]
    assert (await _whole(store))[0] == 1
    (statement,) = await StoreCosts(store).costliest(WHOLE, 10)
    assert statement.sql_text is None
    assert await _look(store) == 0


async def test_the_costliest_statement_is_known_by_its_text(store: Store) -> None:
    cheap = _statement("s1", shape="x", sql_text="select 1")
    dear = [intent("s2", shape="x", sql_text="select 2"), outcome("s2", shape="x", cost=Decimal(3))]
    other = [intent("s3", shape="y", sql_text="select 3"), outcome("s3", shape="y", cost=Decimal(1))]
    await store.copy_records(_chained(cheap + dear))
    await _look(store)
    await store.copy_records(_chained(other + cheap, first=5))
    await _look(store)
    found = await StoreCosts(store).costliest(WHOLE, 10)
    assert [(one.sql_text, one.cost, one.statement_id) for one in found] == [
        ("select 2", Decimal("3.000000000"), "s2"),
        ("select 3", Decimal("1.000000000"), "s3"),
    ]


async def test_tables_share_what_a_statement_cost(store: Store) -> None:
    tables = ("shop.customers", "shop.orders", "shop.payments")
    await store.copy_records(_chained(_statement("s1", tables=tables, cost=Decimal(1)) + _statement("s2", tables=())))
    await _look(store)
    lines = await StoreCosts(store).top(WHOLE, Dimension.TABLE, 10)
    assert [line.name for line in lines] == [*tables, ""]
    assert [line.sums.statements for line in lines] == [1, 1, 1, 1]
    assert round(sum(line.sums.cost for line in lines), 12) == round(lines[0].whole, 12) == Decimal("1.00000075")


async def test_what_was_refused_or_failed_is_counted_apart(store: Store) -> None:
    denied = intent("s1", decision=Verdict.DENY, sqlstate="42501")
    failed = outcome("s2", sqlstate="22012", cost=Decimal(2))
    await store.copy_records(_chained([denied, intent("s2"), failed]))
    await _look(store)
    lines = await StoreCosts(store).top(WHOLE, Dimension.USER, 10)
    assert sorted((line.currency, line.sums.statements, line.sums.failed, line.sums.denied) for line in lines) == [
        ("", 0, 0, 1),
        ("USD", 1, 1, 0),
    ]


async def test_a_tenant_sees_its_own_costs_only(store: Store, store_dsn: str) -> None:
    await store.copy_records(_chained(_statement("s1") + _statement("s2", tenant="other")))
    await _look(store)
    async with store.connected("pgwarden_reader") as connection:
        for table in ("costs_hour", "costs_day"):
            assert await connection.fetchval(f"SELECT count(*) FROM pgwarden.{table}") == 0
            await connection.execute("SELECT set_config('pgwarden.tenant', 'acme', false)")
            assert await connection.fetchval(f"SELECT string_agg(tenant, ',') FROM pgwarden.{table}") == "acme"
            await connection.execute("SELECT set_config('pgwarden.tenant', '', false)")


async def test_the_writer_changes_no_roll_up_itself(store: Store) -> None:
    for statement in (
        "UPDATE pgwarden.costs_hour SET cost = 0",
        "DELETE FROM pgwarden.costs_day",
        "INSERT INTO pgwarden.cost_progress VALUES ('x', '{[1,10)}')",
        "UPDATE pgwarden.cost_progress SET counted = '{}'",
    ):
        with pytest.raises(StoreError, match="42501"):
            async with store.writing() as connection:
                await connection.execute(statement)


async def test_records_are_not_counted_again_by_asking_for_it(store: Store) -> None:
    await store.copy_records(_chained(_statement("s1")))
    await _look(store)
    with pytest.raises(StoreError, match="23505"):
        async with store.writing() as connection:
            await connection.execute("SELECT pgwarden.count_costs('a', 1, 3)")
    assert (await _whole(store))[0] == 1


async def test_odd_numbers_and_sums_beyond_bigint_stop_nothing(store: Store, store_dsn: str) -> None:
    most = (1 << 63) - 1
    huge = [outcome(f"s{n}", rows=most, bytes_out=most, duration_us=most, cost=Decimal(10) ** 18) for n in range(2)]
    await store.copy_records(_chained([*huge, *_statement("s3")]))
    far = _chained(_statement("s4"), first=most - 1)
    await store.copy_records(far)
    assert await _look(store) == 4
    (line,) = await StoreCosts(store).top(WHOLE, Dimension.USER, 10)
    assert line.sums.rows == 2 * most + 3
    assert line.sums.cost == 2 * Decimal(10) ** 18 + Decimal("0.000000750")


async def test_old_hours_go_and_days_stay(store: Store, store_dsn: str) -> None:
    old, new = _us(datetime(2025, 3, 4, tzinfo=UTC)), _us(datetime.now(UTC))
    await store.copy_records(_chained(_statement("s1", old) + _statement("s2", new)))
    await Rollups(StoreCosts(store), lambda: datetime.now(UTC)).look()
    counts = "SELECT (SELECT count(*) FROM pgwarden.costs_hour), (SELECT count(*) FROM pgwarden.costs_day)"
    assert tuple((await fetch(store_dsn, counts))[0]) == (1, 2)


async def test_a_clock_that_is_ahead_drops_no_hour(store: Store, store_dsn: str) -> None:
    await store.copy_records(_chained(_statement("s1", _us(datetime.now(UTC)))))
    await Rollups(StoreCosts(store), lambda: datetime.now(UTC) + timedelta(days=1000)).look()
    assert len(await fetch(store_dsn, "SELECT FROM pgwarden.costs_hour")) == 1


async def test_the_schema_goes_down_and_up_again(store: Store, store_dsn: str) -> None:
    await store.migrate(8)
    await store.migrate()
    await execute(store_dsn, "SELECT pgwarden.roll_up(1)")


async def test_roll_ups_are_held_against_the_records(store: Store, store_dsn: str) -> None:
    """A journal that was put back from a backup numbers other records like those that were counted."""
    costs = StoreCosts(store)
    begins, ends = NOON - timedelta(hours=1), NOON + timedelta(hours=1)
    await store.copy_records(_chained(_statement("s1") + _statement("s2")))
    (missing,) = await costs.differences(begins, ends)
    assert (missing.recorded, missing.counted) == (2, 0)
    await _look(store)
    assert not await costs.differences(begins, ends)
    again = [replace_id(one, f"{7:08x}{number:024x}") for number, one in enumerate(_chained(_statement("s3")))]
    await store.copy_records(again)
    assert await _look(store) == 0
    (repeated,) = await costs.differences(begins, ends)
    assert (repeated.recorded, repeated.counted, repeated.recorded_cost - repeated.counted_cost) == (
        3,
        2,
        Decimal("0.000000750"),
    )
    await store.apply_retention(datetime.now(UTC) + timedelta(days=1), 0)
    assert not await costs.differences(begins, ends), "what was dropped can't be held against anything"


def replace_id(one: ChainedRecord, record_id: str) -> ChainedRecord:
    return replace(one, record=msgspec.structs.replace(one.record, id=record_id))


class _Away(StoreCosts):
    """A store that is away at first."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.asked = 0

    async def roll_up(self, most: int) -> int | None:
        self.asked += 1
        if self.asked < 3:
            raise StoreUnreachableError("away")
        return await super().roll_up(most)


async def test_a_store_that_is_away_is_asked_again(store: Store) -> None:
    await store.copy_records(_chained(_statement("s1")))
    costs = _Away(store)
    rollups = Rollups(costs, lambda: NOON, pause_s=0.001)
    running = asyncio.create_task(rollups.run())
    async with asyncio.timeout(20):
        while (await _whole(store))[0] == 0 or rollups.problem is not None:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert costs.asked > 3
