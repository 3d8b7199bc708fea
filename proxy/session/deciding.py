"""Asks for decisions and holds them against the session's own state: taint, search_path, what is prepared.

It sends nothing and queues nothing; `requests` does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from policies.catalog import Namespace
from policies.decision import Decision, Plan, Refusal
from policies.model import EffectivePolicy
from proxy.session.conversation import Conversation, SessionEnds
from proxy.session.queue import Account, Basis, Prepared
from proxy.session.refusals import path_refusal

_OPENING = frozenset({"begin", "start transaction", "start", "savepoint", "prepare transaction"})


@dataclass(frozen=True, slots=True)
class Decided:
    """A text under the policy of now. `refusal` may come from the decision or from the session's own rules."""

    policy: EffectivePolicy
    basis: Basis
    decision: Decision | None
    refusal: Refusal | None


class Decider:
    def __init__(self, conversation: Conversation) -> None:
        self._c = conversation

    def decide(self, raw: bytes, search_path: tuple[str, ...] | None = None) -> Decided:
        c = self._c
        policy = c.policy()
        basis = c.basis(policy)
        catalog = c.services.catalog(c.identity.database)
        if catalog is None:
            raise SessionEnds("57P03", "the catalog of this database isn't known yet; try again")
        try:
            sql = raw.decode("utf-8", "replace" if policy.is_everything else "strict")
        except UnicodeDecodeError:
            refusal = Refusal("22021", "pgwarden/encoding", 'invalid byte sequence for encoding "UTF8"')
            return Decided(policy, basis, None, refusal)
        namespace = Namespace(c.search_path if search_path is None else search_path, c.initial_path)
        decision = c.services.decide(sql, policy, catalog, namespace)
        if policy.is_everything and decision.text != sql:
            raise RuntimeError("the allow-everything policy changed a text")
        return Decided(policy, basis, decision, decision.refusal)

    def open(self, decision: Decision, plans: tuple[Plan, ...], policy: EffectivePolicy) -> list[Account]:
        c = self._c
        if decision.refusal is not None:
            raise RuntimeError("a refused decision reached the server's side")
        accounts = c.ledger.open(decision, plans)
        c.is_tainted = c.is_tainted or any(plan.is_tainting for plan in plans)
        return accounts

    def checked_path(self, decided: Decided, decision: Decision) -> Decided:
        """A new search_path must come last: what follows would be decided under the old one."""
        if decided.policy.is_everything or not any(map(moves_path, decision.plans)):
            return decided
        if any(map(moves_path, decision.plans[:-1])):
            return replace(decided, refusal=path_refusal("it must be the last statement of its text"))
        if self._is_in_block() or any(plan.command in _OPENING for plan in decision.plans):
            return replace(decided, refusal=path_refusal("it must run outside of a transaction block"))
        self._c.is_path_unsettled = True
        return decided

    def _is_in_block(self) -> bool:
        c = self._c
        opened = (a.plan.command in _OPENING for item in c.queue for a in item.accounts)
        return c.status != b"I" or any(opened)

    def open_one(self, prepared: Prepared, policy: EffectivePolicy) -> Account | None:
        accounts = self.open(prepared.decision, prepared.decision.plans[:1], policy)
        return accounts[0] if accounts else None

    def is_outdated(self, prepared: Prepared, policy: EffectivePolicy) -> bool:
        """Whether the portal was bound under rules that no longer hold, and they would make a difference."""
        c = self._c
        now = c.basis(policy)
        then = prepared.basis
        if (now.fingerprint, now.catalog_version) == (then.fingerprint, then.catalog_version):
            return False
        decided = self.decide(prepared.sql.encode(), then.search_path)
        decision = decided.decision
        if decided.refusal is not None or decision is None:
            return True
        return (decision.text, decision.plans) != (prepared.decision.text, prepared.decision.plans)

    def execution_refusal(self, prepared: Prepared, policy: EffectivePolicy) -> Refusal | None:
        if policy.is_everything or not moves_path(prepared.plan):
            return None
        if self._is_in_block():
            return path_refusal("it must run outside of a transaction block")
        self._c.is_path_unsettled = True
        return None


def is_same_to_server(old: Prepared, decided: Decided, decision: Decision) -> bool:
    """Whether what the server holds serves the new decision too."""
    if decision.text != old.decision.text or decided.basis.search_path != old.basis.search_path:
        return False
    # A table made anew may have other column numbers behind equal names: masks need a new description.
    is_same_catalog = decided.basis.catalog_version == old.basis.catalog_version
    return is_same_catalog or not any(plan.column_masks for plan in decision.plans)


def moves_path(plan: Plan) -> bool:
    return plan.effect.search_path is not None or plan.effect.resets_search_path
