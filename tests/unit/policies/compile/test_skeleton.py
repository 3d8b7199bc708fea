"""Where a skeleton is given, libpg_query's scanner finds the same literals, whatever their values are."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policies.compile.parse import ParseError, Piece, pieces_of
from policies.compile.skeleton import (
    BLOCK_COMMENT,
    INT4,
    INT8,
    LINE_COMMENT,
    MAX_BYTES,
    MAX_LITERALS,
    NUMERIC,
    STRING,
    skeleton,
)
from tests.benign.cases import TOOLS, cases_of
from tests.literals import with_literals
from tests.oracle.wide import statement_of
from tests.security.vectors import TEXTS

_LETTERS = {INT4: "i", INT8: "f", NUMERIC: "f", STRING: "s", LINE_COMMENT: "--", BLOCK_COMMENT: "/*"}
_PIECES = (
    "SELECT", "select", "id", "e", "E", "u&", "U", "n", "x", "b", "_a", "a1", "a$", '"q"', '"a""b"', '"Ä"', "and",
    "0", "1", "01", "2147483647", "2147483648", "9223372036854775807", "9223372036854775808", "1.5", "00.5", "0.5",
    "1.", ".5", "1e3", "1e", "0x1f", "1_000", "0b1", "0o7", "12345678901234567890123", "'a'", "''", "'it''s'",
    "'a\\'", "'ä'", "'--'", "'/*'", "'\n'", "E'a'", "U&'a'", 'U&"a"', "$1", "$12", "$1a", "$$", "$a$", "$", "::", ":",
    ":=", "=", "<", ">", "<=", "-", "--", "/", "/*", "*/", "*", "+", "%", "^", "|", "||", "~", "!", "@", "#", "&",
    "?", "`", "/**/", "/* x */", "/*'*/", "-- x\n", "--'\n", "-- x\r", "--\n'b'",
    "/*\n*/", "/***/", "/*/", "/*x/*y*/", "--x \t\n", "(", ")", "[", "]", "{", "}", ",", ";", ".", "..", "\\", "'", '"',
    "\n", "\r", "\t", "\f", "\v", "\u00a0",
    "\x01", "\x7f", "é", "date", "interval",
)  # fmt: skip


def check(text: str) -> bool:
    """Whether a skeleton was given; it must be right then."""
    raw = text.encode()
    found = skeleton(raw)
    if found is None:
        return False
    try:
        pieces = pieces_of(text)
    except ParseError:
        with pytest.raises(ParseError):  # "" or $99999999999: refused whatever the literals are
            pieces_of(with_literals(raw, Random(1)).decode())
        return False
    exchanged = [piece for piece in pieces if piece.literal or piece.is_comment]
    assert [place for piece in exchanged for place in (piece.start, end_of(raw, piece))] == found.offsets, text
    marks = [bytes([byte]) for byte in found.key if bytes([byte]) in _LETTERS]
    letters = [piece.literal or raw[piece.start : piece.start + 2].decode() for piece in exchanged]
    assert letters == [_LETTERS[mark] for mark in marks], text
    ends = [0, *(piece.end for piece in pieces)]
    starts = [*(piece.start for piece in pieces), len(raw)]
    assert not b"".join(raw[end:start] for end, start in zip(ends, starts, strict=True)).strip()
    if any(piece.literal == "s" for piece in pieces):
        check_strings(text, pieces)
    return True


def end_of(raw: bytes, piece: Piece) -> int:
    """The blanks at the end of a line stay where they are."""
    return piece.start + len(raw[piece.start : piece.end].rstrip(b" \t")) if piece.is_comment else piece.end


def check_strings(text: str, pieces: list[Piece]) -> None:
    """The server joins two strings with a line end between them, comments or not: none such is in a skeleton."""
    words = [piece for piece in pieces if not piece.is_comment]
    assert not any(one.literal == "s" and other.literal == "s" for one, other in pairwise(words)), text


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("SELECT 1", b"SELECT \x01"),
        ("SELECT 2147483647, 2147483648", b"SELECT \x01, \x02"),
        ("SELECT 9223372036854775807, 9223372036854775808", b"SELECT \x02, \x03"),
        ("SELECT 1.5-0.5", b"SELECT \x03-\x03"),
        ("SELECT -1, +1, a-1", b"SELECT -\x01, +\x01, a-\x01"),
        ("SELECT 'ä', '', ' -- /* '", b"SELECT \x04, \x04, \x04"),
        ('SELECT "1", a1, $1, b$1, t.*, a[1]', b'SELECT "1", a1, $1, b$1, t.*, a[\x01]'),
        ("select  1 ;\n", b"select  \x01 ;\n"),
        ("SELECT '1'::int", b"SELECT \x04::int"),
        ("SELECT 1 -- x", b"SELECT \x01 \x06"),
        ("SELECT 1 -- x \t\n", b"SELECT \x01 \x06 \t\n"),
        ("/* a */ SELECT 1 /*b*/; -- 'c'", b"\x07 SELECT \x01 \x07; \x06"),
        ("--\nSELECT/**/a", b"\x06\nSELECT\x07a"),
        ("/*/ */SELECT a/***/", b"\x07SELECT a\x07"),
        ("SELECT 1+--c\r2", b"SELECT \x01+\x06\r\x01"),
        ("SELECT 1*/**/2 /* \u00e4\n*/", b"SELECT \x01*\x07\x01 \x07"),
    ],
)
def test_literals_give_way_to_the_mark_of_their_class(text: str, key: bytes) -> None:
    found = skeleton(text.encode())
    assert found is not None
    assert found.key == key
    assert check(text)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT a", "", "SELECT", "SELECT 01", "SELECT 1.", "SELECT .5", "SELECT 1e3", "SELECT 1.5e3", "SELECT 0x1f",
        "SELECT 1_000", "SELECT 1a", "SELECT 1and 2", "SELECT 1..2", "SELECT 1.5.2", "SELECT 1 /* /* */ */",
        "SELECT 1 /*/",
        "SELECT 'it''s'", "SELECT 'a\\b'", "SELECT 'a' 'b'", "SELECT 'a'\n'b'", "SELECT E'a'", "SELECT e'a'",
        "SELECT B'1'", "SELECT x'1'", "SELECT N'a'", "SELECT U&'a'", 'SELECT U&"a", 1', "SELECT date'2024-01-01'",
        "SELECT $$a$$, 1", "SELECT $a$a$a$, 1", "SELECT $1a, 1", "SELECT $, 1", "SELECT 1$", "SELECT 'a", '"a, 1',
        "SELECT 'a\0b'", "SELECT 1\0", "SELECT ä, 1", 'SELECT "ä", 1', "SELECT 1\u00a0", "SELECT 1\f", "SELECT \\1",
        "SELECT \x01, 1", 'SELECT "\x01", 1', f"SELECT {'1' * 101}", f"SELECT {'x' * MAX_BYTES}, 1",
        f"SELECT {'1,' * MAX_LITERALS}1", "SELECT 1ä", "SELECT $1ä, 1", "SELECT 1 /*", "SELECT 1 /* *",
        "SELECT 1 /*\0*/",
        "SELECT 'a' --c\n'b'", "SELECT 'a' --c\n --d\n\t'b'", "SELECT 'a' /*c*/ 'b'", "SELECT E/**/'a'", "/**/'a'",
        "SELECT 1 --\0", "SELECT 1 --ä", "SELECT 1 --a\u00a0", "SELECT 1 --\x1f", "SELECT 1 --a\x0b",
    ],
)  # fmt: skip
def test_what_is_not_plain_has_no_skeleton(text: str) -> None:
    assert skeleton(text.encode()) is None


@pytest.mark.parametrize("raw", [b"SELECT '\xff'", b"SELECT '\xc3', 1", b"SELECT '\xed\xa0\x80'", b"SELECT '\xc0\x80'"])
def test_bytes_that_are_no_utf_8_have_no_skeleton(raw: bytes) -> None:
    assert skeleton(raw) is None


@settings(max_examples=3000, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from([*_PIECES, " ", " ", " ", "\n"]), max_size=14).map("".join))
@example("1'a'")
@example("'a'1")
@example("1\"a\"'b'")
@example("$1$2 1")
@example("+-1-+2")
@example("a.1")
@example("1 .5")
@example("1%-1@-1")
def test_soups_of_tokens_are_cut_as_the_server_cuts_them(text: str) -> None:
    check(text)


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(st.text("--//**''\n\r \t1a+;\"$é", max_size=24))
@example("/*/*/")
@example("'a'--\r--\n/**/'b'")
@example("1-/*'*/-1--'")
def test_soups_of_comments_and_quotes_are_cut_as_the_server_cuts_them(text: str) -> None:
    check(text)


def test_the_corpora_are_cut_as_the_server_cuts_them() -> None:
    random = Random(1)
    texts = [step.sql for tool in TOOLS for case in cases_of(tool) for step in case.steps]
    texts += [vector.ask for vector in TEXTS if isinstance(vector.ask, str)]
    texts += [statement_of(1, number).sql for number in range(600)]
    plain = [text for text in texts if check(text)]
    assert len(plain) > len(texts) / 2
    for text in plain:
        other = with_literals(text.encode(), random)
        assert check(other.decode())
        mine, theirs = skeleton(text.encode()), skeleton(other)
        assert mine is not None
        assert theirs is not None
        assert mine.key == theirs.key
