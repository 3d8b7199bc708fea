"""Every relation of a statement is found in the catalog and held against the policy's allow and block lists.

A relation that no policy allows is refused; one that the catalog doesn't know does not exist for the client. What is
allowed is rewritten to its qualified name or its guard, so the server's search_path can't choose another.
"""

from __future__ import annotations

from policies.catalog import Namespace, Relation
from policies.compile.catalogs import catalog_guard, sequence_start
from policies.compile.draft import Access, Draft, MergedRule, Target
from policies.compile.facts import Reference, RelationUse
from policies.compile.rules.laundering import check_names
from policies.compile.rules.paths import require_operators
from policies.compile.tree import Tree, is_node, strings_of
from policies.mask_rules import merge_masks
from policies.model import MaskRule, RuleId, TableRule
from policies.relation_rules import relation_rules
from policies.resolve import resolve_table, restrictions_of
from policies.waiting import table_waits

SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema"})
TEMPORARY_SCHEMA = "pg_temp"
_REASONS = {
    "S": "sequences tell how many rows there are",
    "m": "a materialized view holds rows that no filter has seen",
    "f": "a foreign table's rows live on another server",
}


def resolve_relations(draft: Draft) -> None:
    """Fills `draft.targets`, one per RangeVar that names a relation. Raises Refused."""
    for use in draft.facts.relations:
        target = _resolve(draft, use)
        draft.targets.append(target)
        draft.targets_by_item[id(use.item)] = target


def _resolve(draft: Draft, use: RelationUse) -> Target:
    database = use.node.get("catalogname")
    if database is not None and database != draft.catalog.database:
        raise draft.refuse("0A000", "pgwarden/relations", "cross-database references are not possible", at=use.location)
    name = use.node["relname"]
    if is_own_temporary(use.node, draft.namespace):
        return Target(use, Access.OPEN, TEMPORARY_SCHEMA, name)
    schema = use.node.get("schemaname") or _schema_of(draft, name)
    if schema in SYSTEM_SCHEMAS:
        return _system_relation(draft, use, schema, name)
    if schema is not None and (schema, name) in draft.namespace.made:
        return _made_relation(draft, use, schema, name)
    relation = draft.catalog.find(schema, name) if schema else None
    if schema is None or relation is None:
        shown = f"{use.node['schemaname']}.{name}" if "schemaname" in use.node else name
        raise draft.refuse("42P01", "pgwarden/relations", f'relation "{shown}" does not exist', at=use.location)
    return _user_relation(draft, use, relation)


def is_own_temporary(node: Tree, namespace: Namespace) -> bool:
    """Whether a RangeVar means a relation of the session's own pg_temp, which comes first on every search_path.

    Only names that were seen made: another session's pg_temp_3, or what a function may have left, doesn't exist.
    """
    return node["relname"] in namespace.temporary and node.get("schemaname", TEMPORARY_SCHEMA) == TEMPORARY_SCHEMA


def _made_relation(draft: Draft, use: RelationUse, schema: str, name: str) -> Target:
    """Made earlier in this transaction: it holds what this policy let its maker see, so it is open to its maker."""
    rule = resolve_table(draft.policy, schema, name)
    if not rule.is_allowed:
        raise _denied(draft, use, rule)
    if not rule.is_open:
        raise draft.refuse(
            "0A000",
            "pgwarden/relations",
            f"{schema}.{name} was made in this transaction, and rules name it",
            at=use.location,
            hint="Use it after COMMIT.",
        )
    return Target(use, Access.OPEN, schema, name)


def _schema_of(draft: Draft, name: str) -> str | None:
    """Where the server would find an unqualified name; pg_catalog comes first unless the path names it."""
    path = draft.namespace.search_path
    path = path if "pg_catalog" in path else ("pg_catalog", *path)
    for schema in path:
        if schema == "pg_catalog" and name.startswith("pg_"):
            return schema
        if draft.catalog.find(schema, name) is not None or (schema, name) in draft.namespace.made:
            return schema
    return None


