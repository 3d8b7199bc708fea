"""The catalog snapshots of all databases: read at start, on a timer and after DDL. The last good one stays."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

from policies.catalog import Catalog
from proxy.dsn import Upstream
from proxy.net.catalog_watch import LOOK_S, CatalogWatch
from proxy.net.introspect import CatalogReadError, read_catalog
from proxy.session.epoch import Epoch

REFRESH_S: Final = 60.0
REQUEST_S: Final = 1.0
_REST: Final = 5.0  # a large catalog under constant DDL is read a sixth of the time
PATIENCE_S: Final = 5.0  # how long a session waits for the catalog to follow its DDL

log = logging.getLogger("pgwarden.net")


def _as_it_is(catalog: Catalog) -> Catalog:
    return catalog


class Catalogs:
    """`fill` adds to each snapshot what the server doesn't know; `refill` has it added anew to all of them.

    `epoch` advances with each new snapshot.
    """

    def __init__(
        self,
        upstreams: Mapping[str, Callable[[], Upstream]],
        refresh_s: float = REFRESH_S,
        fill: Callable[[Catalog], Catalog] = _as_it_is,
        look_s: float = LOOK_S,
        epoch: Epoch | None = None,
    ) -> None:
        self.epoch = epoch or Epoch()
        self._look_s = look_s
        self._upstreams = upstreams
        self._fill = fill
        self._read_catalogs: dict[str, Catalog] = {}  # as the servers gave them
        self._refresh_s = refresh_s
        self._catalogs: dict[str, Catalog] = {}
        self._problems: dict[str, str] = {}
        self._locks = {name: asyncio.Lock() for name in upstreams}
        self._wanted = {name: asyncio.Event() for name in upstreams}
        self._waiting: dict[str, asyncio.Future[None] | None] = dict.fromkeys(upstreams)

    @property
    def problems(self) -> Mapping[str, str]:
        """Databases whose last reading failed, and why."""
        return dict(self._problems)

    def get(self, database: str) -> Catalog | None:
        return self._catalogs.get(database)

    def as_read(self, database: str) -> Catalog | None:
        """As the server gave it; None while it can't be read."""
        return None if database in self._problems else self._read_catalogs.get(database)

    def all(self) -> Mapping[str, Catalog]:
        return dict(self._catalogs)

    async def read_anew(self, database: str, limit_s: float = PATIENCE_S) -> None:
        """Returns after a reading that began after this call, or when time is up: what was committed is known then.

        Callers that wait for a reading to begin share it.
        """
        waiting = self._waiting[database]
        if waiting is None or waiting.done():
            waiting = self._waiting[database] = asyncio.ensure_future(self._read_next(database))
        try:
            async with asyncio.timeout(limit_s):
                await asyncio.shield(waiting)
        except TimeoutError:
            log.warning("the catalog is read too slowly to follow DDL", extra={"fields": {"database": database}})

    async def _read_next(self, database: str) -> None:
        """One reading; the first that comes after its beginning starts another."""
        async with self._locks[database]:
            self._waiting[database] = None
            await self._read(database)

    def request(self, database: str) -> None:
        """Has the snapshot read again within a second or so: nobody waits for it."""
        self._wanted[database].set()

    async def ready(self, database: str) -> None:
        """Tries for a snapshot if there is none, or if the one there is known to be old."""
        if database not in self._catalogs or self._wanted[database].is_set():
            await self.read_anew(database)

    async def read(self, database: str) -> None:
        """Reads the snapshot; a failure keeps the last one and is remembered."""
        async with self._locks[database]:
            await self._read(database)

    async def _read(self, database: str) -> None:
        self._wanted[database].clear()
        previous = self._read_catalogs.get(database)
        try:
            upstream = await asyncio.to_thread(self._upstreams[database])
            fresh = await read_catalog(upstream.url(), database=database, previous=previous)
        except (CatalogReadError, OSError, ValueError) as error:
            self._remember(database, type(error).__name__)
            return
        self._problems.pop(database, None)
        if fresh is not previous:
            self._read_catalogs[database] = fresh
            self._take(database)

    def refill(self) -> None:
        """What `fill` adds may have changed."""
        for database in self._read_catalogs:
            self._take(database)

    def _take(self, database: str) -> None:
        """A version of its own: plans are cached under it, and what was filled in counts."""
        known = self._catalogs.get(database)
        filled = self._fill(self._read_catalogs[database])
        version = known.version if known is not None else 1
        fresh = replace(filled, version=version)
        if known is not None and fresh != known:
            fresh = replace(filled, version=version + 1)
        if known is None or fresh != known:
            self._catalogs[database] = fresh
            self.epoch.advance()

    async def keep_reading(self, database: str) -> None:
        """Until cancelled: when others change something at the server, when it was requested, and on the timer."""
        watch = CatalogWatch(lambda: asyncio.to_thread(self._upstreams[database]))
        look_s = self._look_s
        try:
            while True:
                await self._change(database, watch, look_s)
                begun = asyncio.get_running_loop().time()
                await self.read(database)
                took_s = asyncio.get_running_loop().time() - begun
                look_s = max(self._look_s, took_s * _REST)
        finally:
            await watch.close()

    async def _change(self, database: str, watch: CatalogWatch, look_s: float) -> None:
        """Returns when it is time for a reading."""
        wanted = self._wanted[database]
        for _ in range(max(1, round(self._refresh_s / look_s))):
            with suppress(TimeoutError):
                async with asyncio.timeout(min(look_s, self._refresh_s)):
                    await wanted.wait()
            if wanted.is_set():
                await asyncio.sleep(REQUEST_S)  # a script of DDL is one reading: each costs the loop its time
                return
            if await watch.has_changed():
                return

    def _remember(self, database: str, reason: str) -> None:
        if database not in self._problems:
            log.warning("the catalog can't be read", extra={"fields": {"database": database, "error": reason}})
        self._problems[database] = f"the catalog can't be read ({reason})"
