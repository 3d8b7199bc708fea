"""Functions by allow-list: built-ins that were reviewed, others only where a policy names them.

Attribute notation calls functions too: ``('/etc/passwd'::text).pg_read_file`` is a call, so is ``alias.function``.
"""

from __future__ import annotations

from policies.compile.builtins import (
    ALLOWED_ON_VISIBLE,
    CHANNEL_FUNCTIONS,
    SETTING_READABLE,
    SETTING_READERS,
    SETTING_WRITERS,
    SETTINGS_OF_ANY_VALUE,
    SETTINGS_SETTABLE,
)
from policies.compile.draft import Draft, Target
from policies.compile.function_table import is_allowed, refusal_of, signatures
from policies.compile.rules.sequence_functions import SEQUENCE_FUNCTIONS, guard_sequence
from policies.compile.rules.settings import path_set_by
from policies.compile.scope import FromItem, Reference
from policies.compile.tree import Tree, is_node, literal_text, string_of, strings_of
from policies.model import Statement
from policies.resolve import is_function_allowed
from policies.waiting import function_waits


def check_functions(draft: Draft) -> None:
    """Raises Refused for the first call that isn't allowed.

    `functions: {allow: ["*"]}` lets all user functions run, never a built-in that reads files or runs SQL from text.
    """
    for call in draft.facts.functions:
        _check_call(draft, call)
    for names, location in draft.facts.operators:
        _check_operator(draft, names[-1], location)


def check_attributes(draft: Draft) -> None:
    """Attribute notation, checked once relations are resolved: a known column is no call."""
    for reference in draft.facts.references:
        _check_reference(draft, reference)
    for name, node in draft.facts.attributes:
        if not (_may_be_attribute(draft, name) or _is_column_of_argument(draft, name, node)):
            raise _refused(draft, (name,), node.get("location", -1), 1)


def _check_call(draft: Draft, call: Tree) -> None:
    *schema, name = strings_of(call["funcname"])
    location = call.get("location", -1)
    definers = draft.catalog.user_functions.get(name, frozenset())
    is_builtin = not definers if not schema else schema == ["pg_catalog"] and "pg_catalog" not in definers
    if is_builtin and name in SETTING_READERS | SETTING_WRITERS:
        _check_setting(draft, call, name)
    elif is_builtin and name in CHANNEL_FUNCTIONS:
        _check_channels(draft, name, location)
    elif is_builtin and name in SEQUENCE_FUNCTIONS:
        guard_sequence(draft, call)
    elif is_builtin and name in ALLOWED_ON_VISIBLE:
        return  # rules/arguments looks after it
    elif not _is_allowed(draft, schema[-1] if schema else None, name, _arguments_of(call)):
        raise _refused(draft, (*schema, name), location, _arguments_of(call))


def _arguments_of(call: Tree) -> int | None:
    """How many arguments the server matches; None when names or VARIADIC leave it open which they are."""
    given = call.get("args") or []
    if call.get("func_variadic") or any(is_node(argument, "NamedArgExpr") for argument in given):
        return None
    return len(given) + (len(call.get("agg_order") or ()) if call.get("agg_within_group") else 0)


def _is_allowed(draft: Draft, schema: str | None, name: str, count: int | None) -> bool:
    """Without a schema, the server may choose any function of the name that stands on the path: all must be allowed.

    A function that a user made in pg_catalog has a number of a user's, and is a user's.
    """
    definers = draft.catalog.user_functions.get(name, frozenset())
    if schema is not None:
        definers &= {schema}
    if not all(is_function_allowed(draft.policy, definer, name) for definer in definers):
        return False
    if schema in (None, "pg_catalog", "information_schema"):
        builtin = schema or "pg_catalog"
        return is_allowed(name, count, builtin) or (bool(definers) and not signatures(name, count, builtin))
    return is_function_allowed(draft.policy, schema, name)


def _check_setting(draft: Draft, call: Tree, name: str) -> None:
    """Settings by literal name only, and none that changes what statements mean, but for a search_path that can be
    followed: the call must be the whole statement, not a part of a cursor or a prepared statement.
    """
    if draft.facts.top is not None and path_set_by(draft.statement.tree) is not None:
        return
    given = call.get("args") or []
    arguments = [literal_text(argument) for argument in given]
    setting = (arguments[0] if arguments else None) or _named_by_condition(draft, call) or ""
    if name in SETTING_READERS:
        # A name that isn't literal is looked up when the statement runs: rules/arguments.
        is_fine = setting.lower() in SETTING_READABLE or arguments[:1] == [None]
    else:
        check = SETTINGS_SETTABLE.get(setting.lower())
        value = arguments[1] if len(arguments) > 1 else None
        is_any_value = len(given) > 1 and _is_parameter(given[1]) and setting.lower() in SETTINGS_OF_ANY_VALUE
        is_fine = is_any_value or (check is not None and value is not None and check(value))
    if not is_fine:
        raise draft.refuse(
            "42501",
            "pgwarden/settings",
            f"{name} is not allowed for this setting under a policy",
            hint="Name one of the allowed settings as a literal.",
            at=call.get("location", -1),
        )


