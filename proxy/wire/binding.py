"""Reads a Bind without copying its parameters: they may be hundreds of megabytes, and nobody here looks into them.

As strict as `decoding`: whatever doesn't add up is ProtocolViolation.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from proxy.wire.errors import ProtocolViolation

_NULL = -1
_LONGEST_NAME = 1 << 16  # only a first look: longer names are found by a second one


@dataclass(frozen=True, slots=True)
class BindHead:
    """`formats_at`: where the result formats begin in the frame."""

    portal: bytes
    statement: bytes
    result_formats: tuple[int, ...]
    formats_at: int


def read_bind(frame: memoryview) -> BindHead:
    """A whole frame, header included."""
    try:
        return _read(frame)
    except struct.error:
        raise ProtocolViolation("message ends too early") from None


def with_formats(frame: memoryview, head: BindHead, formats: Sequence[int]) -> bytes:
    """The same Bind with other result formats."""
    tail = struct.pack(f"!H{len(formats)}h", len(formats), *formats)
    length = head.formats_at + len(tail) - 1
    return b"".join((frame[:1], length.to_bytes(4, "big"), frame[5 : head.formats_at], tail))


def with_statement(frame: memoryview, head: BindHead, statement: bytes, formats: Sequence[int]) -> bytes:
    """The same Bind of another statement, with other result formats."""
    names = b"%s\0%s\0" % (head.portal, statement)
    values = frame[5 + len(head.portal) + 1 + len(head.statement) + 1 : head.formats_at]
    tail = struct.pack(f"!H{len(formats)}h", len(formats), *formats)
    length = 4 + len(names) + len(values) + len(tail)
    return b"".join((frame[:1], length.to_bytes(4, "big"), names, values, tail))


def _read(frame: memoryview) -> BindHead:
    portal, at = _string(frame, 5)
    statement, at = _string(frame, at)
    (count,) = struct.unpack_from("!H", frame, at)
    at = _values_end(frame, at + 2 + 2 * count)
    (count,) = struct.unpack_from("!H", frame, at)
    formats = struct.unpack_from(f"!{count}h", frame, at + 2)
    if at + 2 + 2 * count != len(frame):
        raise ProtocolViolation("message is longer than its fields")
    return BindHead(portal, statement, formats, at)


def string_end(frame: memoryview, at: int) -> int:
    """Behind the String at `at`. Raises ProtocolViolation for one without an end."""
    return _string(frame, at)[1]


def _string(frame: memoryview, at: int) -> tuple[bytes, int]:
    text, zero, _ = bytes(frame[at : at + _LONGEST_NAME]).partition(b"\0")
    if not zero:
        text, zero, _ = bytes(frame[at:]).partition(b"\0")
    if not zero:
        raise ProtocolViolation("string without terminator")
    return text, at + len(text) + 1


def _values_end(frame: memoryview, at: int) -> int:
    (count,) = struct.unpack_from("!H", frame, at)
    at += 2
    for _ in range(count):
        (length,) = struct.unpack_from("!i", frame, at)
        if length < _NULL:
            raise ProtocolViolation("message ends too early")
        at += 4 + max(length, 0)
    return at
