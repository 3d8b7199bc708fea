"""COPY FROM STDIN: into tables whose rows no rule filters, and never into a blocked column."""

from __future__ import annotations

from dataclasses import replace

from policies.compile.compilation import Compilation, plan_of
from policies.compile.draft import Access, Draft, Splice, Target
from policies.compile.guards import quote
from policies.compile.kinds.copy_columns import check_columns, plain_columns
from policies.compile.kinds.named_relations import draft_relations, merge_partitions
from policies.compile.rules.arguments import guard_arguments
from policies.compile.rules.columns import check_columns as check_references
from policies.compile.rules.functions import check_attributes, check_functions
from policies.compile.rules.guard import qualify
from policies.compile.rules.relations import SYSTEM_SCHEMAS, resolve_relations
from policies.compile.statements import Request
from policies.compile.tree import Tree
from policies.compile.writes.changes import Change
from policies.compile.writes.influence import check_influence
from policies.decision import Plan

_RULES = (check_functions, resolve_relations, check_attributes, check_references, guard_arguments)


def copy_rows(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """CopyStmt with FROM STDIN. Raises Refused."""
    tree = request.statement.tree
    # The rows go to this table alone, unless it is partitioned.
    relation = {"RangeVar": {**tree["relation"], "inh": False}}
    condition = tree.get("whereClause")
    draft = draft_relations(compilation, [relation], request.statement, condition=condition, rules=_RULES)
    target = draft.targets[0]
    merge_partitions(draft, target)
    check_influence(draft, target, Change(inserts=True))
    _refuse_unsafe_targets(draft, target)
    _check_condition(draft, target)
    check_columns(draft, target, tree)
    _list_columns(draft, target, tree)
    target.use.node = tree["relation"]
    qualify(draft, target)
    draft.lent_relations.add((target.schema, target.name))
    target.needed = frozenset()  # no column is read
    blocked = {str(rule) for rule in target.rule.blocked.values()} if target.rule else set()
    found = plan_of(plan, draft)
    return replace(found, rule_ids=tuple(sorted(blocked.union(found.rule_ids))))


def _refuse_unsafe_targets(draft: Draft, target: Target) -> None:
    if target.schema in SYSTEM_SCHEMAS:
        message = f"{target.schema}.{target.name} can't be written under a policy"
        raise draft.refuse("42501", "pgwarden/catalogs", message, at=target.use.location)
    if target.rule is not None and target.rule.filters:
        raise draft.refuse(
            "0A000",
            "pgwarden/copy",
            f"COPY FROM can't check rows against the filter of {target.schema}.{target.name}",
            detail=f"Rule {target.rule.filters[0].rule} at {target.rule.filters[0].rule.source}.",
            hint="Use INSERT statements instead.",
            at=target.use.location,
        )
    if target.body:
        message = f"the view {target.schema}.{target.name} reads guarded tables, so rows can't be copied to it"
        raise draft.refuse("0A000", "pgwarden/copy", message, at=target.use.location)


def _check_condition(draft: Draft, target: Target) -> None:
    """WHERE sees the rows that come in, with defaults filled in: those of a masked column tell what is hidden."""
    if len(draft.facts.relations) > 1 or len(draft.facts.blocks) > 1 or draft.splices:
        raise draft.refuse("0A000", "pgwarden/copy", "cannot use subquery in COPY FROM WHERE conditions")
    if target.access is Access.OPEN:
        return
    readable = {c.name for c in target.visible_columns} - (set(target.rule.masks) if target.rule else set())
    for reference in draft.facts.references:
        if reference.names[-1] not in readable:
            raise draft.refuse(
                "42501",
                "pgwarden/copy",
                f"COPY FROM WHERE can only read columns of {target.schema}.{target.name} that no rule masks",
                at=reference.location,
            )


def _list_columns(draft: Draft, target: Target, tree: Tree) -> None:
    """Without a list the server would take the blocked columns too."""
    if "attlist" in tree or target.rule is None or not target.rule.blocked:
        return
    columns = plain_columns(target)
    qualifiers = sum(part in tree["relation"] for part in ("catalogname", "schemaname"))
    end = draft.tokens[draft.token_at(target.use.location) + 2 * qualifiers].end
    draft.splices.append(Splice(end, end, f" ({', '.join(map(quote, columns))})"))
    tree["attlist"] = [{"String": {"sval": name}} for name in columns]
