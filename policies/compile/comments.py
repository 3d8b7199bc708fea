"""What a text says of itself in comments: those before its first word and behind its last. Pure.

What merely looks like a comment, inside of a string, isn't one.
"""

from __future__ import annotations

import re
from typing import Final

from policies.compile.margins import said_around
from policies.compile.parse import ParseError, pieces_of
from policies.compile.skeleton import MAX_BYTES, skeleton

_LEAD: Final = re.compile(r"[\s;]*(--[^\r\n]*|/\*.*?\*/)", re.DOTALL)


def comments_of(sql: str) -> list[str]:
    """With their marks, in the order of the text; of a text that is too long, or can't be read, the first ones only."""
    if "--" not in sql and "/*" not in sql:
        return []
    raw = sql.encode("utf-8", "replace")
    found = skeleton(raw)
    if found is not None:
        offsets = found.offsets
        return [raw[offsets[2 * number] : offsets[2 * number + 1]].decode() for number in said_around(raw, offsets)]
    return [*_leading(sql), *_trailing(raw)]


def _leading(sql: str) -> list[str]:
    comments: list[str] = []
    at = 0
    while match := _LEAD.match(sql, at):
        comments.append(match[1])
        at = match.end()
    return comments


def _trailing(raw: bytes) -> list[str]:
    """Those behind a word, if there is one."""
    if len(raw) > MAX_BYTES:
        return []
    try:
        pieces = pieces_of(raw.decode())
    except ParseError:
        return []
    comments: list[str] = []
    while pieces and (pieces[-1].is_comment or raw[pieces[-1].start : pieces[-1].end] == b";"):
        piece = pieces.pop()
        if piece.is_comment:
            comments.insert(0, raw[piece.start : piece.end].decode().rstrip(" \t"))
    return comments if any(not piece.is_comment for piece in pieces) else []
