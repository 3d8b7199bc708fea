"""Small tools over libpg_query's JSON trees: naming nodes, walking. Compiled where it can be.

Knows no policy and no scope. Nothing here calls itself: compiled code has no guard against deep trees.
"""

from __future__ import annotations

from typing import Any, Final

Tree = dict[str, Any]

_NAME_BYTES: Final = 63  # the server cuts off what is longer


def node_kind(value: Any) -> str | None:
    """``SelectStmt`` for ``{"SelectStmt": {...}}``, None for anything else (fields start in lower case)."""
    if isinstance(value, dict) and len(value) == 1:
        (key,) = value
        if key[:1].isupper():
            return str(key)
    return None


def is_node(value: Any, kind: str) -> bool:
    return isinstance(value, dict) and len(value) == 1 and kind in value


def string_of(node: Any) -> str | None:
    """The text of a String node, None for another node (A_Star, A_Indices, ...)."""
    return node["String"].get("sval", "") if is_node(node, "String") else None


def strings_of(nodes: list[Any] | None) -> tuple[str, ...]:
    """The texts of a list of String nodes, e.g. a qualified name."""
    return tuple(text for text in map(string_of, nodes or ()) if text is not None)


def nodes_of(value: Any) -> list[tuple[str, Tree]]:
    """Every node below and at `value`, parents first, as (kind, fields)."""
    found: list[tuple[str, Tree]] = []
    pending: list[Any] = [value] if isinstance(value, dict | list) else []
    while pending:
        current = pending.pop()
        if type(current) is list:
            inner = current
        else:
            inner = list(current.values())
            if len(inner) == 1:
                key = next(iter(current))
                if key[:1].isupper():
                    found.append((key, inner[0]))
        at = len(inner)
        while at > 0:  # what can't hold a node isn't kept
            at -= 1
            entry = inner[at]
            if type(entry) is dict or type(entry) is list:
                pending.append(entry)
    return found


def contains(value: Any, kind: str) -> bool:
    for found, _ in nodes_of(value):  # noqa: SIM110 - compiled, an expression is no quicker
        if found == kind:
            return True
    return False


def literal_text(node: Any) -> str | None:
    """The text of a string constant, also under a cast to a string type; None for anything else.

    A cast to a length would cut it off, as one to "name" does with a long one.
    """
    most_bytes = None
    if is_node(node, "TypeCast"):
        type_name = node["TypeCast"].get("typeName", {})
        names = strings_of(type_name.get("names"))
        if not names or names[-1] not in ("text", "varchar", "bpchar", "name", "unknown"):
            return None
        if type_name.get("typmods") or type_name.get("arrayBounds"):
            return None
        most_bytes = _NAME_BYTES if names[-1] == "name" else None
        node = node["TypeCast"].get("arg")
    if is_node(node, "A_Const") and "sval" in node["A_Const"]:
        text = str(node["A_Const"]["sval"].get("sval", ""))
        return text if most_bytes is None or len(text.encode()) <= most_bytes else None
    return None
