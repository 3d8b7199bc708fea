"""The SQL of reading many records: all that match in order of time, and what is new in each chain. Runs on a Store's
connections.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from audit.query import Filters
from audit.store import ASK, Role, Store
from audit.store_rows import ChainedRecord, chained_record_of
from audit.store_selection import oldest

_FETCH_ROWS = 1000
# From each chain to the next: by the index, without looking at its records.
_CHAINS = """
    WITH RECURSIVE known AS (
        (SELECT chain FROM pgwarden.records ORDER BY chain LIMIT 1)
        UNION ALL
        SELECT (SELECT r.chain FROM pgwarden.records r WHERE r.chain > known.chain ORDER BY r.chain LIMIT 1)
        FROM known WHERE known.chain IS NOT NULL)
    SELECT chain FROM known WHERE chain IS NOT NULL"""
_LAST = "SELECT sequence FROM pgwarden.records WHERE chain = $1 ORDER BY sequence DESC LIMIT 1"
_BEHIND = "SELECT * FROM pgwarden.records WHERE chain = $1 AND sequence > $2 ORDER BY sequence LIMIT $3"


class StoreRecords:
    """Raises what Store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def all(self, filters: Filters) -> AsyncIterator[ChainedRecord]:
        """Every matching record, oldest first, as the store was at the beginning; `limit` doesn't count.

        With a tenant, row-level security stands behind the filter.
        """
        role: Role = "pgwarden_reader" if filters.tenant is not None else "pgwarden_auditor"
        selection = oldest(filters)
        async with self._store.connected(role) as connection:
            await connection.execute(ASK, filters.tenant or "")
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                async for row in connection.cursor(selection.sql, *selection.arguments, prefetch=_FETCH_ROWS):
                    yield chained_record_of(row)

    async def ends(self) -> dict[str, int]:
        """The number of each chain's last record."""
        async with self._store.connected("pgwarden_auditor") as connection:
            chains = [row["chain"] for row in await connection.fetch(_CHAINS)]
            return {chain: await connection.fetchval(_LAST, chain) for chain in chains}

    async def behind(self, positions: Mapping[str, int], limit: int) -> dict[str, list[ChainedRecord]]:
        """Of every chain the records behind its position (0 for a chain that has none there), at most `limit` each."""
        found: dict[str, list[ChainedRecord]] = {}
        async with self._store.connected("pgwarden_auditor") as connection:
            for row in await connection.fetch(_CHAINS):
                chain = row["chain"]
                rows = await connection.fetch(_BEHIND, chain, positions.get(chain, 0), limit)
                if rows:
                    found[chain] = [chained_record_of(one) for one in rows]
        return found
