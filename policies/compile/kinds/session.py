"""Statements about the session itself: transactions, settings, and what only forgets."""

from __future__ import annotations

from dataclasses import replace

from policies.compile.compilation import Compilation
from policies.compile.effects import effect_of
from policies.compile.rules.settings import check_set, check_show
from policies.compile.statements import Request, is_transaction_control, refuse_unbuilt, require_grant
from policies.decision import Plan


def transaction(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """TransactionStmt; two-phase commit isn't among what needs no grant."""
    if not is_transaction_control(request.statement):
        require_grant(request)
        raise refuse_unbuilt(request)
    return replace(plan, effect=effect_of(request.statement))


def set_setting(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """VariableSetStmt: SET and RESET."""
    return replace(plan, effect=check_set(request, lambda: compilation.namespace))


def show(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """VariableShowStmt."""
    return replace(plan, effect=check_show(request))


def discard(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """DiscardStmt: ALL, PLANS, SEQUENCES, TEMP. All of them only forget."""
    return replace(plan, effect=effect_of(request.statement))
