"""Asks for decisions and holds them against the session's own state: its namespace, what stands under a name.

It sends nothing and queues nothing; `requests` and `extended` do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from audit.errors import JournalError
from policies.compile.parameter_types import that_matter
from policies.decision import NO_EFFECT, Decision, Effect, Plan, Refusal
from policies.model import EffectivePolicy
from proxy.purses import Reservation, Spending
from proxy.session.admission import Admission
from proxy.session.budgeting import BudgetWait
from proxy.session.conversation import Conversation, SessionEnds, Wait
from proxy.session.costs import Costs, Ran, rans_of
from proxy.session.held import Account, Basis, Declared, Held, Origin, Portal, Prepared, Reading, Run, Shadowed, plan_of
from proxy.session.names import Names
from proxy.session.queueing import CANCELLED
from proxy.session.refusals import (
    cancelled,
    changed_cursor,
    changed_result,
    changed_result_refusal,
    missing_cursor,
    missing_for,
    missing_refusal,
    raw_name,
    too_many_names,
)
from proxy.session.reports import refusal_bytes
from proxy.session.shadow import Shadow

# What SQL's own PREPARE takes. Parse takes anything, and EXECUTE would run it.
_PREPARABLE: Final = frozenset({"select", "insert", "update", "delete", "merge", "prepare"})


class Denied(Exception):
    """The session's own state forbids the statement. `answer` is what the client reads."""

    def __init__(self, refusal: Refusal, answer: bytes = b"", plan_units: int | None = None) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
        self.plan_units = plan_units
        self.answer = answer or refusal_bytes(refusal)


@dataclass(frozen=True, slots=True)
class Decided:
    """A text under the policy of now."""

    policy: EffectivePolicy
    basis: Basis
    decision: Decision | None
    refusal: Refusal | None


