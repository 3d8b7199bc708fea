"""Puts the target's row filter into the condition of a write, so that hidden rows are neither changed nor looked at."""

from __future__ import annotations

from typing import Any

from policies.compile.draft import Draft, Splice
from policies.compile.facts import Write
from policies.compile.rules.fences import is_condition_safe
from policies.compile.tree import Tree, is_node
from policies.compile.writes.expressions import Lent, lent
from policies.compile.writes.extent import (
    Span,
    end_byte,
    find_word,
    require_word,
    span_of,
    split,
    start_byte,
    top_level,
    unplaced,
)
from policies.compile.writes.forms import Form, both, only_if, only_if_or_fail

_BY_SOURCE = "MERGE_WHEN_NOT_MATCHED_BY_SOURCE"


def filter_rows(draft: Draft, write: Write, condition: Lent) -> None:
    """The filter into WHERE of UPDATE and DELETE, or ON of MERGE."""
    match write.kind:
        case "UpdateStmt" | "DeleteStmt":
            _filter_where(draft, write, condition)
        case "MergeStmt":
            _filter_merge(draft, write, condition)


def _filter_where(draft: Draft, write: Write, condition: Lent) -> None:
    first, last = span_of(draft, write)
    behind = find_word(draft, (first, last), "returning") or last
    if "whereClause" in write.node:
        where = require_word(draft, (first, last), write.node, "where")
        _narrow(draft, write.node, "whereClause", (where + 1, behind), condition)
    else:
        at = end_byte(draft, (first, behind))
        draft.splices.append(Splice(at, at, f" WHERE {condition.text}"))
        write.node["whereClause"] = condition.tree


def _narrow(draft: Draft, node: Tree, key: str, span: Span, condition: Lent) -> None:
    """``<filter> AND <client's>``, so that indexes work; what can fail is run for visible rows only."""
    closing: list[Splice] = []
    form = both(condition)
    opening, closing_all = form.put(start_byte(draft, span), end_byte(draft, span))
    draft.splices.append(opening)
    if draft.is_fenced:
        for holder, place, piece in _conjuncts(draft, node, key, span):
            if not is_condition_safe(draft, holder[place]):
                closing.append(_wrap(draft, holder, place, piece, only_if(condition)))
    draft.splices += [*closing, closing_all]
    node[key] = form.around(node[key])


def _wrap(draft: Draft, holder: Any, key: Any, span: Span, form: Form) -> Splice:
    """Puts the opening into the draft and gives the closing: what is opened first is closed last."""
    opening, closing = form.put(start_byte(draft, span), end_byte(draft, span))
    draft.splices.append(opening)
    holder[key] = form.around(holder[key])
    return closing


def _conjuncts(draft: Draft, node: Tree, key: str, span: Span) -> list[tuple[Any, Any, Span]]:
    """What stands between the ANDs, as (holder, key, tokens); the whole condition where text and tree don't agree."""
    value = node[key]
    if is_node(value, "BoolExpr") and value["BoolExpr"].get("boolop") == "AND_EXPR":
        arguments, pieces = value["BoolExpr"]["args"], split(draft, span, "and")
        if len(arguments) == len(pieces):
            return [(arguments, index, piece) for index, piece in enumerate(pieces)]
    return [(node, key, span)]


def _filter_merge(draft: Draft, write: Write, condition: Lent) -> None:
    """A hidden row is matched by nothing; and it isn't there for WHEN NOT MATCHED BY SOURCE."""
    first, last = span_of(draft, write)
    whens = [index for index, word in top_level(draft, (first, last)) if word == "when"]
    clauses = [clause["MergeWhenClause"] for clause in write.node.get("mergeWhenClauses") or ()]
    if len(whens) != len(clauses):
        raise unplaced(draft, write.node)
    joins = [index for index, word in top_level(draft, (first, whens[0])) if word == "on"]
    if not joins:
        raise unplaced(draft, write.node)
    _narrow(draft, write.node, "joinCondition", (joins[-1] + 1, whens[0]), condition)
    for clause, when in zip(clauses, whens, strict=True):
        if clause.get("matchKind") == _BY_SOURCE:
            _filter_by_source(draft, clause, (when, require_word(draft, (when, last), write.node, "then")), condition)


def _filter_by_source(draft: Draft, clause: Tree, span: Span, condition: Lent) -> None:
    """`span`: from WHEN to THEN."""
    if "condition" in clause:
        first = require_word(draft, span, clause, "and") + 1
        closing = _wrap(draft, clause, "condition", (first, span[1]), only_if(condition))
        draft.splices.append(closing)
    else:
        at = end_byte(draft, span)
        draft.splices.append(Splice(at, at, f" AND ({condition.text})"))
        clause["condition"] = condition.tree


def filter_conflict(draft: Draft, write: Write, condition: Lent, failure: str) -> None:
    """DO UPDATE of a row that the client can't see fails, as it does under the server's own row security."""
    clause = write.node["onConflictClause"]
    first, last = draft.token_at(clause.get("location", -1)), span_of(draft, write)[1]
    behind = find_word(draft, (first, last), "returning") or last
    action = require_word(draft, (first, last), write.node, "do")
    if "whereClause" in clause:
        where = require_word(draft, (action, behind), write.node, "where")
        closing = _wrap(draft, clause, "whereClause", (where + 1, behind), only_if_or_fail(condition, failure))
        draft.splices.append(closing)
        return
    at = end_byte(draft, (first, behind))
    text = f"CASE WHEN ({condition.text}) THEN true ELSE {failure} END"
    draft.splices.append(Splice(at, at, f" WHERE {text}"))
    clause["whereClause"] = lent(draft, text).tree
