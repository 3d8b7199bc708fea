"""When a sidecar's API keys are read: again and again while a policy wants them. Knows neither keys nor the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric

from admin.app import Check
from audit.errors import AuditError
from proxy.config import Keys
from proxy.control import Order
from proxy.key_keeping import KeyKeeping

_FIRST_S: Final = 3.0
_LAST_S: Final = 3.0

log = logging.getLogger("pgwarden.keys")


class KeyWatch:
    """`start`, then `first`, before clients come; `stop` tells the store the last counts. `is_wanted` and `is_migrated`
    are asked each time.
    """

    def __init__(
        self, keeping: KeyKeeping, wanted: Keys, is_wanted: Callable[[], bool], is_migrated: Callable[[], bool]
    ) -> None:
        self._keeping = keeping
        self._refresh_s = wanted.refresh
        self._max_age_s = wanted.max_age
        self._is_wanted_now = is_wanted
        self._was_wanted = False
        self._is_migrated = is_migrated
        self._task: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()
        self._looking = asyncio.Lock()

    @property
    def check(self) -> Check:
        """Whether clients can log in by keys."""
        age_s = self._keeping.age_s
        if age_s is None:
            return Check("keys", False, self._keeping.problem)
        return Check("keys", age_s <= self._max_age_s, f"API keys were read {age_s:.0f} s ago: {self._keeping.problem}")

    def metrics(self) -> Iterator[Metric]:
        """Once keys were read."""
        age_s = self._keeping.age_s
        if age_s is not None:
            text = "How long ago what is known of the store's API keys was true"
            yield GaugeMetricFamily("pgwarden_api_keys_age_seconds", text, age_s)
            yield GaugeMetricFamily("pgwarden_api_keys", "API keys of the store in force", self._keeping.in_force)

    def start(self) -> None:
        self._keeping.restore()
        self._task = asyncio.create_task(self._run(), name="API keys")
        self._task.add_done_callback(_tell_failure)

    async def first(self) -> None:
        """Returns when the store was asked, or when that takes too long: then the keys of the last time count."""
        if self._is_wanted():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look_now(), _FIRST_S)

    def orders(self) -> list[Order]:
        """All that a worker has to know at its start."""
        return self._keeping.orders()

    async def stop(self) -> None:
        """When all workers have ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._looked.is_set():
            with suppress(AuditError, TimeoutError):
                await asyncio.wait_for(self._keeping.count_rest(), _LAST_S)
        await self._keeping.close()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._refresh_s)
            if self._is_wanted():
                await self._look()

    def _is_wanted(self) -> bool:
        """Once wanted, always: sessions that logged in by keys may last after the policies have no use for any."""
        self._was_wanted = self._was_wanted or self._is_wanted_now()
        return self._was_wanted

    async def _look_now(self) -> None:
        while not self._is_migrated():
            await asyncio.sleep(self._refresh_s / 20)
        await self._look()

    async def _look(self) -> None:
        if not self._is_migrated():
            self._keeping.confirm()
            return
        async with self._looking:
            if await self._keeping.look():
                self._looked.set()


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("%s can't be kept any more", task.get_name(), exc_info=task.exception())
