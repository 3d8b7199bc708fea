"""Comparing libpg_query's JSON trees, whatever the places in the text. Knows no policy and no scope."""

from __future__ import annotations

from typing import Any

_PLACES = frozenset(
    {"location", "stmt_location", "stmt_len", "rexpr_list_start", "rexpr_list_end", "list_start", "list_end"}
)


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
