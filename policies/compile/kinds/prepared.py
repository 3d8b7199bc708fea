"""SQL's own prepared statements. All masks are at the source, so what EXECUTE returns was decided by PREPARE."""

from __future__ import annotations

from dataclasses import replace

from policies.compile.compilation import Compilation, plan_of
from policies.compile.facts import Facts
from policies.compile.kinds.expressions import draft_expressions
from policies.compile.kinds.inner import inner_plan
from policies.compile.kinds.session_names import naming_effect
from policies.compile.parameter_types import that_matter
from policies.compile.rules.paths import require_operators_again
from policies.compile.rules.types import check_types
from policies.compile.statements import Request, require_grant
from policies.compile.tree import Tree, strings_of
from policies.decision import Plan

_OIDS = {"float4": 700, "float8": 701, "oid": 26, "xid": 26, "cid": 26}


def prepare(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """PrepareStmt; the statement inside needs its own grant too."""
    require_grant(request)
    effect = naming_effect(request)
    types = [node["TypeName"] for node in request.statement.tree.get("argtypes") or ()]
    compilation.run_rules(compilation.new_draft(request.statement, Facts(types=types)), (check_types,))
    with compilation.declaring(that_matter(map(_oid_of, types))):
        return replace(inner_plan(compilation, request, plan, _after_as(compilation, request)), effect=effect)


def _oid_of(type_name: Tree) -> int:
    """Of the types that rules look at among the built-in ones; 0 for others, which `check_types` has seen by name."""
    name = strings_of(type_name.get("names"))[-1]
    return _OIDS.get(name, _OIDS["oid"] if name.startswith("reg") else 0)


def _after_as(compilation: Compilation, request: Request) -> tuple[int, int]:
    """From the byte behind AS to the statement's end. A type in front of it holds no bare AS."""
    tokens = compilation.tokens_of(request.statement)
    start = next((token.end for token in tokens if token.word == "as"), request.statement.start)
    return start, request.statement.end


def execute(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """ExecuteStmt."""
    require_grant(request)
    require_operators_again(request, compilation.catalog, lambda: compilation.namespace)
    effect = naming_effect(request)
    draft = draft_expressions(compilation, request.statement.tree.get("params") or [], request.statement)
    return replace(plan_of(plan, draft), is_guarded=True, limits=request.policy.limits, effect=effect)


def deallocate(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """DeallocateStmt; it only forgets, so it needs no grant."""
    return replace(plan, effect=naming_effect(request))
