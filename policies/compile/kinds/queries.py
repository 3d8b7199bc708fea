"""SELECT."""

from __future__ import annotations

from dataclasses import replace

from policies.compile.compilation import Compilation, plan_of
from policies.compile.rules.settings import path_set_by
from policies.compile.statements import Request, refuse_unbuilt, require_grant
from policies.decision import NO_EFFECT, Plan


def select(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """SelectStmt; one of them sets the search_path."""
    require_grant(request)
    statement = request.statement
    if "intoClause" in statement.tree:
        raise refuse_unbuilt(request)
    effect = path_set_by(statement.tree) or NO_EFFECT
    return replace(plan_of(plan, compilation.draft_select(statement.tree, statement, is_output=True)), effect=effect)
