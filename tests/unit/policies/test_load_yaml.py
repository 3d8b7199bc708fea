"""YAML as such: places, aliases, and what must never get through, whatever the bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import Problem
from policies.yaml_nodes import MAX_DEPTH, MAX_FILE_BYTES, Mapping, Node, Scalar, Sequence, read_yaml


def read(text: str | bytes) -> tuple[Node | None, list[str]]:
    problems: list[Problem] = []
    data = text if isinstance(text, bytes) else text.encode()
    node = read_yaml(data, "f", problems)
    return node, [str(problem) for problem in problems]


def plain(node: Node | None) -> object:
    match node:
        case Scalar():
            return node.value
        case Sequence():
            return [plain(item) for item in node.items]
        case Mapping():
            return {key.text: plain(value) for key, value in node.entries}
    return None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1", {"a": 1}),
        ("a: -1.5", {"a": -1.5}),
        ("a: '1'", {"a": "1"}),
        ("a: true", {"a": True}),
        ("a: False", {"a": False}),
        ("a: 'no'", {"a": "no"}),
        ("a: ~", {"a": None}),
        ("a: env:NAME", {"a": "env:NAME"}),
        ("a: &x [1, 2]\nb: *x", {"a": [1, 2], "b": [1, 2]}),
        ("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}", {"a": {"p": 1, "q": 2}, "b": {"q": 3, "p": 1}}),
        (
            "a: &x {p: 1}\nb: &y {p: 2, q: 2}\nc: {<<: [*x, *y]}",
            {"a": {"p": 1}, "b": {"p": 2, "q": 2}, "c": {"p": 1, "q": 2}},
        ),
        ("", None),
        ("# only a comment", None),
        ("\ufeffa: 1", {"a": 1}),
        ("a: é", {"a": "é"}),
    ],
)
def test_values(text: str, value: object) -> None:
    node, problems = read(text)
    assert plain(node) == value
    assert problems == []


def test_places_count_characters_from_one() -> None:
    node, _ = read("é: 1\nb:\n  - [ü, y]\n")
    assert isinstance(node, Mapping)
    (_, first), (key, items) = node.entries
    assert str(first.source) == "f:1:4"
    assert str(key.source) == "f:2:1"
    assert isinstance(items, Sequence)
    assert isinstance(items.items[0], Sequence)
    assert str(items.items[0].items[1].source) == "f:3:9"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\na: 2", "f:2:1: the key 'a' is given twice (first on line 1)"),
        ("a: yes", "f:1:4: yes means a truth value"),
        ("a: Off", "f:1:4: Off means a truth value"),
        ("a: 0x1F", "f:1:4: 0x1F is no plain decimal number"),
        ("a: 1_000", "f:1:4: 1_000 is no plain decimal number"),
        ("a: 190:20:30", "f:1:4: 190:20:30 is no plain decimal number"),
        ("a: .inf", "f:1:4: .inf is no plain decimal number"),
        (f"a: {'9' * 5000}", "f:1:4: 9999"),
        ("a: 2001-12-14", "f:1:4: 2001-12-14 is a date"),
        ("1: a", "f:1:1: a key must be text"),
        ("yes: a", "f:1:1: yes means a truth value"),
        ("? [a]\n: b", "f:1:3: a key must be text"),
        ("a: !!python/object/apply:os.system [id]", "f:1:4: the tag 'python/object/apply:os.system' is not"),
        ("a: !!binary aGk=", "f:1:4: the tag 'binary' is not supported"),
        ("a: !!int abc", "f:1:4: abc is no plain decimal number"),
        ("a: !!set {x}", "f:1:4: the tag 'set' is not supported"),
        ('a: "\\0"', "f:1:4: a character that PostgreSQL can't store"),
        ('a: "\\uD800"', "f:1:4: a character that PostgreSQL can't store"),
        ("a: [1, 2", "f:1:9: not valid YAML"),
        ("a: 'open", "f:1:9: not valid YAML"),
        ("a:\n\t- b", "f:2:1: not valid YAML"),
        ("a: *nowhere", "f:1:4: not valid YAML"),
        ("a: 1\n---\nb: 2", "f:2:1: not valid YAML"),
        ("a: &x [*x]", "f:1:4: an alias inside its own anchor"),
        ("a: &x {<<: *x}", "f:1:4: an alias inside its own anchor"),
        ("a: {<<: 5}", "f:1:9: '<<' takes a mapping"),
        ("a: 1\nb: \x07", "f:2:4: a control character"),
        (b"a: 1\nb: \xff", "f:2:4: the file is not UTF-8"),
        ("a: " + "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), "nested deeper than"),
        ("a: " + "[" * 20_000, "nested deeper than"),
        ("#" * (MAX_FILE_BYTES + 1), "f:1:1: the file is larger than"),
    ],
)
def test_faults_have_a_place(text: str | bytes, problem: str) -> None:
    _, problems = read(text)
    assert len(problems) >= 1
    assert problem in problems[0]


def test_aliases_that_explode_are_stopped_before_they_do() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    node, problems = read("\n".join(lines))
    assert node is None
    assert problems == ["f:1:1: more than 200000 values once its aliases are expanded"]


@given(st.one_of(st.binary(max_size=200), st.text(alphabet="a:-[]{}&*!|>'\"\\#%@?,<\n\t 01.~\x00é", max_size=80)))
def test_any_bytes_become_nodes_or_problems(data: bytes | str) -> None:
    node, problems = read(data if isinstance(data, bytes) else data.encode())
    assert all(problem.startswith("f:") for problem in problems)
    assert node is None or isinstance(node, Scalar | Sequence | Mapping)
