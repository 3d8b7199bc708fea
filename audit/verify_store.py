"""Verifies the store: every record hashes to its hash and follows the one before. Knows no journal files."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.findings import Findings
from audit.record import NO_HASH, body_of, hash_of
from audit.store import Store
from audit.store_rows import ChainedRecord
from audit.store_seals import StoreSeals
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
    store: Store, tails: dict[str, StoredTail], findings: Findings, key: Ed25519PublicKey | None = None
) -> None:
    """Walks every chain in the store, and fills the tails of those that a journal is to be compared with.

    `key` verifies the seals of its own chains.

    Raises StoreError or StoreUnreachableError.
    """
    has_dropped = await store.has_dropped()
    for tail in tails.values():
        tail.may_lack = has_dropped
    walk = SealWalk(await StoreSeals(store).all(), key, has_dropped, findings)
    before: ChainedRecord | None = None
    async for chained in store.read_chain():
        if before is not None and before.chain != chained.chain:
            before = None
        _check_link(before, chained, has_dropped, findings)
        walk.record(chained)
        if chained.chain in tails:
            tails[chained.chain].put(chained)
        findings.store_records += 1
        before = chained
    walk.end()


def _check_link(before: ChainedRecord | None, chained: ChainedRecord, has_dropped: bool, findings: Findings) -> None:
    record = chained.record
    message = _first_fault(before, chained, has_dropped)
    if message is not None:
        findings.add(f"store {chained.chain}", chained.sequence, record.id, message)
    elif before is None and chained.sequence > 1:
        findings.notes.append(f"store {chained.chain} begins at record {chained.sequence}: retention dropped the rest")


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
