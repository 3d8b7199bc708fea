"""PostgreSQL's text and binary forms of single values, where they don't follow from Python's own.

Text forms are those under the default settings (DateStyle ISO, extra_float_digits 1). It must not know masks.
Sources: the types' out and send functions in src/backend/utils/adt.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

_EPOCH = datetime(2000, 1, 1)  # of date, timestamp and timestamptz
_NUMERIC_NEGATIVE = 0x4000
_MICROSECOND = timedelta(microseconds=1)


def numeric_text(value: Decimal, scale: int) -> str:
    """Fixed notation with `scale` digits after the point; the value must have no more."""
    sign, units = _units(value, scale)
    digits = str(units).rjust(scale + 1, "0")
    point = len(digits) - scale
    return ("-" if sign else "") + digits[:point] + ("." + digits[point:] if scale else "")


def numeric_binary(value: Decimal, scale: int) -> bytes:
    """numeric_send: ndigits, weight, sign, dscale, then digits to the base 10,000."""
    sign, units = _units(value, scale)
    units *= 10 ** (-scale % 4)  # so that the digits after the point fill whole groups
    groups: list[int] = []
    while units:
        units, group = divmod(units, 10_000)
        groups.insert(0, group)
    weight = len(groups) - 1 - (scale + 3) // 4 if groups else 0
    while groups and not groups[-1]:
        groups.pop()
    flag = _NUMERIC_NEGATIVE if sign and groups else 0
    return struct.pack(f"!HhHH{len(groups)}H", len(groups), weight, flag, scale, *groups)


def numeric_value(octets: bytes) -> tuple[Decimal | None, int]:
    """numeric_send's value and its digits after the point; None for NaN and the infinities. Raises ValueError."""
    try:
        count, weight, flag, scale = struct.unpack_from("!HhHH", octets)
        groups = struct.unpack_from(f"!{count}H", octets, 8)
    except struct.error:
        raise ValueError("malformed numeric in binary form") from None
    if flag not in (0, _NUMERIC_NEGATIVE):
        return None, 0
    units = 0
    for group in groups:
        units = units * 10_000 + group
    shift = 4 * (weight - count + 1) + scale  # from the last group's place to the last digit's
    units = units * 10**shift if shift >= 0 else units // 10**-shift
    return Decimal((int(flag == _NUMERIC_NEGATIVE), tuple(map(int, str(units))), -scale)), scale


def _units(value: Decimal, scale: int) -> tuple[bool, int]:
    """(is negative, absolute value as a count of 10 ** -scale); exact, free of the decimal context's
    precision."""
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    units = int("".join(map(str, digits)) or "0")
    shift = exponent + scale
    return bool(sign and units), units * 10**shift if shift >= 0 else units // 10**-shift


def float_text(value: float, size: int) -> str:
    """The shortest digits that give the value back, written as float8out (size 8) and float4out (size 4)
    do."""
    sign = "-" if str(value).startswith("-") else ""
    digits, exponent = _shortest(abs(value), size)
    if value == 0:
        return sign + "0"
    if -4 <= exponent < (15 if size == 8 else 6):
        return sign + _fixed(digits, exponent)
    fraction = "." + digits[1:] if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _shortest(value: float, size: int) -> tuple[str, int]:
    """Significant digits without trailing zeros, and the exponent of the first."""
    written = repr(value) if size == 8 else _shortest_single(value)
    _, digits, exponent = Decimal(written).as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits))
    return text.rstrip("0"), exponent + len(text) - 1


def _shortest_single(value: float) -> str:
    wanted = struct.pack("!f", value)
    candidates = (f"{value:.{precision}g}" for precision in range(1, 9))
    return next((c for c in candidates if _packs_to(c, wanted)), f"{value:.9g}")


def _packs_to(text: str, wanted: bytes) -> bool:
    try:
        return struct.pack("!f", float(text)) == wanted
    except OverflowError:
        return False


def _fixed(digits: str, exponent: int) -> str:
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    fraction = digits[exponent + 1 :]
    return whole + ("." + fraction if fraction else "")


def date_binary(value: date) -> bytes:
    """Days since 2000-01-01."""
    return struct.pack("!i", (value - _EPOCH.date()).days)


def timestamp_text(value: datetime) -> str:
    """ISO style; an aware value is written in UTC, with ``+00``."""
    plain = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    seconds, _, fraction = plain.isoformat(" ").partition(".")
    fraction = fraction.rstrip("0")
    return seconds + ("." + fraction if fraction else "") + ("+00" if value.tzinfo else "")


def timestamp_binary(value: datetime) -> bytes:
    """Microseconds since 2000-01-01, for an aware value since that moment in UTC."""
    plain = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return struct.pack("!q", (plain - _EPOCH) // _MICROSECOND)


def bytea_hex(value: bytes) -> bytes:
    """The text form under bytea_output = hex, the default."""
    return b"\\x" + value.hex().encode("ascii")


def bytea_escape(value: bytes) -> bytes:
    """The text form under bytea_output = escape."""
    return b"".join(_escaped(octet) for octet in value)


def _escaped(octet: int) -> bytes:
    if octet == 0x5C:
        return b"\\\\"
    return bytes((octet,)) if 0x20 <= octet <= 0x7E else b"\\%03o" % octet


def is_bytea_hex(text: bytes) -> bool:
    """Which of the two forms a value has: the escape form doubles backslashes, so it never starts with
    ``\\x``."""
    return text.startswith(b"\\x")


def bytea_value(text: bytes) -> bytes:
    """The octets of a bytea in either text form. Raises ValueError when it is malformed."""
    if is_bytea_hex(text):
        return bytes.fromhex(text[2:].decode("ascii"))
    octets = bytearray()
    index = 0
    while index < len(text):
        octet, width = _unescaped(text, index)
        octets.append(octet)
        index += width
    return bytes(octets)


def _unescaped(text: bytes, index: int) -> tuple[int, int]:
    if text[index] != 0x5C:
        return text[index], 1
    if text[index + 1 : index + 2] == b"\\":
        return 0x5C, 2
    return int(text[index + 1 : index + 4], 8), 4


def jsonb_text(value: Any) -> str:
    """jsonb_out's form of a value of dict, list, str, Decimal, int, bool and None; keys of one object are
    unique."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case Decimal():
            return format(value if value else abs(value), "f")  # numeric has no negative zero
        case str():
            return _json_string(value)
        case Mapping():
            keys = sorted(value, key=lambda key: (len(key.encode("utf-8")), key.encode("utf-8")))
            return "{" + ", ".join(f"{_json_string(key)}: {jsonb_text(value[key])}" for key in keys) + "}"
        case _:
            return "[" + ", ".join(map(jsonb_text, value)) + "]"


_JSON_ESCAPES = {
    **{code: f"\\u{code:04x}" for code in range(0x20)},
    **{ord(k): v for k, v in {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}.items()},
    ord('"'): '\\"',
    ord("\\"): "\\\\",
}


def _json_string(text: str) -> str:
    return '"' + text.translate(_JSON_ESCAPES) + '"'
