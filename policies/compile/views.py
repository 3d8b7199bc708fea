"""Views: a view's definition, compiled under the same policy in place of a statement."""

from __future__ import annotations

from dataclasses import replace

from policies.catalog import Namespace, Relation
from policies.compile.compilation import Compilation, plan_of
from policies.compile.draft import Access, Draft, Refused
from policies.compile.statements import Request
from policies.compile.surroundings import GuardedView, StatementSurroundings
from policies.decision import Plan


def _select(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    statement = request.statement
    return plan_of(plan, compilation.draft_select(statement.tree, statement, is_output=False))


def compile_view(view: Relation, surroundings: StatementSurroundings, outer: Draft, at: int) -> str | None:
    """A view's definition with guards inside, None when there is nothing to guard. Raises Refused.

    `at`: where the outer text names the view, in bytes: what is wrong inside is wrong there.
    """
    # Its names are qualified, and an unqualified one is the system's own, whatever the session made meanwhile;
    # the operators in guards go by the session's path.
    namespace = replace(outer.namespace, temporary=frozenset(), made=frozenset(), parameter_types=())
    key = surroundings.key_of(view, namespace)
    found = surroundings.memory.views.get(key)
    if found is None:
        found = _guarded(view, surroundings, namespace, outer, at)
        surroundings.memory.keep_view(key, found)
    for plan in found.plans:
        outer.inner.add(plan)
    return found.text


def _guarded(
    view: Relation, surroundings: StatementSurroundings, namespace: Namespace, outer: Draft, at: int
) -> GuardedView:
    definition = (view.view_definition or "").strip().rstrip(";")
    compilation = Compilation(
        definition,
        surroundings.policy,
        surroundings.catalog,
        namespace,
        surroundings,
        {"SelectStmt": _select},
        is_view=True,
    )
    try:
        decision = compilation.decision()
    except Refused as refused:
        inner = refused.refusal
        message = f"view {view.schema}.{view.name}: {inner.message}"
        raise Refused(replace(inner, message=message, position=outer.character(at))) from None
    drafts = [draft for each in compilation.drafts for draft in each]
    is_edited = any(target.access is not Access.OPEN for draft in drafts for target in draft.targets)
    return GuardedView(decision.text if is_edited else None, decision.plans)
