"""What the policies in shadow mode would have decided: for the record, changing nothing and failing nothing."""

from __future__ import annotations

import logging
from dataclasses import replace

from audit.record import ShadowDecision
from policies.compile.parameter_types import that_matter
from policies.decision import Decision, Plan
from policies.model import EffectivePolicy
from proxy.session.conversation import Conversation
from proxy.session.held import Shadowed
from proxy.session.named import named_in

log = logging.getLogger("pgwarden.session")


_FAILED = Shadowed(ShadowDecision.FAILED)


class Shadow:
    def __init__(self, conversation: Conversation) -> None:
        self._c = conversation

    def of_statements(self, sql: str, types: tuple[int, ...], count: int) -> list[Shadowed]:
        """One for each of the text's `count` statements; none when no policy is in shadow mode."""
        policy = self._c.shadow
        if policy is None:
            return []
        decision = self._decide(sql, types, policy)
        if decision is None:
            shadowed = [_FAILED] * count
        elif decision.refusal is not None or len(decision.plans) != count:
            shadowed = [_of_text(decision)] * count
        else:
            shadowed = [_of_plan(plan) for plan in decision.plans]
        for one in shadowed:
            self._c.services.count_shadow(one.decision)
        return shadowed

    def of_text(self, sql: str, types: tuple[int, ...] = ()) -> Shadowed | None:
        """For a text that was refused: it has one record."""
        policy = self._c.shadow
        if policy is None:
            return None
        decision = self._decide(sql, types, policy)
        shadowed = _FAILED if decision is None else _of_text(decision)
        self._c.services.count_shadow(shadowed.decision)
        return shadowed

    def _decide(self, sql: str, types: tuple[int, ...], policy: EffectivePolicy) -> Decision | None:
        c = self._c
        try:
            catalog = c.services.catalog(c.identity.database)
            if catalog is None:
                return None
            # What is expected to hold, certain or not: nobody waits for a shadow.
            namespace = named_in(c.sent.track.namespace, sql)
            matter = that_matter(types)
            namespace = replace(namespace, parameter_types=matter) if matter else namespace
            return c.services.decide(sql, policy, catalog, namespace)
        except Exception:
            log.exception("a shadow decision failed", extra={"fields": {"session": c.identity.session}})
            return None


def _of_text(decision: Decision) -> Shadowed:
    if decision.refusal is not None:
        return Shadowed(ShadowDecision.DENY, (decision.refusal.rule,))
    plans = [_of_plan(plan) for plan in decision.plans]
    is_rewritten = any(plan.decision is ShadowDecision.REWRITE for plan in plans)
    rules = tuple(sorted({rule for plan in plans for rule in plan.rule_ids}))
    return Shadowed(ShadowDecision.REWRITE if is_rewritten else ShadowDecision.ALLOW, rules)


def _of_plan(plan: Plan) -> Shadowed:
    is_changed = plan.is_rewritten or plan.column_masks or plan.masked_columns
    return Shadowed(ShadowDecision.REWRITE if is_changed else ShadowDecision.ALLOW, plan.rule_ids)
