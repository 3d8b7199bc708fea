"""SQL cursors: DECLARE puts all masks at the source, so every FETCH gives rows that are masked already."""

from __future__ import annotations

from dataclasses import replace

from policies.compile.compilation import Compilation, plan_of
from policies.compile.kinds.session_names import naming_effect
from policies.compile.statements import Request, refuse_unbuilt, require_grant
from policies.decision import Plan
from policies.model import Statement as Grant


def declare(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """DeclareCursorStmt. Its options stay as written: a guard scans backward wherever its table does."""
    require_grant(request)
    require_grant(request, Grant.SELECT)
    statement = request.statement
    query = statement.tree.get("query", {}).get("SelectStmt")
    if query is None:
        raise refuse_unbuilt(request)
    effect = naming_effect(request)
    draft = compilation.draft_select(query, statement, is_output=False)
    return replace(plan_of(plan, draft), effect=effect)


def fetch(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """FetchStmt: FETCH, and MOVE, which tells how many rows there are. What the rows are was decided by DECLARE."""
    require_grant(request)
    return replace(plan, is_guarded=True, limits=request.policy.limits, effect=naming_effect(request))


def close(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """ClosePortalStmt; it only forgets, so it needs no grant."""
    return replace(plan, effect=naming_effect(request))
