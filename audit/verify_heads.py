"""Holds chains against signed heads: who cuts a chain's end off can't take along a head that stands elsewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from audit.findings import Findings
from audit.signing import Checkpoint, is_signature_true
from audit.store_rows import ChainedRecord
from audit.trust import Trust


@dataclass(frozen=True, slots=True)
class Head:
    """A checkpoint of a chain; `place` says where it was kept."""

    chain: str
    checkpoint: Checkpoint
    place: str


class HeadWalk:
    """Takes records in the order of their chains: `record` for each, `end` behind the last."""

    def __init__(self, heads: Sequence[Head], trust: Trust, findings: Findings, where: str = "store") -> None:
        self._findings = findings
        self._where = where
        self._heads: dict[str, list[Head]] = defaultdict(list)
        self.ends: dict[str, int] = {}  # the last record's number of each chain
        for head in heads:
            if self._is_believed(head, trust):
                self._heads[head.chain].append(head)

    def record(self, chained: ChainedRecord) -> None:
        self.look(chained.chain, chained.sequence, chained.record.hash, chained.record.id)

    def look(self, chain: str, number: int, own_hash: str, record_id: str = "") -> None:
        """`own_hash`: hexadecimal."""
        self.ends[chain] = max(number, self.ends.get(chain, 0))
        for head in self._heads.get(chain, ()):
            if head.checkpoint.records == number and head.checkpoint.hash != own_hash:
                message = f"is not the one that was signed: {head.place} names {head.checkpoint.record_id}"
                self._add(chain, number, message, record_id)

    def end(self) -> None:
        for chain, heads in self._heads.items():
            furthest = max(heads, key=lambda head: head.checkpoint.records)
            end, signed = self.ends.get(chain, 0), furthest.checkpoint
            if signed.records > end:
                message = f"to {signed.records} are missing: {furthest.place} names the last, {signed.record_id}"
                self._add(chain, end + 1, message)

    def _is_believed(self, head: Head, trust: Trust) -> bool:
        keys = trust.keys_of(head.chain)
        if keys is None:
            self._findings.notes.append(f"{head.place} of {head.chain} is of another key and wasn't looked at")
            return False
        is_true = any(is_signature_true(head.checkpoint, key) for key in keys)
        if not is_true or head.chain != f"{head.chain.partition('/')[0]}/{head.checkpoint.worker}":
            self._add(head.chain, head.checkpoint.records, f"{head.place} has a false signature, or is another chain's")
            return False
        return True

    def _add(self, chain: str, record: int, message: str, record_id: str = "") -> None:
        self._findings.add(f"{self._where} {chain}", record, record_id, message)
