"""Bind's values as texts for records, where an operator wants them kept. Bounded: values may be as long as a message.

A value that came in binary is written as PostgreSQL would, for the types that drivers send so; any other as bytea is,
``\\x`` and hexadecimal digits. It must not know records.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

from proxy.wire.binding import BindHead, string_end

MAX_VALUES: Final = 200
MAX_BYTES: Final = 1_024  # of one value
MAX_TOTAL_BYTES: Final = 16_384

_NULL: Final = -1
_BINARY: Final = 1
_CUT: Final = "…"
_EPOCH: Final = datetime(2000, 1, 1)
_DATES: Final = (-(1 << 31), (1 << 31) - 1)  # -infinity, infinity
_MOMENTS: Final = (-(1 << 63), (1 << 63) - 1)
_NUMERIC: Final = struct.Struct("!HhHH")
_NEGATIVE: Final = 0x4000
_SPECIAL: Final = {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}
_BASE_DIGITS: Final = 4


def bound_values(frame: memoryview, head: BindHead, types: tuple[int, ...]) -> tuple[str | None, ...]:
    """Of a whole Bind that `head` was read from; `types` are OIDs as its Parse declared them, perhaps fewer."""
    at = string_end(frame, string_end(frame, 5))
    formats, at = _shorts(frame, at)
    (count,) = struct.unpack_from("!H", frame, at)
    at += 2
    values: list[str | None] = []
    room = MAX_TOTAL_BYTES
    for number in range(count):
        if number == MAX_VALUES or room <= 0:
            values.append(f"({count - number} more)")
            break
        (length,) = struct.unpack_from("!i", frame, at)
        at += 4
        if length == _NULL:
            values.append(None)
            continue
        value = _value(frame, at, length, _of(formats, number), types[number] if number < len(types) else 0)
        values.append(value)
        room -= len(value.encode()) + 4
        at += length
    return tuple(values)


def _shorts(frame: memoryview, at: int) -> tuple[tuple[int, ...], int]:
    (count,) = struct.unpack_from("!H", frame, at)
    return struct.unpack_from(f"!{count}h", frame, at + 2), at + 2 + 2 * count


def _of(formats: tuple[int, ...], number: int) -> int:
    """Bind names no format, one for all values, or one for each."""
    if len(formats) == 1:
        return formats[0]
    return formats[number] if number < len(formats) else 0


def _value(frame: memoryview, at: int, length: int, form: int, type_oid: int) -> str:
    data = bytes(frame[at : at + min(length, MAX_BYTES)])
    is_cut = length > len(data)
    if form != _BINARY or type_oid in _TEXTS:
        return _text(data, is_cut)
    write = _WRITERS.get(type_oid)
    if write is not None and not is_cut:
        try:
            return write(data)
        except (struct.error, ValueError, OverflowError):
            return _hex(data, length)  # which the server will refuse as well, or is beyond Python's calendar
    return _hex(data, length)


def _hex(data: bytes, length: int) -> str:
    return f"\\x{data[: MAX_BYTES // 2].hex()}{_CUT if length > MAX_BYTES // 2 else ''}"


def _text(data: bytes, is_cut: bool) -> str:
    """A character that the cut went through isn't shown."""
    return data.decode("utf-8", "ignore") + _CUT if is_cut else data.decode("utf-8", "replace")


def _number(form: str) -> Callable[[bytes], str]:
    reader = struct.Struct(form)

    def write(data: bytes) -> str:
        return str(reader.unpack(data)[0])

    return write


def _boolean(data: bytes) -> str:
    (value,) = struct.unpack("!?", data)
    return "t" if value else "f"


def _date(data: bytes) -> str:
    (days,) = struct.unpack("!i", data)
    return _infinite(days, _DATES) or str(date(2000, 1, 1) + timedelta(days=days))


def _timestamp(data: bytes) -> str:
    (moment,) = struct.unpack("!q", data)
    return _infinite(moment, _MOMENTS) or str(_EPOCH + timedelta(microseconds=moment))


def _timestamptz(data: bytes) -> str:
    (moment,) = struct.unpack("!q", data)
    return _infinite(moment, _MOMENTS) or str((_EPOCH + timedelta(microseconds=moment)).replace(tzinfo=UTC))


def _infinite(value: int, ends: tuple[int, int]) -> str:
    return "-infinity" if value == ends[0] else "infinity" if value == ends[1] else ""


def _uuid(data: bytes) -> str:
    return str(UUID(bytes=data))


def _jsonb(data: bytes) -> str:
    """Behind the version of the format."""
    if data[:1] != b"\x01":
        raise ValueError("another version")
    return data[1:].decode("utf-8")


def _numeric(data: bytes) -> str:
    count, weight, sign, scale = _NUMERIC.unpack_from(data)
    if sign in _SPECIAL:
        return _SPECIAL[sign]
    digits = struct.unpack(f"!{count}H", data[_NUMERIC.size :])
    if abs(weight) > MAX_BYTES // _BASE_DIGITS or scale > MAX_BYTES or any(digit > 9999 for digit in digits):
        raise ValueError("longer than it is worth")
    written = "".join(f"{digit:04}" for digit in digits)
    whole_size = _BASE_DIGITS * (weight + 1)
    whole = written[: max(whole_size, 0)].ljust(whole_size, "0").lstrip("0") or "0"
    fraction = ("0" * -whole_size + written if whole_size < 0 else written[whole_size:])[:scale].ljust(scale, "0")
    return ("-" if sign == _NEGATIVE else "") + whole + (f".{fraction}" if scale else "")


# Their binary form is the text.
_TEXTS: Final = frozenset({18, 19, 25, 114, 142, 705, 1042, 1043})
_WRITERS: Final[Mapping[int, Callable[[bytes], str]]] = {
    16: _boolean,
    20: _number("!q"),
    21: _number("!h"),
    23: _number("!i"),
    26: _number("!I"),
    700: _number("!f"),
    701: _number("!d"),
    1082: _date,
    1114: _timestamp,
    1184: _timestamptz,
    1700: _numeric,
    2950: _uuid,
    3802: _jsonb,
}
