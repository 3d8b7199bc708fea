"""What one principal may see of the catalogs, as OIDs and column numbers; made once per policy and snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from policies.catalog import Catalog, Relation
from policies.compile.view_names import visible_views
from policies.model import EffectivePolicy, Statement, TableRule
from policies.relation_rules import relation_rules, unknown_newcomer


@dataclass(frozen=True, slots=True)
class Visibility:
    """`visible` has tables, views, sequences and their indexes; `changed` those of them that a policy filters,
    masks or blocks in part (their statistics and bounds stay hidden). `blocked` and `masked` are (relation OID,
    attnum) pairs; a generated column that reads one of them is in the same set. `has_temporary`: the session may have
    relations in its own pg_temp, which are visible. `functions`: patterns of users' functions that are allowed: others
    are not there, but for those written in C or internal. `texts` keeps what `catalogs` makes of all this."""

    visible: frozenset[int] = frozenset()
    changed: frozenset[int] = frozenset()
    blocked: frozenset[tuple[int, int]] = frozenset()
    masked: frozenset[tuple[int, int]] = frozenset()
    has_temporary: bool = False
    functions: tuple[str, ...] = ()
    texts: dict[object, object] = field(default_factory=dict, compare=False, repr=False)


def visibility_of(policy: EffectivePolicy, catalog: Catalog) -> Visibility:
    """A child inherits its parents' rules; a parent of a hidden or changed child counts as changed."""
    rules = {relation.oid: _rules(policy, catalog, relation) for relation in catalog.relations}
    views = visible_views(policy, catalog, lambda relation: rules[relation.oid])
    allowed = [r for r in catalog.relations if _is_allowed(policy, catalog, r, rules[r.oid])]
    visible = [r for r in allowed if r.kind not in ("m", "v") or r.oid in views]
    names = {relation.oid for relation in visible}
    touched = {oid for oid, found in rules.items() if not all(rule.is_open for rule in found)}
    changed = [r for r in visible if r.oid in touched or touched.intersection(_descendants(catalog, r))]
    blocked = _pairs(visible, rules, lambda rule: rule.blocked_columns)
    return Visibility(
        visible=frozenset(names).union(*(relation.index_oids for relation in visible)),
        changed=frozenset(r.oid for r in changed).union(*(relation.index_oids for relation in changed)),
        blocked=blocked,
        masked=_pairs(visible, rules, lambda rule: rule.masks) - blocked,
        functions=policy.functions_allow,
        has_temporary=not policy.statements.isdisjoint({Statement.TEMP_TABLES, Statement.ALL}),
    )


def _rules(policy: EffectivePolicy, catalog: Catalog, relation: Relation) -> tuple[TableRule, ...]:
    family = (relation, *catalog.ancestors(relation))
    return tuple(rule for member in family for rule in relation_rules(policy, catalog, member))


def _is_allowed(policy: EffectivePolicy, catalog: Catalog, relation: Relation, rules: tuple[TableRule, ...]) -> bool:
    """A newcomer that is refused isn't there: its statistics hold what its rows hold."""
    if not all(rule.is_allowed for rule in rules):
        return False
    if relation.oid not in catalog.newcomers:
        return True
    covered = {name for rule in rules for name in (*rule.blocked_columns, *rule.masks)}
    is_filtered = any(rule.filters for rule in rules)
    return not unknown_newcomer(policy, catalog, relation, covered, is_filtered=is_filtered)


def _descendants(catalog: Catalog, relation: Relation) -> set[int]:
    return _closure(relation.children, lambda oid: catalog.by_oid[oid].children if oid in catalog.by_oid else ())


def _closure(start: Iterable[int], step: Callable[[int], Iterable[int]]) -> set[int]:
    found: set[int] = set()
    waiting = list(start)
    while waiting:
        oid = waiting.pop()
        if oid not in found:
            found.add(oid)
            waiting.extend(step(oid))
    return found


def _pairs(
    relations: Iterable[Relation],
    rules: Mapping[int, tuple[TableRule, ...]],
    columns_of: Callable[[TableRule], Iterable[str]],
) -> frozenset[tuple[int, int]]:
    pairs: set[tuple[int, int]] = set()
    for relation in relations:
        names = {name for rule in rules[relation.oid] for name in columns_of(rule)}
        pairs.update(
            (relation.oid, column.attnum)
            for column in relation.columns
            if column.name in names or names.intersection(column.generated_from)
        )
    return frozenset(pairs)
