"""Makes a counterexample small: drops clauses, list entries and whole subtrees while it stays one.

sqlglot may write a statement otherwise than it was: whoever asks says of every candidate whether it still holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

Holds = Callable[[str], bool]
_MOST_TRIES = 500
_DIALECT = "postgres"


def shrunk(sql: str, holds: Holds) -> str:
    """The smallest text found for which `holds`; `sql` itself when nothing shorter does or it can't be read."""
    best, tries = sql, 0
    while tries < _MOST_TRIES:
        for candidate in _smaller(best):
            tries += 1
            if holds(candidate):
                best = candidate
                break
            if tries >= _MOST_TRIES:
                break
        else:
            break
    return best


def _smaller(sql: str) -> Iterator[str]:
    """Every text with one thing less, the shortest first; each once."""
    found: dict[str, None] = {}
    try:
        tree = sqlglot.parse_one(sql, read=_DIALECT)
        found[tree.sql(_DIALECT, comments=False)] = None
        for place in range(sum(1 for _ in tree.walk())):
            found |= dict.fromkeys(_edited(tree, place))
    except SqlglotError:
        return
    yield from sorted((text for text in found if len(text) < len(sql)), key=len)


def _edited(tree: exp.Expression, place: int) -> Iterator[str]:
    """The tree without what stands at a place, and with each of its children instead."""
    below = [None, *range(len(list(_children(_at(tree, place)))))]
    for child in below:
        copy = tree.copy()
        node = _at(copy, place)
        if child is None:
            if node is copy:
                continue
            node.pop()
        else:
            kept = list(_children(node))[child]
            if node is copy:
                copy = kept
            else:
                node.replace(kept)
        try:
            yield copy.sql(_DIALECT, comments=False)
        except (SqlglotError, AttributeError, ValueError, LookupError, TypeError):
            continue  # a tree without what its writer needs


def _at(tree: exp.Expression, place: int) -> exp.Expression:
    return next(node for number, node in enumerate(tree.walk()) if number == place)


def _children(node: exp.Expression) -> Iterator[exp.Expression]:
    yield from (child for child in node.iter_expressions() if isinstance(child, exp.Expression))
