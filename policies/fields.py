"""Reads keys and typed values out of YAML nodes and collects what is wrong. Knows no policy.

Readers return None where a value is unusable; the problem is then already noted, so callers just go on and
find the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from difflib import get_close_matches
from typing import TypeVar

from policies.errors import PoliciesError, Problem
from policies.model import Source
from policies.yaml_nodes import Mapping, Node, Scalar, Sequence

T = TypeVar("T")

MAX_TEXT_CHARACTERS = 20_000


def closest(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` or nothing."""
    matches = get_close_matches(word, [str(name) for name in known], n=1, cutoff=0.6)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def kind_of(node: Node) -> str:
    """What stands there, in a reader's words."""
    match node:
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
        case Scalar(value=None):
            return "nothing"
        case Scalar(value=bool()):
            return f"the truth value {node.text}"
        case Scalar(value=int() | float()):
            return f"the number {node.text}"
        case _:
            return "text"


class Fields:
    """The problems of one load, and readers that add to them."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems

    def report(self, place: Node | Source, message: str) -> None:
        source = place if isinstance(place, Source) else place.source
        self.problems.append(Problem(source, message))

    def attempt(self, place: Node | Source, action: Callable[[], T]) -> T | None:
        """`action`'s result, or None after noting the PoliciesError that it raised."""
        try:
            return action()
        except PoliciesError as error:
            self.report(place, str(error))
            return None

    def mapping(
        self, node: Node, what: str, known: Collection[str], later: Collection[str] = ()
    ) -> dict[str, Node] | None:
        """The entries by key. Keys of `later` are documented but don't work yet: an error that says so."""
        if not isinstance(node, Mapping):
            self.report(node, f"{what} must be a mapping ({', '.join(known)}), not {kind_of(node)}")
            return None
        entries: dict[str, Node] = {}
        for key, value in node.entries:
            if key.text in known:
                entries[key.text] = value
            elif key.text in later:
                self.report(key, f"{key.text!r} in {what} is not supported yet; it would not be enforced")
            else:
                self.report(key, f"unknown key {key.text!r} in {what}{closest(key.text, known)}")
        return entries

    def require(self, entries: dict[str, Node], key: str, what: str, place: Node) -> Node | None:
        if key not in entries:
            self.report(place, f"{what} needs {key!r}")
        return entries.get(key)

    def items(self, node: Node | None, what: str) -> tuple[Node, ...] | None:
        if node is None:
            return None
        if isinstance(node, Sequence):
            return node.items
        self.report(node, f"{what} must be a list, not {kind_of(node)}")
        return None

    def text(self, node: Node | None, what: str) -> str | None:
        """A text that isn't empty."""
        if node is None:
            return None
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            quotes = "; put it in quotes" if isinstance(node, Scalar) and node.value is not None else ""
            self.report(node, f"{what} must be text, not {kind_of(node)}{quotes}")
            return None
        if not node.value.strip():
            self.report(node, f"{what} is empty")
            return None
        if len(node.value) > MAX_TEXT_CHARACTERS:
            self.report(node, f"{what} is longer than {MAX_TEXT_CHARACTERS} characters")
            return None
        return node.value

    def texts(self, node: Node | None, what: str) -> Iterator[tuple[Node, str]]:
        """The texts of a list with their places."""
        for item in self.items(node, what) or ():
            text = self.text(item, f"an entry of {what}")
            if text is not None:
                yield item, text

    def parsed(self, node: Node | None, what: str, parse: Callable[[str], T]) -> list[tuple[Node, T]]:
        """Each text of a list, parsed; duplicates are problems."""
        found: dict[T, Node] = {}
        for item, text in self.texts(node, what):
            value = self.attempt(item, lambda text=text: parse(text))  # type: ignore[misc]
            if value is None:
                continue
            if value in found:
                self.report(item, f"{text!r} stands twice in {what}")
                continue
            found[value] = item
        return [(item, value) for value, item in found.items()]

    def boolean(self, node: Node, what: str) -> bool | None:
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        self.report(node, f"{what} must be true or false, not {kind_of(node)}")
        return None

    def whole_number(self, node: Node, what: str, maximum: int) -> int | None:
        """From 1 to `maximum`."""
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= maximum:
            return value
        self.report(node, f"{what} must be a whole number from 1 to {maximum}, not {kind_of(node)}")
        return None

    def price(self, node: Node, what: str) -> float | None:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
            return float(value)
        self.report(node, f"{what} must be a number from 0 up, not {kind_of(node)}")
        return None
