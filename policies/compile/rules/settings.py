"""SET, SHOW and RESET of an allow-list of settings: none of them may change what a statement means."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from policies.catalog import Namespace
from policies.compile.builtins import SETTING_READABLE, SETTINGS_SETTABLE
from policies.compile.statements import Request
from policies.compile.tree import Tree, is_node, literal_text, strings_of
from policies.decision import NO_EFFECT, Effect

RULE = "pgwarden/settings"
_BLANKS = " \t\n\r\f\v"
# A pool's reset takes these back to what they were at the login, as DISCARD ALL does: no client can have moved them.
_IDENTITIES = frozenset({"role", "session_authorization"})
_RESETS = frozenset({"VAR_RESET", "VAR_SET_DEFAULT"})
# One name of a list, quoted or not, with the comma behind it.
_IDENTIFIER = re.compile(
    r"""[ \t\n\r\f\v]*
    (?: "((?:[^"]|"")*)" | ([^",\ \t\n\r\f\v][^,\ \t\n\r\f\v]*) )
    [ \t\n\r\f\v]*(,?)""",
    re.VERBOSE,
)
_TRANSACTION_MODES = frozenset({"TRANSACTION", "SESSION CHARACTERISTICS"})


def check_set(request: Request, namespace: Callable[[], Namespace]) -> Effect:
    """VariableSetStmt. Raises Refused. `namespace` gives what FROM CURRENT takes."""
    tree = request.statement.tree
    kind, name = tree.get("kind"), str(tree.get("name", "")).lower()
    if kind == "VAR_RESET_ALL":
        return Effect(resets_search_path=True)
    if kind == "VAR_SET_MULTI" and tree.get("name") in _TRANSACTION_MODES:
        return NO_EFFECT
    if name == "search_path":
        return _search_path(request, tree, namespace)
    if name in _IDENTITIES and kind in _RESETS:
        return NO_EFFECT
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


def _search_path(request: Request, tree: Tree, namespace: Callable[[], Namespace]) -> Effect:
    is_local = bool(tree.get("is_local"))
    match tree.get("kind"):
        case "VAR_SET_VALUE":
            names = [_constant(node) for node in tree.get("args", ())]
        case "VAR_SET_CURRENT":
            names = list(namespace().search_path)
        case _:
            return Effect(resets_search_path=True, is_local=is_local)
    path = tuple(name for name in names if name is not None)
    if len(path) < len(names) or not _is_followed(path):
        raise request.refuse(
            "0A000",
            "pgwarden/search_path",
            "this search_path can't be followed",
            hint="Leave pg_temp out, and pg_catalog out or in front; qualify names otherwise.",
        )
    return Effect(search_path=_named(path), is_local=is_local)


def path_set_by(select: Tree) -> Effect | None:
    """What ``SELECT set_config('search_path', 'a, b', false)`` does when it is nothing but that, as pg_dump sends it.

    None for all other queries, so that no other way to move the path is open: a row might decide it.
    """
    targets = select.get("targetList") or []
    if len(targets) != 1 or not set(select) <= {"targetList", "limitOption", "op"}:
        return None
    value = targets[0]["ResTarget"].get("val")
    if not is_node(value, "FuncCall") or strings_of(value["FuncCall"]["funcname"])[-1] != "set_config":
        return None
    arguments = value["FuncCall"].get("args") or []
    if len(arguments) != 3 or (literal_text(arguments[0]) or "").lower() != "search_path":
        return None
    path, is_local = identifiers_of(literal_text(arguments[1])), _boolean(arguments[2])
    if path is None or is_local is None or not _is_followed(path):
        return None
    return Effect(search_path=_named(path), is_local=is_local)


def identifiers_of(text: str | None) -> tuple[str, ...] | None:
    """The names in a setting's list as the server splits and folds it; None when it would not take it."""
    if text is None or not text.strip(_BLANKS):
        return None if text is None else ()
    names, at = [], 0
    while True:
        found = _IDENTIFIER.match(text, at)
        if found is None:
            return None
        quoted, plain, after = found.groups()
        names.append(quoted.replace('""', '"') if quoted is not None else _lower(plain))
        at = found.end()
        if not after:
            return tuple(names) if at == len(text) else None


def followed_path(text: str) -> tuple[str, ...] | None:
    """The names in a search_path that comes with a startup packet; None when the server or we can't take it."""
    path = identifiers_of(text)
    return path if path is not None and _is_followed(path) else None


def _lower(name: str) -> str:
    """Only ASCII letters are folded."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


def _is_followed(path: tuple[str, ...]) -> bool:
    """Not pg_temp, which the server finds by another name, and no schema that comes before pg_catalog: what stands
    there could change the meaning of a guard's operators."""
    return not any(name.startswith("pg_temp") for name in path) and "pg_catalog" not in path[1:]


def _named(path: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in path if name)


def _boolean(node: Any) -> bool | None:
    if is_node(node, "A_Const") and "boolval" in node["A_Const"]:
        return bool(node["A_Const"]["boolval"].get("boolval"))
    return None


def _value_text(tree: Tree) -> str:
    """The value as the server will read it, several joined by commas; a value that isn't constant reads as \\0."""
    return ", ".join(_constant(node) or "\0" for node in tree.get("args", ()))


def _constant(node: Any) -> str | None:
    if is_node(node, "TypeCast"):  # SET TIME ZONE INTERVAL '+01:00' HOUR TO MINUTE
        node = node["TypeCast"].get("arg")
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
