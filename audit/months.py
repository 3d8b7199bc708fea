"""Sees to the store's months: those to come are made ahead, those that are kept long enough go. Knows no SQL."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

from audit.errors import AuditError
from audit.store import Store

PAUSE_S: Final = 3600.0

log = logging.getLogger("pgwarden.audit")


class Months:
    """`keep_days` None: nothing is ever dropped. `now` gives aware datetimes."""

    def __init__(
        self, store: Store, keep_days: int | None, now: Callable[[], datetime], pause_s: float = PAUSE_S
    ) -> None:
        self._store = store
        self._keep_days = keep_days
        self._now = now
        self._pause_s = pause_s
        self.problem: str | None = None

    async def run(self) -> None:
        """Until cancelled, every hour. A store that is away or refuses is asked again the next time."""
        while True:
            try:
                await self.look()
            except AuditError as error:
                if self.problem is None:
                    log.warning("the store's months can't be seen to: %s", error)
                self.problem = str(error)
            else:
                self.problem = None
            await asyncio.sleep(self._pause_s)

    async def look(self) -> list[str]:
        """Makes this month and the next two; gives the names of those that were dropped."""
        now = self._now()
        await self._store.ensure_partitions(now)
        if self._keep_days is None:
            return []
        dropped = await self._store.apply_retention(now, self._keep_days)
        if dropped:
            fields = {"months": dropped, "keep_days": self._keep_days}
            log.info("months of records were dropped, as retention says", extra={"fields": fields})
        return dropped
