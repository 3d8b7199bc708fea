"""Chooses where each masked column is masked: in the stream when it is certainly only put out, else in the guard.

The test is by name and conservative. Whatever it doesn't recognise is masked at the source.
"""

from __future__ import annotations

from policies.catalog import Column
from policies.compile.draft import Access, Draft, Target
from policies.compile.scope import Block, Reference
from policies.compile.tree import is_node, node_kind, strings_of
from policies.compile.usage import is_used_as_row
from policies.decision import ColumnMask
from policies.masks import MaskError, StreamMask, stream_form

# The stream form of these prints as ISO and UTC; the source form prints as the session asked.
_PRINTED_BY_SESSION = frozenset({1082, 1114, 1184})


def choose_masks(draft: Draft) -> None:
    """Sets `target.stream` for the columns that go out raw, and adds their ColumnMasks."""
    top = draft.facts.top
    if top is None or not _puts_rows_out_as_they_are(top):
        return
    for target in draft.targets_in(top):
        if target.access is Access.GUARDED and not target.body and _stands_plainly(target):
            _choose(draft, top, target)


def _choose(draft: Draft, top: Block, target: Target) -> None:
    assert target.relation is not None
    assert target.rule is not None
    if is_used_as_row(draft, target):
        return
    chosen = set()
    for column in target.visible_columns:
        mask = _stream_mask(target, column)
        if mask is not None and _is_only_put_out(draft, top, target, column.name):
            count = _count(draft, top, target, column.name)
            if count:
                chosen.add(column.name)
                _add(draft, ColumnMask(target.relation.oid, column.attnum, count, mask))
    target.stream = frozenset(chosen)


def _stream_mask(target: Target, column: Column) -> StreamMask | None:
    assert target.rule is not None
    rule = target.rule.masks.get(column.name)
    if rule is None or column.type_oid in _PRINTED_BY_SESSION:
        return None
    try:
        return stream_form(rule.mask, column.type_oid, column.type_name)
    except MaskError:
        return None  # it has no form at all: the guard refuses


def _add(draft: Draft, mask: ColumnMask) -> None:
    """A table that stands twice in FROM has one entry per column: the fields can't tell which one they came from."""
    for index, other in enumerate(draft.column_masks):
        if (other.table_oid, other.attnum) == (mask.table_oid, mask.attnum):
            draft.column_masks[index] = ColumnMask(mask.table_oid, mask.attnum, other.count + mask.count, mask.mask)
            return
    draft.column_masks.append(mask)


def _puts_rows_out_as_they_are(top: Block) -> bool:
    node = top.node
    if any(node.get(clause) for clause in ("distinctClause", "groupClause", "havingClause", "valuesLists")):
        return False
    return not any(is_node(_sorted_by(entry), "A_Const") for entry in node.get("sortClause") or ())


def _sorted_by(entry: object) -> object:
    assert isinstance(entry, dict)
    return entry["SortBy"].get("node")


def _stands_plainly(target: Target) -> bool:
    """In FROM or below plain joins, without renamed columns: RowDescription then tells its columns by OID."""
    use = target.use
    if use.is_sampled or not use.is_direct or use.item.column_aliases:
        return False
    return not any("alias" in join or "join_using_alias" in join or join.get("isNatural") for join in use.joins)


def _is_only_put_out(draft: Draft, top: Block, target: Target, column: str) -> bool:
    if any(column in strings_of(join.get("usingClause")) for join in target.use.joins):
        return False
    renamed = set()
    for reference in draft.facts.references:
        if reference.names[-1] != column:
            continue
        if not reference.is_plain_target or reference.block is not top:
            return False
        renamed.add(reference.output_name)
    return not any(_orders_by(top, name) for name in renamed if name)


def _orders_by(top: Block, name: str) -> bool:
    for entry in top.node.get("sortClause") or ():
        expression = _sorted_by(entry)
        if node_kind(expression) == "ColumnRef" and strings_of(expression["ColumnRef"]["fields"]) == (name,):  # type: ignore[index]
            return True
    return False


def _count(draft: Draft, top: Block, target: Target, column: str) -> int:
    return sum(_puts_out(reference, target, column) for reference in draft.facts.references if reference.block is top)


def _puts_out(reference: Reference, target: Target, column: str) -> bool:
    if not reference.is_plain_target:
        return False
    *qualifier, last = reference.names
    if last is not None and last != column:
        return False
    return not qualifier or qualifier[-1] == target.item.alias
