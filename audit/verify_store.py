"""Verifies the store: every record hashes to its hash and follows the one before. Knows no journal files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from audit.findings import Findings
from audit.record import NO_HASH, body_of, hash_of
from audit.seal import Seal
from audit.store import Store
from audit.store_heads import StoreHeads
from audit.store_rows import ChainedRecord
from audit.store_seals import StoreSeals
from audit.trust import Trust
from audit.verify_heads import Head, HeadWalk
from audit.verify_seals import SealWalk

_HASH_BYTES = 32


@dataclass(slots=True)
class StoredTail:
    """The hashes of a chain in the store from record `first` on, 32 bytes each; zeros where a record is missing."""

    first: int
    hashes: bytearray = field(default_factory=bytearray)
    last_id: str = ""
    may_lack: bool = False  # retention has dropped months: a missing record may have been in one

    @property
    def last(self) -> int:
        """The number of the last record, `first - 1` if there is none."""
        return self.first - 1 + len(self.hashes) // _HASH_BYTES

    def put(self, chained: ChainedRecord) -> None:
        index = (chained.sequence - self.first) * _HASH_BYTES
        if index < 0:
            return
        if index > len(self.hashes):
            self.hashes.extend(bytes(index - len(self.hashes)))
        self.hashes[index : index + _HASH_BYTES] = bytes.fromhex(chained.record.hash)
        self.last_id = chained.record.id

    def hash_at(self, number: int) -> bytes | None:
        """The stored hash of a record, None if the store doesn't have it."""
        index = (number - self.first) * _HASH_BYTES
        own_hash = bytes(self.hashes[index : index + _HASH_BYTES]) if index >= 0 else b""
        return own_hash if own_hash and own_hash != NO_HASH else None


async def verify_store(
    store: Store, tails: dict[str, StoredTail], findings: Findings, trust: Trust, heads: Sequence[Head] = ()
) -> dict[str, int]:
    """Walks every chain in the store, and fills the tails of those that a journal is to be compared with.

    `heads`: others than those in the store. Gives the number of each chain's last record.
    Raises StoreError or StoreUnreachableError.
    """
    dropped_us = await store.dropped_until()
    for tail in tails.values():
        tail.may_lack = dropped_us is not None
    newest = (await StoreHeads(store).newest()).items()
    own = [Head(chain, head, "the head in the store") for chain, head in newest if trust.keys_of(chain) is not None]
    seals = await StoreSeals(store).all()
    walk = ChainWalk(trust, [*own, *heads], seals, dropped_us, findings)
    async for chained in store.read_chain():
        walk.record(chained)
        if chained.chain in tails:
            tails[chained.chain].put(chained)
        findings.store_records += 1
    return walk.end()


class ChainWalk:
    """Takes records in the order of their chains, `where` they are: `record` for each, `end` behind the last."""

    def __init__(
        self,
        trust: Trust,
        heads: Sequence[Head],
        seals: Sequence[Seal],
        dropped_us: int | None,
        findings: Findings,
        where: str = "store",
    ) -> None:
        self._has_dropped = dropped_us is not None
        self._findings = findings
        self._where = where
        self._heads = HeadWalk(heads, trust, findings, where)
        self._seals = SealWalk(seals, trust, dropped_us, findings, where)
        self._before: ChainedRecord | None = None

    def record(self, chained: ChainedRecord) -> None:
        if self._before is not None and self._before.chain != chained.chain:
            self._before = None
        self._check_link(chained)
        self._seals.record(chained)
        self._heads.record(chained)
        self._before = chained

    def end(self) -> dict[str, int]:
        """The number of each chain's last record."""
        self._seals.end()
        self._heads.end()
        return self._heads.ends

    def _check_link(self, chained: ChainedRecord) -> None:
        record, place = chained.record, f"{self._where} {chained.chain}"
        message = _first_fault(self._before, chained, self._has_dropped)
        if message is not None:
            self._findings.add(place, chained.sequence, record.id, message)
        elif self._before is None and chained.sequence > 1:
            self._findings.notes.append(f"{place} begins at record {chained.sequence}: retention dropped the rest")


def _first_fault(before: ChainedRecord | None, chained: ChainedRecord, has_dropped: bool) -> str | None:
    record = chained.record
    if hash_of(bytes.fromhex(record.prev_hash), body_of(record)).hex() != record.hash:
        return "was edited: its hash is not that of its fields"
    expected = 1 if before is None else before.sequence + 1
    if chained.sequence != expected and not (before is None and has_dropped):
        return f"should be record {expected}: records are missing, repeated or out of order"
    expected_hash = NO_HASH.hex() if before is None else before.record.hash
    if record.prev_hash != expected_hash and not (before is None and chained.sequence > 1):
        return "does not follow the record before it"
    return None
