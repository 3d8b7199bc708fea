"""YAML text to plain nodes that know their file, line and column. Knows YAML, not what a policy is.

Everything that YAML lets a writer do by accident is a problem here: a key given twice, ``no`` that becomes
false, ``010`` that becomes 8, aliases that expand to millions of nodes. Anchors, aliases and ``<<`` work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from policies.errors import Problem
from policies.model import Source

MAX_FILE_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_NODES = 200_000  # after aliases are expanded
MAX_NUMBER_CHARACTERS = 100
# Their values are dates and stay text; elsewhere a date is an accident.
DATE_KEYS = frozenset({"expires", "from", "until"})

Plain = str | int | float | bool | None

_TAG = "tag:yaml.org,2002:"
_BOOLEANS = {"true": True, "false": False}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z", re.ASCII)
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)?\.?[0-9]*([eE][-+]?[0-9]+)?\Z", re.ASCII)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Scalar:
    """`value` is typed; `text` is what was written, without quotes."""

    value: Plain
    text: str
    source: Source


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]
    source: Source


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys are texts and unique. `source` is where the mapping starts; a key has its own."""

    entries: tuple[tuple[Scalar, Node], ...]
    source: Source

    def get(self, key: str) -> Node | None:
        return next((node for name, node in self.entries if name.text == key), None)


Node = Scalar | Sequence | Mapping


