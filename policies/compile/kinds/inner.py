"""A query inside another statement: PREPARE ... AS, COPY (...), EXPLAIN. Each needs the grant of its own kind."""

from __future__ import annotations

from dataclasses import replace

from policies.compile.compilation import Compilation, plan_of
from policies.compile.kinds.copy_masking import with_copy_masks
from policies.compile.kinds.copy_options import CopyOptions
from policies.compile.parse import Statement
from policies.compile.statements import Request, require_grant
from policies.compile.tree import node_kind
from policies.decision import Plan
from policies.model import Statement as Grant


def inner_plan(
    compilation: Compilation, request: Request, plan: Plan, place: tuple[int, int], copied: CopyOptions | None = None
) -> Plan:
    """The plan of the query that the request's statement holds between two bytes of the text. Raises Refused.

    Its rows go to the client by another statement or in another form, so nothing may be left for the stream to do: but
    for what COPY puts out in a form that is known (`copied`).
    """
    query = request.statement.tree["query"]
    kind = node_kind(query) or ""
    inner = replace(request, statement=Statement(kind, query[kind], *place))
    if kind == "SelectStmt":
        require_grant(inner, Grant.SELECT)
        is_copied = copied is not None
        draft = compilation.draft_select(query[kind], inner.statement, is_output=False, is_copied=is_copied)
        return with_copy_masks(plan_of(plan, draft), draft, copied)
    found = compilation.decide(inner, plan)
    if found.hidden_columns or found.column_masks:
        verb = kind.removesuffix("Stmt").upper()
        raise inner.refuse(
            "0A000",
            "pgwarden/writes",
            f"the rows that this {verb} writes can't be checked inside {plan.command.upper()}",
            hint="Send the statement on its own.",
        )
    return found
