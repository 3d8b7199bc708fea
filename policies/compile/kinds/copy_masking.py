"""Which masks of a COPY TO wait for the stream, by the place of their columns in its rows.

No description with table OIDs comes before COPY's rows. What stands at a place is told by the text alone: every list of
columns in it is written out, by us or by the client, so the server can give a place nothing but the column of that
name. A column that changes its name between the decision and the run leads masks at the source astray in just the same
way: both mask what bears the name when the statement runs.
"""

from __future__ import annotations

from dataclasses import replace

from policies.compile.draft import Draft, PlacedMask, Target
from policies.compile.kinds.copy_options import CopyOptions, copy_options
from policies.compile.rules.masks import mask_of_column
from policies.compile.tree import Tree
from policies.copy_masks import CopyMask, CopyMasks
from policies.decision import Plan


def streamed_options(tree: Tree, *, is_query: bool) -> CopyOptions | None:
    """Those of a CopyStmt, None where its masks must stay at the source.

    Of a query it isn't told which of its columns FORCE_QUOTE names.
    """
    options = copy_options(tree)
    return None if options is not None and is_query and options.forced else options


def place_masks(draft: Draft, target: Target, columns: tuple[str, ...]) -> None:
    """For the rows of ``SELECT columns FROM (guard)``, which are a guarded table's own."""
    if target.relation is None or target.rule is None or target.body:
        return
    draft.place_count = len(columns)
    for place, name in enumerate(columns):
        column = target.relation.column(name)
        rule = target.rule.masks.get(name)
        mask = mask_of_column(rule.mask, column) if rule is not None and column is not None else None
        if mask is not None:
            target.stream |= {name}
            draft.placed_masks.append(PlacedMask(place, target, name, mask))


def with_copy_masks(plan: Plan, draft: Draft, options: CopyOptions | None) -> Plan:
    """The plan with the draft's masks."""
    if options is None or not draft.placed_masks:
        return plan
    found = sorted(draft.placed_masks, key=lambda one: one.place)
    masks = tuple(
        CopyMask(
            one.place,
            f"{one.target.schema}.{one.target.name}.{one.column}",
            one.mask,
            options.forced is None or one.column in options.forced,
        )
        for one in found
    )
    return replace(plan, copy_masks=CopyMasks(options.layout, draft.place_count, masks))
