"""VECTORS.md says what the tests do."""

from __future__ import annotations

import ast
from collections import Counter

from tests.security.canary_shop import SECURITY
from tests.security.special import SPECIAL
from tests.security.vectors import VECTORS
from tests.security.vectors_table import FILE, rows, table


def test_the_table_is_made_from_the_vectors() -> None:
    assert FILE.read_text("utf-8") == table()


def test_names_are_unique_and_ways_differ() -> None:
    names = Counter([vector.name for vector in VECTORS] + [special.name for special in SPECIAL])
    assert [name for name, count in names.items() if count > 1] == []
    asked = Counter((vector.user, vector.ask) for vector in VECTORS if isinstance(vector.ask, str))
    assert [text for text, count in asked.items() if count > 1] == []


def test_there_are_enough_ways() -> None:
    assert len(list(rows())) >= 160


def test_special_tests_exist() -> None:
    for special in SPECIAL:
        tree = ast.parse((SECURITY / special.file).read_text("utf-8"))
        found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert special.test in found, special.name
