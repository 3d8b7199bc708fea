"""LISTEN, NOTIFY and UNLISTEN. What other sessions send is not masked: the grant `listen` says that this is fine."""

from __future__ import annotations

from policies.compile.compilation import Compilation
from policies.compile.statements import Request, require_grant
from policies.decision import Plan


def listen(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """ListenStmt."""
    require_grant(request)
    return plan


def notify(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """NotifyStmt; its payload is a literal of the client's own."""
    require_grant(request)
    return plan


def unlisten(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """UnlistenStmt; it only forgets, so it needs no grant."""
    return plan
