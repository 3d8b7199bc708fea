"""The SQL of seals: what has to be sealed, what is, and the records of a seal. Runs on a Store's connections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from audit.record import NO_HASH, at_moment, microseconds_of
from audit.seal import Seal
from audit.store import Store
from audit.store_rows import ChainedRecord, Row, chained_record_of

_LAST = "SELECT * FROM pgwarden.seals WHERE chain = $1 ORDER BY first DESC LIMIT 1"
_ALL = "SELECT * FROM pgwarden.seals ORDER BY chain, first"
_OF_RECORD = """
    SELECT * FROM pgwarden.seals WHERE chain = $1 AND first <= $2 AND $2 < first + records
    ORDER BY first DESC LIMIT 1"""
_OVERLAPS = "SELECT EXISTS (SELECT FROM pgwarden.seals WHERE chain = $1 AND first <= $3 AND first + records > $2)"
_PUT = """
    INSERT INTO pgwarden.seals (chain, first, records, root, hash, at, signature)
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING"""
_FIRST = "SELECT min(sequence) FROM pgwarden.records WHERE chain = $1 AND sequence > $2"
_LINKS = """
    SELECT sequence, prev_hash, hash FROM pgwarden.records
    WHERE chain = $1 AND sequence BETWEEN $2 AND $3 ORDER BY sequence"""
_BY_ID = "SELECT * FROM pgwarden.records WHERE id = $1::uuid"
# An id bears the time of its making (RFC 9562, 5.7), and the primary key begins with the record's.
_BY_ID_AND_TIME = f"{_BY_ID} AND at BETWEEN $2 AND $3"
_AROUND_US = 5_000_000
_LATEST_MS = 253_402_300_000  # in the year 9999, which is as far as times go


@dataclass(frozen=True, slots=True)
class Link:
    """What a record's place in its chain is told by; hashes of 32 bytes."""

    number: int
    prev_hash: bytes
    hash: bytes


class StoreSeals:
    """Each question has a connection of its own: shipping doesn't wait for it. Raises what Store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def last(self, chain: str) -> Seal | None:
        async with self._store.connected("pgwarden_writer") as connection:
            row = await connection.fetchrow(_LAST, chain)
        return None if row is None else _seal_of(row)

    async def all(self) -> list[Seal]:
        async with self._store.connected("pgwarden_auditor") as connection:
            return [_seal_of(row) for row in await connection.fetch(_ALL)]

    async def overlaps(self, chain: str, first: int, last: int) -> bool:
        """Whether one of these records is in a seal already."""
        async with self._store.connected("pgwarden_writer") as connection:
            return bool(await connection.fetchval(_OVERLAPS, chain, first, last))

    async def has_dropped(self) -> bool:
        """Whether retention has ever dropped a month."""
        return await self._store.has_dropped()

    async def first_behind(self, chain: str, number: int) -> int | None:
        """The first record behind this one that the store holds."""
        async with self._store.connected("pgwarden_writer") as connection:
            found: int | None = await connection.fetchval(_FIRST, chain, number)
        return found

    async def links(self, chain: str, first: int, last: int) -> list[Link]:
        """Those of these records that the store holds, in order."""
        async with self._store.connected("pgwarden_writer") as connection:
            rows = await connection.fetch(_LINKS, chain, first, last)
        return [Link(row["sequence"], row["prev_hash"], row["hash"]) for row in rows]

    async def put(self, seal: Seal) -> bool:
        """Whether it stands now; else somebody else has sealed these records meanwhile."""
        values = bytes.fromhex(seal.root), bytes.fromhex(seal.hash), at_moment(seal.at), bytes.fromhex(seal.signature)
        async with self._store.connected("pgwarden_writer") as connection:
            done = await connection.execute(_PUT, seal.chain, seal.first, seal.records, *values)
        return done.endswith(" 1")

    async def record(self, record_id: str) -> ChainedRecord | None:
        """By its id, 32 hex digits or a UUID's form."""
        async with self._store.connected("pgwarden_auditor") as connection:
            row = await connection.fetchrow(_BY_ID_AND_TIME, record_id, *_times_of(record_id))
            if row is None:  # the clock went back
                row = await connection.fetchrow(_BY_ID, record_id)
        return None if row is None else chained_record_of(row)

    async def seal_of(self, chain: str, number: int) -> tuple[Seal, list[Link]] | None:
        """The seal that a record is in, and the links of all records in it."""
        async with self._store.connected("pgwarden_auditor") as connection:
            row = await connection.fetchrow(_OF_RECORD, chain, number)
            if row is None:
                return None
            seal = _seal_of(row)
            rows = await connection.fetch(_LINKS, chain, seal.first, seal.last)
        return seal, [Link(one["sequence"], one["prev_hash"], one["hash"]) for one in rows]


def leaves_of(links: Sequence[Link], first: int, last: int) -> list[bytes]:
    """The hashes of records `first` to `last`, as far as they are known: a record that was damaged in the journal never
    came to the store, but the one behind it names its hash.
    """
    known = {link.number - 1: link.prev_hash for link in links} | {link.number: link.hash for link in links}
    return [known.get(number, NO_HASH) for number in range(first, last + 1)]


def _times_of(record_id: str) -> tuple[datetime, datetime]:
    made_us = min(UUID(record_id).int >> 80, _LATEST_MS) * 1000
    return at_moment(made_us - _AROUND_US), at_moment(made_us + _AROUND_US)


def _seal_of(row: Row) -> Seal:
    return Seal(
        chain=row["chain"],
        first=row["first"],
        records=row["records"],
        root=row["root"].hex(),
        hash=row["hash"].hex(),
        at=microseconds_of(row["at"]),
        signature=row["signature"].hex(),
    )
