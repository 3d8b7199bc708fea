"""Relations whose names changed or are new: where rules would miss what they mean, the statement is refused."""

from __future__ import annotations

from policies.catalog import Relation
from policies.compile.draft import Draft, MergedRule
from policies.compile.facts import RelationUse
from policies.relation_rules import misdirected_filter, unknown_newcomer


def check_names(draft: Draft, relation: Relation, merged: MergedRule, use: RelationUse) -> None:
    """`merged`: what holds for the relation by all its names. Raises Refused."""
    catalog = draft.catalog
    if not (catalog.former_names or catalog.newcomers):
        return
    for member in (relation, *catalog.ancestors(relation)):
        _require_its_columns(draft, member, use)
    covered = (*merged.blocked, *merged.masks)
    reason = unknown_newcomer(draft.policy, catalog, relation, covered, is_filtered=bool(merged.filters))
    if reason:
        raise draft.refuse(
            "42501",
            "pgwarden/newcomers",
            f"{relation.schema}.{relation.name} is newer than the policies, which don't say what to hide of it",
            detail=reason,
            hint=f"Name {relation.schema}.{relation.name} under tables.allow, or mask, block or filter what it holds; "
            "any change of the policies takes it as looked at.",
            at=use.location,
        )


def _require_its_columns(draft: Draft, relation: Relation, use: RelationUse) -> None:
    found = misdirected_filter(draft.policy, draft.catalog, relation)
    if found is None:
        return
    row_filter, name, now = found
    raise draft.refuse(
        "42501",
        row_filter.rule,
        f"{relation.schema}.{relation.name} can't be filtered: its column {name} is called {now} now",
        hint=f"Write the filter of {row_filter.schema}.{row_filter.table} with the columns' present names.",
        at=use.location,
    )
