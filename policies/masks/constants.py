"""Values that stand in for every value of a column: redact's, and the constant an operator chose.

Each is kept in the three forms it is sent in. It must not know statements or wires.
"""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, NoReturn
from uuid import UUID

from policies.literals import quote_string
from policies.masks import arrays, forms
from policies.masks.plain import BIT, PLAIN, zero_bits
from policies.masks.spec import MaskError, decimal_of, text_problem
from policies.masks.targets import Family, Target

REDACTED = "REDACTED"

# numeric holds far more; nobody needs a constant with more digits, and each costs its bytes per row.
_MAX_DIGITS = 1000

_REDACTED: dict[Family, Any] = {
    Family.TEXT: REDACTED,
    Family.TEXT_ARRAY: (),
    Family.INTEGER: 0,
    Family.NUMERIC: 0,
    Family.FLOAT: 0,
    Family.BOOL: False,
    Family.DATE: date(1970, 1, 1),
    Family.TIMESTAMP: "1970-01-01 00:00:00",
    Family.TIMESTAMPTZ: "1970-01-01 00:00:00+00:00",
    Family.UUID: str(UUID(int=0)),
    Family.JSON: f'"{REDACTED}"',
    Family.JSONB: f'"{REDACTED}"',
    Family.BYTEA: "\\x",
}


@dataclass(frozen=True, slots=True)
class Constant:
    """`sql` is an untyped literal to be cast; `text` and `binary` are what the server would send for it."""

    sql: str
    text: bytes
    binary: bytes


def redacted(target: Target) -> Constant:
    """The value that redact puts in place of every value of a type. Texts are cut to the column's length.

    Raises MaskError where there is none.
    """
    match target.family:
        case Family.PLAIN:
            return _plain(target)
        case Family.ARRAY:
            return Constant("'{}'", b"{}", arrays.write_binary((), target.element_oid))
    value = _REDACTED[target.family]
    if target.family is Family.TEXT and target.length is not None:
        value = value[: target.length]
    return constant(target, value)


def constant(target: Target, value: Any) -> Constant:
    """The operator's value as one of the type. Raises MaskError when it isn't one."""
    match target.family:
        case Family.TEXT:
            return _same(_checked_text(target, value, target.is_padded))
        case Family.TEXT_ARRAY:
            return _text_array(target, value)
        case Family.INTEGER:
            return _integer(target, value)
        case Family.NUMERIC:
            return _numeric(target, value)
        case Family.FLOAT:
            return _float(target, value)
        case Family.BOOL:
            return _bool(value)
        case Family.DATE:
            return _date(value)
        case Family.TIMESTAMP | Family.TIMESTAMPTZ:
            return _timestamp(target, value)
        case Family.UUID:
            return _uuid(value)
        case Family.JSON | Family.JSONB:
            return _json(target, value)
        case Family.BYTEA:
            return _bytea(value)
        case _:
            raise MaskError(f"mask constant doesn't work on {target.sql_type}; redact, nullify and sql do")


def _plain(target: Target) -> Constant:
    known = PLAIN[target.oid]
    if target.oid != BIT:
        return Constant(quote_string(known.text), known.text.encode("ascii"), known.binary)
    if not target.modifiers:
        raise MaskError("mask redact doesn't fit type bit here: its length isn't known; nullify and sql do")
    text, binary = zero_bits(target.modifiers[0])
    return Constant(quote_string(text), text.encode("ascii"), binary)


def _refuse(wanted: str) -> NoReturn:
    raise MaskError(f"mask constant: value must be {wanted}")


def _same(text: str) -> Constant:
    encoded = text.encode("utf-8")
    return Constant(quote_string(text), encoded, encoded)


def _checked_text(target: Target, value: str, is_padded: bool) -> str:
    problem = text_problem(value)
    if problem is not None:
        raise MaskError(f"mask constant: value {problem}")
    text = value.rstrip(" ") if is_padded else value
    if target.length is not None and len(text) > target.length:
        _refuse(f"at most {target.length} characters long")
    return text.ljust(target.length) if is_padded and target.length is not None else text


def _text_array(target: Target, value: Any) -> Constant:
    if not isinstance(value, list | tuple):
        _refuse("a list of strings")
    elements = [_checked_text(target, element, is_padded=False).encode("utf-8") for element in value]
    text = arrays.write_text(elements)
    return Constant(quote_string(text.decode("utf-8")), text, arrays.write_binary(elements, target.element_oid))


def _integer(target: Target, value: Any) -> Constant:
    if not isinstance(value, int) or isinstance(value, bool):
        _refuse("a whole number")
    if not target.smallest <= value < -target.smallest:
        _refuse(f"from {target.smallest} to {-target.smallest - 1}")
    return Constant(f"'{value}'", b"%d" % value, value.to_bytes(target.size, "big", signed=True))


def _numeric(target: Target, value: Any) -> Constant:
    number = decimal_of(value)
    if number is None:
        _refuse("a number")
    if not -_MAX_DIGITS < number.adjusted() < _MAX_DIGITS or len(number.as_tuple().digits) > _MAX_DIGITS:
        _refuse(f"a number of at most {_MAX_DIGITS} digits")
    scale = max(-_exponent(number), 0)
    if target.modifiers:
        _check_numeric(number, *target.modifiers)
        scale = max(target.modifiers[1], 0)
    text = forms.numeric_text(number, scale)
    return Constant(f"'{text}'", text.encode("ascii"), forms.numeric_binary(number, scale))