def _system_relation(draft: Draft, use: RelationUse, schema: str, name: str) -> Target:
    guard = catalog_guard(schema, name, draft.catalog, draft.surroundings.visibility())
    match guard.kind:
        case "open":
            return Target(use, Access.OPEN, schema, name)
        case "filtered":
            return Target(use, Access.CATALOG, schema, name, body=_with_tableoid(draft, use, guard.sql, schema, name))
    raise draft.refuse(
        "42501",
        "pgwarden/catalogs",
        f"{schema}.{name} is not readable under a policy",
        detail=guard.reason,
        at=use.location,
        hint="Ask for it under the allow-everything policy.",
    )


def _with_tableoid(draft: Draft, use: RelationUse, body: str, schema: str, name: str) -> str:
    """pg_dump asks each catalog for its own number, a system column that a subquery hasn't got.

    Not where a star, a whole row or a natural join would show it too.
    """
    alias = use.item.alias
    shows_all = any(join.get("isNatural") for join in use.joins) or any(
        _means_all(reference, use, alias) for reference in draft.facts.references
    )
    asked = {reference.names for reference in draft.facts.references if reference.names[-1] == "tableoid"}
    if shows_all or not asked & {("tableoid",), (alias, "tableoid")}:
        return body
    own = f"'{schema}.{name}'::pg_catalog.regclass::pg_catalog.oid AS tableoid"
    return f"SELECT {own}, {body.removeprefix('SELECT ')}"


def _means_all(reference: Reference, use: RelationUse, alias: str) -> bool:
    if reference.names == (alias,):
        return True
    return reference.names[-1] is None and reference.block is use.block and reference.names[:-1] in ((), (alias,))


def _user_relation(draft: Draft, use: RelationUse, relation: Relation) -> Target:
    _require_allowed(draft, use, relation)
    rule = merged_rule(draft, relation, use)
    require_operators(draft, relation, rule, use)
    if relation.kind == "S" and not _is_named(draft, relation) and _asks_for_start(draft):
        return Target(use, Access.CATALOG, relation.schema, relation.name, body=sequence_start(f"{relation.oid}"))
    if relation.kind in _REASONS and not _is_named(draft, relation):
        raise draft.refuse(
            "0A000",
            "pgwarden/relations",
            f"{relation.schema}.{relation.name} can't be read through pgwarden: {_REASONS[relation.kind]}",
            at=use.location,
            hint=f"Name {relation.schema}.{relation.name} without a pattern under tables.allow to let it be read.",
        )
    if relation.kind == "v":
        return _view(draft, use, relation, rule)
    access = Access.OPEN if rule.is_open else Access.GUARDED
    return Target(use, access, relation.schema, relation.name, relation, rule)


def _asks_for_start(draft: Draft) -> bool:
    """``SELECT last_value, is_called FROM s``, as pg_dump asks: it is told of a sequence that was never used."""
    tree = draft.statement.tree
    values = [node["ResTarget"].get("val") for node in tree.get("targetList", ())]
    names = [strings_of(value["ColumnRef"]["fields"]) for value in values if is_node(value, "ColumnRef")]
    return names == [("last_value",), ("is_called",)] and len(values) == 2 and len(tree.get("fromClause", ())) == 1


def _require_allowed(draft: Draft, use: RelationUse, relation: Relation) -> None:
    for rule in _family_rules(draft, relation):
        if not rule.is_allowed:
            raise _denied(draft, use, rule)


def _denied(draft: Draft, use: RelationUse, rule: TableRule) -> Exception:
    message = f"table {rule.schema}.{rule.table} is not allowed for {draft.policy.principal.user}"
    hint = f"Let a policy of this user allow {rule.schema}.{rule.table} under tables.allow, and none block it."
    reason: RuleId | str = rule.denied_by or "pgwarden/default"
    detail = "" if rule.denied_by else "No policy of this user allows any table."
    detail = table_waits(draft.policy, rule.schema, rule.table) or detail
    return draft.refuse("42501", reason, message, detail=detail, hint=hint, at=use.location)


def _is_named(draft: Draft, relation: Relation) -> bool:
    return any(
        pattern.schema == relation.schema and pattern.table == relation.name
        for policy in draft.policy.policies
        for pattern in policy.tables_allow or ()
    )


