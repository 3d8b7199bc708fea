# cython: boundscheck=False, wraparound=False
"""Masks integers by the edges of their buckets. As `cells` says, for one value or many at once."""

from typing import Final

from policies.masks.cells import mask_each, put, total_bytes

_SAFE: Final = 1 << 62  # sums and differences of two below it fit 64 bits
_SAFE_DIGITS: Final = 18
_MINUS: Final = 0x2D
_ZERO: Final = 0x30


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
            return mask_each(self, buffer, cells, format_code)
        # As text no edge is longer than 20 octets: a sign and 19 digits.
        out = bytearray(20 * (len(cells) // 2))
        to = 0
        total_bytes(buffer, cells)
        for place in range(0, len(cells), 2):
            start, end = cells[place], cells[place + 1]
            cells[place] = to
            if self._is_short(buffer, start, end, format_code):
                number = _signed(buffer, start, end) if format_code else _decimal(buffer, start, end)
                edge = max(number - number % self._step, self._smallest)
                to = _put_signed(out, to, edge, self._size) if format_code else _put_decimal(out, to, edge)
            else:
                value = self._edge_of(buffer[start:end], format_code)
                to = put(out, to, value, 0, len(value))
            cells[place + 1] = to
        return out

    def _is_short(self, buffer: bytes, start: int, end: int, format_code: int) -> bool:
        """Whether 64 bits are enough to work on this number."""
        if not format_code:
            return _is_short_decimal(buffer, start, end)
        # Two equal bits at the front: between -_SAFE and _SAFE, or of a shorter type.
        return end - start == self._size and (self._size < 8 or buffer[start] >> 6 in (0, 3))


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
