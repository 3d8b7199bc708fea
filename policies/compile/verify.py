"""Reads the rewritten text again and refuses it unless it is exactly what was meant.

Two independent ways lead to the result: splices made the text, edits of the tree made the expectation. They must be
equal; and walking the new tree, every relation outside a guard must be one that was found open.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from policies.compile.draft import Access, Draft
from policies.compile.parse import ParseError, Statement, parse
from policies.compile.tree import is_node, is_same, node_kind
from policies.compile.writes.proof import are_writes_guarded


def verify(rewritten: str, drafts: list[list[Draft]], statements: list[Statement]) -> bool:
    """Whether `rewritten` reads as the edited trees of `statements`; `drafts` has a list for each of them."""
    try:
        found = parse(rewritten, has_places=False)
    except ParseError:
        return False
    if len(found) != len(statements):
        return False
    return all(_is_meant(new, old, each) for new, old, each in zip(found, statements, drafts, strict=True))


def _is_meant(new: Statement, old: Statement, drafts: list[Draft]) -> bool:
    if new.kind != old.kind or not is_same(new.tree, old.tree):
        return False
    return not drafts or (_stands_guarded(new.tree, drafts) and are_writes_guarded(new.tree, new.kind, drafts))


def _stands_guarded(tree: Any, drafts: list[Draft]) -> bool:
    allowed = {(one.schema, one.name) for draft in drafts for one in draft.targets if one.access is Access.OPEN}
    for draft in drafts:
        allowed |= draft.lent_relations
    waiting = [template for draft in drafts for template in draft.templates]
    has_bare_names = any(draft.has_ctes or draft.facts.locking for draft in drafts)
    lent = [query for draft in drafts for query in draft.lent_queries]
    for relation in _bare_relations(tree, waiting, lent):
        if "schemaname" in relation and (relation["schemaname"], relation["relname"]) not in allowed:
            return False
        if "schemaname" not in relation and not has_bare_names:
            return False
    return not waiting


def _bare_relations(value: Any, waiting: list[Any], lent: list[Any]) -> Iterator[dict[str, Any]]:
    """RangeVars that stand outside the guards; each guard that is met is taken off `waiting`.

    Filters and masks in writes hold queries of the operator's own: `lent`. Of a source that several columns share, the
    tree has a copy for each, which were found equal.
    """
    if is_node(value, "RangeSubselect") and _take_template(value["RangeSubselect"].get("subquery"), waiting):
        return
    if is_node(value, "SubLink") and any(is_same(value["SubLink"], query) for query in lent):
        return
    if is_node(value, "MultiAssignRef") and value["MultiAssignRef"].get("colno") != 1:
        return
    if isinstance(value, list):
        for entry in value:
            yield from _bare_relations(entry, waiting, lent)
    elif isinstance(value, dict):
        if node_kind(value) == "RangeVar":
            yield value["RangeVar"]
        for entry in value.values():
            yield from _bare_relations(entry, waiting, lent)


def _take_template(subquery: Any, waiting: list[Any]) -> bool:
    """Takes the guard that `subquery` is off `waiting`; False when it is none."""
    for index, template in enumerate(waiting):
        if is_same(subquery, template):
            del waiting[index]
            return True
    return False
