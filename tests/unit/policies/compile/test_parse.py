"""The parser's two forms: with places for editing, without them for comparing."""

from __future__ import annotations

import pytest

from policies.compile.parse import ParseError, parse
from policies.compile.same_trees import is_same, without_places

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


@pytest.mark.parametrize(
    ("sql", "plain"),
    [
        ("SELECT 1 ORDER BY 1 NULLS /* c */ FIRST", "SELECT 1 ORDER BY 1 NULLS FIRST"),
        ("SELECT 2 NOT /* é */ BETWEEN 1 AND 2", "SELECT 2 NOT BETWEEN 1 AND 2"),
        ("SELECT * FROM unnest(a) WITH -- x\n ORDINALITY", "SELECT * FROM unnest(a) WITH ORDINALITY"),
        ("SELECT 'a' -- c\n 'b' ORDER BY 1 NULLS/*'*/LAST", "SELECT 'ab' ORDER BY 1 NULLS LAST"),
    ],
)
def test_comments_inside_keywords_that_look_ahead(sql: str, plain: str) -> None:
    assert is_same(parse(sql)[0].tree, parse(plain)[0].tree)
    assert parse(sql)[0].end == len(sql.encode())


def test_a_comment_with_a_line_end_joins_no_strings() -> None:
    with pytest.raises(ParseError) as caught:
        parse("SELECT 1 ORDER BY 1 NULLS /* é */ FIRST, 'a' /* \n */ 'b'")
    assert caught.value.position == 54
