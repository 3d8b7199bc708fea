"""A statement's shape: its tokens with every literal replaced by its class, comments dropped, as a digest."""

from __future__ import annotations

import hashlib

from policies.compile.parse import ParseError, Token, scan


def shape_of(text: str) -> str:
    """32 hex digits; equal for statements that differ in literals, blanks, comments and case of words only."""
    try:
        return shape_of_tokens(scan(text))
    except ParseError:
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def shape_of_tokens(tokens: list[Token]) -> str:
    words = " ".join(f"?{token.literal}" if token.literal else token.word for token in tokens if token.word != ";")
    return hashlib.sha256(words.encode()).hexdigest()[:32]
