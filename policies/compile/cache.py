"""Keeps what is known of texts, exactly and by shape, within a number of bytes: what wasn't used goes first.

Every entry stands once in a ring. Where room is wanted, the oldest goes, unless it was used since it was last looked
at: then it has another turn. So a hit only sets a flag.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import MutableMapping
from typing import Any, NamedTuple

from policies.catalog import Catalog, Namespace
from policies.compile.shapes import Entry, Family, Known, Outcomes, Scope, Shape
from policies.decision import Decision
from policies.model import EffectivePolicy

# What a decision holds besides texts: plans, tuples, the entry itself; measured with sys.getsizeof over TPC-H.
_OVERHEAD_BYTES = 2_000
_FAMILY_BYTES = 3_000
_LITERAL_BYTES = 250  # its numbers, the gap behind it
_MOST_SCOPES = 4_096


class _Key(NamedTuple):
    """All that a decision depends on, but the text."""

    policy_fingerprint: str
    catalog_version: int
    namespace: Namespace
    database: str


class _Kept(NamedTuple):
    """One entry of the ring: what holds it, under which key, and its size; `used` has the flag."""

    mapping: MutableMapping[bytes, Any]
    key: bytes
    value: Any
    used: Any
    size: int


class PlanCache:
    """`outcomes` only rise; the caller turns them into metrics."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._scopes: OrderedDict[_Key, Scope] = OrderedDict()
        self._ring: deque[_Kept] = deque()
        self.bytes = 0
        self.outcomes = Outcomes()

    @property
    def hits(self) -> int:
        return self.outcomes.exact + self.outcomes.shape

    @property
    def misses(self) -> int:
        return self.outcomes.miss

    def scope(self, policy: EffectivePolicy, catalog: Catalog, namespace: Namespace) -> Scope:
        """The one Scope of these circumstances."""
        key = _Key(policy.fingerprint, catalog.version, namespace, policy.database)
        scope = self._scopes.get(key)
        if scope is None:
            scope = self._scopes[key] = Scope(self.outcomes)
            if len(self._scopes) > _MOST_SCOPES:
                self._scopes.popitem(last=False)
        else:
            self._scopes.move_to_end(key)
        return scope

    def put(self, scope: Scope, raw: bytes, decision: Decision) -> None:
        """Keeps a decision by its exact text."""
        size = _OVERHEAD_BYTES + len(raw) * 3 + len(decision.text)
        entry = Entry(decision)
        if decision.refusal is not None:
            self._keep(_Kept(scope.refused, raw, entry, entry, size))
            return
        text = raw if not decision.edits else decision.text.encode()
        statement = decision.plans[0].text.encode() if len(decision.plans) == 1 else b""
        known = Known(entry, decision, text, statement, raw, None)
        self._keep(_Kept(scope.exact, raw, known, entry, size))

    def put_family(self, scope: Scope, key: bytes, family: Family) -> None:
        """Keeps a skeleton that was seen."""
        self._keep(_Kept(scope.families, key, family, family, _FAMILY_BYTES + len(key) + len(family.first)))

    def put_shape(self, family: Family, key: bytes, shape: Shape | None) -> None:
        """Keeps a shape under the values of its family's fixed literals; None: a text that isn't one."""
        if shape is None:
            self._keep(_Kept(family.shapes, key, None, family, _FAMILY_BYTES + len(key)))
        else:
            size = 2 * (_OVERHEAD_BYTES + len(shape.decision.text)) + len(key) + _LITERAL_BYTES * shape.size
            self._keep(_Kept(family.shapes, key, shape, shape, size))

    def _keep(self, kept: _Kept) -> None:
        if kept.size > self._limit_bytes // 8 or kept.key in kept.mapping:
            return
        kept.mapping[kept.key] = kept.value
        self._ring.append(kept)
        self.bytes += kept.size
        while self.bytes > self._limit_bytes:
            self._drop_or_spare(self._ring.popleft())

    def _drop_or_spare(self, kept: _Kept) -> None:
        if kept.used.is_used:
            kept.used.is_used = False
            self._ring.append(kept)
            return
        if kept.mapping.get(kept.key) is kept.value:
            del kept.mapping[kept.key]
        self.bytes -= kept.size