def read_yaml(data: bytes, file: str, problems: list[Problem]) -> Node | None:
    """The document in `data`, or None when it is empty or unreadable; what is wrong goes to `problems`."""
    start = Source(file, 1, 1)
    if len(data) > MAX_FILE_BYTES:
        problems.append(Problem(start, f"the file is larger than {MAX_FILE_BYTES} bytes"))
        return None
    try:
        root = _compose(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        problems.append(Problem(_source_of_byte(data, error.start, file), "the file is not UTF-8"))
        return None
    except yaml.reader.ReaderError as error:
        place = _source_of_character(data.decode("utf-8-sig"), error.position, file)
        problems.append(Problem(place, "a control character, which YAML doesn't allow"))
        return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = _source(mark, file) if mark else start
        problems.append(Problem(place, _parser_message(error)))
        return None
    if root is None:
        return None
    return _Converter(file, problems).convert_root(root)


class _BoundedLoader(yaml.SafeLoader):
    """Stops at nesting that would exhaust the stack (the composer recurses)."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node | None:
        self.depth += 1
        if self.depth > 2 * MAX_DEPTH:
            mark = self.get_mark()
            raise yaml.composer.ComposerError(None, None, f"nested deeper than {MAX_DEPTH} levels", mark)
        try:
            return super().compose_node(parent, index)  # type: ignore[arg-type]
        finally:
            self.depth -= 1


def _compose(text: str) -> yaml.Node | None:
    loader = _BoundedLoader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _parser_message(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "can't be read"
    return f"not valid YAML: {error.context}, {problem}" if error.context else f"not valid YAML: {problem}"


def _source(mark: yaml.error.Mark, file: str) -> Source:
    return Source(file, mark.line + 1, mark.column + 1)


def _source_of_byte(data: bytes, position: int, file: str) -> Source:
    return _source_of_character(data[:position].decode("utf-8", "replace"), position, file)


def _source_of_character(text: str, position: int, file: str) -> Source:
    before = text[:position]
    return Source(file, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


class _UnusableNodeError(Exception):
    """Internal: the node at `mark` can't be part of a policy file."""

    def __init__(self, node: yaml.Node, message: str) -> None:
        self.node = node
        super().__init__(message)


class _Converter:
    """Turns composed nodes into ours, once per node however many aliases point to it."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self._file = file
        self._problems = problems
        self._done: dict[int, Node | None] = {}

    def convert_root(self, root: yaml.Node) -> Node | None:
        try:
            size = _expanded_size(root, {}, set(), 0)
        except _UnusableNodeError as error:
            self._report(error.node, str(error))
            return None
        if size > MAX_NODES:
            self._report(root, f"more than {MAX_NODES} values once its aliases are expanded")
            return None
        return self._convert(root)

    def _report(self, node: yaml.Node, message: str) -> None:
        self._problems.append(Problem(_source(node.start_mark, self._file), message))

    def _convert(self, node: yaml.Node) -> Node | None:
        if id(node) not in self._done:
            self._done[id(node)] = self._convert_new(node)
        return self._done[id(node)]

    def _convert_new(self, node: yaml.Node) -> Node | None:
        source = _source(node.start_mark, self._file)
        match node:
            case yaml.MappingNode() if node.tag == _TAG + "map":
                return Mapping(tuple(self._entries(node)), source)
            case yaml.SequenceNode() if node.tag == _TAG + "seq":
                items = (self._convert(item) for item in node.value)
                return Sequence(tuple(item for item in items if item is not None), source)
            case yaml.ScalarNode():
                return self._scalar(node, source)
            case _:
                self._report(node, f"the tag {node.tag.removeprefix(_TAG)!r} is not supported")
                return None

    def _scalar(self, node: yaml.ScalarNode, source: Source) -> Scalar | None:
        try:
            return Scalar(_plain(node), node.value, source)
        except _UnusableNodeError as error:
            self._report(node, str(error))
            return None

    def _date(self, node: yaml.Node) -> Node | None:
        if isinstance(node, yaml.ScalarNode) and node.tag == _TAG + "timestamp":
            return Scalar(node.value, node.value, _source(node.start_mark, self._file))
        return self._convert(node)

    def _entries(self, node: yaml.MappingNode) -> Iterator[tuple[Scalar, Node]]:
        """Own keys first; keys that ``<<`` brings in count only where the mapping has none of its own."""
        first: dict[str, Source] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                merged.append(value_node)
                continue
            key = self._key(key_node)
            value = self._date(value_node) if key and key.text in DATE_KEYS else self._convert(value_node)
            if key is None:
                continue
            if key.text in first:
                line = first[key.text].line
                self._report(key_node, f"the key {key.text!r} is given twice (first on line {line})")
                continue
            first[key.text] = key.source
            if value is not None:
                yield key, value
        yield from self._merged(merged, set(first))

    def _merged(self, nodes: list[yaml.Node], taken: set[str]) -> Iterator[tuple[Scalar, Node]]:
        for node in nodes:
            for base in node.value if isinstance(node, yaml.SequenceNode) else [node]:
                converted = self._convert(base)
                if not isinstance(converted, Mapping):
                    self._report(base, "'<<' takes a mapping or a list of mappings")
                    continue
                for key, value in converted.entries:
                    if key.text not in taken:
                        taken.add(key.text)
                        yield key, value

    def _key(self, node: yaml.Node) -> Scalar | None:
        key = self._convert(node)
        if key is None or (isinstance(key, Scalar) and isinstance(key.value, str)):
            return key
        self._report(node, "a key must be text; put it in quotes")
        return None


def _expanded_size(node: yaml.Node, sizes: dict[int, int], open_nodes: set[int], depth: int) -> int:
    """Nodes below and with `node`, aliases counted in full. Linear in the nodes as written."""
    if id(node) in sizes:
        return sizes[id(node)]
    if id(node) in open_nodes:
        raise _UnusableNodeError(node, "an alias inside its own anchor")
    if depth > MAX_DEPTH:
        raise _UnusableNodeError(node, f"nested deeper than {MAX_DEPTH} levels")
    open_nodes.add(id(node))
    size = 1 + sum(_expanded_size(child, sizes, open_nodes, depth + 1) for child in _children(node))
    open_nodes.discard(id(node))
    sizes[id(node)] = size
    return size


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    match node:
        case yaml.MappingNode():
            for key, value in node.value:
                yield key
                yield value
        case yaml.SequenceNode():
            yield from node.value


def _plain(node: yaml.ScalarNode) -> Plain:
    text: str = node.value
    if _UNSTORABLE.search(text):
        raise _UnusableNodeError(node, "a character that PostgreSQL can't store (NUL or a lone surrogate)")
    match node.tag.removeprefix(_TAG):
        case "str":
            return text
        case "null":
            return None
        case "bool":
            return _boolean(node, text)
        case "int" | "float" as kind:
            return _number(node, text, kind)
        case "timestamp":
            raise _UnusableNodeError(node, f"{text} is a date in YAML; put it in quotes to make it text")
        case other:
            raise _UnusableNodeError(node, f"the tag {other!r} is not supported")


def _boolean(node: yaml.Node, text: str) -> bool:
    if text.lower() not in _BOOLEANS:
        message = f"{text} means a truth value in YAML; write true or false, or put it in quotes"
        raise _UnusableNodeError(node, message)
    return _BOOLEANS[text.lower()]


def _number(node: yaml.Node, text: str, kind: str) -> int | float:
    """Decimal numbers only: YAML 1.1 would read 010 as 8 and 1:30 as 90."""
    pattern, make = (_INTEGER, int) if kind == "int" else (_FLOAT, float)
    if len(text) <= MAX_NUMBER_CHARACTERS and pattern.match(text) and any(c.isdigit() for c in text):
        number: int | float = make(text)
        if abs(number) != float("inf"):
            return number
    raise _UnusableNodeError(node, f"{text[:40]} is no plain decimal number; put it in quotes if it is text")