def _exponent(number: Decimal) -> int:
    """Of the last digit that isn't a trailing zero after the point's place: 1.50 has -2 as written."""
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    return exponent


def _check_numeric(number: Decimal, precision: int, scale: int) -> None:
    """numeric(precision, scale): a multiple of 10**-scale below 10**(precision - scale). No silent
    rounding."""
    digits = "".join(map(str, number.as_tuple().digits)).lstrip("0")
    last = _exponent(number) + len(digits) - len(digits.rstrip("0"))
    if digits and (last < -scale or number.adjusted() >= precision - scale):
        _refuse(f"a number that fits numeric({precision},{scale}) without rounding")


def _float(target: Target, value: Any) -> Constant:
    number = decimal_of(value)
    if number is None:
        _refuse("a number")
    try:
        binary = struct.pack("!d" if target.size == 8 else "!f", float(number))
    except OverflowError:
        binary = b""
    (packed,) = struct.unpack("!d" if target.size == 8 else "!f", binary) if binary else (float("inf"),)
    if packed in (float("inf"), float("-inf")) or (packed == 0) != (number == 0):
        _refuse("a number that the type can hold")
    text = forms.float_text(packed, target.size)
    return Constant(f"'{text}'", text.encode("ascii"), binary)


def _bool(value: Any) -> Constant:
    if not isinstance(value, bool):
        _refuse("true or false")
    return Constant("'t'", b"t", b"\1") if value else Constant("'f'", b"f", b"\0")


def _date(value: Any) -> Constant:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        value = _parsed(date.fromisoformat, value)
    if not isinstance(value, date) or isinstance(value, datetime):
        _refuse("a date such as 1970-01-01")
    text = value.isoformat()
    return Constant(f"'{text}'", text.encode("ascii"), forms.date_binary(value))


def _timestamp(target: Target, value: Any) -> Constant:
    moment = _moment(value)
    has_zone = target.family is Family.TIMESTAMPTZ
    if moment is None or (moment.tzinfo is not None) != has_zone:
        _refuse(f"a time such as 1970-01-01 00:00:00{'+00:00' if has_zone else ', without a zone'}")
    digits = target.modifiers[0] if target.modifiers else 6
    if moment.microsecond % 10 ** (6 - digits):
        _refuse(f"a time with at most {digits} digits after the second's point")
    try:
        text = forms.timestamp_text(moment)
        return Constant(f"'{text}'", text.encode("ascii"), forms.timestamp_binary(moment))
    except OverflowError:
        _refuse("a time between the years 1 and 9999 in UTC")


def _moment(value: Any) -> datetime | None:
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d([ T]|$)", value, re.ASCII):
        value = _parsed(datetime.fromisoformat, value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time())
    return value if isinstance(value, datetime) else None


def _parsed(parse: Any, text: str) -> Any:
    try:
        return parse(text)
    except ValueError:
        return None


def _uuid(value: Any) -> Constant:
    parsed = _parsed(UUID, value) if isinstance(value, str) else value
    if not isinstance(parsed, UUID):
        _refuse("a UUID")
    return Constant(f"'{parsed}'", str(parsed).encode("ascii"), parsed.bytes)


def _json(target: Target, value: Any) -> Constant:
    text = json.dumps(value) if isinstance(value, bool | int | float) else value
    if not isinstance(text, str):
        _refuse("JSON in a string, such as '\"hidden\"' or '{}'")
    document = _document(text)
    if target.family is Family.JSON:
        return _same(text)
    rendered = _same(forms.jsonb_text(document))
    return Constant(rendered.sql, rendered.text, b"\1" + rendered.binary)


def _document(text: str) -> Any:
    """Parsed JSON, refused where PostgreSQL would refuse it: NaN, NUL characters, lone surrogates."""
    try:
        document = json.loads(text, parse_float=_json_number, parse_constant=_no_constant)
        problem = text_problem(forms.jsonb_text(document)) or text_problem(text)
    except (ValueError, RecursionError):
        problem = "isn't JSON"
    if problem is not None or "\\u0000" in text:
        _refuse("valid JSON in a string, such as '\"hidden\"' or '{}'")
    return document


def _json_number(text: str) -> Decimal:
    """A number with a point or an exponent; one that PostgreSQL would write with thousands of digits is refused."""
    number = Decimal(text)
    if number and abs(_exponent(number)) + len(number.as_tuple().digits) > _MAX_DIGITS:
        raise ValueError(text)
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _bytea(value: Any) -> Constant:
    if isinstance(value, str) and re.fullmatch(r"\\x([0-9a-fA-F]{2})*", value):
        value = bytes.fromhex(value[2:])
    if not isinstance(value, bytes):
        _refuse("octets in hex, such as '\\x00ff'")
    text = forms.bytea_hex(value)
    return Constant(quote_string(text.decode("ascii")), text, value)
