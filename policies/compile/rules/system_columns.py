"""System columns behind a guard: `tableoid` is handed through, the places and transactions of rows are refused.

A copy without the hidden rows would have its rows in other places, written by other transactions: ctid, xmin and
theirs tell how many rows are hidden and when they were written.
"""

from __future__ import annotations

from policies.compile.draft import Access, Draft, Splice, Target
from policies.compile.facts import Reference
from policies.compile.guards import quote
from policies.compile.tree import Tree, is_node

_PHYSICAL = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax"})
_TABLE = "tableoid"


def supply_system_columns(draft: Draft) -> None:
    """Sets `has_tableoid` of the targets that are asked for it. Raises Refused."""
    for reference in draft.facts.references:
        name = reference.names[-1]
        if name == _TABLE or name in _PHYSICAL:
            for target in _meant(draft, reference):
                if name != _TABLE:
                    raise _refused(draft, target, str(name), reference)
                if target.access is Access.GUARDED:
                    target.has_tableoid = True
    for target in draft.targets:
        if target.has_tableoid:
            _keep_apart(draft, target)


def _meant(draft: Draft, reference: Reference) -> list[Target]:
    """The guarded tables whose system column this may be; none when something else may have such a column."""
    if len(reference.names) > 1:
        target = draft.target_of(draft.find_qualified(reference.block, reference.names[-2] or ""))
        return [target] if target is not None and _is_guarded(target, reference) else []
    block = reference.block
    while block is not None:
        tables = [
            target for target in draft.targets_in(block) if target.relation is None or target.relation.kind != "v"
        ]
        if tables:
            is_only = all(draft.target_of(item) is not None or item.kind == "join" for item in block.items)
            found = [target for target in tables if _is_guarded(target, reference)]
            return found if is_only or reference.names[-1] == _TABLE else []
        block = block.parent
    return []


def _is_guarded(target: Target, reference: Reference) -> bool:
    if target.access is Access.OPEN or target.use.is_written or (target.relation and target.relation.kind == "v"):
        return False
    return not any(column.name == reference.names[-1] for column in target.visible_columns)


def _refused(draft: Draft, target: Target, name: str, reference: Reference) -> Exception:
    return draft.refuse(
        "0A000",
        "pgwarden/system_columns",
        f"{name} of {target.schema}.{target.name} would tell of rows that are hidden",
        at=reference.location,
        hint="Use the table's own columns; its primary key tells its rows apart.",
    )


def _keep_apart(draft: Draft, target: Target) -> None:
    """A system column is no part of a star, a whole row or a natural join: stars are written out, the rest refused."""
    if any(join.get("isNatural") or "alias" in join for join in target.use.joins):
        raise _mixed(draft, target, target.use.location)
    alias = target.item.alias
    for reference in draft.facts.references:
        if reference.names == (alias,) and draft.find_qualified(reference.block, alias) is target.item:
            raise _mixed(draft, target, reference.location)
        is_star = reference.names[-1] is None and _is_star_of(draft, reference, target)
        if is_star and not _write_out(draft, reference, target):
            raise _mixed(draft, target, reference.location)


def _is_star_of(draft: Draft, reference: Reference, target: Target) -> bool:
    if len(reference.names) == 1:
        return reference.block is target.use.block
    return draft.find_qualified(reference.block, reference.names[-2] or "") is target.item


def _mixed(draft: Draft, target: Target, at: int) -> Exception:
    return draft.refuse(
        "0A000",
        "pgwarden/system_columns",
        f"tableoid of {target.schema}.{target.name} can't be told from its other columns here",
        at=at,
        hint="Name the columns instead of a star, a whole row or a natural join.",
    )


def _write_out(draft: Draft, reference: Reference, target: Target) -> bool:
    """``a.*`` as an output becomes ``a.x, a.y``; a bare star does where the table stands alone in its FROM."""
    block = reference.block
    is_alone = len(reference.names) > 1 or (block is not None and len(block.items) == 1)
    names = list(target.shown_names.values())
    if not (reference.is_plain_target and is_alone and names and block is not None):
        return False
    outputs = block.node.get("targetList") or block.node.get("returningClause", {}).get("exprs") or []
    index = next((i for i, entry in enumerate(outputs) if _holds(entry, reference.node)), None)
    if index is None:
        return False
    alias = target.item.alias
    first = draft.token_at(reference.location)
    last = first + 2 * (len(reference.names) - 1)
    text = ", ".join(f"{quote(alias)}.{quote(name)}" for name in names)
    draft.splices.append(Splice(draft.tokens[first].start, draft.tokens[last].end, text))
    outputs[index : index + 1] = [{"ResTarget": {"val": _column(alias, name)}} for name in names]
    return True


def _holds(entry: Tree, fields: Tree) -> bool:
    value = entry["ResTarget"].get("val")
    return is_node(value, "ColumnRef") and value["ColumnRef"] is fields


def _column(alias: str, name: str) -> Tree:
    return {"ColumnRef": {"fields": [{"String": {"sval": alias}}, {"String": {"sval": name}}]}}
