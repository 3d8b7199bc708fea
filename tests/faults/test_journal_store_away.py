"""The store goes away and comes back: statements go on, records wait, then arrive once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from audit_samples import intent, outcome

from audit.journal import Journal
from audit.shipper import Shipper
from audit.store import Store
from audit.verify import verify
from proxy.embedded import EmbeddedServer
from tests.relay import Relay


async def until(is_done: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_done():
            await asyncio.sleep(0.01)


async def test_records_wait_for_the_store_and_arrive_once(tmp_path: Path) -> None:
    # By way of a relay: while the server is away somebody else may get its port.
    with EmbeddedServer(tmp_path / "server") as server:
        async with Relay(lambda: server.port) as relay:
            await records_wait_for(server, relay.dsn(server.dsn()), tmp_path)


async def records_wait_for(server: EmbeddedServer, dsn: str, tmp_path: Path) -> None:
    store = Store(dsn, connect_timeout_s=2)
    await store.migrate()
    journal = Journal.open(tmp_path / "journal", 0, segment_bytes=16 << 10)
    shipper = Shipper(
        tmp_path / "journal",
        0,
        store,
        written_position=lambda: journal.position,
        pause_s=0.01,
        longest_backoff_s=0.1,
    )
    task = asyncio.create_task(shipper.run())
    for number in range(60):
        if number == 20:
            await until(lambda: shipper.lag_bytes == 0)
            server.kill()
        journal.append([intent(f"s{number}"), outcome(f"s{number}")])
    # A backend may outlive its postmaster for a moment and take what there is: go on until it is gone.
    written = 60
    while shipper.last_error is None or shipper.is_reachable:
        journal.append([intent(f"s{written}"), outcome(f"s{written}")])
        written += 1
        assert written < 2_000, "the store never went away"
        await asyncio.sleep(0.01)
    journal.append([intent(f"s{written}"), outcome(f"s{written}")])
    written += 1
    assert shipper.lag_bytes > 0
    assert not journal.is_failed

    await asyncio.to_thread(server.start)
    await until(lambda: shipper.lag_bytes == 0 and shipper.is_reachable)
    task.cancel()
    journal.close()
    chain = [chained async for chained in store.read_chain()]
    assert [chained.sequence for chained in chain] == list(range(1, 2 * written + 1))
    assert (await verify(tmp_path / "journal", store)).problems == ()
    await store.close()
