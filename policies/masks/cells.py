# cython: boundscheck=False, wraparound=False
"""Masks on the octets of a text, for one value or for all of a column's values in a run of rows: the hot half.

`mask(value, format_code)` masks one value. `mask_cells(buffer, cells, format_code)` masks many in one call: `cells` is
a memoryview of 64-bit numbers, two for each value, that say where it starts and ends in `buffer`; they are overwritten
with where its replacement starts and ends in the octets that are given back, -1 twice for SQL NULL. Both give the
same. Values are as `stream` says. This module is compiled without checks of every index: cells are checked once,
before they are read. It must not know types of columns.
"""

from hashlib import sha256
from typing import Final, Protocol

from policies.masks.email import DOMAIN_CHARACTERS, is_domain

# Compiled, a loop copies a short value sooner than a slice; interpreted, a slice is always sooner.
_LOOP_BYTES: Final = 0 if __file__.endswith(".py") else 256
_IS_SHOWN: Final = bytes(octet in DOMAIN_CHARACTERS.encode("ascii") for octet in range(256))
_HEX: Final = b"0123456789abcdef"
_AT: Final = 0x40
_BLANK: Final = 0x20
_NO_ADDRESS: Final = b"***"
_HIDDEN_LOCAL: Final = b"***@"
_DIGEST_BYTES: Final = 32
_TOKEN_BYTES: Final = 16
_BLOCK_BYTES: Final = 64
_LONGEST_BYTES: Final = 1 << 30  # PostgreSQL's own bound for any value
_SAFE: Final = 1 << 62  # sums and differences of two below it fit 64 bits
_SAFE_DIGITS: Final = 18
_MINUS: Final = 0x2D
_ZERO: Final = 0x30


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
        out = bytearray(_total(buffer, cells) * max(1, len(self._fill)))
        to = 0
        for place in range(0, len(cells), 2):
            start, end = cells[place], cells[place + 1]
            cells[place] = to
            if _is_ascii(buffer, start, end):
                to = self._put_ascii(out, to, buffer, start, end)
            else:
                value = self._mask_characters(buffer[start:end].decode("utf-8", "surrogateescape"))
                to = _put(out, to, value, 0, len(value))
            cells[place + 1] = to
        return out

    def _put_ascii(self, out: bytearray, to: int, buffer: bytes, start: int, end: int) -> int:
        hidden = end - start - self._first - self._last
        if hidden <= 0:
            return _put_fill(out, to, self._fill, end - start)
        to = _put(out, to, buffer, start, start + self._first)
        to = _put_fill(out, to, self._fill, hidden)
        return _put(out, to, buffer, end - self._last, end)


class EmailMask:
    """``ada@example.com`` -> ``a***@example.com``; what isn't an address -> ``***``."""

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        local, _, domain = value.partition(b"@")
        if not local or not is_domain(domain):
            return _NO_ADDRESS
        return _first_character(local) + _HIDDEN_LOCAL + domain

    def mask_cells(self, buffer: bytes, cells: memoryview, format_code: int) -> bytes | bytearray:
        out = bytearray(_total(buffer, cells) + 2 * len(cells))
        to = 0
        for place in range(0, len(cells), 2):
            start, end = cells[place], cells[place + 1]
            cells[place] = to
            at = _end_of_local(buffer, start, end)
            if at < 0:
                to = _put(out, to, _NO_ADDRESS, 0, 3)
            else:
                if buffer[start] < 0x80:
                    to = _put(out, to, buffer, start, start + 1)
                else:
                    first = _first_character(buffer[start:at])
                    to = _put(out, to, first, 0, len(first))
                to = _put(out, to, _HIDDEN_LOCAL, 0, 3)
                to = _put(out, to, buffer, at, end)
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


