"""CREATE SCHEMA, SEQUENCE, TYPE AS ENUM and composite types: objects that hold no rows and run no code."""

from __future__ import annotations

from collections.abc import Iterable

from policies.compile.compilation import Compilation
from policies.compile.kinds.ddl_definitions import Definition, read_column, require_sequence_options
from policies.compile.kinds.ddl_names import check_schema, new_name, new_schema, qualify_objects
from policies.compile.kinds.ddl_rules import changing_plan, check_definition, read_or_refuse
from policies.compile.statements import Request, require_grant
from policies.compile.tree import Tree, strings_of
from policies.decision import NO_EFFECT, Plan
from policies.model import Statement as Grant


def create_schema(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """CreateSchemaStmt: empty, and the gateway's own."""
    require_grant(request, Grant.DDL)
    tree = request.statement.tree
    if set(tree) - {"schemaname", "if_not_exists"}:
        raise request.refuse("0A000", "pgwarden/ddl", "CREATE SCHEMA with more than a name can't be proven safe")
    check_schema(compilation, request, tree["schemaname"])
    return changing_plan(compilation, plan, NO_EFFECT)


def create_sequence(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """CreateSeqStmt."""
    tree = request.statement.tree
    made = new_name(compilation, request, tree["sequence"], tree)
    read_or_refuse(request, lambda: require_sequence_options(tree.get("options", ())))
    # What it is read by (nextval, its relation) has rules of its own, so a permanent one needn't be known at once.
    effect = made.made() if made.is_temporary and not tree.get("if_not_exists") else NO_EFFECT
    return changing_plan(compilation, plan, effect, (made.schema, made.name))


def create_enum(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """CreateEnumStmt."""
    require_grant(request, Grant.DDL)
    names = request.statement.tree["typeName"]
    parts = strings_of(names)
    schema = new_schema(compilation, request, parts[-2] if len(parts) > 1 else None)
    check_schema(compilation, request, schema)
    qualify_objects(compilation, request, 2, [names], [schema])
    return changing_plan(compilation, plan, NO_EFFECT)


def create_composite(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """CompositeTypeStmt."""
    tree = request.statement.tree
    made = new_name(compilation, request, tree["typevar"])
    if made.is_temporary:
        raise request.refuse("0A000", "pgwarden/ddl", "temporary types can't be guarded")
    found = Definition()
    read_or_refuse(request, lambda: _read_columns(found, tree.get("coldeflist", ())))
    check_definition(compilation, request, found)
    return changing_plan(compilation, plan, NO_EFFECT, (made.schema, made.name))


def _read_columns(found: Definition, columns: Iterable[Tree]) -> None:
    for column in columns:
        read_column(found, column["ColumnDef"])
