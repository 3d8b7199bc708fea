"""EXPLAIN: a plan tells row counts and constants, so it is shown for statements over open tables only."""

from __future__ import annotations

from policies.compile.compilation import Compilation
from policies.compile.draft import Access, Draft
from policies.compile.kinds.inner import inner_plan
from policies.compile.parse import Token
from policies.compile.statements import Request, refuse_unbuilt, require_grant
from policies.compile.tree import node_kind
from policies.decision import Plan

_EXPLAINED = frozenset({"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
_OLD_OPTIONS = frozenset({"analyze", "analyse", "verbose"})


def explain(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """ExplainStmt. What is explained needs its own grant, as the server asks for its rights even without ANALYZE.

    EXECUTE and DECLARE are refused: what they would run was, or is to be, decided elsewhere.
    """
    require_grant(request)
    if node_kind(request.statement.tree.get("query")) not in _EXPLAINED:
        raise refuse_unbuilt(request)
    found = inner_plan(compilation, request, plan, _behind_options(compilation, request))
    for draft in compilation.drafts[-1]:
        _require_nothing_guarded(draft)
    return found


def _behind_options(compilation: Compilation, request: Request) -> tuple[int, int]:
    """The bytes of the statement that is explained; a bracketed SELECT may begin at the bracket of the options."""
    tokens = compilation.tokens_of(request.statement)
    at = 1
    if request.statement.tree.get("options") and tokens[1].word == "(":
        at = _closing(tokens, 1) + 1
    while at < len(tokens) - 1 and tokens[at].word in _OLD_OPTIONS:
        at += 1
    return tokens[at].start, request.statement.end


def _closing(tokens: list[Token], at: int) -> int:
    depth = 0
    for index in range(at, len(tokens)):
        depth += (tokens[index].word == "(") - (tokens[index].word == ")")
        if depth == 0:
            return index
    return at


def _require_nothing_guarded(draft: Draft) -> None:
    """A catalog's guard would be shown, too, and how many of its rows it takes away."""
    if draft.lent_relations:
        raise draft.refuse(
            "42501", "pgwarden/explain", "EXPLAIN of a look-up in the catalogs would tell what is hidden"
        )
    for target in draft.targets:
        if target.access is not Access.OPEN:
            raise draft.refuse(
                "42501",
                "pgwarden/explain",
                f"EXPLAIN of {target.schema}.{target.name} would tell about rows that the policy hides",
                at=target.use.location,
                hint="EXPLAIN works for tables that no rule filters, blocks in part or masks.",
            )
