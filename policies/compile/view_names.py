"""Which views one principal may see: those whose definition names nothing that the policy hides.

A view over a hidden table would be gone with it. It reads definitions, never compiles them: that is done when a view
is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from policies.catalog import Catalog, Relation
from policies.compile.parse import ParseError, parse
from policies.compile.tree import nodes_of, string_of, strings_of
from policies.model import EffectivePolicy, TableRule
from policies.resolve import is_function_allowed

_SYSTEM = frozenset({"pg_catalog", "information_schema"})


@dataclass(frozen=True, slots=True)
class _Names:
    """What a definition names. Unqualified relations and functions are CTEs or the system's own."""

    relations: frozenset[tuple[str, str]]
    columns: frozenset[str]
    functions: frozenset[tuple[str, str]]


@lru_cache(maxsize=4096)
def _names_in(definition: str) -> _Names | None:
    """None for a definition that can't be read."""
    try:
        tree = [statement.tree for statement in parse(definition)]
    except ParseError:
        return None
    found = list(nodes_of(tree))
    calls = (strings_of(node["funcname"]) for kind, node in found if kind == "FuncCall")
    columns = (string_of(node["fields"][-1]) for kind, node in found if kind == "ColumnRef")
    return _Names(
        frozenset((n["schemaname"], n["relname"]) for kind, n in found if kind == "RangeVar" and "schemaname" in n),
        frozenset(name for name in columns if name is not None),
        frozenset((names[0], names[1]) for names in calls if len(names) == 2),
    )


def visible_views(
    policy: EffectivePolicy, catalog: Catalog, rules_of: Callable[[Relation], tuple[TableRule, ...]]
) -> frozenset[int]:
    """OIDs of the views and materialized views that may be seen, as far as what they read is concerned."""
    known: dict[int, bool] = {}

    def is_shown(relation: Relation) -> bool:
        if relation.kind not in ("v", "m"):
            return True
        if relation.oid not in known:
            known[relation.oid] = False  # should it read itself
            known[relation.oid] = _is_readable(relation, policy, catalog, rules_of, is_shown)
        return known[relation.oid]

    return frozenset(one.oid for one in catalog.relations if one.kind in ("v", "m") and is_shown(one))


def _is_readable(
    view: Relation,
    policy: EffectivePolicy,
    catalog: Catalog,
    rules_of: Callable[[Relation], tuple[TableRule, ...]],
    is_shown: Callable[[Relation], bool],
) -> bool:
    names = _names_in(view.view_definition) if view.view_definition else None
    if names is None:
        return False
    for schema, name in names.relations:
        if schema in _SYSTEM:
            continue
        relation = catalog.find(schema, name)
        if relation is None or not is_shown(relation):
            return False
        for rule in rules_of(relation):
            if not rule.is_allowed or names.columns.intersection(rule.blocked_columns):
                return False
    return all(schema in _SYSTEM or is_function_allowed(policy, schema, name) for schema, name in names.functions)
