"""The parser's two forms: with places for editing, without them for comparing."""

from __future__ import annotations

import pytest

from policies.compile.parse import parse
from policies.compile.tree import without_places

TEXTS = [
    'SELECT array[], row(), $1, \'x"location":5,\' AS "a""location"":5"',
    "SELECT * FROM a WHERE x IN (1, 2) AND y = array[1]; SELECT 2",
    "WITH a AS (SELECT 1) SELECT a.*, count(*) FILTER (WHERE true) OVER w FROM a WINDOW w AS (ORDER BY 1)",
    'SELECT \'"location":1\', "stmt_len", E\'\\\\"location":2\'',
    "CREATE TABLE t (a int DEFAULT 1, CHECK (a > 0), PRIMARY KEY (a))",
]


@pytest.mark.parametrize("text", TEXTS)
def test_trees_without_places_are_the_trees_with_their_places_taken_out(text: str) -> None:
    plain = [(statement.kind, without_places(statement.tree)) for statement in parse(text)]
    assert [(statement.kind, statement.tree) for statement in parse(text, has_places=False)] == plain
