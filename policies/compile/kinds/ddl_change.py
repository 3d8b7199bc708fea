"""ALTER TABLE, RENAME, TRUNCATE, CREATE INDEX, COMMENT, ANALYZE, VACUUM: of what the policy leaves as it is."""

from __future__ import annotations

from collections.abc import Callable

from policies.compile.compilation import Compilation
from policies.compile.draft import Target
from policies.compile.kinds.ddl_definitions import Definition, read_column, read_constraint, read_key
from policies.compile.kinds.ddl_names import check_new_name, qualify_objects
from policies.compile.kinds.ddl_rules import (
    changing_plan,
    check_definition,
    leave_bare,
    read_or_refuse,
    require_change,
    require_open,
    require_unread,
    require_user_relation,
    target_of,
    targets_of,
)
from policies.compile.kinds.temporary import TEMPORARY_SCHEMA, check_temporary_name
from policies.compile.scope import UnknownNode
from policies.compile.statements import Request
from policies.compile.tree import Tree, strings_of
from policies.decision import NO_EFFECT, Effect, Plan


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PLAIN = frozenset(
    {"AT_DropColumn", "AT_SetNotNull", "AT_DropNotNull", "AT_DropConstraint", "AT_ValidateConstraint"}
    | {"AT_DropExpression", "AT_DropIdentity", "AT_SetStatistics", "AT_SetCompression"}
)
_INDEX = _words(
    """idxname relation accessMethod tableSpace indexParams indexIncludingParams options whereClause unique
    nulls_not_distinct concurrent if_not_exists"""
)
_MAINTENANCE = frozenset({"analyze", "full", "freeze", "skip_locked", "index_cleanup", "truncate", "parallel"})
_RENAMED = frozenset({"OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_COLUMN", "OBJECT_TABCONSTRAINT"})


def _refuse_form(request: Request, what: str) -> Exception:
    return request.refuse(
        "0A000",
        "pgwarden/ddl",
        f"{what} can't be proven safe under a policy",
        hint="An administrator's allow-everything login can do it.",
    )


