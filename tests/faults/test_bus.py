"""Records over a real NATS server: whatever ends in between, none is lost and none is there twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit_samples import fill
from audit_store import store, store_dsn, store_server

pytest.importorskip("nats", reason="needs NATS's client: pip install 'pgwarden[bus]'")

from audit.bus import Bus  # noqa: E402
from audit.bus_inbox import Inbox  # noqa: E402
from audit.bus_shipper import BusShipper  # noqa: E402
from audit.publisher import Publisher  # noqa: E402
from audit.store import Store  # noqa: E402
from audit.verify import verify  # noqa: E402
from tests.nats_server import NatsServer, nats_server  # noqa: E402

__all__ = ["nats_server", "store", "store_dsn", "store_server"]


def publisher_of(directory: Path, bus: Bus, worker: int = 0, **options: object) -> Publisher:
    given = {"written_position": lambda: 0, "pause_s": 0.01, "longest_backoff_s": 0.05, "settle_s": 0.0, **options}
    return Publisher(directory, worker, bus, **given)  # type: ignore[arg-type]


def shipper_of(bus: Bus, store: Store) -> BusShipper:
    return BusShipper(bus, store, inbox=Inbox(bus, ack_wait_s=1.0), wait_s=0.2, again_s=0.1, longest_backoff_s=0.05)


async def ship_all(shipper: BusShipper) -> int:
    count = 0
    await shipper.look()
    while shipper.waiting_messages:
        count += await shipper.ship_once()
        await shipper.look()
    return count


async def assert_exact(directory: Path, store: Store, records: int) -> None:
    numbers = [chained.sequence async for chained in store.read_chain()]
    assert numbers == list(range(1, records + 1))
    assert (await verify(directory, store)).problems == ()


async def test_everything_arrives_once_and_sealed(tmp_path: Path, store: Store, nats_server: NatsServer) -> None:
    fill(tmp_path, statements=500)
    sending, taking = Bus(nats_server.settings()), Bus(nats_server.settings())
    publisher, shipper = publisher_of(tmp_path, sending), shipper_of(taking, store)
    assert await publisher.ship_available() == 1000
    assert await ship_all(shipper) == 1000
    await assert_exact(tmp_path, store, 1000)
    await sending.close()
    await taking.close()
