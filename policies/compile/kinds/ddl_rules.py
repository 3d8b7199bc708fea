"""Rules for what a definition names: expressions run later and for others, relations lend their structure or keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from policies.catalog import Relation
from policies.compile.builtins import ALLOWED_ON_VISIBLE, SETTING_READERS, SETTING_WRITERS
from policies.compile.compilation import Compilation
from policies.compile.draft import Access, Draft, Target
from policies.compile.facts import Facts
from policies.compile.kinds.ddl_definitions import Definition, Role
from policies.compile.kinds.named_relations import draft_relations
from policies.compile.kinds.temporary import TEMPORARY_SCHEMA, is_own_temporary, require_temp_tables
from policies.compile.rules.functions import check_attributes, check_functions
from policies.compile.rules.guard import qualify
from policies.compile.rules.types import check_types
from policies.compile.scope import UnknownNode, read_expressions
from policies.compile.statements import Request, require_grant
from policies.compile.tree import Tree, literal_text, strings_of
from policies.compile.writes.influence import rule_reading
from policies.decision import Effect, Plan
from policies.model import Statement as Grant

T = TypeVar("T")


def changing_plan(compilation: Compilation, plan: Plan, effect: Effect, *names: tuple[str, str]) -> Plan:
    """`names`: (schema, name) of the relations that the statement makes or changes.

    Its errors and notices may name hidden relations that depend on others, so they are scrubbed as for guarded data.
    """
    is_temporary = bool(names) and all(schema == TEMPORARY_SCHEMA for schema, _ in names)
    return replace(
        plan,
        is_rewritten=plan.is_rewritten or any(draft.splices for draft in compilation.drafts[-1]),
        is_guarded=True,
        is_ddl=not is_temporary,
        tables=tuple(sorted({*plan.tables, *(f"{schema}.{name}" for schema, name in names)})),
        limits=compilation.policy.limits,
        effect=effect,
    )


def require_change(compilation: Compilation, request: Request, *nodes: Tree) -> None:
    """The grant for changing these RangeVars: temp_tables when all are the session's own. Raises Refused."""
    if all(is_own_temporary(node, compilation.namespace) for node in nodes):
        require_temp_tables(request)
    else:
        require_grant(request, Grant.DDL)


def target_of(compilation: Compilation, request: Request, node: Tree) -> Target:
    """The relation that a RangeVar's fields name. Raises Refused."""
    return draft_relations(compilation, [{"RangeVar": node}], request.statement).targets[0]


def targets_of(compilation: Compilation, request: Request, nodes: list[Tree]) -> list[Target]:
    return draft_relations(compilation, [{"RangeVar": node} for node in nodes], request.statement).targets


def read_or_refuse(request: Request, read: Callable[[], T]) -> T:
    """What `read` finds. Raises Refused for a form that isn't known."""
    try:
        return read()
    except UnknownNode as unknown:
        raise request.refuse("0A000", "pgwarden/ddl", f"{unknown.kind} here can't be proven safe") from None


def check_definition(compilation: Compilation, request: Request, definition: Definition) -> None:
    """Holds all that it names against the rules and qualifies its relations. Raises Refused."""
    _check_expressions(compilation, request, definition)
    if not definition.relations:
        return
    targets = targets_of(compilation, request, [node for node, _, _ in definition.relations])
    draft = compilation.drafts[-1][-1]
    for target, (_, role, node) in zip(targets, definition.relations, strict=True):
        _ROLES[role](request, target, node)
        leave_bare(target, draft)


def _check_expressions(compilation: Compilation, request: Request, definition: Definition) -> None:
    """A default runs at each INSERT, whoever sends it, and no look-up of ours can be put around it there."""
    facts = read_or_refuse(request, lambda: read_expressions(definition.expressions, "definition"))
    facts.types += definition.types
    draft = compilation.new_draft(request.statement, facts)
    compilation.run_rules(draft, (check_functions, check_types, check_attributes))
    for call in facts.functions:
        name = strings_of(call["funcname"])[-1]
        is_dynamic = name in SETTING_READERS and literal_text((call.get("args") or [None])[0]) is None
        if name in SETTING_WRITERS or name in ALLOWED_ON_VISIBLE or is_dynamic:
            raise draft.refuse(
                "0A000",
                "pgwarden/ddl",
                f"{name} can't be guarded in a definition",
                at=call.get("location", -1),
            )


def leave_bare(target: Target, draft: Draft) -> None:
    """Qualifies a relation that stands as itself, guarded or not: a rule of the caller has found that harmless."""
    qualify(draft, target)
    draft.lent_relations.add((target.schema, target.name))


def require_unread(compilation: Compilation, request: Request, relation: Relation | None) -> None:
    """A table that a filter or a mask reads decides what is seen: no DDL on it. Raises Refused."""
    if relation is None:
        return
    rule = rule_reading(compilation.new_draft(request.statement, Facts()), relation)
    if rule is not None:
        name = f"{relation.schema}.{relation.name}"
        raise request.refuse("42501", rule, f"{name} can't be changed: a rule of the policy reads it")


def require_open(request: Request, target: Target, what: str) -> None:
    """Raises Refused unless the policy changes nothing of the relation."""
    if target.access is not Access.OPEN:
        raise request.refuse(
            "42501",
            next(iter(target.rule_ids()), "pgwarden/ddl"),
            f"{what} {target.schema}.{target.name} is not allowed: the policy filters, masks or blocks parts of it",
            hint="An administrator's allow-everything login can do it.",
        )


def require_user_relation(request: Request, target: Target) -> None:
    if target.relation is None and not target.has_unknown_columns:
        raise request.refuse("42501", "pgwarden/ddl", f'permission denied: "{target.name}" is a system catalog')


def _check_parent(request: Request, target: Target, node: Tree) -> None:
    require_user_relation(request, target)
    require_open(request, target, "inheriting from")


def _check_pattern(request: Request, target: Target, node: Tree) -> None:
    """LIKE copies the names of all columns; with INCLUDING also constants out of constraints and statistics."""
    is_plain = target.rule is not None and not target.rule.blocked and not node.get("options")
    if target.access is not Access.GUARDED or not is_plain:
        require_open(request, target, "copying the structure of")


def _check_referenced(request: Request, target: Target, node: Tree) -> None:
    """A foreign key tells for each value written whether the other table has it."""
    if target.access is Access.OPEN:
        return
    names = set(strings_of(node.get("pk_attrs")))
    rule, relation = target.rule, target.relation
    if rule is None or relation is None or target.body or rule.filters:
        raise _tells_keys(request, target)
    names = names or set(relation.primary_key)
    if not names or names & (set(rule.masks) | set(rule.blocked)):
        raise _tells_keys(request, target)


def _tells_keys(request: Request, target: Target) -> Exception:
    return request.refuse(
        "42501",
        next(iter(target.rule_ids()), "pgwarden/ddl"),
        f"a foreign key to {target.schema}.{target.name} would tell what the policy hides of it",
        hint="Reference a table and a key that the policy leaves as they are.",
    )


_ROLES: dict[Role, Callable[[Request, Target, Tree], None]] = {
    Role.PARENT: _check_parent,
    Role.PATTERN: _check_pattern,
    Role.REFERENCED: _check_referenced,
}
