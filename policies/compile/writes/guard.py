"""Puts the policy into the writes of a statement, in the text and in the tree; `verify` compares the two."""

from __future__ import annotations

from policies.compile.draft import Access, Draft, Target
from policies.compile.facts import Write
from policies.compile.rules.guard import qualify
from policies.compile.writes.checks import check_in_place, check_rows, failure_of, needs_check, require_returning
from policies.compile.writes.columns import list_columns
from policies.compile.writes.conditions import filter_conflict, filter_rows
from policies.compile.writes.expressions import row_filter
from policies.compile.writes.returning import mask_returning
from policies.compile.writes.targets import target_of


def guard_writes(draft: Draft) -> None:
    """For every write with a guarded target. Raises Refused for what can't be guarded."""
    for write in draft.facts.writes:
        target = target_of(draft, write)
        if target.access is Access.GUARDED:
            _guard(draft, write, target)


def _guard(draft: Draft, write: Write, target: Target) -> None:
    qualify(draft, target)
    list_columns(draft, write, target)
    condition = row_filter(draft, target, write.use.item.alias)
    if condition is not None:
        filter_rows(draft, write, condition)
        draft.row_filters.append((write.kind, target.schema, target.name, condition.tree))
        if write.node.get("onConflictClause", {}).get("action") == "ONCONFLICT_UPDATE":
            filter_conflict(draft, write, condition, failure_of(write.use.item.alias, "bool"))
    if condition is None or not needs_check(draft, write, target):
        mask_returning(draft, write, target, None)
        return
    require_returning(draft, write, target)
    mask_returning(draft, write, target, check_in_place(draft, write, condition))
    check_rows(draft, write, target, condition)
