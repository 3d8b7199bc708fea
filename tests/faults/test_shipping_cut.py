"""Whatever ends between a batch and the note of its position: no record is lost, and none is there twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from audit_samples import fill, intent, outcome
from audit_store import fetch, store, store_dsn, store_server

from audit.errors import StoreUnreachableError
from audit.journal import Journal
from audit.shipper import Shipper
from audit.store import Store
from audit.verify import verify
from tests.relay import Relay

__all__ = ["store", "store_dsn", "store_server"]

STATEMENTS = 150
RECORDS = 2 * STATEMENTS

SHIPPER = """
import asyncio, sys
from pathlib import Path
from audit.shipper import Shipper
from audit.store import Store
async def main():
    shipper = Shipper(Path(sys.argv[1]), 0, Store(sys.argv[2]), written_position=lambda: 0, pause_s=0.01)
    running = asyncio.create_task(shipper.run())
    while not shipper.shipped_records:
        await asyncio.sleep(0.001)
    print("ships", flush=True)
    await running
asyncio.run(main())
"""


@pytest.fixture
async def relay(store: Store, store_dsn: str) -> AsyncIterator[Relay]:
    port = int(store_dsn.rsplit(":", 1)[1].partition("/")[0])
    async with Relay(lambda: port) as relay:
        yield relay


def shipper_of(directory: Path, store: Store) -> Shipper:
    return Shipper(directory, 0, store, written_position=lambda: 0, pause_s=0.01, longest_backoff_s=0.05)


async def stored(dsn: str) -> int:
    (row,) = await fetch(dsn, "SELECT count(*) FROM pgwarden.records")
    return int(row[0])


async def assert_exact(directory: Path, store: Store, records: int) -> None:
    numbers = [chained.sequence async for chained in store.read_chain()]
    assert numbers == list(range(1, records + 1))
    assert (await verify(directory, store)).problems == ()


@pytest.mark.parametrize(("sent_before", "last_word"), [(0, b"COMMIT\0"), (1, b"COPY ")], ids=["merged", "straight"])
async def test_the_answer_to_a_commit_is_lost(
    tmp_path: Path, store: Store, store_dsn: str, relay: Relay, sent_before: int, last_word: bytes
) -> None:
    by_relay = Store(relay.dsn(store_dsn))
    fill(tmp_path, statements=sent_before)
    shipper = shipper_of(tmp_path, by_relay)
    assert await shipper.ship_available() == 2 * sent_before
    fill(tmp_path, statements=STATEMENTS)
    relay.last_word = last_word
    shipping = asyncio.create_task(shipper.ship_available())
    async with asyncio.timeout(20):
        while await stored(store_dsn) == 2 * sent_before:
            await asyncio.sleep(0.01)
    assert not shipping.done()
    relay.cut()
    with pytest.raises(StoreUnreachableError):
        await shipping
    assert await shipper.ship_available() == RECORDS
    await assert_exact(tmp_path, store, 2 * sent_before + RECORDS)
    await by_relay.close()
    shipper.close()


@pytest.mark.parametrize("left_bytes", [200, 20_000, 60_000])
async def test_a_batch_is_cut_in_the_middle(
    tmp_path: Path, store: Store, store_dsn: str, relay: Relay, left_bytes: int
) -> None:
    by_relay = Store(relay.dsn(store_dsn))
    fill(tmp_path, statements=1)
    shipper = shipper_of(tmp_path, by_relay)
    assert await shipper.ship_available() == 2
    fill(tmp_path, statements=STATEMENTS)
    relay.left_bytes = left_bytes
    with pytest.raises(StoreUnreachableError):
        await shipper.ship_available()
    assert await stored(store_dsn) == 2
    assert await shipper.ship_available() == RECORDS
    await assert_exact(tmp_path, store, 2 + RECORDS)
    await by_relay.close()
    shipper.close()


async def test_two_shippers_send_the_same_journal(tmp_path: Path, store: Store, store_dsn: str) -> None:
    journal = Journal.open(tmp_path, 0)
    stores = [Store(store_dsn), Store(store_dsn)]
    shippers = [shipper_of(tmp_path, one) for one in stores]
    for number in range(STATEMENTS):
        journal.append([intent(f"s{number}"), outcome(f"s{number}")])
        if number % 10 == 0:
            await asyncio.gather(*(shipper.ship_available() for shipper in shippers[: 1 + number % 20 // 10]))
    journal.close()
    await asyncio.gather(*(shipper.ship_available() for shipper in shippers))
    await assert_exact(tmp_path, store, RECORDS)
    for shipper, one in zip(shippers, stores, strict=True):
        shipper.close()
        await one.close()


async def test_a_supervisor_is_killed_while_it_ships(tmp_path: Path, store: Store, store_dsn: str) -> None:
    written = 0
    journal = Journal.open(tmp_path, 0, segment_bytes=32 << 10)
    moments = random.Random(7)
    for _ in range(4):
        journal.append([intent(f"s{written}"), outcome(f"s{written}")])
        written += 1
        command = [sys.executable, "-c", SHIPPER, str(tmp_path), store_dsn]
        shipping = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        assert shipping.stdout is not None
        await asyncio.to_thread(shipping.stdout.readline)
        deadline = time.monotonic() + moments.uniform(0.01, 0.2)
        while time.monotonic() < deadline:
            journal.append([intent(f"s{written}"), outcome(f"s{written}")])
            written += 1
        os.kill(shipping.pid, signal.SIGKILL)
        shipping.wait()
        shipping.stdout.close()
    journal.close()
    shipper = shipper_of(tmp_path, store)
    await shipper.ship_available()
    await assert_exact(tmp_path, store, 2 * written)
    shipper.close()
