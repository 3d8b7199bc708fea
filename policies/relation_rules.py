"""What a policy says of a relation, not only of its name: rules of names that it bore before hold too. Pure.

Also what it doesn't say: a newcomer that no rule has looked at, with columns that others hide. Allow lists go by the
present name alone: a table that leaves an allowed name is no longer allowed, and one that is moved into an allowed
schema was published there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TypeVar

from policies.catalog import Catalog, FormerName, Relation
from policies.known_names import filter_columns
from policies.model import ColumnName, EffectivePolicy, FilterRule, MaskRule, RuleId, TableRule
from policies.resolve import resolve_table, restrictions_of

T = TypeVar("T", RuleId, MaskRule)


def relation_rules(policy: EffectivePolicy, catalog: Catalog, relation: Relation) -> tuple[TableRule, ...]:
    """By the relation's name, then by each that it bore; names in them are those of now. Parents are not in it."""
    own = resolve_table(policy, relation.schema, relation.name)
    former = catalog.former_names.get(relation.oid, ())
    return (own, *(_by_former_name(policy, one) for one in former))


def _by_former_name(policy: EffectivePolicy, former: FormerName) -> TableRule:
    rule = restrictions_of(policy, former.schema, former.table)
    masks = {
        now: replace(mask, column=ColumnName(former.schema, former.table, now))
        for now, mask in _called_now(rule.masks, former).items()
    }
    return replace(rule, blocked_columns=_called_now(rule.blocked_columns, former), masks=masks)


def _called_now(rules: Mapping[str, T], former: FormerName) -> dict[str, T]:
    return {now: rule for name, rule in rules.items() for now in former.columns.get(name, (name,))}


def misdirected_filter(
    policy: EffectivePolicy, catalog: Catalog, relation: Relation
) -> tuple[FilterRule, str, str] | None:
    """A filter that names a column which has another name by now, the name, and the present one.

    By its text it would read some other column, or none.
    """
    for former in catalog.former_names.get(relation.oid, ()):
        for rule in restrictions_of(policy, former.schema, former.table).filters:
            for name in sorted(filter_columns(rule.expression) & former.moved):
                now = next((one for one in former.columns[name] if one != name), name)
                return rule, name, now
    return None


def unknown_newcomer(
    policy: EffectivePolicy, catalog: Catalog, relation: Relation, covered: Collection[str], *, is_filtered: bool
) -> str:
    """Why a relation that nobody has looked at may hold what this policy hides elsewhere; empty when it may not.

    `covered`: its columns that rules mask or block.
    """
    if relation.oid not in catalog.newcomers or is_named(policy, relation):
        return ""
    appeared = catalog.newcomers[relation.oid]
    hidden = {mask.column.column for part in policy.policies for mask in part.masks}
    hidden |= {column.column for part in policy.policies for column, _ in part.columns_block}
    for column in relation.columns:
        if column.name in hidden and column.name not in covered and (appeared is None or column.name in appeared):
            return f"Its column {column.name} bears the name of one that is masked or blocked elsewhere."
    if appeared is None and not is_filtered and (table := _copied_table(policy, catalog, relation)):
        return f"It has all the columns of {table}, whose rows are filtered."
    return ""


def is_named(policy: EffectivePolicy, relation: Relation) -> bool:
    """Whether a rule of this policy names the relation itself, not by a pattern."""
    name = (relation.schema, relation.name)
    return any(
        any((pattern.schema, pattern.table) == name for pattern in part.tables_allow or ())
        or any((rule.schema, rule.table) == name for rule in part.rows)
        or any((mask.column.schema, mask.column.table) == name for mask in part.masks)
        or any((column.schema, column.table) == name for column, _ in part.columns_block)
        for part in policy.policies
    )


def _copied_table(policy: EffectivePolicy, catalog: Catalog, relation: Relation) -> str:
    own = {column.name for column in relation.columns}
    for rule in (rule for part in policy.policies for rule in part.rows):
        table = catalog.find(rule.schema, rule.table)
        if table is not None and table.columns and own.issuperset(column.name for column in table.columns):
            return f"{rule.schema}.{rule.table}"
    return ""
