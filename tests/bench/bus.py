"""What the ways to the store cost, and what waits where when the store is away for a day:
`python -m tests.bench.bus [STATEMENTS]`. No test: it asserts nothing.

A journal is filled as over a day, at an even pace, by a clock that is set. Then its records go straight to a store, or
over a real nats-server: published by one process time, stored by another's. On a busy machine compare ratios.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from audit.bus import Bus
from audit.bus_shipper import BusShipper
from audit.journal import Journal, worker_directory
from audit.publisher import Publisher
from audit.shipper import Shipper
from audit.store import Store
from proxy.build import is_compiled
from proxy.embedded import EmbeddedServer
from proxy.installation import find_system, find_wheel
from tests.bench.journal import DECISION, PLAN, TEXT, ledger_of
from tests.nats_server import REASON, NatsServer, find_nats

STATEMENTS: Final = 50_000
DAY_US: Final = 86_400_000_000
START_US: Final = 1_767_225_600_000_000


class _DayClock:
    """Goes through one day in so many looks."""

    def __init__(self, looks: int) -> None:
        self._now_us, self._step_us = START_US, DAY_US // looks

    def __call__(self) -> int:
        self._now_us += self._step_us
        return self._now_us


def main() -> None:
    statements = int(sys.argv[1]) if len(sys.argv) > 1 else STATEMENTS
    program, installation = find_nats(), find_wheel() or find_system()
    if program is None or installation is None:
        sys.exit(REASON)
    _tell(f"build: {'compiled' if is_compiled() else 'interpreted'}, {statements} statements over a day")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with EmbeddedServer(home / "server", installation) as server:
            (home / "nats").mkdir()
            nats = NatsServer(program, home / "nats")
            nats.start()
            try:
                asyncio.run(_measure(home, statements, server, nats))
            finally:
                nats.kill()


async def _measure(home: Path, statements: int, server: EmbeddedServer, nats: NatsServer) -> None:
    ways = home / "straight", home / "by-bus"
    for directory in ways:
        _fill(directory, statements)
    waiting = sum(segment.stat().st_size for segment in worker_directory(ways[0], 0).glob("*.seg"))
    _tell(f"waits in the journal: {waiting / (2 * statements):.0f} bytes a record, {waiting / 2**20:.0f} MiB in all")
    store = Store(server.dsn())
    await store.migrate()
    _tell(f"{'':34}{'us of CPU a record':>20}{'records/s':>12}{'MiB at most':>13}")
    await _line("straight to the store", Shipper(ways[0], 0, store, written_position=lambda: 0).ship_available)
    sending, taking = Bus(nats.settings()), Bus(nats.settings())
    publisher = Publisher(ways[1], 0, sending, written_position=lambda: 0)
    await _line("from the journal to the bus", publisher.ship_available)
    stream = (await sending.stream.stream_info(sending.settings.stream)).state
    _tell(f"waits on the bus: {stream.bytes / (2 * statements):.0f} bytes a record in {stream.messages} messages")
    shipper = BusShipper(taking, store)
    await _line("from the bus to the store", lambda: _take_all(shipper))
    for one in (sending, taking, store):
        await one.close()


async def _take_all(shipper: BusShipper) -> int:
    count = 0
    while taken := await shipper.ship_once():
        count += taken
    return count


def _fill(directory: Path, statements: int) -> None:
    journal = Journal.open(directory, 0, clock=_DayClock(2 * statements))
    try:
        lines, text = ledger_of(journal).lines(DECISION, PLAN), TEXT.encode()
        for _ in range(statements):
            statement_id = journal.append_intent(lines, text)
            journal.append_outcome(lines, statement_id, 1, 61, 1234)
    finally:
        journal.close()


async def _line(name: str, work: Callable[[], Awaitable[int]]) -> None:
    start, cpu = time.monotonic(), time.process_time()
    count = await work()
    wall, used = time.monotonic() - start, time.process_time() - cpu
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    _tell(f"{name:34}{used / count * 1e6:>20.2f}{count / wall:>12.0f}{most:>13.0f}")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
