"""CREATE TABLE, CREATE TABLE AS, SELECT INTO, CREATE VIEW: by the grant temp_tables in pg_temp, else by the grant ddl.

What is made of a query holds what the policy shows of it: masks at the source, filters inside. A view is stored as a
query that others run later, so it may only read what the policy leaves as it is: then nobody who still takes its name
for an older, open relation can be shown more than its maker sees.
"""

from __future__ import annotations

from policies.compile.compilation import Compilation, plan_of
from policies.compile.draft import Access, Draft
from policies.compile.kinds.ddl_definitions import read_table
from policies.compile.kinds.ddl_names import NewName, new_name
from policies.compile.kinds.ddl_rules import (
    changing_plan,
    check_definition,
    read_or_refuse,
    require_open,
    require_unread,
    target_of,
)
from policies.compile.statements import Request, require_grant
from policies.compile.tree import Tree
from policies.decision import NO_EFFECT, Plan
from policies.model import Statement as Grant

_INTO = frozenset({"rel", "colNames", "options", "onCommit", "tableSpaceName", "accessMethod", "skipData"})


def create_table(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """CreateStmt."""
    tree = request.statement.tree
    made = new_name(compilation, request, tree["relation"], tree)
    check_definition(compilation, request, read_or_refuse(request, lambda: read_table(tree)))
    return made_plan(compilation, plan, made, tree.get("oncommit"), is_new=_is_new(made, tree))


def create_table_as(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """CreateTableAsStmt: also CREATE MATERIALIZED VIEW."""
    tree = request.statement.tree
    query = tree["query"].get("SelectStmt")
    if query is None:
        raise request.refuse("0A000", "pgwarden/ddl", "CREATE TABLE AS EXECUTE can't be proven safe")
    is_stored = tree.get("objtype") == "OBJECT_MATVIEW"
    made = new_name(compilation, request, tree["into"]["rel"], tree)
    found = _filled(compilation, request, plan, tree["into"], query)
    if is_stored:
        _require_as_it_is(request, compilation.drafts[-1][-1], "materialized view")
    # A materialized view is read only where a policy names it, once the catalog knows it.
    is_new = _is_new(made, tree) and not is_stored
    return made_plan(compilation, found, made, tree["into"].get("onCommit"), is_new=is_new)


def _is_new(made: NewName, tree: Tree) -> bool:
    """Whether it is new if the statement succeeds."""
    return not (made.is_known and tree.get("if_not_exists"))


def select_into(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """SelectStmt with INTO."""
    tree = request.statement.tree
    into = tree["intoClause"]
    made = new_name(compilation, request, into["rel"])
    query = {key: value for key, value in tree.items() if key != "intoClause"}
    found = _filled(compilation, request, plan, into, query)
    tree.update(query)
    return made_plan(compilation, found, made, into.get("onCommit"))


def _filled(compilation: Compilation, request: Request, plan: Plan, into: Tree, query: Tree) -> Plan:
    require_grant(request, Grant.SELECT)
    unknown = set(into) - _INTO
    if unknown:
        raise request.refuse("0A000", "pgwarden/ddl", f"INTO with {min(unknown)} can't be proven safe")
    return plan_of(plan, compilation.draft_select(query, request.statement, is_output=False))


def create_view(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """ViewStmt."""
    tree = request.statement.tree
    if tree["view"].get("relpersistence") == "t" or "SelectStmt" not in tree["query"]:
        raise request.refuse("0A000", "pgwarden/ddl", "temporary views can't be guarded")
    made = new_name(compilation, request, tree["view"])
    if made.is_temporary:
        raise request.refuse("0A000", "pgwarden/ddl", "temporary views can't be guarded")
    is_replaced = made.is_known and bool(tree.get("replace"))
    if is_replaced:
        # Rules on its name, or inside of it, are rules on what has stood in it.
        changed = {"schemaname": made.schema, "relname": made.name, "inh": True}
        target = target_of(compilation, request, changed)
        require_open(request, target, "replacing")
        require_unread(compilation, request, target.relation)
    require_grant(request, Grant.SELECT)
    draft = compilation.draft_select(tree["query"]["SelectStmt"], request.statement, is_output=False)
    _require_as_it_is(request, draft, "view")
    return made_plan(compilation, plan_of(plan, draft), made, None, is_new=not is_replaced)


def _require_as_it_is(request: Request, draft: Draft, what: str) -> None:
    """Raises Refused unless the query's text stays as the client wrote it but for qualified names."""
    closed = [target for target in draft.targets if target.access is not Access.OPEN]
    if not closed and not draft.lent_relations:
        return
    named = f"{closed[0].schema}.{closed[0].name}" if closed else "a catalog function"
    raise request.refuse(
        "0A000",
        "pgwarden/ddl",
        f"a {what} over {named} would be stored without what the policy changes of it",
        hint="CREATE TABLE AS keeps what the policy shows; an administrator's login can make the view, "
        "which is then guarded for whoever reads it.",
    )


def made_plan(
    compilation: Compilation, plan: Plan, made: NewName, on_commit: str | None, *, is_new: bool = True
) -> Plan:
    """Errors of DDL can name hidden relations that depend on others, so their details are kept back."""
    effect = made.made(is_until_commit=on_commit == "ONCOMMIT_DROP") if is_new else NO_EFFECT
    return changing_plan(compilation, plan, effect, (made.schema, made.name))