def _family_rules(draft: Draft, relation: Relation) -> list[TableRule]:
    """Its own and its parents' rules, each also by names that it bore before."""
    family = (relation, *draft.catalog.ancestors(relation))
    return [rule for member in family for rule in relation_rules(draft.policy, draft.catalog, member)]


def merged_rule(draft: Draft, relation: Relation, use: RelationUse) -> MergedRule:
    """The relation's own rule with its parents': a partition addressed by name is filtered like the whole."""
    rules = _family_rules(draft, relation)
    blocked: dict[str, RuleId] = {}
    for rule in reversed(rules):
        blocked.update(rule.blocked_columns)
    masks: dict[str, MaskRule] = {}
    for rule in rules:
        for name, mask in rule.masks.items():
            masks[name] = merge_masks(masks.get(name), mask)
    filters = tuple(dict.fromkeys(one for rule in rules for one in rule.filters))
    merged = MergedRule(blocked, filters, {name: mask for name, mask in masks.items() if name not in blocked})
    check_names(draft, relation, merged, use)
    _spread_to_generated(relation, merged)
    if use.node.get("inh"):
        _require_plain_children(draft, relation, merged, use)
    return merged


def _spread_to_generated(relation: Relation, merged: MergedRule) -> None:
    """A generated column shows what it is made from: it is blocked with it when that is blocked or masked."""
    for column in relation.columns:
        for origin in column.generated_from:
            if origin in merged.blocked:
                merged.blocked.setdefault(column.name, merged.blocked[origin])
            elif origin in merged.masks and column.name not in merged.masks:
                merged.blocked.setdefault(column.name, merged.masks[origin].rule)


def _require_plain_children(draft: Draft, relation: Relation, merged: MergedRule, use: RelationUse) -> None:
    """A scan of a parent shows its children's rows, so a rule that names a child alone would be passed by."""
    waiting = list(relation.children)
    while waiting:
        child = draft.catalog.by_oid.get(waiting.pop())
        if child is None:
            continue
        waiting.extend(child.children)
        if any(_goes_beyond(rule, merged) for rule in _restrictions(draft, child)):
            raise draft.refuse(
                "0A000",
                "pgwarden/inheritance",
                f"{child.schema}.{child.name} has rules of its own, so {relation.schema}.{relation.name} "
                "can't be read as a whole",
                at=use.location,
                hint=f"Read {relation.schema}.{relation.name} with ONLY, or move the rule to it.",
            )


def _restrictions(draft: Draft, child: Relation) -> tuple[TableRule, ...]:
    """A child need not be allowed by name: its parent is."""
    named = restrictions_of(draft.policy, child.schema, child.name)
    return (named, *relation_rules(draft.policy, draft.catalog, child)[1:])


def _goes_beyond(rule: TableRule, merged: MergedRule) -> bool:
    is_hiding = bool(set(rule.blocked_columns) - set(merged.blocked)) or any(
        _adds(merged, column, mask) for column, mask in rule.masks.items()
    )
    return not rule.is_allowed or is_hiding or any(one not in merged.filters for one in rule.filters)


def _adds(merged: MergedRule, column: str, mask: MaskRule) -> bool:
    """Whether a child's mask hides more, or lets less be done with real values, than its parent's."""
    if column in merged.blocked:
        return False
    known = merged.masks.get(column)
    both = merge_masks(known, mask)
    return known is None or (both.mask, both.uses, both.probes_per_hour) != (
        known.mask,
        known.uses,
        known.probes_per_hour,
    )


def _view(draft: Draft, use: RelationUse, relation: Relation, rule: MergedRule) -> Target:
    """A view is its definition, compiled under the same policy, so that guards stand inside it."""
    inner = draft.surroundings.expand_view(draft, relation, use)
    if inner is None and rule.is_open:
        return Target(use, Access.OPEN, relation.schema, relation.name, relation, rule)
    return Target(use, Access.GUARDED, relation.schema, relation.name, relation, rule, body=inner or "")
