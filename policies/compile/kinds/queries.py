"""SELECT."""

from __future__ import annotations

from dataclasses import replace

from policies.compile.compilation import Compilation, plan_of
from policies.compile.kinds.ddl_create import select_into
from policies.compile.rules.settings import path_set_by
from policies.compile.statements import Request, require_grant
from policies.decision import NO_EFFECT, Plan


def select(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """SelectStmt; one of them sets the search_path."""
    statement = request.statement
    if "intoClause" in statement.tree:
        return select_into(compilation, request, plan)
    require_grant(request)
    effect = path_set_by(statement.tree) or NO_EFFECT
    return replace(plan_of(plan, compilation.draft_select(statement.tree, statement, is_output=True)), effect=effect)
