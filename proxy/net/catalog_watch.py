"""Looks often, and cheaply, whether anything in pg_catalog that rules depend on has changed at the server.

A snapshot costs the server and the loop real time; a look is one small query over a connection that stays open, and
needs no right that a login hasn't got. It must not know what a change means: it asks for a new snapshot.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from proxy.dsn import Upstream
from proxy.net.catalog_queries import CHANGES
from proxy.net.introspect import FAILURES, CatalogConnection, open_connection

LOOK_S: Final = 2.0


class CatalogWatch:
    """One database's. The first answer counts as a change: nobody looked before."""

    def __init__(self, upstream: Callable[[], Awaitable[Upstream]]) -> None:
        self._upstream = upstream
        self._connection: CatalogConnection | None = None
        self._seen: tuple[object, ...] | None = None

    async def has_changed(self) -> bool:
        """Since the last time that the server answered; False while it can't be asked."""
        try:
            if self._connection is None:
                self._connection = await open_connection((await self._upstream()).url())
            row = await self._connection.fetchrow(CHANGES)
        except (*FAILURES, ValueError):
            await self.close()
            return False
        before, self._seen = self._seen, tuple(row or ())
        return before != self._seen

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*FAILURES):
                await connection.close(timeout=1.0)
