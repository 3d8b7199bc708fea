"""Values as fields of PostgreSQL's binary COPY: a length and that many bytes each. Knows no records and no files."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from decimal import Decimal

# The stream's signature, no flags, no further header; and its end (PostgreSQL manual, COPY, "Binary Format").
COPY_START = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_END = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"
EPOCH_US = 946_684_800_000_000  # PostgreSQL's year 2000, in microseconds since 1970

_LENGTH = struct.Struct(">i")
_INT8 = struct.Struct(">iq")
_ARRAY = struct.Struct(">iIIii")
_NUMERIC = struct.Struct(">iHhHH")
_TEXT_OID = 25
_PLACES = 9
_UNITS = 10**_PLACES
_BASE = 10_000  # a digit of numeric


def text_field(value: str | None) -> bytes:
    return NULL if value is None else bytes_field(value.encode("utf-8"))


def bytes_field(value: bytes) -> bytes:
    """bytea, uuid, or text that is encoded already."""
    return _LENGTH.pack(len(value)) + value


def int8_field(value: int | None) -> bytes:
    return NULL if value is None else _INT8.pack(8, value)


def timestamp_field(at_us: int) -> bytes:
    """timestamptz, from microseconds since 1970."""
    return _INT8.pack(8, at_us - EPOCH_US)


def texts_field(values: Sequence[str | None]) -> bytes:
    """text[], with one dimension that begins at 1, or none when it is empty."""
    if not values:
        return bytes_field(struct.pack(">iII", 0, 0, _TEXT_OID))
    fields = b"".join(map(text_field, values))
    head = _ARRAY.pack(1, int(None in values), _TEXT_OID, len(values), 1)
    return bytes_field(head + fields)


def cost_field(value: Decimal | None) -> bytes:
    """numeric with 9 decimal places. `value` has no more of them."""
    if value is None:
        return NULL
    units = int(value.scaleb(_PLACES))
    whole, fraction = divmod(abs(units), _UNITS)
    digits = [*_digits(whole), *_digits(fraction * 1000, at_least=3)]
    weight = len(digits) - 4  # of the first digit, as a power of the base; three stand behind the point
    sign = 0x4000 if units < 0 else 0
    head = _NUMERIC.pack(8 + 2 * len(digits), len(digits), weight, sign, _PLACES)
    return head + struct.pack(f">{len(digits)}H", *digits)


def _digits(number: int, at_least: int = 1) -> list[int]:
    """In numeric's base, the highest first."""
    digits: list[int] = []
    while number or len(digits) < at_least:
        number, digit = divmod(number, _BASE)
        digits.insert(0, digit)
    return digits
