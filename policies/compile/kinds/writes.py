"""INSERT, UPDATE, DELETE and MERGE. Most of the work is done by the rules: see `policies.compile.writes`."""

from __future__ import annotations

from dataclasses import replace

from policies.compile.compilation import Compilation, plan_of
from policies.compile.rules import RULES
from policies.compile.rules.relations import is_own_temporary
from policies.compile.scope import read_write
from policies.compile.statements import Request, require_grant
from policies.decision import Plan
from policies.model import Statement as Grant


def write(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """InsertStmt, UpdateStmt, DeleteStmt, MergeStmt."""
    statement = request.statement
    if is_own_temporary(statement.tree["relation"], compilation.namespace):
        require_grant(request, Grant.TEMP_TABLES)
    else:
        require_grant(request)
    facts = compilation.read_facts(lambda: read_write(statement.kind, statement.tree), statement)
    draft = compilation.run_rules(compilation.new_draft(statement, facts), RULES)
    return replace(
        plan_of(plan, draft),
        hidden_columns=draft.hidden_columns,
        is_all_hidden=draft.is_all_hidden,
    )
