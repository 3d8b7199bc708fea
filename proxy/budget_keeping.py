"""Budgets in the supervisor: the purses of a sidecar from its start to its end, and those of the one before it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from prometheus_client.core import Metric

from audit.errors import AuditError
from audit.store import Store
from audit.store_budgets import StoreBudgets
from policies.budgets import Budget
from proxy.budget_metrics import budget_metrics
from proxy.clock import monotonic_us
from proxy.purse_file import PurseFile, boot_id, left_purses
from proxy.treasury import Clocks, Treasury

_TRY_AGAIN_S: Final = 2.0
_LAST_WORD_S: Final = 5.0

log = logging.getLogger("pgwarden.supervisor")


class BudgetKeeping:
    """Made before workers start; `start` when they have opened their journals, `stop` when they have ended, `close`."""

    def __init__(self, directory: Path, workers: int, holder: UUID) -> None:
        """Raises OSError."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._holder = holder
        self._file = PurseFile.make(directory, workers, holder)
        self._store: Store | None = None
        self._treasury: Treasury | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._learnt: Sequence[Budget] = ()

    @property
    def file(self) -> int:
        """The descriptor that workers inherit."""
        return self._file.file

    def learn(self, budgets: Sequence[Budget]) -> None:
        """As a worker tells them; all of them read the same folder."""
        self._learnt = budgets
        if self._treasury is not None:
            self._treasury.learn(budgets)

    def metrics(self) -> Iterable[Metric]:
        return budget_metrics(() if self._treasury is None else self._treasury.standings())

    def start(self, store_dsn: str, note: Callable[..., object]) -> None:
        self._store = Store(store_dsn)
        bank = StoreBudgets(self._store)
        clocks = Clocks(monotonic_us, lambda: datetime.now(UTC))
        self._treasury = treasury = Treasury(self._file, self._holder, bank, note, clocks)
        treasury.learn(self._learnt)
        self._tasks = [
            asyncio.create_task(treasury.run(), name="budgets"),
            asyncio.create_task(self._settle_left(treasury), name="budgets of earlier"),
        ]
        for task in self._tasks:
            task.add_done_callback(_tell_failure)

    def close(self) -> None:
        """Last of all. A sidecar that never started leaves no file."""
        if self._treasury is None:
            self._file.unlink()
        self._file.close()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._treasury is not None and await self._is_closed(self._treasury):
            self._file.unlink()
        if self._store is not None:
            await self._store.close()

    async def _is_closed(self, treasury: Treasury) -> bool:
        with suppress(AuditError, OSError, TimeoutError):
            await asyncio.wait_for(treasury.close(), _LAST_WORD_S)
            return True
        return False

    async def _settle_left(self, treasury: Treasury) -> None:
        """What earlier sidecars on this folder held and could not give back."""
        boot = boot_id()
        for left in left_purses(self._directory, self._holder):
            while True:
                try:
                    await treasury.settle_left(left, boot)
                    break
                except AuditError:
                    await asyncio.sleep(_TRY_AGAIN_S)
            left.forget()
            log.info("budgets of a sidecar that was killed are settled", extra={"fields": {"holder": str(left.holder)}})


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("%s: failed", task.get_name(), exc_info=task.exception())
