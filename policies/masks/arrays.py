"""Arrays of texts in PostgreSQL's text form (array_out) and binary form (array_send), as flat lists of
elements.

Reading forgets the number of dimensions and the lower bounds; writing makes one dimension that starts at 1.
That is what a mask per element gives in both its forms. It must not know masks.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence

Elements = Sequence[bytes | None]

_INT = struct.Struct("!i")
_HEAD = struct.Struct("!iiI")  # dimensions, has-nulls flag, element type
_HEAD_1D = struct.Struct("!iiIii")  # ... length, lower bound

# One element of array_out's form, or a brace or comma between two. Unquoted elements hold none of these
# octets.
_PIECE = re.compile(rb'"((?:[^"\\]|\\.)*)"|([^{},"\\]+)|[{},]', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_NEEDS_QUOTES = re.compile(rb'["\\{},\s\v]|^$|^null$', re.IGNORECASE)
_SPECIAL = re.compile(rb'(["\\])')


def read_text(value: bytes) -> list[bytes | None]:
    """Elements in storage order. Raises ValueError when the value isn't array_out's."""
    start = value.find(b"=") + 1 if value.startswith(b"[") else 0
    if value[start : start + 1] != b"{":
        raise ValueError("malformed array in text form")
    return [_element(piece) for piece in _pieces(value, start) if piece.lastindex is not None]


def _pieces(value: bytes, start: int) -> Iterable[re.Match[bytes]]:
    while start < len(value):
        piece = _PIECE.match(value, start)
        if piece is None:
            raise ValueError("malformed array in text form")
        yield piece
        start = piece.end()


def _element(piece: re.Match[bytes]) -> bytes | None:
    quoted, plain = piece.groups()
    if quoted is not None:
        return _ESCAPED.sub(rb"\1", quoted)
    return None if plain == b"NULL" else plain


def write_text(elements: Elements) -> bytes:
    """``{a,"b c",NULL}``"""
    return b"{" + b",".join(map(_written, elements)) + b"}"


def _written(element: bytes | None) -> bytes:
    if element is None:
        return b"NULL"
    if _NEEDS_QUOTES.search(element):
        return b'"' + _SPECIAL.sub(rb"\\\1", element) + b'"'
    return element


def read_binary(value: bytes) -> list[bytes | None]:
    """Elements in storage order. Raises ValueError when the value is malformed."""
    try:
        dimensions, _, _ = _HEAD.unpack_from(value)
        offset = _HEAD.size + 8 * dimensions
        elements: list[bytes | None] = []
        while offset < len(value):
            (length,) = _INT.unpack_from(value, offset)
            offset += 4
            if length > len(value) - offset:
                raise ValueError("malformed array in binary form")
            elements.append(None if length < 0 else value[offset : offset + length])
            offset += max(length, 0)
    except struct.error:
        raise ValueError("malformed array in binary form") from None
    return elements


def write_binary(elements: Elements, element_oid: int) -> bytes:
    """array_send's form with one dimension, or none when there is no element."""
    if not elements:
        return _HEAD.pack(0, 0, element_oid)
    has_nulls = int(any(element is None for element in elements))
    head = _HEAD_1D.pack(1, has_nulls, element_oid, len(elements), 1)
    return head + b"".join(_INT.pack(-1) if e is None else _INT.pack(len(e)) + e for e in elements)
