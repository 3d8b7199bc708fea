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


def verify(rewritten: str, drafts: list[Draft | None], statements: list[Statement]) -> bool:
    """Whether `rewritten` reads as the edited trees of `statements`; `drafts` holds None for untouched ones."""
    try:
        found = parse(rewritten)
    except ParseError:
        return False
    if len(found) != len(statements):
        return False
    return all(_is_meant(new, old, draft) for new, old, draft in zip(found, statements, drafts, strict=True))


def _is_meant(new: Statement, old: Statement, draft: Draft | None) -> bool:
    if new.kind != old.kind or not is_same(new.tree, old.tree):
        return False
    return draft is None or _stands_guarded(new.tree, draft)


def _stands_guarded(tree: Any, draft: Draft) -> bool:
    allowed = {(target.schema, target.name) for target in draft.targets if target.access is Access.OPEN}
    allowed |= draft.lent_relations
    waiting = list(draft.templates)
    for relation in _bare_relations(tree, waiting):
        if "schemaname" in relation and (relation["schemaname"], relation["relname"]) not in allowed:
            return False
        if "schemaname" not in relation and (not draft.has_ctes and not draft.facts.locking):
            return False
    return not waiting


def _bare_relations(value: Any, waiting: list[Any]) -> Iterator[dict[str, Any]]:
    """RangeVars that stand outside the guards; each guard that is met is taken off `waiting`."""
    if is_node(value, "RangeSubselect") and _take_template(value["RangeSubselect"].get("subquery"), waiting):
        return
    if isinstance(value, list):
        for entry in value:
            yield from _bare_relations(entry, waiting)
    elif isinstance(value, dict):
        if node_kind(value) == "RangeVar":
            yield value["RangeVar"]
        for entry in value.values():
            yield from _bare_relations(entry, waiting)


def _take_template(subquery: Any, waiting: list[Any]) -> bool:
    """Takes the guard that `subquery` is off `waiting`; False when it is none."""
    for index, template in enumerate(waiting):
        if is_same(subquery, template):
            del waiting[index]
            return True
    return False