class Decider:
    def __init__(self, conversation: Conversation) -> None:
        self._c = conversation
        self._admission = Admission(conversation)
        self._costs = Costs(conversation)
        self.shadow = Shadow(conversation)

    def decide(self, raw: bytes, basis: Basis | None = None, types: tuple[int, ...] = ()) -> Decided:
        """`basis`: the namespace of another moment; `types`: as Parse declares them. Raises Wait, SessionEnds."""
        c = self._c
        policy = c.policy()
        sql = raw.decode("utf-8", "replace")
        basis = basis or c.basis(policy, sql)
        catalog = c.services.catalog(c.identity.database)
        if catalog is None:
            raise SessionEnds("57P03", "the catalog of this database isn't known yet; try again")
        if not policy.is_everything and sql.encode() != raw:
            refusal = Refusal("22021", "pgwarden/encoding", 'invalid byte sequence for encoding "UTF8"')
            return Decided(policy, basis, None, refusal)
        matter = () if policy.is_everything else that_matter(types)
        namespace = replace(basis.namespace, parameter_types=matter) if matter else basis.namespace
        decision = c.services.decide(sql, policy, catalog, namespace)
        if policy.is_everything and decision.text != sql:
            raise RuntimeError("the allow-everything policy changed a text")
        return Decided(policy, basis, decision, decision.refusal)

    # what runs

    def open(self, sql: str, decided: Decided) -> tuple[Decision, list[Account]]:
        """The decision with what its statements read by name, and their accounts. Raises Denied, Wait, JournalError."""
        decision = decided.decision
        if decision is None or decision.refusal is not None:
            raise RuntimeError("a refused decision reached the server's side")
        return self._open(sql, decision, decision.plans, decided.policy, decided.basis)

    def open_one(
        self, prepared: Prepared, policy: EffectivePolicy, parameters: tuple[str | None, ...] = ()
    ) -> tuple[Decision, list[Account]]:
        """The same for an Execute; an empty query has no account."""
        decision = prepared.decision
        return self._open(prepared.sql, decision, decision.plans[:1], policy, prepared.basis, prepared, parameters)

    def open_cursor(self, portal: Portal, declared: Declared) -> tuple[Decision, list[Account]]:
        """The same for an Execute of a cursor that DECLARE opened."""
        run = Run(portal.statement.plan, reads=Reading(portal.name, declared, is_portal=True))
        return portal.statement.decision, self._account(declared.sql, portal.statement.decision, [run])

    def _open(
        self,
        sql: str,
        decision: Decision,
        plans: tuple[Plan, ...],
        policy: EffectivePolicy,
        basis: Basis,
        prepared: Prepared | None = None,
        parameters: tuple[str | None, ...] = (),
    ) -> tuple[Decision, list[Account]]:
        names = self._c.sent.names
        if all(plan.effect is NO_EFFECT for plan in plans):
            return decision, self._account(
                sql, decision, [Run(plan, parameters=parameters) for plan in plans], prepared
            )
        runs: list[Run] = []
        for plan in plans:
            run = replace(self._run(plan, names, policy), parameters=parameters)
            if plan.effect.opens_cursor or plan.effect.prepares:
                if (names.is_full or names.has_many_portals) and not policy.is_everything:
                    raise Denied(too_many_names())
                declared = Declared(sql, plan, decision, basis, policy.is_everything, self._origin(plan.effect))
                run = replace(run, makes=declared)
            runs.append(run)
            if len(plans) > 1:
                names = names.copy() if names is self._c.sent.names else names
                names.run(plan.effect, run.makes)
        if any(run.reads is not None for run in runs):
            decision = replace(decision, plans=tuple(run.plan for run in runs))
        return decision, self._account(sql, decision, runs, prepared)

    def _origin(self, effect: Effect) -> Origin:
        if effect.opens_cursor:
            return self._c.origin_of_portal(effect.opens_cursor.encode())
        return self._c.origin_of_statement(effect.prepares.encode())

    def _account(
        self, sql: str, decision: Decision, runs: list[Run], prepared: Prepared | None = None
    ) -> list[Account]:
        """Raises Denied, Wait, JournalError."""
        c = self._c
        types = () if prepared is None else prepared.types
        if c.queueing is not None:
            self.require_turn(runs, rans_of(decision, len(runs), prepared))
        shadows = self.shadow.of_statements(sql, types, len(runs)) if c.shadow is not None else ()
        spending = c.budgeting.spending(decision.text)
        if spending is not None or self._admission.concerns(runs):
            accounts = self._admitted(decision, runs, prepared, shadows, spending)
        else:
            accounts = c.ledger.open(decision, runs, shadows)
        c.is_tainted = c.is_tainted or any(run.plan.is_tainting for run in runs)
        return accounts

    def require_turn(self, runs: Sequence[Run], rans: Sequence[Ran]) -> None:
        """Returns when these may begin as far as the workload lanes are concerned. Raises Denied, Wait."""
        queueing = self._c.queueing
        refusal = None if queueing is None else queueing.refusal(zip(runs, rans, strict=True))
        if refusal is not None:
            self._c.estimates.clear()
            raise Denied(refusal, cancelled() if refusal.sqlstate == CANCELLED.sqlstate else b"")

    def _admitted(
        self,
        decision: Decision,
        runs: list[Run],
        prepared: Prepared | None,
        shadows: Sequence[Shadowed],
        spending: Spending | None,
    ) -> list[Account]:
        """The accounts of statements that a limit or a budget may forbid. Raises Denied, Wait, JournalError."""
        refusal = self._admission.refusal(runs)
        if refusal is not None:
            raise Denied(refusal)
        units = self._estimated(decision, runs, prepared)
        reservations = [] if spending is None else self._reserved(spending, runs, units)
        try:
            refusal = self._admission.begin(runs)
            if refusal is not None:
                raise Denied(refusal)
            return self._opened(decision, runs, shadows, units, spending, reservations)
        except (Denied, JournalError):
            for reservation in reservations:
                reservation.undo()
            raise

    def _reserved(self, spending: Spending, runs: list[Run], units: list[int | None]) -> list[Reservation]:
        """Raises Denied, Wait."""
        try:
            found = self._c.budgeting.reserve(spending, runs, units)
        except BudgetWait:
            self._c.rest()  # a place in a workload lane is for those that can run
            raise Wait from None
        if isinstance(found, Refusal):
            raise Denied(found)
        return found

    def _opened(
        self,
        decision: Decision,
        runs: list[Run],
        shadows: Sequence[Shadowed],
        units: list[int | None],
        spending: Spending | None,
        reservations: list[Reservation],
    ) -> list[Account]:
        """Raises JournalError, and nothing has begun."""
        c = self._c
        try:
            if spending is not None:
                shadows = c.budgeting.shadows(spending, shadows, len(runs))
            accounts = c.ledger.open(decision, runs, shadows, units)
        except JournalError:
            self._admission.undo(runs)
            raise
        for account, reservation in zip(accounts, reservations, strict=False):
            account.reservation = reservation
        return accounts

    def _estimated(self, decision: Decision, runs: list[Run], prepared: Prepared | None) -> list[int | None]:
        """Planner units by statement; none where no policy limits the cost. Raises Denied, Wait."""
        if all(run.plan.limits.cost is None for run in runs):
            return []
        rans = rans_of(decision, len(runs), prepared)
        refusal, units = self._costs.refusal(zip(runs, rans, strict=True))
        if refusal is not None:
            raise Denied(refusal, plan_units=units[-1])
        return units

    # names of SQL

    def _run(self, plan: Plan, names: Names, policy: EffectivePolicy) -> Run:
        effect = plan.effect
        if effect.reads_cursor:
            name = effect.reads_cursor.encode()
            held: Held | None = names.portal(name)
            confirmed: Held | None = self._c.confirmed.names.portal(name)
            is_portal = True
        elif effect.executes:
            name = effect.executes.encode()
            held, confirmed = names.statement(name), self._c.confirmed.names.statement(name)
            is_portal = False
        else:
            return Run(plan)
        if policy.is_everything:
            return Run(plan) if held is None else Run(_with_read(plan, plan_of(held)), reads=None)
        self.require_certain(held, confirmed)
        if held is None:
            answer = missing_cursor(name) if is_portal else missing_for(True, name)
            raise Denied(missing_refusal(not is_portal, name), answer)
        self._require_readable(plan.command, held, name, policy)
        return Run(_with_read(plan, plan_of(held)), reads=Reading(name, held, is_portal))

    def _require_readable(self, command: str, held: Held, name: bytes, policy: EffectivePolicy) -> None:
        """MOVE gives no rows, so it may go through what the stream masks."""
        plan = plan_of(held)
        is_portal = command != "execute"
        is_foreign = isinstance(held, Prepared) and plan.command not in _PREPARABLE
        if (plan.column_masks or plan.copy_masks or plan.hidden_columns or is_foreign) and command != "move":
            raise Denied(raw_name(name, is_portal))
        if not self.is_outdated(held, policy) and (is_portal or not self.is_renamed(held, policy)):
            return
        if is_portal:
            raise Denied(changed_cursor(name))
        raise Denied(changed_result_refusal(), changed_result())

    def require_certain(self, held: Held | None, confirmed: Held | None) -> None:
        """Raises Wait when an error on its way could leave another thing under the name than is expected."""
        if held is None:
            if self._c.is_behind_ready:
                raise Wait
            return
        if confirmed is not None and _identity(confirmed) is _identity(held):
            return
        origin = _origin_of(held)
        if origin.is_contested and origin.group != self._c.group:
            raise Wait

    # policies that changed

    def is_outdated(self, held: Held, policy: EffectivePolicy) -> bool:
        """Whether it was decided under rules that no longer hold, and they would make a difference."""
        c = self._c
        if isinstance(held, Portal):
            return self.is_outdated(held.statement, policy)
        if isinstance(held, Prepared) and held.declared is not None:
            return self.is_outdated(held.declared, policy)
        then = held.basis
        catalog = c.services.catalog(c.identity.database)
        version = catalog.version if catalog else 0
        if (policy.fingerprint, version) == (then.fingerprint, then.catalog_version):
            return False
        if isinstance(held, Declared) and len(held.decision.plans) != 1:
            return True
        decided = self.decide(held.sql.encode(), then, _declared(held))
        decision = decided.decision
        if decided.refusal is not None or decision is None:
            return True
        return (decision.text, decision.plans) != (held.decision.text, held.decision.plans)

    def is_renamed(self, held: Held, policy: EffectivePolicy) -> bool:
        """Whether the text of a prepared statement means something else in the namespace of now.

        The server would read it anew; what it has of it names the relations of then.
        """
        if isinstance(held, Prepared):
            held = held.declared or held
        if isinstance(held, Portal):
            return False
        now = self._c.basis(policy, held.sql)
        if now.namespace == held.basis.namespace:
            return False
        if len(held.decision.plans) != 1:
            return True
        decision = self.decide(held.sql.encode(), now, _declared(held)).decision
        return decision is None or decision.text != held.decision.text


