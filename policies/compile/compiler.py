"""The compiler: one text, one policy, one catalog snapshot, one namespace in; a Decision out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from policies.catalog import Catalog, Namespace
from policies.compile.admission import learn
from policies.compile.cache import PlanCache
from policies.compile.compilation import Compilation
from policies.compile.draft import Refused
from policies.compile.everything import decide_everything
from policies.compile.kinds import KINDS
from policies.compile.parse import deep_recursion
from policies.compile.shapes import Scope
from policies.compile.surroundings import Memory, StatementSurroundings
from policies.compile.views import compile_view
from policies.decision import Decision, Refusal
from policies.model import EffectivePolicy

DEFAULT_CACHE_BYTES = 32 * 1024 * 1024


class Compiler:
    """Decides texts; keeps decisions by text or shape, policy, catalog version and namespace."""

    def __init__(self, cache_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        self.cache = PlanCache(cache_bytes)
        self._memory = Memory()

    def decide(self, sql: str, policy: EffectivePolicy, catalog: Catalog, namespace: Namespace) -> Decision:
        """What goes upstream instead of `sql`, or why nothing does. Never raises for what a client can send."""
        scope = self.scope(policy, catalog, namespace)
        raw = sql.encode()
        known = scope.find(raw)
        if known is not None:
            return known.complete()
        refused: Decision | None = scope.find_refused(raw)
        if refused is not None:
            return refused
        self.cache.outcomes.miss += 1
        decision = self._decide(sql, policy, catalog, namespace)
        if not self._learn(scope, raw, decision, lambda text: self._decide(text, policy, catalog, namespace)):
            self.cache.put(scope, raw, decision)
        return decision

    def _learn(self, scope: Scope, raw: bytes, decision: Decision, decide: Callable[[str], Decision]) -> bool:
        """Whether the decision is kept as a shape."""
        with deep_recursion():
            try:
                return learn(self.cache, scope, raw, decision, decide)
            except RecursionError:
                return False

    def scope(self, policy: EffectivePolicy, catalog: Catalog, namespace: Namespace) -> Scope:
        """What is known of texts under these circumstances; equal ones have the same Scope."""
        return self.cache.scope(policy, catalog, namespace)

    def _decide(self, sql: str, policy: EffectivePolicy, catalog: Catalog, namespace: Namespace) -> Decision:
        return replace(self._compiled(sql, policy, catalog, namespace), search_path=namespace.search_path)

    def _compiled(self, sql: str, policy: EffectivePolicy, catalog: Catalog, namespace: Namespace) -> Decision:
        with deep_recursion():
            if policy.is_everything:
                return decide_everything(sql, policy, catalog.version)
            surroundings = StatementSurroundings(policy, catalog, compile_view, self._memory)
            compilation = Compilation(sql, policy, catalog, namespace, surroundings, KINDS)
            try:
                return compilation.decision()
            except Refused as refused:
                return compilation.refusal(refused.refusal)
            except RecursionError:
                return compilation.refusal(_too_deep())


def _too_deep() -> Refusal:
    return Refusal("54001", "pgwarden/parse", "the statement is nested too deeply", hint="Write it with fewer levels.")
