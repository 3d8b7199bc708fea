"""Holds the writes of a rewritten statement, read anew, against what the policy wants of them.

Text and tree agree when this is asked; what it adds is that no write stands without its filter, whoever made the tree.
"""

from __future__ import annotations

from typing import Any

from policies.compile.draft import Draft
from policies.compile.facts import Write
from policies.compile.same_trees import is_same
from policies.compile.tree import Tree, is_node
from policies.compile.writes.targets import target_of

_CONDITIONS = {"UpdateStmt": "whereClause", "DeleteStmt": "whereClause", "MergeStmt": "joinCondition"}


def are_writes_guarded(writes: list[tuple[str, Tree]], drafts: list[Draft]) -> bool:
    """Whether every write (kind, fields) names a target that was resolved, by its schema, with its filter in place."""
    waiting = [each for draft in drafts for each in draft.row_filters]
    known = {_key(draft, write) for draft in drafts for write in draft.facts.writes}
    for kind, node in writes:
        relation = node["relation"]
        if (kind, relation.get("schemaname"), relation["relname"]) not in known:
            return False
        _take_filter(kind, node, waiting)
    return not waiting


def _key(draft: Draft, write: Write) -> tuple[str, str | None, str]:
    target = target_of(draft, write)
    return write.kind, target.schema, target.name


def _take_filter(kind: str, node: Tree, waiting: list[tuple[str, str, str, Any]]) -> None:
    relation = node["relation"]
    for index, (of, schema, name, condition) in enumerate(waiting):
        if (of, schema, name) == (kind, relation["schemaname"], relation["relname"]) and _holds(kind, node, condition):
            del waiting[index]
            return


def _holds(kind: str, node: Tree, condition: Any) -> bool:
    if kind != "InsertStmt":
        return _begins_with(node.get(_CONDITIONS[kind]), condition)
    clause = node.get("onConflictClause", {})
    if clause.get("action") == "ONCONFLICT_UPDATE" and not _decides_on(clause.get("whereClause"), condition):
        return False
    returned = [target["ResTarget"].get("val") for target in node.get("returningClause", {}).get("exprs", [])]
    return any(_decides_on(value, condition) or _is_held_to(value, condition) for value in returned)


def _begins_with(value: Any, condition: Any) -> bool:
    """`condition`, or ``condition AND ...``, where the parser makes one AND of several."""
    if is_same(value, condition):
        return True
    if not is_node(value, "BoolExpr") or value["BoolExpr"].get("boolop") != "AND_EXPR":
        return False
    is_and = is_node(condition, "BoolExpr") and condition["BoolExpr"].get("boolop") == "AND_EXPR"
    wanted = condition["BoolExpr"]["args"] if is_and else [condition]
    return is_same(value["BoolExpr"]["args"][: len(wanted)], wanted)


def _is_held_to(value: Any, condition: Any) -> bool:
    """``CASE WHEN (CASE WHEN condition ...``"""
    return is_node(value, "CaseExpr") and _decides_on(value["CaseExpr"]["args"][0]["CaseWhen"]["expr"], condition)


def _decides_on(value: Any, condition: Any) -> bool:
    """``CASE WHEN condition ...``"""
    return is_node(value, "CaseExpr") and is_same(value["CaseExpr"]["args"][0]["CaseWhen"]["expr"], condition)
