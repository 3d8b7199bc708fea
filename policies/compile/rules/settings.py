"""SET, SHOW and RESET of an allow-list of settings: none of them may change what a statement means."""

from __future__ import annotations

from typing import Any

from policies.compile.builtins import SETTING_READABLE, SETTINGS_SETTABLE
from policies.compile.statements import Request
from policies.compile.tree import Tree, is_node
from policies.decision import NO_EFFECT, Effect

RULE = "pgwarden/settings"
_TRANSACTION_MODES = frozenset({"TRANSACTION", "SESSION CHARACTERISTICS"})


def check_set(request: Request) -> Effect:
    """VariableSetStmt. Raises Refused."""
    tree = request.statement.tree
    kind, name = tree.get("kind"), str(tree.get("name", "")).lower()
    if kind == "VAR_RESET_ALL":
        return Effect(resets_search_path=True)
    if kind == "VAR_SET_MULTI" and tree.get("name") in _TRANSACTION_MODES:
        return NO_EFFECT
    if name == "search_path":
        return _search_path(request, tree)
    check = SETTINGS_SETTABLE.get(name)
    if check is None or kind == "VAR_SET_MULTI":
        raise request.refuse(
            "42501",
            RULE,
            f"setting {name} can't be changed under a policy",
            hint=f"These can: {', '.join(sorted(SETTINGS_SETTABLE))}, search_path.",
        )
    if kind == "VAR_SET_VALUE" and not check(_value_text(tree)):
        raise request.refuse("42501", RULE, f"setting {name} can't have this value under a policy")
    return NO_EFFECT


def _search_path(request: Request, tree: Tree) -> Effect:
    if tree.get("is_local") or request.count > 1:
        raise request.refuse(
            "0A000",
            "pgwarden/search_path",
            "search_path can only be set for the session and as a statement of its own",
            hint="Send SET search_path alone, outside a transaction block, or qualify the names.",
        )
    if tree.get("kind") != "VAR_SET_VALUE":
        return Effect(resets_search_path=True)
    names = [_constant(node) for node in tree.get("args", ())]
    if any(name is None or name.startswith("pg_temp") for name in names) or "pg_catalog" in names[1:]:
        raise request.refuse("0A000", "pgwarden/search_path", "this search_path can't be followed")
    return Effect(search_path=tuple(name for name in names if name and name != "$user"))


def _value_text(tree: Tree) -> str:
    """The value as the server will read it, several joined by commas; a value that isn't constant reads as \\0."""
    return ", ".join(_constant(node) or "\0" for node in tree.get("args", ()))


def _constant(node: Any) -> str | None:
    if not is_node(node, "A_Const"):
        return None
    value = node["A_Const"]
    match next(iter(key for key in value if key != "location"), None):
        case "sval":
            return str(value["sval"].get("sval", ""))
        case "ival":
            return str(value["ival"].get("ival", 0))
        case "fval":
            return str(value["fval"].get("fval", "0"))
        case "boolval":
            return "true" if value["boolval"].get("boolval") else "false"
    return None


def check_show(request: Request) -> Effect:
    """VariableShowStmt. Raises Refused."""
    name = str(request.statement.tree.get("name", "")).lower()
    if name not in SETTING_READABLE:
        raise request.refuse(
            "42501",
            RULE,
            f"setting {name} is not readable under a policy",
            hint="SHOW works for single settings that tell how to talk to the server.",
        )
    return NO_EFFECT