class HashMask:
    """64 hex digits of SHA-256 over salt and text."""

    def __init__(self, salt: bytes) -> None:
        self._salted = sha256(salt)

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        return self._digest(value).hex().encode("ascii")

    def _digest(self, value: bytes) -> bytes:
        digest = self._salted.copy()
        digest.update(value)
        return digest.digest()

    def mask_cells(self, buffer: bytes, cells: memoryview, format_code: int) -> bytes | bytearray:
        _total(buffer, cells)
        size = 2 * _DIGEST_BYTES
        out = bytearray(size * (len(cells) // 2))
        to = 0
        for place in range(0, len(cells), 2):
            digest = self._digest(buffer[cells[place] : cells[place + 1]])
            cells[place] = to
            to = _put_hex(out, to, digest, _DIGEST_BYTES)
            cells[place + 1] = to
        return out


class TextToken:
    """The prefix and 32 hex digits, 128 bits of HMAC-SHA-256 over the text."""

    def __init__(self, key: bytes, prefix: str) -> None:
        # HMAC by its definition (RFC 2104), with both keyed blocks hashed once: a third of hmac.digest's time.
        block = (key if len(key) <= _BLOCK_BYTES else sha256(key).digest()).ljust(_BLOCK_BYTES, b"\0")
        self._inner = sha256(bytes(octet ^ 0x36 for octet in block))
        self._outer = sha256(bytes(octet ^ 0x5C for octet in block))
        self._prefix = prefix.encode("utf-8")

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        return self._prefix + self._digest(value)[:_TOKEN_BYTES].hex().encode("ascii")

    def _digest(self, value: bytes) -> bytes:
        inner = self._inner.copy()
        inner.update(value)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()

    def mask_cells(self, buffer: bytes, cells: memoryview, format_code: int) -> bytes | bytearray:
        _total(buffer, cells)
        size = len(self._prefix) + 2 * _TOKEN_BYTES
        out = bytearray(size * (len(cells) // 2))
        to = 0
        for place in range(0, len(cells), 2):
            digest = self._digest(buffer[cells[place] : cells[place + 1]])
            cells[place] = to
            to = _put(out, to, self._prefix, 0, len(self._prefix))
            to = _put_hex(out, to, digest, _TOKEN_BYTES)
            cells[place + 1] = to
        return out


class BucketMask:
    """The lower edge of an integer's bucket, at the least `smallest`, the least value of its type of `size` octets."""

    def __init__(self, size: int, smallest: int, bucket: int) -> None:
        self._size = size
        self._smallest = self._least = smallest
        self._bucket = bucket
        self._step = bucket if bucket < _SAFE else 0

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        return self._edge_of(value, format_code)

    def _edge_of(self, value: bytes, format_code: int) -> bytes:
        number = int.from_bytes(value, "big", signed=True) if format_code else int(value)
        edge = max(number - number % self._bucket, self._least)
        return edge.to_bytes(self._size, "big", signed=True) if format_code else b"%d" % edge

    def mask_cells(self, buffer: bytes, cells: memoryview, format_code: int) -> bytes | bytearray:
        if not self._step:
            return _mask_each(self, buffer, cells, format_code)
        # As text no edge is longer than 20 octets: a sign and 19 digits.
        out = bytearray(20 * (len(cells) // 2))
        to = 0
        _total(buffer, cells)
        for place in range(0, len(cells), 2):
            start, end = cells[place], cells[place + 1]
            cells[place] = to
            if self._is_short(buffer, start, end, format_code):
                number = _signed(buffer, start, end) if format_code else _decimal(buffer, start, end)
                edge = max(number - number % self._step, self._smallest)
                to = _put_signed(out, to, edge, self._size) if format_code else _put_decimal(out, to, edge)
            else:
                value = self._edge_of(buffer[start:end], format_code)
                to = _put(out, to, value, 0, len(value))
            cells[place + 1] = to
        return out

    def _is_short(self, buffer: bytes, start: int, end: int, format_code: int) -> bool:
        """Whether 64 bits are enough to work on this number."""
        if not format_code:
            return _is_short_decimal(buffer, start, end)
        # Two equal bits at the front: between -_SAFE and _SAFE, or of a shorter type.
        return end - start == self._size and (self._size < 8 or buffer[start] >> 6 in (0, 3))


class CutMask:
    """varchar(n): a masked value that grew is cut to n characters, as a cast at the source cuts it."""

    def __init__(self, inner: Inner, length: int) -> None:
        self._inner = inner
        self._length = length

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        masked = self._inner.mask(value, format_code)
        if masked is None or len(masked) <= self._length:
            return masked
        return masked.decode("utf-8", "surrogateescape")[: self._length].encode("utf-8", "surrogateescape")

    def mask_cells(self, buffer: bytes, cells: memoryview, format_code: int) -> bytes | bytearray:
        masked = bytes(mask_cells(self._inner, buffer, cells, format_code))
        _total(masked, cells)
        for place in range(0, len(cells), 2):
            start, end = cells[place], cells[place + 1]
            if end - start > self._length:
                kept = masked[start:end].decode("utf-8", "surrogateescape")[: self._length]
                cells[place + 1] = start + len(kept.encode("utf-8", "surrogateescape"))
        return masked


class PaddedMask:
    """bpchar: the wire carries the blanks at the end, but they don't belong to the value."""

    def __init__(self, inner: Inner, length: int | None) -> None:
        self._inner = inner
        self._length = -1 if length is None else length

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        masked = self._inner.mask(value.rstrip(b" "), format_code)
        if masked is None or self._length < 0:
            return masked
        text = masked.decode("utf-8", "surrogateescape")
        return text[: self._length].ljust(self._length).encode("utf-8", "surrogateescape")

    def mask_cells(self, buffer: bytes, cells: memoryview, format_code: int) -> bytes | bytearray:
        _total(buffer, cells)
        for place in range(0, len(cells), 2):
            start, end = cells[place], cells[place + 1]
            while end > start and buffer[end - 1] == _BLANK:
                end -= 1
            cells[place + 1] = end
        masked = bytes(mask_cells(self._inner, buffer, cells, format_code))
        return masked if self._length < 0 else self._padded(masked, cells)

    def _padded(self, masked: bytes, cells: memoryview) -> bytes | bytearray:
        parts: list[bytes] = []
        to = 0
        _total(masked, cells)
        for place in range(0, len(cells), 2):
            start, end = cells[place], cells[place + 1]
            if start < 0:
                continue
            value = masked[start:end]
            if _is_ascii(masked, start, end):
                value = value[: self._length].ljust(self._length)
            else:
                text = value.decode("utf-8", "surrogateescape")
                value = text[: self._length].ljust(self._length).encode("utf-8", "surrogateescape")
            parts.append(value)
            cells[place] = to
            to += len(value)
            cells[place + 1] = to
        return b"".join(parts)


def mask_cells(mask: Inner, buffer: bytes, cells: memoryview, format_code: int) -> bytes | bytearray:
    """By any mask: at once where it can do that, else value by value."""
    at_once = getattr(mask, "mask_cells", None)
    if at_once is None:
        return _mask_each(mask, buffer, cells, format_code)
    masked: bytes | bytearray = at_once(buffer, cells, format_code)
    return masked


def _mask_each(mask: Inner, buffer: bytes, cells: memoryview, format_code: int) -> bytes:
    _total(buffer, cells)
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


def _total(buffer: bytes, cells: memoryview) -> int:
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


def _is_ascii(buffer: bytes, start: int, end: int) -> bool:
    if _LOOP_BYTES == 0:
        return buffer[start:end].isascii()
    seen = 0
    for index in range(start, end):
        seen |= buffer[index]
    return seen < 0x80


def _put(out: bytearray, to: int, source: bytes, start: int, end: int) -> int:
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


def _put_hex(out: bytearray, to: int, octets: bytes, count: int) -> int:
    if _LOOP_BYTES == 0:
        out[to : to + 2 * count] = octets[:count].hex().encode("ascii")
        return to + 2 * count
    for index in range(count):
        octet = octets[index]
        out[to + 2 * index] = _HEX[octet >> 4]
        out[to + 2 * index + 1] = _HEX[octet & 15]
    return to + 2 * count


def _is_short_decimal(buffer: bytes, start: int, end: int) -> bool:
    if start < end and buffer[start] == _MINUS:
        start += 1
    if not 0 < end - start <= _SAFE_DIGITS:
        return False
    while start < end and _ZERO <= buffer[start] < _ZERO + 10:
        start += 1
    return start == end


def _decimal(buffer: bytes, start: int, end: int) -> int:
    first = start + 1 if buffer[start] == _MINUS else start
    number = 0
    for index in range(first, end):
        number = number * 10 + (buffer[index] - _ZERO)
    return number if first == start else -number


def _signed(buffer: bytes, start: int, end: int) -> int:
    number = 0 if buffer[start] < 0x80 else -1
    for index in range(start, end):
        number = number * 256 + buffer[index]
    return number


def _put_decimal(out: bytearray, to: int, number: int) -> int:
    if number < 0:
        out[to] = _MINUS
        to += 1
        number = -number
    width, rest = 1, number // 10
    while rest:
        width += 1
        rest //= 10
    for index in range(to + width - 1, to - 1, -1):
        out[index] = _ZERO + number % 10
        number //= 10
    return to + width


def _put_signed(out: bytearray, to: int, number: int, size: int) -> int:
    for index in range(to + size - 1, to - 1, -1):
        out[index] = number & 0xFF
        number >>= 8
    return to + size