def _named_by_condition(draft: Draft, call: Tree) -> str | None:
    """``SELECT set_config(name, ...) FROM pg_settings WHERE name = 'x'``, as pg_dump sets what older servers lack."""
    tree = draft.statement.tree
    if set(tree) != {"targetList", "fromClause", "whereClause", "limitOption", "op"}:
        return None
    targets, sources, condition = tree["targetList"], tree["fromClause"], tree["whereClause"]
    is_call = len(targets) == 1 and targets[0]["ResTarget"].get("val") == {"FuncCall": call}
    is_plain = is_call and len(sources) == 1 and is_node(sources[0], "RangeVar") and is_node(condition, "A_Expr")
    if not is_plain or not _is_name((call.get("args") or [None])[0]):
        return None
    test = condition["A_Expr"]
    is_equality = test.get("kind") == "AEXPR_OP" and strings_of(test.get("name")) == ("=",)
    return literal_text(test.get("rexpr")) if is_equality and _is_name(test.get("lexpr")) else None


def _is_name(node: Tree | None) -> bool:
    return node is not None and is_node(node, "ColumnRef") and strings_of(node["ColumnRef"]["fields"]) == ("name",)


def _check_channels(draft: Draft, name: str, location: int) -> None:
    if draft.policy.statements.isdisjoint((Statement.LISTEN, Statement.ALL)):
        raise draft.refuse(
            "42501",
            draft.policy.statements_rule or "pgwarden/default",
            f"{name} is not allowed for {draft.policy.principal.user}",
            hint="Let a policy of this user list listen under statements.",
            at=location,
        )


def _is_parameter(node: Tree) -> bool:
    """``$1`` or ``$1::text``: a value that the client has anyway, not one out of a row."""
    while is_node(node, "TypeCast"):
        node = node["TypeCast"].get("arg", {})
    return is_node(node, "ParamRef")


def _check_operator(draft: Draft, name: str, location: int) -> None:
    if name in draft.catalog.user_operators:
        raise draft.refuse(
            "42501",
            "pgwarden/functions",
            f"operator {name} is user-defined and runs code that no policy allows",
            at=location,
        )


def _may_be_attribute(draft: Draft, name: str) -> bool:
    """Whether ``x.name`` is harmless even if it is a call."""
    return _is_allowed(draft, None, name, 1) or (
        name not in draft.catalog.function_names and name not in draft.catalog.user_functions
    )


def _check_reference(draft: Draft, reference: Reference) -> None:
    name = reference.names[-1]
    if len(reference.names) < 2 or name is None or _may_be_attribute(draft, name):
        return
    if not _is_column_of_alias(draft, reference.names[-2] or "", name):
        raise _refused(draft, (name,), reference.location, 1)


def _is_column_of_alias(draft: Draft, alias: str, name: str) -> bool:
    """Whether the name is a column wherever that alias stands in the statement.

    All of them, not the nearest: a subquery in FROM can't see its later siblings, so the nearest may be the wrong one.
    """
    items = [item for block in draft.facts.blocks for item in block.items if item.alias == alias]
    return bool(items) and all(has_column(draft, item, name) for item in items)


def _is_column_of_argument(draft: Draft, name: str, node: Tree) -> bool:
    """``(c).email`` with `c` an alias whose columns are known."""
    argument = node.get("arg")
    if argument is None or not is_node(argument, "ColumnRef"):
        return False
    names = strings_of(argument["ColumnRef"]["fields"])
    return len(names) == 1 and _is_column_of_alias(draft, names[0], name)


def has_column(draft: Draft, item: FromItem, name: str) -> bool:
    """Whether an alias certainly has a column of that name, which then hides a function of that name."""
    if item.column_aliases:
        return name in item.column_aliases
    target: Target | None = draft.target_of(item)
    if target is not None:
        return any(column.name == name for column in target.visible_columns)
    if item.kind == "subquery":
        return name in _output_names(item.node["subquery"]["SelectStmt"])
    if item.kind == "cte" and item.cte is not None:
        listed = strings_of(item.cte.get("aliascolnames"))
        return name in (listed or _cte_names(item.cte["ctequery"]))
    return False


def _cte_names(query: Tree) -> set[str]:
    """A write in WITH gives the columns of its RETURNING."""
    ((kind, node),) = query.items()
    return _output_names(node) if kind == "SelectStmt" else _target_names(node.get("returningClause", {}).get("exprs"))


def _output_names(select: Tree) -> set[str]:
    while select.get("op", "SETOP_NONE") != "SETOP_NONE":
        select = select["larg"]
    return _target_names(select.get("targetList"))


def _target_names(targets: list[Tree] | None) -> set[str]:
    """Output columns whose names are sure: those with AS, and plain columns."""
    names: set[str] = set()
    for target in targets or ():
        node = target["ResTarget"]
        if "name" in node:
            names.add(node["name"])
        elif is_node(node.get("val"), "ColumnRef"):
            last = string_of(node["val"]["ColumnRef"]["fields"][-1])
            names.update([last] if last is not None else [])
    return names


def _refused(draft: Draft, names: tuple[str, ...], location: int, count: int | None) -> Exception:
    """A built-in says what is wrong with it; a policy can't allow that. A user's function only has to be allowed."""
    does, hint = refusal_of(names[-1], count) if names[:-1] in ((), ("pg_catalog",)) else ("", "")
    rule = "pgwarden/functions" if does else draft.policy.functions_rule or "pgwarden/functions"
    known = isinstance(rule, str)
    waits = "" if does or len(names) == 1 else function_waits(draft.policy, *names[-2:])
    return draft.refuse(
        "42501",
        rule,
        f"function {'.'.join(names)} is not allowed" + (f": it {does}" if does else ""),
        detail=waits or ("Only reviewed built-in functions run under a policy." if known else ""),
        hint=hint or "A policy can allow functions of its own schemas under functions.allow, as schema.name.",
        at=location,
    )
