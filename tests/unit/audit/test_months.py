"""Months ahead are made, old ones go, and a clock that is set wrong takes nothing along."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from audit_store import fetch

from audit.months import Months
from audit.store import Store

NOW = datetime.now(UTC)
_PARTITIONS = """
    SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'pgwarden.records'::regclass ORDER BY 1"""


async def partitions(dsn: str) -> list[str]:
    return [row["relname"] for row in await fetch(dsn, _PARTITIONS)]


def name_of(moment: datetime) -> str:
    return f"records_{moment:%Y_%m}"


def months_from(first: datetime, count: int) -> list[str]:
    found = [first.replace(day=1)]
    while len(found) < count:
        found.append((found[-1] + timedelta(days=32)).replace(day=1))
    return [name_of(one) for one in found]


async def test_old_months_go_and_the_next_ones_are_there(store: Store, store_dsn: str) -> None:
    await store.ensure_partitions(datetime(2020, 1, 5, tzinfo=UTC), months_ahead=1)
    assert await Months(store, 90, lambda: NOW).look() == ["records_2020_01", "records_2020_02"]
    assert await partitions(store_dsn) == months_from(NOW, 3)


async def test_without_a_limit_all_stay(store: Store, store_dsn: str) -> None:
    await store.ensure_partitions(datetime(2020, 1, 5, tzinfo=UTC), months_ahead=0)
    assert await Months(store, None, lambda: NOW).look() == []
    assert (await partitions(store_dsn))[0] == "records_2020_01"


@pytest.mark.parametrize("now", [lambda: datetime(2090, 1, 1, tzinfo=UTC), lambda: datetime(1990, 1, 1, tzinfo=UTC)])
async def test_a_clock_that_is_set_wrong_drops_nothing_recent(store: Store, now: Callable[[], datetime]) -> None:
    await store.ensure_partitions(NOW - timedelta(days=40), months_ahead=1)
    assert await Months(store, 90, now).look() == []


async def test_a_store_that_is_away_is_asked_again(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    months = Months(Store("postgresql://nobody@127.0.0.1:1/nothing"), 90, lambda: NOW, pause_s=0.01)
    running = asyncio.create_task(months.run())
    try:
        async with asyncio.timeout(20):
            while months.problem is None:
                await asyncio.sleep(0.01)
            months._store = store
            while months.problem is not None:
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
    assert [record.getMessage() for record in caplog.records if "can't be seen to" in record.getMessage()]
