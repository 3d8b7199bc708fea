"""Small tools over libpg_query's JSON trees: naming nodes, walking, comparing. Knows no policy and no scope."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Tree = dict[str, Any]

_PLACES = frozenset(
    {"location", "stmt_location", "stmt_len", "rexpr_list_start", "rexpr_list_end", "list_start", "list_end"}
)


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


def without_places(value: Any) -> Any:
    """A copy without byte positions, so that two readings of differently written text compare equal."""
    if isinstance(value, dict):
        return {k: without_places(v) for k, v in value.items() if k not in _PLACES}
    if isinstance(value, list):
        return [without_places(v) for v in value]
    return value


def is_same(left: Any, right: Any) -> bool:
    """Whether two trees are equal but for byte positions. Quicker than comparing copies `without_places`.

    Two subtrees that both have no positions are compared at once.
    """
    if left == right:
        return True
    if isinstance(left, dict):
        if not isinstance(right, dict):
            return False
        shared = 0
        for key, value in left.items():
            if key not in _PLACES:
                if key not in right or not is_same(value, right[key]):
                    return False
                shared += 1
        return shared == sum(key not in _PLACES for key in right)
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(is_same, left, right))
    return type(left) is type(right) and bool(left == right)


def nodes_of(value: Any) -> Iterator[tuple[str, Tree]]:
    """Every node below and at `value`, parents first, as (kind, fields)."""
    # Walks are most of what a decision costs: what can't hold a node isn't put on the stack.
    stack: list[Any] = [value] if isinstance(value, dict | list) else []
    while stack:
        current = stack.pop()
        inner = current if type(current) is list else current.values()
        if len(inner) == 1 and inner is not current:
            (key,) = current
            if key[:1].isupper():
                yield key, current[key]
        stack.extend([entry for entry in reversed(inner) if type(entry) is dict or type(entry) is list])


def contains(value: Any, kind: str) -> bool:
    return any(found == kind for found, _ in nodes_of(value))


def literal_text(node: Any) -> str | None:
    """The text of a string constant, also under a cast to a string type; None for anything else."""
    if is_node(node, "TypeCast"):
        names = strings_of(node["TypeCast"].get("typeName", {}).get("names"))
        if not names or names[-1] not in ("text", "varchar", "bpchar", "name", "unknown"):
            return None
        node = node["TypeCast"].get("arg")
    if is_node(node, "A_Const") and "sval" in node["A_Const"]:
        return str(node["A_Const"]["sval"].get("sval", ""))
    return None