def _declared(held: Prepared | Declared) -> tuple[int, ...]:
    return held.types if isinstance(held, Prepared) else ()


def is_same_to_server(old: Prepared, decided: Decided, decision: Decision) -> bool:
    """Whether what the server holds serves the new decision too."""
    if decision.text != old.decision.text or decided.basis.namespace != old.basis.namespace:
        return False
    # A table made anew may have other column numbers behind equal names: masks need a new description.
    is_same_catalog = decided.basis.catalog_version == old.basis.catalog_version
    return is_same_catalog or not any(plan.column_masks for plan in decision.plans)


def _origin_of(held: Held) -> Origin:
    return held.server.origin if isinstance(held, Prepared) else held.origin


def _identity(held: Held) -> object:
    return held.server if isinstance(held, Prepared) else held


def _with_read(plan: Plan, read: Plan) -> Plan:
    """FETCH and EXECUTE are recorded and scrubbed as what they read."""
    return replace(
        plan,
        is_guarded=plan.is_guarded or read.is_guarded,
        is_rewritten=plan.is_rewritten or read.is_rewritten,
        is_ddl=plan.is_ddl or read.is_ddl,
        masked_columns=_united(plan.masked_columns, read.masked_columns),
        tables=_united(plan.tables, read.tables),
        filtered_tables=_united(plan.filtered_tables, read.filtered_tables),
        rule_ids=_united(plan.rule_ids, read.rule_ids),
        raw_columns=tuple(dict.fromkeys((*plan.raw_columns, *read.raw_columns))),
    )


def _united(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return first if not second else tuple(sorted({*first, *second}))
