"""SELECT."""

from __future__ import annotations

from policies.compile.compilation import Compilation, plan_of
from policies.compile.statements import Request, refuse_unbuilt, require_grant
from policies.decision import Plan


def select(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """SelectStmt."""
    require_grant(request)
    statement = request.statement
    if "intoClause" in statement.tree:
        raise refuse_unbuilt(request)
    return plan_of(plan, compilation.draft_select(statement.tree, statement, is_output=True))
