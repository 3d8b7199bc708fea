"""GROUP BY of a primary key lets a SELECT use the other columns of its table; inside a guard the server can't see that.

The columns that are used are put into GROUP BY: they depend on the key, so the groups stay what they are.
"""

from __future__ import annotations

from policies.compile.draft import Access, Draft, Splice, Target
from policies.compile.guards import quote
from policies.compile.rules.whole_rows import is_row_typed
from policies.compile.scope import Block, Reference
from policies.compile.tree import Tree, is_node, node_kind, strings_of

# Clauses that are done with when groups are made. A subquery in them has clauses of its own.
_BEFORE_GROUPS = frozenset({"groupClause", "whereClause", "quals", "fromFunction"})
_NO_EQUALITY = frozenset({114, 142, 600, 601, 602, 603, 604, 718, 628})  # json, xml, geometric types


def restore_dependencies(draft: Draft) -> None:
    """Extends GROUP BY where it lists the whole key of a guarded table."""
    for block in draft.facts.blocks:
        items = block.node.get("groupClause")
        if items and all(node_kind(item) != "GroupingSet" for item in items):
            targets = [one for one in draft.targets_in(block) if one.access is Access.GUARDED]
            keyed = [target for target in targets if _groups_by_key(block, items, target)]
            if paths := [path for target in keyed for path in _depending(draft, block, target)]:
                _splice(draft, block, paths)


def _groups_by_key(block: Block, items: list[Tree], target: Target) -> bool:
    assert target.relation is not None
    assert target.rule is not None
    key = set(target.relation.primary_key)
    if not key or key & (set(target.rule.masks) | set(target.rule.blocked)):
        return False  # a masked key is no key
    grouped = {
        names[-1]
        for item in (_resolved(block, item) for item in items)
        if is_node(item, "ColumnRef")
        for names in [strings_of(item["ColumnRef"]["fields"])]
        if names and (len(names) == 1 or names[-2] == target.item.alias)
    }
    return {target.shown_names[name] for name in key} <= grouped


def _resolved(block: Block, item: Tree) -> Tree:
    """An ordinal stands for its output column."""
    if not is_node(item, "A_Const") or "ival" not in item["A_Const"]:
        return item
    targets = block.node.get("targetList") or []
    index = item["A_Const"]["ival"].get("ival", 0) - 1
    found: Tree = targets[index]["ResTarget"].get("val", item) if 0 <= index < len(targets) else item
    return found


def _depending(draft: Draft, block: Block, target: Target) -> list[tuple[str, ...]]:
    """What the statement uses of a table beside its key: columns, and its row where that is no row of a type."""
    shown = target.shown_names
    columns = {shown[column.name] for column in target.visible_columns if column.type_oid not in _NO_EQUALITY}
    used: set[str] = set()
    is_row_used = False
    for reference in draft.facts.references:
        if _means_all(reference, block, target, draft):
            used |= columns
            is_row_used |= len(reference.names) == 1 and reference.names[0] is not None
        elif reference.names[-1] in columns and not (reference.block is block and reference.clause in _BEFORE_GROUPS):
            used |= {str(reference.names[-1])} if _is_of(reference, block, target, draft) else set()
    alias = target.item.alias
    paths: list[tuple[str, ...]] = [(alias, name) for name in sorted(used)]
    if is_row_used and not is_row_typed(target):
        paths.append((alias,))
    return paths


def _means_all(reference: Reference, block: Block, target: Target, draft: Draft) -> bool:
    """A star, or the row as a whole."""
    if reference.names == (None,):
        return reference.block is block
    alias = reference.names[-2] if reference.names[-1] is None else reference.names[0]
    is_whole = reference.names[-1] is None or len(reference.names) == 1
    return is_whole and alias == target.item.alias and draft.find_qualified(reference.block, alias) is target.item


def _splice(draft: Draft, block: Block, paths: list[tuple[str, ...]]) -> None:
    at = _after_by(draft, block)
    text = ", ".join(".".join(map(quote, path)) for path in paths)
    draft.splices.append(Splice(at, at, f" {text}, "))
    block.node["groupClause"][:0] = [
        {"ColumnRef": {"fields": [{"String": {"sval": name}} for name in path]}} for path in paths
    ]


def _is_of(reference: Reference, block: Block, target: Target, draft: Draft) -> bool:
    if len(reference.names) > 1:
        return draft.find_qualified(reference.block, reference.names[-2] or "") is target.item
    if reference.block is not block:
        return False
    name = reference.names[-1]
    others = (other for other in draft.targets_in(block) if other is not target)
    return not any(name in other.shown_names.values() for other in others)


def _after_by(draft: Draft, block: Block) -> int:
    """The byte after this block's own BY: the last one before its first grouped expression."""
    first = block.node["groupClause"][0]
    kind = node_kind(first)
    location = first[kind].get("location", -1) if kind else -1
    index = draft.token_at(location)
    while index > 0 and not (draft.tokens[index].word == "by" and draft.tokens[index - 1].word == "group"):
        index -= 1
    return draft.tokens[index].end
