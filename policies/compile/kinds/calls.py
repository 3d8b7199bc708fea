"""CALL of procedures that a policy names, and DO, which runs whatever it is given."""

from __future__ import annotations

from dataclasses import replace

from policies.compile.compilation import Compilation, plan_of
from policies.compile.kinds.expressions import draft_expressions
from policies.compile.statements import Request, require_grant
from policies.decision import Plan
from policies.model import Statement as Grant


def call(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """CallStmt. Its errors and notices are scrubbed: the body runs unguarded.

    The call is checked as a function's is, so the procedure must stand under functions.allow.
    """
    require_grant(request)
    statement = request.statement
    draft = draft_expressions(compilation, [{"FuncCall": statement.tree["funccall"]}], statement)
    return replace(plan_of(plan, draft), is_guarded=True, limits=request.policy.limits)


def do(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """DoStmt. Nothing guards its body, so every policy that has a say must name it; `all` isn't enough."""
    for part in request.policy.policies:
        if part.statements is not None and Grant.DO not in part.statements:
            raise request.refuse(
                "42501",
                part.statements_rule or "pgwarden/default",
                f"do statements are not allowed for {request.policy.principal.user}",
                hint="A DO block runs unguarded: only a policy that lists do by name allows it, all doesn't.",
            )
    require_grant(request)
    return replace(plan, is_guarded=True, is_ddl=True, limits=request.policy.limits)
