"""A blocked column is not there: a star doesn't show it, and naming it is refused with the rule that blocks it.

The guard alone already keeps the column away; this rule turns the server's "does not exist" into a reason.
"""

from __future__ import annotations

from policies.compile.draft import Access, Draft, Target
from policies.compile.scope import Block, FromItem, Reference
from policies.compile.tree import is_node, strings_of


def check_columns(draft: Draft) -> None:
    """Raises Refused for the first reference that can only mean a blocked column."""
    if not any(target.rule and target.rule.blocked for target in draft.targets):
        return
    for reference in draft.facts.references:
        name = reference.names[-1]
        if name is not None and (target := _blocked_by(draft, reference, name)) is not None:
            _refuse(draft, target, name, reference.location)
    for target in draft.targets:
        _check_using(draft, target)


def _check_using(draft: Draft, target: Target) -> None:
    """``a JOIN b USING (c)`` with a blocked c: nothing else on the table's own side can have it."""
    if target.rule is None or not target.rule.blocked or target.item.column_aliases:
        return
    for join in target.use.joins:
        sides = [join[side]["RangeVar"] for side in ("larg", "rarg") if is_node(join[side], "RangeVar")]
        if any(side is target.use.node for side in sides):
            for name in strings_of(join.get("usingClause")):
                if name in target.rule.blocked:
                    _refuse(draft, target, name, target.use.location)


def _blocked_by(draft: Draft, reference: Reference, name: str) -> Target | None:
    if len(reference.names) > 1:
        item = draft.find_qualified(reference.block, reference.names[-2] or "")
        return _blocking(draft, item, name)
    block = reference.block
    while block is not None:
        found, target = _search(draft, block, name)
        if found:
            return target
        block = block.parent
    return None


def _search(draft: Draft, block: Block, name: str) -> tuple[bool, Target | None]:
    """Whether this block may answer for an unqualified name, and the target that would, were it not blocked."""
    blocking = None
    for item in block.items:
        target = draft.target_of(item)
        if item.kind != "join" and (target is None or target.has_unknown_columns):
            return True, None
        if target is not None and any(column.name == name for column in target.visible_columns):
            return True, None
        blocking = blocking or _blocking(draft, item, name)
    return blocking is not None, blocking


def _blocking(draft: Draft, item: FromItem | None, name: str) -> Target | None:
    target = draft.target_of(item)
    if target is None or target.access is not Access.GUARDED or target.rule is None or target.item.column_aliases:
        return None
    return target if name in target.rule.blocked else None


def _refuse(draft: Draft, target: Target, name: str, at: int) -> None:
    assert target.rule is not None
    raise draft.refuse(
        "42501",
        target.rule.blocked[name],
        f"column {target.schema}.{target.name}.{name} is blocked for {draft.policy.principal.user}",
        at=at,
        hint="Leave the column out; a star selects the columns that are left.",
    )
