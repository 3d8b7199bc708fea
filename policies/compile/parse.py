"""The only home of libpg_query: text in, PostgreSQL's own parse tree and tokens out.

Trees are the library's JSON form as plain dicts: a node is ``{"SelectStmt": {...}}``, fields are in the server's
names, locations are byte offsets into the UTF-8 text. Knows nothing of policies.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import postgast
from postgast.native import lib
from postgast.pg_query_pb2 import Token as TokenKind

Tree = dict[str, Any]

# Expressions nest about three levels of JSON per level of SQL: this admits some 1,000 levels of SQL and stays
# far below what an 8 MiB C stack holds while decoding.
MAX_DEPTH = 4_000
MAX_TEXT_BYTES = 4 * 1024 * 1024

# Inside of a JSON string every quote has a backslash before it, so this only finds keys.
_PLACE = rb'"(?:location|stmt_location|stmt_len|rexpr_list_start|rexpr_list_end|list_start|list_end)":-?\d+'
_PLACES = re.compile(b"," + _PLACE + b"|" + _PLACE + b",?")
_COMMENTS = frozenset({TokenKind.SQL_COMMENT, TokenKind.C_COMMENT})
_LITERALS = {
    TokenKind.ICONST: "i",
    TokenKind.FCONST: "f",
    TokenKind.SCONST: "s",
    TokenKind.USCONST: "s",
    TokenKind.BCONST: "b",
    TokenKind.XCONST: "x",
}


class ParseError(Exception):
    """PostgreSQL's grammar rejects the text. `position` counts characters from 1; `sqlstate` is the server's."""

    def __init__(self, message: str, position: int = 0, sqlstate: str = "42601") -> None:
        super().__init__(message)
        self.position = position
        self.sqlstate = sqlstate


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a text: its kind ("SelectStmt"), its tree and its place in bytes."""

    kind: str
    tree: Tree
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Token:
    """One token without comments. `word` is its text in lower case; `literal` is a class letter or empty."""

    start: int
    end: int
    word: str
    literal: str


@contextlib.contextmanager
def deep_recursion() -> Iterator[None]:
    """Room for walking trees as deep as MAX_DEPTH; deeper ones raise RecursionError, which refuses the statement."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, MAX_DEPTH * 2))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def parse(text: str, *, has_places: bool = True) -> list[Statement]:
    """The statements of `text` in order, none for an empty text. Raises ParseError.

    Without places, nodes have no byte offsets: all statements then have the same start and end.
    """
    encoded = text.encode()
    if b"\0" in encoded:
        raise ParseError("a statement can't contain a NUL byte", encoded.index(b"\0") + 1, "22021")
    if len(encoded) > MAX_TEXT_BYTES:
        raise ParseError(f"the statement is longer than {MAX_TEXT_BYTES} bytes", 0, "54000")
    try:
        found = _read_json(encoded)
        raw = msgspec.json.decode(found if has_places else _PLACES.sub(b"", found))
    except RecursionError:
        raise ParseError("the statement is nested too deeply", 0, "54001") from None
    return [_statement(entry, len(encoded)) for entry in raw.get("stmts", ())]


def _read_json(encoded: bytes) -> bytes:
    """libpg_query's parser trips over a comment behind NOT, NULLS or WITH, which PostgreSQL's own passes over."""
    try:
        return _parse_json(encoded)
    except ParseError:
        blanked = _with_blanks(encoded)
        if blanked == encoded:
            raise
    try:
        return _parse_json(blanked)
    except ParseError as error:
        place = len(blanked.decode()[: error.position - 1].encode())
        raise ParseError(str(error), len(encoded[:place].decode("utf-8", "ignore")) + 1, error.sqlstate) from None


def _with_blanks(encoded: bytes) -> bytes:
    """The text with blanks in place of comments: to the server's grammar the same, byte for byte as long.

    No comment may leave a line end behind: it would join two string constants.
    """
    try:
        tokens = postgast.scan(encoded.decode()).tokens
    except postgast.PgQueryError:
        return encoded
    blanked = bytearray(encoded)
    for token in tokens:
        if token.token in _COMMENTS:
            blanked[token.start : token.end] = b" " * (token.end - token.start)
    return bytes(blanked)


def _parse_json(encoded: bytes) -> bytes:
    result = lib.pg_query_parse(encoded)
    try:
        if result.error:
            error = result.error.contents
            raise ParseError(error.message.decode("utf-8", "replace"), error.cursorpos)
        return ctypes.string_at(result.parse_tree)
    finally:
        lib.pg_query_free_parse_result(result)


def _statement(entry: Tree, length: int) -> Statement:
    ((kind, tree),) = entry["stmt"].items()
    start = entry.get("stmt_location", 0)
    stated = entry.get("stmt_len", 0)
    return Statement(kind, tree, start, start + stated if stated else length)


@dataclass(frozen=True, slots=True)
class Piece:
    """One token or comment of a text, in bytes: `literal` as a Token has it, `is_comment`, or neither."""

    start: int
    end: int
    literal: str
    is_comment: bool


def pieces_of(text: str) -> list[Piece]:
    """All that the server's scanner finds in `text`, comments too. Raises ParseError."""
    try:
        tokens = postgast.scan(text).tokens
    except postgast.PgQueryError as error:
        raise ParseError(str(error)) from None
    return [Piece(t.start, t.end, _LITERALS.get(t.token, ""), t.token in _COMMENTS) for t in tokens]


def scan(text: str) -> list[Token]:
    """The tokens of `text` as the server's scanner cuts them. Raises ParseError."""
    encoded = text.encode()
    try:
        tokens = postgast.scan(text).tokens
    except postgast.PgQueryError as error:
        raise ParseError(str(error)) from None
    return [
        Token(t.start, t.end, encoded[t.start : t.end].decode().lower(), _LITERALS.get(t.token, ""))
        for t in tokens
        if t.token not in _COMMENTS
    ]
