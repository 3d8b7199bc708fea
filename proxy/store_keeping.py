"""Sees to the store: its schema, its months, its roll-ups of costs. For who ships into it, a sidecar or a fleet.

Several may do so at once: each step is taken once, whoever comes first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Final

from audit.errors import AuditError
from audit.months import Months
from audit.rollups import Rollups
from audit.store import Store
from audit.store_costs import StoreCosts

_RETRY_S: Final = 2.0

log = logging.getLogger("pgwarden.supervisor")


class StoreKeeping:
    """`start`, and `stop`. Months older than `keep_days` are dropped from the store; None keeps all.

    `problem`: why the schema of now isn't there yet; empty once it is.
    """

    def __init__(self, store_dsn: str, keep_days: int | None) -> None:
        self._store_dsn = store_dsn
        self._keep_days = keep_days
        self._migration: asyncio.Task[None] | None = None
        self._lasting: list[asyncio.Task[None]] = []
        self._is_told = False
        self.problem = ""

    @property
    def is_ready(self) -> bool:
        """Whether the store has the schema of now."""
        return self._migration is not None and self._migration.done()

    def start(self) -> None:
        self._migration = asyncio.create_task(self._migrate(), name="migration")
        self._begin("months", lambda store: Months(store, self._keep_days, _now).run())
        self._begin("roll-ups of costs", lambda store: Rollups(StoreCosts(store), _now).run())

    async def ready(self) -> None:
        """Returns when it has; `start` comes before."""
        assert self._migration is not None, "start comes first"
        await asyncio.shield(self._migration)

    async def stop(self) -> None:
        tasks = [*self._lasting, *([] if self._migration is None else [self._migration])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _migrate(self) -> None:
        """Until the store is there and has the schema of now."""
        store = Store(self._store_dsn)
        try:
            while not await self._is_migrated(store):
                await asyncio.sleep(_RETRY_S)
        finally:
            await store.close()

    async def _is_migrated(self, store: Store) -> bool:
        try:
            version = await store.migrate()
        except AuditError as error:
            if not self._is_told:
                log.warning("audit store is away, records wait: %s", error)
            self._is_told, self.problem = True, str(error)
            return False
        self.problem = ""
        log.info("audit store is ready", extra={"fields": {"schema": version}})
        return True

    def _begin(self, name: str, work: Callable[[Store], Coroutine[None, None, None]]) -> None:
        task = asyncio.create_task(self._when_ready(work), name=name)
        task.add_done_callback(_tell_failure)
        self._lasting.append(task)

    async def _when_ready(self, work: Callable[[Store], Coroutine[None, None, None]]) -> None:
        """With a connection of its own."""
        await self.ready()
        store = Store(self._store_dsn)
        try:
            await work(store)
        finally:
            await store.close()


def _now() -> datetime:
    return datetime.now(UTC)


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("%s has failed", task.get_name(), exc_info=task.exception())
