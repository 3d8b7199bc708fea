"""Has the records of all workers shipped to the store, also those of workers that there are no longer.

The store may be away: statements go on, records wait in the journals, and every shipper tries again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from audit.errors import AuditError
from audit.journal import Journal
from audit.months import Months
from audit.rollups import Rollups
from audit.shipper import Shipper
from audit.signing import load_or_make_signer
from audit.store import Store
from audit.store_costs import StoreCosts

_RETRY_S: Final = 2.0
_LAST_SHIPPING_S: Final = 5.0

log = logging.getLogger("pgwarden.supervisor")


class Shipping:
    """`position` gives how far a worker's journal has been written. Each shipper has a connection of its own.

    Months older than `keep_days` are dropped from the store; None keeps all.
    """

    def __init__(
        self, directory: Path, store_dsn: str, position: Callable[[int], int], keep_days: int | None = None
    ) -> None:
        self._keep_days = keep_days
        self._directory = directory
        self._store_dsn = store_dsn
        self._position = position
        self._shippers: dict[int, tuple[Shipper, Store]] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._migration: asyncio.Task[None] | None = None
        self._months: asyncio.Task[None] | None = None
        self._rollups: asyncio.Task[None] | None = None
        self._problem = "not asked yet"

    @property
    def lag_bytes(self) -> int:
        return sum(shipper.lag_bytes for shipper, _ in self._shippers.values())

    @property
    def is_store_reachable(self) -> bool:
        """Whether all that was asked last was answered (False before the first)."""
        pairs = self._shippers.values()
        return bool(pairs) and all(shipper.is_store_reachable for shipper, _ in pairs)

    @property
    def problem(self) -> str:
        """Why the store can't be used; while it can, this means nothing."""
        return next((shipper.last_error for shipper, _ in self._shippers.values() if shipper.last_error), self._problem)

    async def start(self, workers: int) -> None:
        """Makes the key that all journals are signed with, and sees to what workers beyond these have left.

        Raises JournalError or OSError.
        """
        await asyncio.to_thread(self._prepare)
        self._migration = asyncio.create_task(self._migrate(), name="migration")
        self._months = asyncio.create_task(self._see_to_months(self._migration), name="months")
        self._months.add_done_callback(_tell_failure)
        self._rollups = asyncio.create_task(self._roll_up(self._migration), name="roll-ups of costs")
        self._rollups.add_done_callback(_tell_failure)
        for number in self._numbers():
            if number > workers:
                self._begin(number, self._ship_left(number))

    def take(self, worker: int) -> None:
        """Its journal has been recovered: records are shipped from now on."""
        self._begin(worker, self._ship(worker))

    def leave(self, worker: int) -> None:
        """Its journal is about to be recovered: nobody else may touch it."""
        task = self._tasks.pop(worker, None)
        if task is not None:
            task.cancel()

    async def stop(self) -> None:
        """When all workers have ended: ships the last records, if the store takes them at once, else the next start."""
        others = (task for task in (self._migration, self._months, self._rollups) if task is not None)
        tasks = [*self._tasks.values(), *others]
        is_ready = self._migration is not None and self._migration.done()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if is_ready:
            await asyncio.gather(*(_ship_rest(*pair) for pair in self._shippers.values()))

    def _begin(self, worker: int, work: Coroutine[None, None, None]) -> None:
        task = self._tasks[worker] = asyncio.create_task(work, name=f"the shipper of worker {worker}")
        task.add_done_callback(_tell_failure)

    def _prepare(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        load_or_make_signer(self._directory)

    def _numbers(self) -> list[int]:
        names = (folder.name for folder in self._directory.glob("worker-*") if folder.is_dir())
        return sorted(int(name.removeprefix("worker-")) for name in names if name.removeprefix("worker-").isdigit())

    async def _migrate(self) -> None:
        """Until the store is there and has the schema of now."""
        store = Store(self._store_dsn)
        try:
            while not await self._is_migrated(store):
                await asyncio.sleep(_RETRY_S)
        finally:
            await store.close()

    async def _see_to_months(self, migration: asyncio.Task[None]) -> None:
        await asyncio.shield(migration)
        store = Store(self._store_dsn)
        try:
            await Months(store, self._keep_days, lambda: datetime.now(UTC)).run()
        finally:
            await store.close()

    async def _roll_up(self, migration: asyncio.Task[None]) -> None:
        await asyncio.shield(migration)
        store = Store(self._store_dsn)
        try:
            await Rollups(StoreCosts(store), lambda: datetime.now(UTC)).run()
        finally:
            await store.close()

    async def _is_migrated(self, store: Store) -> bool:
        is_first = self._problem == "not asked yet"
        try:
            version = await store.migrate()
        except AuditError as error:
            if is_first:
                log.warning("audit store is away, records wait in the journal: %s", error)
            self._problem = str(error)
            return False
        log.info("audit store is ready", extra={"fields": {"schema": version}})
        return True

    async def _ship(self, worker: int) -> None:
        await self._with_shipper(worker, Shipper.run)

    async def _ship_left(self, worker: int) -> None:
        """Recovers the journal of a worker that there is no longer, and ships until it is empty."""
        try:
            journal = await asyncio.to_thread(Journal.open, self._directory, worker)
            await asyncio.to_thread(journal.close)
        except AuditError as error:
            log.error("what a worker of earlier left can't be shipped: %s", error, extra={"fields": {"worker": worker}})
            return
        position = journal.position
        await self._with_shipper(worker, _ship_all, lambda: position)
        self._shippers.pop(worker, None)

    async def _with_shipper(
        self,
        worker: int,
        work: Callable[[Shipper], Coroutine[None, None, None]],
        position: Callable[[], int] | None = None,
    ) -> None:
        store = Store(self._store_dsn)
        try:
            shipper = Shipper(
                self._directory, worker, store, written_position=position or (lambda: self._position(worker))
            )
            self._shippers[worker] = shipper, store  # what it can't send yet lags behind from now on
            if self._migration is not None:
                await asyncio.shield(self._migration)
            with closing(shipper):
                await work(shipper)
        finally:
            await store.close()


async def _ship_rest(shipper: Shipper, store: Store) -> None:
    try:
        with closing(shipper), suppress(AuditError, OSError, TimeoutError):
            await asyncio.wait_for(shipper.ship_available(), _LAST_SHIPPING_S)
    finally:
        await store.close()


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("%s has failed", task.get_name(), exc_info=task.exception())


async def _ship_all(shipper: Shipper) -> None:
    running = asyncio.create_task(shipper.run())
    try:
        while shipper.lag_bytes or not shipper.is_store_reachable:
            await asyncio.sleep(_RETRY_S / 10)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
