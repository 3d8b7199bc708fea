"""``SELECT o FROM orders AS o`` gives rows of the type ``orders``; behind a guard it would be a nameless record.

Where the guard lists every column of its table, the row is cast back to the table's type, so that clients decode it as
on a copy. A row that lost a column has no type to be cast to and stays a record.
"""

from __future__ import annotations

from typing import Any

from policies.compile.draft import Access, Draft, Splice, Target
from policies.compile.facts import Block, Reference
from policies.compile.guards import quote
from policies.compile.tree import Tree, is_node

_WITH_ROW_TYPES = frozenset("rpf")
# An output that is grouped, sorted or made distinct must stay the same expression there.
_COMPARED = ("groupClause", "distinctClause", "sortClause")


def type_rows(draft: Draft) -> None:
    """Splices the casts and edits the expected tree alike."""
    if not any(target.access is Access.GUARDED for target in draft.targets):
        return
    for reference in draft.facts.references:
        target = _row_of(draft, reference)
        if target is not None and reference.block is not None:
            _cast(draft, reference.block, reference, target)


def _row_of(draft: Draft, reference: Reference) -> Target | None:
    """The guarded table whose whole row this output column is."""
    block = reference.block
    if not reference.is_plain_target or len(reference.names) != 1 or block is None or _is_compared(block):
        return None
    (name,) = reference.names
    target = next((one for one in draft.targets_in(block) if one.item.alias == name), None)
    if target is None or target.access is not Access.GUARDED or target.relation is None or target.rule is None:
        return None
    is_whole = target.relation.kind in _WITH_ROW_TYPES and len(target.visible_columns) == len(target.relation.columns)
    is_plain = is_whole and not target.item.column_aliases and not target.use.is_written
    return target if is_plain and not _may_be_column(draft, block, str(name)) else None


def _is_compared(block: Block) -> bool:
    return any(block.node.get(clause) for clause in _COMPARED)


def _may_be_column(draft: Draft, block: Block | None, name: str) -> bool:
    """A column of that name, here or further out, is what the server takes before the row."""
    while block is not None:
        for item in block.items:
            target = draft.target_of(item)
            if target is None or target.relation is None:
                return True
            if target.item.column_aliases or any(column.name == name for column in target.visible_columns):
                return True
        block = block.parent
    return False


def _cast(draft: Draft, block: Block, reference: Reference, target: Target) -> None:
    token = draft.tokens[draft.token_at(reference.location)]
    holder = _holder(block.node.get("targetList") or [], reference.node)
    if holder is None:
        return
    sql_type = f"{quote(target.schema)}.{quote(target.name)}"
    draft.splices.append(Splice(token.start, token.start, "CAST("))
    draft.splices.append(Splice(token.end, token.end, f" AS {sql_type})"))
    names = [{"String": {"sval": part}} for part in (target.schema, target.name)]
    holder["val"] = {"TypeCast": {"arg": holder["val"], "typeName": {"names": names, "typemod": -1}}}


def _holder(targets: list[Any], fields: Tree) -> Tree | None:
    """The output column that is this very reference."""
    for target in targets:
        node: Tree = target["ResTarget"]
        if is_node(node.get("val"), "ColumnRef") and node["val"]["ColumnRef"] is fields:
            return node
    return None
