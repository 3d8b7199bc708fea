"""SELECT, and EXPLAIN of one."""

from __future__ import annotations

from policies.compile.compilation import Compilation, plan_of
from policies.compile.draft import Access, Draft
from policies.compile.statements import Request, refuse_unbuilt, require_grant
from policies.decision import Plan


def select(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """SelectStmt."""
    require_grant(request)
    statement = request.statement
    if "intoClause" in statement.tree:
        raise refuse_unbuilt(request)
    return plan_of(plan, compilation.draft_select(statement.tree, statement, is_output=True))


def explain(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """ExplainStmt."""
    require_grant(request)
    inner = request.statement.tree.get("query", {}).get("SelectStmt")
    if inner is None:
        raise refuse_unbuilt(request)
    draft = compilation.draft_select(inner, request.statement, is_output=True)
    _require_nothing_guarded(draft)
    return plan_of(plan, draft)


def _require_nothing_guarded(draft: Draft) -> None:
    """A plan tells row counts and constants of rows that a guard hides."""
    for target in draft.targets:
        if target.access is Access.GUARDED:
            raise draft.refuse(
                "42501",
                "pgwarden/explain",
                f"EXPLAIN of {target.schema}.{target.name} would tell about rows that the policy hides",
                at=target.use.location,
                hint="EXPLAIN works for tables that no rule filters, blocks in part or masks.",
            )
