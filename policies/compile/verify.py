"""Reads the rewritten text again and refuses it unless it is exactly what was meant.

Two independent ways lead to the result: splices made the text, edits of the tree made the expectation. They must be
equal; and walking the new tree, every relation outside a guard must be one that was found open.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from policies.compile.draft import Access, Draft
from policies.compile.parse import ParseError, Statement, parse
from policies.compile.same_trees import is_same
from policies.compile.tree import Tree, node_kind
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
    return not drafts or _stands_guarded(new, drafts)


def _stands_guarded(new: Statement, drafts: list[Draft]) -> bool:
    walk = _Walk(
        waiting=[template for draft in drafts for template in draft.templates],
        lent=[query for draft in drafts for query in draft.lent_queries],
    )
    walk.node(new.kind, new.tree)
    allowed = {(one.schema, one.name) for draft in drafts for one in draft.targets if one.access is Access.OPEN}
    for draft in drafts:
        allowed |= draft.lent_relations
    has_bare_names = any(draft.has_ctes or draft.facts.locking for draft in drafts)
    for relation in walk.relations:
        if "schemaname" in relation and (relation["schemaname"], relation["relname"]) not in allowed:
            return False
        if "schemaname" not in relation and not has_bare_names:
            return False
    return not walk.waiting and are_writes_guarded(walk.writes, drafts)


@dataclass(slots=True)
class _Walk:
    """Finds the RangeVars outside the guards, and the writes; each guard that is met is taken off `waiting`.

    `lent`: the operator's own queries in filters and masks that stand in a write.
    """

    waiting: list[Any]
    lent: list[Any]
    relations: list[Tree] = field(default_factory=list)
    writes: list[tuple[str, Tree]] = field(default_factory=list)

    def value(self, value: Any) -> None:
        if isinstance(value, list):
            for entry in value:
                self.value(entry)
        elif isinstance(value, dict):
            kind = node_kind(value)
            if kind is None:
                self._fields(value)
            else:
                self.node(kind, value[kind])

    def node(self, kind: str, node: Any) -> None:
        match kind:
            case "RangeSubselect" if _take_template(node.get("subquery"), self.waiting):
                return
            case "SubLink" if any(is_same(node, query) for query in self.lent):
                return
            case "MultiAssignRef" if node.get("colno") != 1:
                return  # a copy of what the first column has: it was found equal
            case "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt":
                self.writes.append((kind, node))
                node = {key: entry for key, entry in node.items() if key != "relation"}
        if isinstance(node, dict):
            self._fields(node)
        else:
            self.value(node)

    def _fields(self, fields: Tree) -> None:
        if "relname" in fields:
            self.relations.append(fields)
        for entry in fields.values():
            if isinstance(entry, dict | list):
                self.value(entry)


def _take_template(subquery: Any, waiting: list[Any]) -> bool:
    """Takes the guard that `subquery` is off `waiting`; False when it is none."""
    for index, template in enumerate(waiting):
        if is_same(subquery, template):
            del waiting[index]
            return True
    return False
