# cython: boundscheck=False, wraparound=False
"""Masks on the octets of a text, for one value or for all of a column's values in a run of rows: the hot half. Digests,
numbers and masks around others have modules of their own.

`mask(value, format_code)` masks one value. `mask_cells(buffer, cells, format_code)` masks many in one call: `cells` is
a memoryview of 64-bit numbers, two for each value, that say where it starts and ends in `buffer`; they are overwritten
with where its replacement starts and ends in the octets that are given back, -1 twice for SQL NULL. Both give the
same. Values are as `stream` says. This module is compiled without checks of every index: cells are checked once,
before they are read. It must not know types of columns.
"""

from typing import Final, Protocol

from policies.masks.email import DOMAIN_CHARACTERS, is_domain

# Compiled, a loop copies a short value sooner than a slice; interpreted, a slice is always sooner.
_LOOP_BYTES: Final = 0 if __file__.endswith(".py") else 256
_IS_SHOWN: Final = bytes(octet in DOMAIN_CHARACTERS.encode("ascii") for octet in range(256))
_AT: Final = 0x40
_NO_ADDRESS: Final = b"***"
_HIDDEN_LOCAL: Final = b"***@"
_LONGEST_BYTES: Final = 1 << 30  # PostgreSQL's own bound for any value


class Inner(Protocol):
    def mask(self, value: bytes, format_code: int) -> bytes | None: ...


class NullMask:
    def mask(self, value: bytes, format_code: int) -> bytes | None:
        return None

    def mask_cells(self, buffer: bytes, cells: memoryview, format_code: int) -> bytes | bytearray:
        for place in range(len(cells)):
            cells[place] = -1
        return b""


class ConstantMask:
    def __init__(self, text: bytes, binary: bytes) -> None:
        self._text = text
        self._binary = binary

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        return self._binary if format_code else self._text

    def mask_cells(self, buffer: bytes, cells: memoryview, format_code: int) -> bytes | bytearray:
        value = self._binary if format_code else self._text
        size = len(value)
        for place in range(0, len(cells), 2):
            cells[place] = 0
            cells[place + 1] = size
        return value


class PartialMask:
    """Keeps characters at the ends; a value that has no more than those is wholly filled."""

    def __init__(self, first: int, last: int, fill: str) -> None:
        self._first = min(first, _LONGEST_BYTES)
        self._last = min(last, _LONGEST_BYTES)
        self._fill = fill.encode("utf-8")

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        if not value.isascii():
            return self._mask_characters(value.decode("utf-8", "surrogateescape"))
        length = len(value)
        hidden = length - self._first - self._last
        if hidden <= 0:
            return self._fill * length
        return value[: self._first] + self._fill * hidden + value[length - self._last :]

    def _mask_characters(self, value: str) -> bytes:
        length = len(value)
        hidden = length - self._first - self._last
        if hidden <= 0:
            return self._fill * length
        masked = value[: self._first] + self._fill.decode("utf-8") * hidden + value[length - self._last :]
        return masked.encode("utf-8", "surrogateescape")

    def mask_cells(self, buffer: bytes, cells: memoryview, format_code: int) -> bytes | bytearray:
        out = bytearray(total_bytes(buffer, cells) * max(1, len(self._fill)))
        to = 0
        for place in range(0, len(cells), 2):
            start, end = cells[place], cells[place + 1]
            cells[place] = to
            if is_ascii(buffer, start, end):
                to = self._put_ascii(out, to, buffer, start, end)
            else:
                value = self._mask_characters(buffer[start:end].decode("utf-8", "surrogateescape"))
                to = put(out, to, value, 0, len(value))
            cells[place + 1] = to
        return out

    def _put_ascii(self, out: bytearray, to: int, buffer: bytes, start: int, end: int) -> int:
        hidden = end - start - self._first - self._last
        if hidden <= 0:
            return _put_fill(out, to, self._fill, end - start)
        to = put(out, to, buffer, start, start + self._first)
        to = _put_fill(out, to, self._fill, hidden)
        return put(out, to, buffer, end - self._last, end)


