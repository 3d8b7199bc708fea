"""Decisions by exact text, bounded by bytes, the least used dropped first."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from policies.catalog import Namespace
from policies.decision import Decision

# What a decision holds besides texts: plans, tuples, the entry itself; measured with sys.getsizeof over TPC-H.
_OVERHEAD_BYTES = 2_000


class Key(NamedTuple):
    """All that a decision depends on."""

    sql: str
    policy_fingerprint: str
    catalog_version: int
    namespace: Namespace
    database: str


class PlanCache:
    """`hits` and `misses` only rise; the caller turns them into metrics."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._entries: OrderedDict[Key, Decision] = OrderedDict()
        self._bytes = 0
        self.hits = 0
        self.misses = 0

    def get(self, key: Key) -> Decision | None:
        decision = self._entries.get(key)
        if decision is None:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        return decision

    def put(self, key: Key, decision: Decision) -> None:
        size = _size(key, decision)
        if size > self._limit_bytes // 8 or key in self._entries:
            return
        self._entries[key] = decision
        self._bytes += size
        while self._bytes > self._limit_bytes:
            old_key, old = self._entries.popitem(last=False)
            self._bytes -= _size(old_key, old)


def _size(key: Key, decision: Decision) -> int:
    return _OVERHEAD_BYTES + len(key.sql) * 3 + len(decision.text)
