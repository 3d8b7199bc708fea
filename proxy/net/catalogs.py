"""The catalog snapshots of all databases: read at start, on a timer and after DDL. The last good one stays."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from policies.catalog import Catalog
from proxy.dsn import Upstream
from proxy.net.introspect import CatalogReadError, read_catalog

REFRESH_S: Final = 60.0

log = logging.getLogger("pgwarden.net")


class Catalogs:
    def __init__(self, upstreams: Mapping[str, Callable[[], Upstream]], refresh_s: float = REFRESH_S) -> None:
        self._upstreams = upstreams
        self._refresh_s = refresh_s
        self._catalogs: dict[str, Catalog] = {}
        self._problems: dict[str, str] = {}
        self._locks = {name: asyncio.Lock() for name in upstreams}
        self._wanted = {name: asyncio.Event() for name in upstreams}

    @property
    def problems(self) -> Mapping[str, str]:
        """Databases whose last reading failed, and why."""
        return dict(self._problems)

    def get(self, database: str) -> Catalog | None:
        return self._catalogs.get(database)

    def all(self) -> Mapping[str, Catalog]:
        return dict(self._catalogs)

    def request(self, database: str) -> None:
        """Has the snapshot read again soon; requests that come meanwhile are one."""
        self._wanted[database].set()

    async def ready(self, database: str) -> None:
        """Tries for a snapshot if there is none."""
        if database not in self._catalogs:
            await self.read(database)

    async def read(self, database: str) -> None:
        """Reads the snapshot; a failure keeps the last one and is remembered."""
        async with self._locks[database]:
            previous = self._catalogs.get(database)
            try:
                upstream = await asyncio.to_thread(self._upstreams[database])
                fresh = await read_catalog(upstream.url(), database=database, previous=previous)
            except (CatalogReadError, OSError, ValueError) as error:
                self._remember(database, type(error).__name__)
                return
            self._problems.pop(database, None)
            self._catalogs[database] = fresh

    async def keep_reading(self, database: str) -> None:
        """Until cancelled: on the timer and when asked."""
        wanted = self._wanted[database]
        while True:
            try:
                async with asyncio.timeout(self._refresh_s):
                    await wanted.wait()
            except TimeoutError:
                pass
            wanted.clear()
            await self.read(database)

    def _remember(self, database: str, reason: str) -> None:
        if database not in self._problems:
            log.warning("the catalog can't be read", extra={"fields": {"database": database, "error": reason}})
        self._problems[database] = f"the catalog can't be read ({reason})"