def alter_table(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """AlterTableStmt."""
    tree = request.statement.tree
    target = _open_target(compilation, request, tree["relation"], "altering")
    if tree.get("objtype") != "OBJECT_TABLE":
        raise _refuse_form(request, "this form of ALTER")
    found = Definition()
    for command in tree["cmds"]:
        read_or_refuse(request, _reading(found, command["AlterTableCmd"], is_temporary=_is_temporary(target)))
    check_definition(compilation, request, found)
    return changing_plan(compilation, plan, NO_EFFECT, (target.schema, target.name))


def _is_temporary(target: Target) -> bool:
    return target.schema == TEMPORARY_SCHEMA


def _reading(found: Definition, command: Tree, *, is_temporary: bool) -> Callable[[], None]:
    return lambda: _read_command(found, command, is_temporary=is_temporary)


def _read_command(found: Definition, command: Tree, *, is_temporary: bool) -> None:
    subtype = command.get("subtype", "")
    if command.get("behavior") == "DROP_CASCADE" and not is_temporary:
        raise UnknownNode("CASCADE")
    match subtype:
        case "AT_AddColumn" | "AT_AlterColumnType":
            read_column(found, command["def"]["ColumnDef"])
        case "AT_AddConstraint":
            read_constraint(found, command["def"]["Constraint"])
        case "AT_ColumnDefault":
            if "def" in command:
                found.expressions.append((command, "def"))
        case _ if subtype in _PLAIN:
            return
        case _:
            raise UnknownNode(f"ALTER TABLE's {subtype.removeprefix('AT_')}")


def rename(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """RenameStmt: of tables, views, columns and constraints."""
    tree = request.statement.tree
    kind = tree.get("renameType")
    is_column_of_table = kind != "OBJECT_COLUMN" or tree.get("relationType") == "OBJECT_TABLE"
    if kind not in _RENAMED or not is_column_of_table:
        require_change(compilation, request, tree.get("relation", {"relname": ""}))
        raise _refuse_form(request, "this form of RENAME")
    target = _open_target(compilation, request, tree["relation"], "renaming")
    name = (target.schema, target.name)
    if kind not in ("OBJECT_TABLE", "OBJECT_VIEW"):
        return changing_plan(compilation, plan, NO_EFFECT, name)
    new = tree["newname"]
    if _is_temporary(target):
        check_temporary_name(request, compilation.catalog, new)
        effect = Effect(makes_temporary=(new,), drops_temporary=(target.name,))
    else:
        check_new_name(compilation, request, target.schema, new)
        effect = Effect(makes_relations=((target.schema, new),), drops_relations=(name,))
    return changing_plan(compilation, plan, effect, name, (target.schema, new))


def _open_target(compilation: Compilation, request: Request, node: Tree, what: str) -> Target:
    require_change(compilation, request, node)
    target = target_of(compilation, request, node)
    require_user_relation(request, target)
    require_open(request, target, what)
    require_unread(compilation, request, target.relation)
    leave_bare(target, compilation.drafts[-1][-1])
    return target


def truncate(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """TruncateStmt. A masked table may be emptied, one with hidden rows may not."""
    tree = request.statement.tree
    nodes = [entry["RangeVar"] for entry in tree["relations"]]
    require_change(compilation, request, *nodes)
    targets = targets_of(compilation, request, nodes)
    for target in targets:
        require_user_relation(request, target)
        require_unread(compilation, request, target.relation)
        if target.body or (target.rule is not None and target.rule.filters):
            raise request.refuse(
                "42501",
                next(iter(target.rule_ids()), "pgwarden/ddl"),
                f"TRUNCATE of {target.schema}.{target.name} would remove rows that the policy hides",
                hint="DELETE removes the rows that you see.",
            )
        leave_bare(target, compilation.drafts[-1][-1])
    if tree.get("behavior") == "DROP_CASCADE" and not all(map(_is_temporary, targets)):
        raise _refuse_form(request, "TRUNCATE ... CASCADE")
    return changing_plan(compilation, plan, NO_EFFECT, *((target.schema, target.name) for target in targets))


def create_index(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """IndexStmt."""
    tree = request.statement.tree
    target = _open_target(compilation, request, tree["relation"], "making an index on")
    if set(tree) - _INDEX:
        raise _refuse_form(request, "this form of CREATE INDEX")
    found = Definition()
    read_or_refuse(request, lambda: read_key(found, tree.get("indexParams", ())))
    if "whereClause" in tree:
        found.expressions.append((tree, "whereClause"))
    check_definition(compilation, request, found)
    return changing_plan(compilation, plan, NO_EFFECT, (target.schema, target.name))


def comment(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """CommentStmt: on a table, a view or a column."""
    tree = request.statement.tree
    if tree.get("objtype") not in ("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_COLUMN"):
        require_change(compilation, request, {"relname": ""})
        raise _refuse_form(request, "this form of COMMENT")
    names = strings_of(tree["object"]["List"]["items"])
    relation = names[:-1] if tree["objtype"] == "OBJECT_COLUMN" else names
    if not 1 <= len(relation) <= 2:
        raise _refuse_form(request, "this form of COMMENT")
    node: Tree = {"relname": relation[-1], "inh": True}
    if len(relation) == 2:
        node["schemaname"] = relation[0]
    require_change(compilation, request, node)
    target = target_of(compilation, request, node)
    require_user_relation(request, target)
    require_open(request, target, "a comment on")
    items = tree["object"]["List"]["items"]
    bare = 1 + len(names) - len(relation)
    qualify_objects(compilation, request, 3, [items], [target.schema], bare=bare)
    return changing_plan(compilation, plan, NO_EFFECT, (target.schema, target.name))


def maintain(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """VacuumStmt: VACUUM and ANALYZE of named tables. VERBOSE would tell how many rows there are."""
    tree = request.statement.tree
    rels = [entry["VacuumRelation"] for entry in tree.get("rels", ())]
    nodes = [rel["relation"] for rel in rels if "relation" in rel]
    require_change(compilation, request, *(nodes or [{"relname": ""}]))
    names = {option["DefElem"].get("defname", "") for option in tree.get("options", ())}
    if not nodes or len(nodes) != len(rels) or names - _MAINTENANCE:
        raise _refuse_form(request, "this form of VACUUM or ANALYZE")
    targets = targets_of(compilation, request, nodes)
    for target, rel in zip(targets, rels, strict=True):
        if rel.get("va_cols") or target.body:
            require_open(request, target, "ANALYZE of columns of")
        require_user_relation(request, target)
        leave_bare(target, compilation.drafts[-1][-1])
    named = [(target.schema, target.name) for target in targets]
    return changing_plan(compilation, plan, NO_EFFECT, *named)
