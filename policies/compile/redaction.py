"""A text without its literals and comments, for records that must not keep them. Pure.

It is put together anew from the tokens that libpg_query's scanner finds: nothing that isn't known to be a word, a name
or an operator gets into it, and between two of them stands a blank or nothing.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import Final

from policies.compile.parse import ParseError, Piece, parse, pieces_of

_LITERAL: Final = "?"
_MAX_BYTES: Final = 1 << 18  # longer ones would hold up the worker's other sessions
_SETTING: Final = (b"set", b"alter", b"create")


def digest_of(sql: str) -> str:
    """What stands for a text of which nothing is kept."""
    return "sha256:" + hashlib.sha256(sql.encode("utf-8", "replace")).hexdigest()


def redacted(sql: str) -> str:
    """``SELECT a FROM t WHERE b = ?``; equal for all texts of one shape.

    The digest of a text that can't be read, or is too long.
    """
    raw = sql.encode("utf-8", "replace")
    if len(raw) > _MAX_BYTES:
        return digest_of(sql)
    try:
        pieces = pieces_of(raw.decode())
    except ParseError:
        return digest_of(sql)
    if any(_is_ambiguous(raw, piece) for piece in pieces):
        return digest_of(sql)
    words = [piece for piece in pieces if not piece.is_comment]
    if not words:
        return ""
    hidden = _hidden_values(raw, words)
    parts = [_word(raw, words[0], hidden)]
    for before, piece in pairwise(words):
        parts += (" " if piece.start > before.end else "", _word(raw, piece, hidden))
    return "".join(parts)


def is_redacted(sql: str) -> bool:
    """Whether this is what `redacted` gives, with a literal missing: no statement that could be run."""
    if _LITERAL not in sql or redacted(sql) != sql:
        return False
    try:
        parse(sql)
    except ParseError:
        return True
    return False  # an operator of that name


def _word(raw: bytes, piece: Piece, hidden: set[int]) -> str:
    if piece.literal or piece.start in hidden:
        return _LITERAL
    return raw[piece.start : piece.end].decode()


def _is_ambiguous(raw: bytes, piece: Piece) -> bool:
    """Whether the string may end elsewhere, as it does with a backslash where standard_conforming_strings is off.

    That is pinned, but for those who may do everything.
    """
    return bool(piece.literal) and raw[piece.start : piece.start + 1] == b"'" and b"\\" in raw[piece.start : piece.end]


def _hidden_values(raw: bytes, words: list[Piece]) -> set[int]:
    """Places of words that are a setting's value: ``SET app.token TO s3cr3t`` needs no quotes."""
    hidden: set[int] = set()
    first, is_set, is_value = b"", False, False
    for piece in words:
        word = raw[piece.start : piece.end].lower()
        if word == b";":
            first, is_set, is_value = b"", False, False
            continue
        first = first or word
        if is_value and word != b",":
            hidden.add(piece.start)
        is_set = is_set or (word == b"set" and first in _SETTING)
        is_value = is_value or (is_set and word in (b"=", b"to"))
    return hidden
