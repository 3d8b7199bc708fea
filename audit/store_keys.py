"""The SQL of API keys: making, revoking, listing and counting them. Runs on a Store's connections."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from uuid import UUID

from audit.api_keys import KeyEntry, KeyUse, NewKey, StoredKey
from audit.store import Store
from audit.store_rows import Row

_MAKE = """
    INSERT INTO pgwarden.api_keys (id, sha256, "user", tier, owner, created_by, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING id"""
_REVOKE = """
    INSERT INTO pgwarden.api_key_revocations (id, revoked_by, reason)
    SELECT id, $2, $3 FROM pgwarden.api_keys WHERE id = $1 ON CONFLICT DO NOTHING RETURNING id"""
_IS_KNOWN = "SELECT EXISTS (SELECT FROM pgwarden.api_keys WHERE id = $1)"
# How many and the last number: one that was committed late changes the count.
_MARK = """
    SELECT (SELECT count(*) FROM pgwarden.api_keys), (SELECT coalesce(max(number), 0) FROM pgwarden.api_keys),
           (SELECT count(*) FROM pgwarden.api_key_revocations)"""
_ENTRIES = """
    SELECT k.id, encode(k.sha256, 'hex') AS sha256, k."user", k.tier, k.owner, k.created_at, k.created_by, k.expires_at,
           r.revoked_at, r.revoked_by, r.reason
    FROM pgwarden.api_keys k LEFT JOIN pgwarden.api_key_revocations r USING (id) ORDER BY k.number"""
_COUNT = "SELECT pgwarden.count_key_uses($1, $2, $3, $4, $5, $6)"
_ELSEWHERE = """
    SELECT id, month, sum(statements)::bigint AS statements, sum(cost_nano)::bigint AS cost_nano,
           max(last_used) AS last_used
    FROM pgwarden.api_key_uses WHERE month = $1 AND counter <> $2 GROUP BY id, month"""
_OWN = (
    "SELECT id, month, statements, cost_nano, last_used FROM pgwarden.api_key_uses WHERE counter = $1 AND month >= $2"
)
_ALL = """
    SELECT id, $1::date AS month, coalesce(sum(statements) FILTER (WHERE month = $1), 0)::bigint AS statements,
           coalesce(sum(cost_nano) FILTER (WHERE month = $1), 0)::bigint AS cost_nano, max(last_used) AS last_used
    FROM pgwarden.api_key_uses GROUP BY id"""

Mark = tuple[int, ...]


class StoreKeys:
    """Raises what Store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # by people, with the rights of their login

    async def make(
        self, new: NewKey, *, user: str, tier: str, owner: str, by: str, expires_at: datetime | None
    ) -> bool:
        """False when there is another of this id."""
        values = (new.id, bytes.fromhex(new.sha256), user, tier, owner, by, expires_at)
        async with self._store.connected() as connection:
            return await connection.fetchval(_MAKE, *values) is not None

    async def revoke(self, key_id: str, by: str, reason: str) -> bool | None:
        """Whether it was in force until now; None when there is no such key."""
        async with self._store.connected() as connection:
            if await connection.fetchval(_REVOKE, key_id, by, reason) is not None:
                return True
            return False if await connection.fetchval(_IS_KNOWN, key_id) else None

    async def listed(self, month: date) -> tuple[list[KeyEntry], dict[str, KeyUse]]:
        """All keys in the order of their making, and what they have used in this month, by id."""
        async with self._store.connected() as connection:
            entries = [_entry_of(row) for row in await connection.fetch(_ENTRIES)]
            uses = [_use_of(row) for row in await connection.fetch(_ALL, month)]
        return entries, {use.id: use for use in uses}

    # by sidecars

    async def mark(self) -> Mark:
        """Something that changes whenever a key is made or revoked."""
        async with self._store.writing() as connection:
            return tuple(await connection.fetchrow(_MARK))  # type: ignore[arg-type]  # the query gives a row

    async def entries(self) -> list[KeyEntry]:
        async with self._store.writing() as connection:
            return [_entry_of(row) for row in await connection.fetch(_ENTRIES)]

    async def count(self, counter: UUID, uses: Sequence[KeyUse]) -> None:
        """Says what this counter has counted altogether. To say it again changes nothing."""
        columns: tuple[Collection[object], ...] = (
            [use.month for use in uses],
            [use.id for use in uses],
            [use.statements for use in uses],
            [use.cost_nano for use in uses],
            [use.last_used for use in uses],
        )
        async with self._store.writing() as connection:
            await connection.execute(_COUNT, counter, *columns)

    async def counted_elsewhere(self, counter: UUID, month: date) -> list[KeyUse]:
        """What all others have counted."""
        async with self._store.writing() as connection:
            return [_use_of(row) for row in await connection.fetch(_ELSEWHERE, month, counter)]

    async def counted_by(self, counter: UUID, since: date) -> list[KeyUse]:
        """What this one has said so far, from this month on."""
        async with self._store.writing() as connection:
            return [_use_of(row) for row in await connection.fetch(_OWN, counter, since)]


def _entry_of(row: Row) -> KeyEntry:
    expires_at = row["expires_at"]
    key = StoredKey(
        id=row["id"],
        sha256=row["sha256"],
        user=row["user"],
        tier=row["tier"],
        expires_s=None if expires_at is None else expires_at.timestamp(),
        is_revoked=row["revoked_at"] is not None,
    )
    return KeyEntry(
        key=key,
        owner=row["owner"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        revoked_at=row["revoked_at"],
        revoked_by=row["revoked_by"] or "",
        reason=row["reason"] or "",
    )


def _use_of(row: Row) -> KeyUse:
    return KeyUse(row["id"], row["month"], row["statements"], row["cost_nano"], row["last_used"])
