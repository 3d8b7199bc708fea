"""Has the records of all workers carried off, to the store or to a bus, also those of workers that there are no longer.

Where they go may be away: statements go on, records wait in the journals, and every carrier tries again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from audit.checkpoints import FILE_NAME as WRITTEN_LAST
from audit.errors import AuditError, JournalInUseError
from audit.journal import Journal, worker_directory
from audit.signing_key import load_or_make_signer
from proxy.metrics import ShippingState
from proxy.store_keeping import StoreKeeping
from proxy.waiting_time import WaitingTime
from proxy.ways import Carrier, Load, StoreWay, Way

_RETRY_S: Final = 2.0
_LAST_SHIPPING_S: Final = 5.0
_LOOK_S: Final = 1.0
_LOOK_FOR_LEFT_S: Final = 5.0
_NOT_ASKED: Final = "not asked yet"

log = logging.getLogger("pgwarden.supervisor")


class Shipping:
    """`position` gives how far a worker's journal has been written. Each carrier has a connection of its own.

    With a `store_dsn` the store's schema and months are seen to. Months older than `keep_days` are dropped; None keeps
    all.
    """

    def __init__(
        self,
        directory: Path,
        way: Way,
        position: Callable[[int], int],
        store_dsn: str = "",
        keep_days: int | None = None,
    ) -> None:
        self._keeping = StoreKeeping(store_dsn, keep_days) if store_dsn else None
        self._directory = directory
        self._way = way
        self._position = position
        self._loads: dict[int, Load] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._waiting: dict[int, WaitingTime] = {}
        self._waiting_s: dict[int, float] = {}
        self._seen: dict[int, float] = {}  # when journals that nobody has open were written last
        self._looking: list[asyncio.Task[None]] = []

    @property
    def state(self) -> ShippingState:
        carriers = self._carriers()
        return ShippingState(
            self._way.name,
            self.is_reachable,
            sum(carrier.lag_bytes for carrier in carriers),
            max(self._waiting_s.values(), default=0.0),
            sum(carrier.shipped_records for carrier in carriers),
            sum(carrier.damaged_records for carrier in carriers),
        )

    @property
    def seal_problems(self) -> list[str]:
        """What isn't as it was shipped, or can't be signed: a reason for each chain."""
        return [carrier.seal_problem for carrier in self._carriers() if carrier.seal_problem]

    @property
    def is_reachable(self) -> bool:
        """Whether all that was asked last was answered (False before the first)."""
        carriers = self._carriers()
        return bool(carriers) and all(carrier.is_reachable for carrier in carriers)

    @property
    def is_store_ready(self) -> bool:
        """Whether there is a store of ours, and it has the schema of now."""
        return self._keeping is not None and self._keeping.is_ready

    @property
    def problem(self) -> str:
        """Why records can't be carried off, and what waits for that; empty while they can."""
        told = next((carrier.last_error for carrier in self._carriers() if carrier.last_error), "")
        if not told and self.is_reachable:
            return ""
        state = self.state
        waiting = f"; {state.lag_bytes} bytes of records wait in the journal" if state.lag_bytes else ""
        since = f", the oldest for {state.waiting_s:.0f} s" if waiting and state.waiting_s >= 1 else ""
        return f"{told or (self._keeping.problem if self._keeping else '') or _NOT_ASKED}{waiting}{since}"

    def _carriers(self) -> list[Carrier]:
        return [load.carrier for load in self._loads.values()]

    async def start(self, workers: int) -> None:
        """Makes the key that all journals are signed with, and sees to what workers beyond these have left.

        Raises JournalError or OSError.
        """
        await asyncio.to_thread(self._prepare)
        if self._keeping is not None:
            self._keeping.start()
        self._look("waiting time", self._look_at_waiting())
        self._look("journals that were left", self._look_for_left(workers))

    def take(self, worker: int) -> None:
        """Its journal has been recovered: records are shipped from now on."""
        self._begin(worker, self._ship(worker))

    def leave(self, worker: int) -> None:
        """Its journal is about to be recovered: nobody else may touch it."""
        task = self._tasks.pop(worker, None)
        if task is not None:
            task.cancel()

    async def stop(self) -> None:
        """When all workers have ended: ships the last records, if they are taken at once, else the next start."""
        tasks = [*self._tasks.values(), *(self._looking)]
        is_ready = not self._is_straight or (self._keeping is not None and self._keeping.is_ready)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._keeping is not None:
            await self._keeping.stop()
        if is_ready:
            await asyncio.gather(*(_ship_rest(load) for load in self._loads.values()))

    def _look(self, name: str, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_tell_failure)
        self._looking.append(task)

    def _begin(self, worker: int, work: Coroutine[None, None, None]) -> None:
        task = self._tasks[worker] = asyncio.create_task(work, name=f"the shipper of worker {worker}")
        task.add_done_callback(_tell_failure)

    def _prepare(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        load_or_make_signer(self._directory, self._way.signing_key)

    def _numbers(self) -> list[int]:
        names = (folder.name for folder in self._directory.glob("worker-*") if folder.is_dir())
        return sorted(int(name.removeprefix("worker-")) for name in names if name.removeprefix("worker-").isdigit())

    async def _ship(self, worker: int) -> None:
        await self._with_carrier(worker, lambda carrier: carrier.run())

    async def _ship_left(self, worker: int) -> None:
        """Recovers the journal of a worker that there is no longer, and ships until it is empty."""
        try:
            key = self._way.signing_key
            journal = await asyncio.to_thread(Journal.open, self._directory, worker, signing_key=key)
            await asyncio.to_thread(journal.close)
        except JournalInUseError:
            return  # a command that hasn't ended yet: the next look finds it
        except AuditError as error:
            self._seen[worker] = self._written_at(worker)
            log.error("what a worker of earlier left can't be shipped: %s", error, extra={"fields": {"worker": worker}})
            return
        position = journal.position
        await self._with_carrier(worker, _ship_all, lambda: position)
        self._loads.pop(worker, None)
        self._seen[worker] = self._written_at(worker)

    async def _with_carrier(
        self,
        worker: int,
        work: Callable[[Carrier], Coroutine[None, None, None]],
        position: Callable[[], int] | None = None,
    ) -> None:
        load = self._way.load(self._directory, worker, position or (lambda: self._position(worker)))
        try:
            self._loads[worker] = load  # what it can't send yet lags behind from now on
            if self._keeping is not None and self._is_straight:
                await self._keeping.ready()
            with closing(load.carrier):
                await work(load.carrier)
        finally:
            await load.connection.close()

    @property
    def _is_straight(self) -> bool:
        return isinstance(self._way, StoreWay)

    async def _look_for_left(self, workers: int) -> None:
        """What workers beyond ours left at an earlier start, and what commands leave while we run."""
        while True:
            for number in self._numbers():
                is_over = number not in self._tasks or self._tasks[number].done()
                if number > workers and is_over and self._seen.get(number) != self._written_at(number):
                    self._begin(number, self._ship_left(number))
            await asyncio.sleep(_LOOK_FOR_LEFT_S)

    def _written_at(self, worker: int) -> float:
        """Changes whenever somebody has closed that journal."""
        try:
            return (worker_directory(self._directory, worker) / WRITTEN_LAST).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    async def _look_at_waiting(self) -> None:
        while True:
            now_s = time.monotonic()
            for worker, load in self._loads.items():
                waiting = self._waiting.setdefault(worker, WaitingTime(now_s))
                self._waiting_s[worker] = waiting.look(now_s, load.written(), load.carrier.lag_bytes)
            for worker in self._waiting_s.keys() - self._loads.keys():
                del self._waiting_s[worker], self._waiting[worker]
            await asyncio.sleep(_LOOK_S)


async def _ship_rest(load: Load) -> None:
    try:
        with closing(load.carrier), suppress(AuditError, OSError, TimeoutError):
            await asyncio.wait_for(load.carrier.ship_available(), _LAST_SHIPPING_S)
    finally:
        await load.connection.close()


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("%s has failed", task.get_name(), exc_info=task.exception())


async def _ship_all(carrier: Carrier) -> None:
    running = asyncio.create_task(carrier.run())
    try:
        while carrier.lag_bytes or not carrier.is_reachable:
            await asyncio.sleep(_RETRY_S / 10)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    await carrier.ship_available()  # sealed at once: nothing follows
