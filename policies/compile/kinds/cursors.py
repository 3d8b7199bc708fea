"""SQL cursors: DECLARE puts all masks at the source, so every FETCH gives rows that are masked already."""

from __future__ import annotations

from dataclasses import replace

from policies.compile.compilation import Compilation, plan_of
from policies.compile.kinds.session_names import session_name
from policies.compile.statements import Request, refuse_unbuilt, require_grant
from policies.decision import ALL_NAMES, Effect, Plan
from policies.model import Statement as Grant


def declare(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """DeclareCursorStmt. Its options stay as written: a guard scans backward wherever its table does."""
    require_grant(request)
    require_grant(request, Grant.SELECT)
    statement = request.statement
    query = statement.tree.get("query", {}).get("SelectStmt")
    if query is None:
        raise refuse_unbuilt(request)
    name = session_name(request, statement.tree["portalname"])
    draft = compilation.draft_select(query, statement, is_output=False)
    return replace(plan_of(plan, draft), effect=Effect(opens_cursor=name))


def fetch(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """FetchStmt: FETCH, and MOVE, which tells how many rows there are. What the rows are was decided by DECLARE."""
    require_grant(request)
    effect = Effect(reads_cursor=session_name(request, request.statement.tree["portalname"]))
    return replace(plan, is_guarded=True, limits=request.policy.limits, effect=effect)


def close(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """ClosePortalStmt; it only forgets, so it needs no grant."""
    name = request.statement.tree.get("portalname")
    return replace(plan, effect=Effect(closes_cursor=ALL_NAMES if name is None else session_name(request, name)))
