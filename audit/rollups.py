"""Has the store add up what statements cost, again and again, and forget hours that are old. Knows no SQL."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from audit.costs_question import HOURS_KEPT_DAYS
from audit.errors import AuditError
from audit.store_costs import StoreCosts

PAUSE_S: Final = 5.0
_SHARE: Final = 20  # a pause is so many times as long as a look that finds nothing: there may be very many chains
MOST_RECORDS: Final = 20_000  # in one transaction
_DROP_EVERY: Final = timedelta(hours=1)

log = logging.getLogger("pgwarden.audit")


class Rollups:
    """Several may run against one store: one of them works at a time. `now` gives aware datetimes."""

    def __init__(
        self,
        costs: StoreCosts,
        now: Callable[[], datetime],
        pause_s: float = PAUSE_S,
        most_records: int = MOST_RECORDS,
    ) -> None:
        self._costs = costs
        self._now = now
        self._pause_s = pause_s
        self._most_records = most_records
        self._dropped_at: datetime | None = None
        self._look_s = 0.0
        self.problem: str | None = None

    async def run(self) -> None:
        """Until cancelled. A store that is away or refuses is asked again the next time."""
        while True:
            try:
                await self.look()
            except AuditError as error:
                if self.problem is None:
                    log.warning("costs can't be rolled up: %s", error)
                self.problem = str(error)
            else:
                self.problem = None
            await asyncio.sleep(max(self._pause_s, _SHARE * self._look_s))

    async def look(self) -> int:
        """Counts all records that aren't counted yet; gives how many they were."""
        counted = 0
        while found := await self._roll_up():
            counted += found
        await self._drop_hours()
        return counted

    async def _roll_up(self) -> int | None:
        began = asyncio.get_running_loop().time()
        found = await self._costs.roll_up(self._most_records)
        self._look_s = asyncio.get_running_loop().time() - began
        return found

    async def _drop_hours(self) -> None:
        now = self._now()
        if self._dropped_at is not None and abs(now - self._dropped_at) < _DROP_EVERY:
            return
        await self._costs.drop_hours(now, timedelta(days=HOURS_KEPT_DAYS))
        self._dropped_at = now
