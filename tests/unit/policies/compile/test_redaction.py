"""A redacted text has no byte of a literal in it, and is the same for all texts of a shape."""

from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.compile.redaction import digest_of, is_redacted, redacted
from policies.compile.shape import shape_of
from tests.benign.cases import TOOLS, cases_of
from tests.literals import with_literals

CANARY = "qz7canary"


@pytest.mark.parametrize(
    ("sql", "kept"),
    [
        ("SELECT a FROM t WHERE b = 'x' AND c > 1.5", "SELECT a FROM t WHERE b = ? AND c > ?"),
        ("select\n\t a::varchar(10)  from t -- c\n where $1 <> -5;", "select a::varchar(?) from t where $1 <> -?;"),
        ("/* a */ SELECT/**/1", "SELECT ?"),
        ("SELECT 'a'\n'b', E'\\'x', U&'\\0041', B'1', X'ff', N'n', $$d$$, $q$ $$ $q$, 1e3, 0x1f",
         "SELECT ?, ?, ?, ?, ?, N?, ?, ?, ?, ?"),
        ('SELECT "a b", true, NULL FROM t1', 'SELECT "a b", true, NULL FROM t1'),
        ("ALTER ROLE ada PASSWORD 'x'", "ALTER ROLE ada PASSWORD ?"),
        ("SET app.token TO s3cr3t, \"b\"; SELECT a = b", "SET app.token TO ?, ?; SELECT a = b"),
        ("SET LOCAL app.token = s3cr3t", "SET LOCAL app.token = ?"),
        ("ALTER ROLE ada SET app.token TO s3cr3t", "ALTER ROLE ada SET app.token TO ?"),
        ("ALTER TABLE a RENAME TO b; SELECT a = b", "ALTER TABLE a RENAME TO b; SELECT a = b"),
        ("UPDATE t SET a = b", "UPDATE t SET a = b"),
        ("DO $$ BEGIN PERFORM 1; END $$", "DO ?"),
        ("", ""), ("-- only", ""), ("SELECT 'ä' AS ä", "SELECT ? AS ä"),
    ],
)  # fmt: skip
def test_literals_give_way_and_comments_go(sql: str, kept: str) -> None:
    assert redacted(sql) == kept


@pytest.mark.parametrize("sql", ["SELECT 'a", "SELECT $$a", "/* a", 'SELECT "a', "SELECT 'a\\' b \\'c'", "SELECT 1a"])
def test_of_a_text_that_may_be_read_otherwise_a_digest_is_kept(sql: str) -> None:
    assert redacted(sql) == digest_of(sql)


FORMS = (
    "'{}'", "E'{}'", "E'\\'{}'", "$${}$$", "$a${}$a$", "'{}'\n'{}'", "'{}' -- c\n'{}'", "N'{}'", "U&'{}'", "'''{}'",
    "'a\\' {} \\'b'", "-- {}\n1", "/* {} */ 1", "/* /* */ {} */ 1", "1 -- '{}\n", "B'{}'", "'/*' '{}' '*/'",
    "'--{}'", "e'\\\\{}'", "u&'{}' uescape '!'", "SELECT", ",", ";", "a", "=", "(", ")", "\n", "; SET x = {};",
)  # fmt: skip
LAST = ("", "'{}", "E'{}\\'", "$${}$", "/* {}", "-- {}", "'a\0{}'", "'{}'\0", "''''{}'", "E'''{}''")


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(FORMS)), st.sampled_from(LAST))
def test_no_part_of_a_literal_or_comment_gets_through(pieces: list[str], last: str) -> None:
    sql = " ".join([*pieces, last]).replace("{}", CANARY)
    assert CANARY not in redacted(sql)


def test_texts_of_one_shape_are_kept_alike() -> None:
    random = Random(1)
    texts = [step.sql for tool in TOOLS for case in cases_of(tool) for step in case.steps]
    for text in texts:
        kept = redacted(text)
        other = with_literals(text.encode(), random).decode()
        if shape_of(other) == shape_of(text) and "\\" not in text + other:
            assert redacted(other) == kept
        if not kept.startswith("sha256:"):
            assert not re.search(r"'|/\*|--|(?<![\w\"$.])\d", re.sub(r'"[^"]*"', "", kept)), text


@pytest.mark.parametrize(
    ("sql", "is_so"),
    [
        ("SELECT a FROM t WHERE b = ?", True),
        ("SELECT a FROM t WHERE b ? c", False),
        ("SELECT a FROM t WHERE b = '?'", False),
        ("SELECT a FROM t", False),
        ("SELECT  ?", False),
        ("sha256:00", False),
    ],
)
def test_a_redacted_text_is_known_as_one(sql: str, is_so: bool) -> None:
    assert is_redacted(sql) is is_so
