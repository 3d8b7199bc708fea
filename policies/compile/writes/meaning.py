"""Which references may mean the row that a write changes, in whatever depth of its subqueries they stand.

The test is by name and conservative: where the server might look the name up in the target, it counts as the target's.
"""

from __future__ import annotations

from dataclasses import dataclass

from policies.compile.draft import Draft, Target
from policies.compile.facts import Block, FromItem, Reference, Write
from policies.compile.rules.functions import has_column

SYSTEM_COLUMNS = frozenset({"tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"})
# What stands in these parts of a block doesn't see all of the block's FROM items.
_SEES_IN_PART = frozenset({"fromClause", "fromFunction", "quals", "withClause"})


@dataclass(frozen=True, slots=True)
class Meant:
    """A reference to the target. `item` is its alias or one of its versions; `clause` the part of the write.

    `is_sure`: it can be nothing else. `is_direct`: it isn't in a subquery.
    """

    item: FromItem
    clause: str
    is_sure: bool
    is_direct: bool


def meaning_of(draft: Draft, write: Write, reference: Reference) -> Meant | None:
    """None when the reference certainly means something else."""
    path = _path(write.block, reference.block)
    if path is None:
        return None
    clause = path[-2].clause if len(path) > 1 else reference.clause
    if len(reference.names) > 1:
        return _qualified(write, reference, path, clause)
    return _unqualified(draft, write, reference, path, clause)


def _path(outer: Block, block: Block | None) -> list[Block] | None:
    """The blocks from `block` out to `outer`; None when it isn't inside."""
    path: list[Block] = []
    while block is not None:
        path.append(block)
        if block is outer:
            return path
        block = block.parent
    return None


def _sees_all(path: list[Block], depth: int, reference: Reference) -> bool:
    """Whether the reference sees every FROM item of path[depth]."""
    clause = path[depth - 1].clause if depth else reference.clause
    return clause not in _SEES_IN_PART


def _qualified(write: Write, reference: Reference, path: list[Block], clause: str) -> Meant | None:
    qualifier = reference.names[-2]
    own = [item for item in (write.use.item, *write.versions) if item.alias == qualifier]
    if not own:
        return None
    is_sure = sum(item.alias == qualifier for item in write.block.items) == 1
    for depth, block in enumerate(path[:-1]):
        if any(item.alias == qualifier for item in block.items):
            if _sees_all(path, depth, reference):
                return None
            is_sure = False
    return Meant(own[0], clause, is_sure, len(path) == 1)


def _unqualified(draft: Draft, write: Write, reference: Reference, path: list[Block], clause: str) -> Meant | None:
    name = reference.names[0]
    target = draft.target_of(write.use.item)
    item = next((own for own in (write.use.item, *write.versions) if own.alias == name), write.use.item)
    if name is None:
        return Meant(item, clause, is_sure=True, is_direct=True) if len(path) == 1 else None
    if item.alias != name and not _may_have(target, name):
        return None
    is_sure = True
    for depth, block in enumerate(path[:-1]):
        if not _sees_all(path, depth, reference):
            is_sure = is_sure and not block.items
        elif any(has_column(draft, each, name) or each.alias == name for each in block.items):
            return None
        else:
            is_sure = is_sure and all(_lacks(draft, each, name) for each in block.items)
    is_column = _may_have(target, name)
    return Meant(write.use.item if is_column else item, clause, is_sure, len(path) == 1)


def _may_have(target: Target | None, name: str) -> bool:
    if target is None or target.relation is None:
        return True
    return name in SYSTEM_COLUMNS or target.relation.column(name) is not None


def _lacks(draft: Draft, item: FromItem, name: str) -> bool:
    """Whether a FROM item certainly has no column of that name."""
    if item.kind == "join" and not item.alias:
        return True  # its columns are those of what it joins
    target = draft.target_of(item)
    return (
        target is not None
        and target.relation is not None
        and not item.column_aliases
        and target.relation.column(name) is None
    )