class EmailMask:
    """``ada@example.com`` -> ``a***@example.com``; what isn't an address -> ``***``."""

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        local, _, domain = value.partition(b"@")
        if not local or not is_domain(domain):
            return _NO_ADDRESS
        return _first_character(local) + _HIDDEN_LOCAL + domain

    def mask_cells(self, buffer: bytes, cells: memoryview, format_code: int) -> bytes | bytearray:
        out = bytearray(total_bytes(buffer, cells) + 2 * len(cells))
        to = 0
        for place in range(0, len(cells), 2):
            start, end = cells[place], cells[place + 1]
            cells[place] = to
            at = _end_of_local(buffer, start, end)
            if at < 0:
                to = put(out, to, _NO_ADDRESS, 0, 3)
            else:
                if buffer[start] < 0x80:
                    to = put(out, to, buffer, start, start + 1)
                else:
                    first = _first_character(buffer[start:at])
                    to = put(out, to, first, 0, len(first))
                to = put(out, to, _HIDDEN_LOCAL, 0, 3)
                to = put(out, to, buffer, at, end)
            cells[place + 1] = to
        return out


def _first_character(local: bytes) -> bytes:
    first = local[:1]
    if first < b"\x80":
        return first
    return local.decode("utf-8", "surrogateescape")[0].encode("utf-8", "surrogateescape")


def _end_of_local(buffer: bytes, start: int, end: int) -> int:
    """Where the ``@`` of an address stands; -1 when it is none."""
    at = start
    while at < end and buffer[at] != _AT:
        at += 1
    if at == start or at + 1 >= end:
        return -1
    for index in range(at + 1, end):
        if not _IS_SHOWN[buffer[index]]:
            return -1
    return at


def mask_cells(mask: Inner, buffer: bytes, cells: memoryview, format_code: int) -> bytes | bytearray:
    """By any mask: at once where it can do that, else value by value."""
    at_once = getattr(mask, "mask_cells", None)
    if at_once is None:
        return mask_each(mask, buffer, cells, format_code)
    masked: bytes | bytearray = at_once(buffer, cells, format_code)
    return masked


def mask_each(mask: Inner, buffer: bytes, cells: memoryview, format_code: int) -> bytes:
    total_bytes(buffer, cells)
    parts: list[bytes] = []
    to = 0
    for place in range(0, len(cells), 2):
        value = mask.mask(buffer[cells[place] : cells[place + 1]], format_code)
        if value is None:
            cells[place] = -1
            cells[place + 1] = -1
            continue
        parts.append(value)
        cells[place] = to
        to += len(value)
        cells[place + 1] = to
    return b"".join(parts)


def total_bytes(buffer: bytes, cells: memoryview) -> int:
    """How many octets the values have. Raises ValueError for one that doesn't lie in the buffer."""
    size = len(buffer)
    total = 0
    for place in range(0, len(cells), 2):
        start, end = cells[place], cells[place + 1]
        if start == -1 and end == -1:
            continue
        if start < 0 or end < start or end > size:
            raise ValueError("a value that doesn't lie in its buffer")
        total += end - start
    return total


def is_ascii(buffer: bytes, start: int, end: int) -> bool:
    if _LOOP_BYTES == 0:
        return buffer[start:end].isascii()
    seen = 0
    for index in range(start, end):
        seen |= buffer[index]
    return seen < 0x80


def put(out: bytearray, to: int, source: bytes, start: int, end: int) -> int:
    size = end - start
    if size > _LOOP_BYTES:
        out[to : to + size] = source[start:end]
    else:
        for index in range(size):
            out[to + index] = source[start + index]
    return to + size


def _put_fill(out: bytearray, to: int, fill: bytes, count: int) -> int:
    width = len(fill)
    size = width * count
    if size > _LOOP_BYTES:
        out[to : to + size] = fill * count
    elif width == 1:
        octet = fill[0]
        for index in range(count):
            out[to + index] = octet
    else:
        for index in range(size):
            out[to + index] = fill[index % width]
    return to + size
