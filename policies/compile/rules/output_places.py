"""At which places of a query's rows a relation's columns stand, where its text alone tells that for certain.

For rows that arrive without a description of their columns. A star counts only where guards, whose columns are written
out, stand for all that it means: a relation as it is may have got another column meanwhile.
"""

from __future__ import annotations

from typing import Any

from policies.compile.draft import Access, Draft, Target
from policies.compile.scope import Block
from policies.compile.tree import Tree, is_node, node_kind, string_of

# What one column of the rows may be: the names that mean it, or a guard's column. None: an expression.
Place = tuple[str, ...] | tuple[Target, str] | None


def output_places(draft: Draft, top: Block) -> list[Place] | None:
    """One entry for each column of the block's rows; None when it isn't certain which there are."""
    places: list[Place] = []
    for entry in top.node.get("targetList") or ():
        found = _places_of(draft, top, entry["ResTarget"].get("val"))
        if found is None:
            return None
        places += found
    return places


def is_at(place: Place, target: Target, column: str) -> bool:
    """Whether this column of a relation may stand at the place. A bare name may be a column of any relation."""
    if place is None or place[-1] != column:
        return False
    if isinstance(place[0], Target):
        return place[0] is target
    return len(place) == 1 or place[-2] == target.item.alias


def _places_of(draft: Draft, top: Block, value: Any) -> list[Place] | None:
    if is_node(value, "A_Indirection"):
        return None if is_node(value["A_Indirection"]["indirection"][-1], "A_Star") else [None]
    if not is_node(value, "ColumnRef"):
        return [None]
    names = [string_of(part) for part in value["ColumnRef"]["fields"]]
    if None not in names:
        return [tuple(name for name in names if name is not None)]
    if names[-1] is not None or None in names[:-1]:
        return None
    return _of_relation(draft, top, str(names[-2])) if len(names) > 1 else _of_all(draft, top)


def _of_relation(draft: Draft, top: Block, alias: str) -> list[Place] | None:
    """``c.*``"""
    item = draft.find_qualified(top, alias)
    target = draft.target_of(item)
    is_own = sum(other.alias == alias for other in top.items) == 1 and item in top.items
    return _columns_of(target) if is_own and target is not None else None


def _of_all(draft: Draft, top: Block) -> list[Place] | None:
    """``*``"""
    places: list[Place] = []
    for source in top.node.get("fromClause") or ():
        found = _of_source(draft, top, source)
        if found is None:
            return None
        places += found
    return places


def _of_source(draft: Draft, top: Block, source: Any) -> list[Place] | None:
    if is_node(source, "RangeVar"):
        node: Tree = source["RangeVar"]
        return next((_columns_of(target) for target in draft.targets_in(top) if target.use.node is node), None)
    if node_kind(source) != "JoinExpr":
        return None
    join: Tree = source["JoinExpr"]
    if any(field in join for field in ("usingClause", "isNatural", "alias", "join_using_alias")):
        return None  # columns are merged or named anew
    left, right = (_of_source(draft, top, join[side]) for side in ("larg", "rarg"))
    return left + right if left is not None and right is not None else None


def _columns_of(target: Target) -> list[Place] | None:
    """A guard's, which lists what is visible under its own names."""
    is_listed = target.access is Access.GUARDED and target.relation is not None and not target.has_tableoid
    if not is_listed or target.use.item.column_aliases:
        return None
    return [(target, column.name) for column in target.visible_columns]
