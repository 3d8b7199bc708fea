"""How an expression of ours stands around one of the client's: the text before and behind it, and the tree of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from policies.compile.draft import Splice
from policies.compile.tree import is_node
from policies.compile.writes.expressions import Lent, value_of

# Stands for the client's expression while our own text is parsed; no client's statement has so many parameters.
_CLIENT = 60_001


@dataclass(frozen=True, slots=True)
class Form:
    """`before` and `behind` stand around the client's expression."""

    before: str
    behind: str

    def around(self, client: Any) -> Any:
        """The tree with the client's own node in its place, so that later edits reach it."""
        return _filled(value_of(f"{self.before}${_CLIENT}{self.behind}"), client)

    def put(self, start: int, end: int) -> tuple[Splice, Splice]:
        return Splice(start, start, self.before), Splice(end, end, self.behind)


def both(condition: Lent) -> Form:
    return Form(f"({condition.text}) AND (", ")")


def only_if(condition: Lent) -> Form:
    """The client's condition is run for visible rows only; both sides of AND may be run in any order."""
    return Form(f"CASE WHEN ({condition.text}) THEN (", ") ELSE false END")


def only_if_or_fail(condition: Lent, failure: str) -> Form:
    return Form(f"CASE WHEN ({condition.text}) THEN (", f") ELSE {failure} END")


def value_or_fail(condition: Lent, failure: str) -> Form:
    """The client's value of a row that satisfies the condition."""
    return Form(f"CASE WHEN (CASE WHEN ({condition.text}) THEN true ELSE {failure} END) THEN (", ") END")


def _filled(value: Any, client: Any) -> Any:
    if is_node(value, "ParamRef") and value["ParamRef"].get("number") == _CLIENT:
        return client
    if isinstance(value, dict):
        return {key: _filled(entry, client) for key, entry in value.items()}
    if isinstance(value, list):
        return [_filled(entry, client) for entry in value]
    return value
