"""The SQL of heads and public keys: how far chains were when they were signed last, and who vouches for whom."""

from __future__ import annotations

from collections import defaultdict

import msgspec

from audit.errors import StoreError
from audit.ring import KeyEntry, Ring, ring_of
from audit.signing import Checkpoint
from audit.store import Store

_PUT_HEAD = "INSERT INTO pgwarden.heads (chain, records, checkpoint) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
_NEWEST = "SELECT DISTINCT ON (chain) chain, checkpoint FROM pgwarden.heads ORDER BY chain, records DESC"
_PUT_KEY = "INSERT INTO pgwarden.signing_keys (origin, number, entry) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
_KEYS = "SELECT origin, entry FROM pgwarden.signing_keys ORDER BY origin, number"


class StoreHeads:
    """Raises what Store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, chain: str, checkpoint: Checkpoint) -> None:
        """All records before it must be in the store."""
        text = msgspec.json.encode(checkpoint).decode()
        async with self._store.connected("pgwarden_writer") as connection:
            await connection.execute(_PUT_HEAD, chain, checkpoint.records, text)

    async def newest(self) -> dict[str, Checkpoint]:
        """The last one of each chain."""
        async with self._store.connected("pgwarden_auditor") as connection:
            rows = await connection.fetch(_NEWEST)
        try:
            return {row["chain"]: msgspec.json.decode(row["checkpoint"], type=Checkpoint) for row in rows}
        except (msgspec.MsgspecError, ValueError) as error:
            raise StoreError("a head in the store was edited: it is none any more") from error

    async def put_keys(self, ring: Ring) -> None:
        async with self._store.connected("pgwarden_writer") as connection:
            for number, entry in enumerate(ring.entries, 1):
                await connection.execute(_PUT_KEY, ring.origin, number, msgspec.json.encode(entry).decode())

    async def rings(self) -> dict[str, Ring]:
        """By what the names of their chains begin with."""
        async with self._store.connected("pgwarden_auditor") as connection:
            rows = await connection.fetch(_KEYS)
        entries = defaultdict(list)
        try:
            for row in rows:
                entries[row["origin"]].append(msgspec.json.decode(row["entry"], type=KeyEntry))
            return {origin: ring_of(own) for origin, own in entries.items()}
        except (msgspec.MsgspecError, ValueError) as error:
            raise StoreError("a public key in the store was edited: it is none any more") from error
