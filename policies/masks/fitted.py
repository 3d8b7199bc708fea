# cython: boundscheck=False, wraparound=False
"""Masks around masks of texts: what a column's declared length does to their values. As `cells` says, for one value or
many at once."""

from typing import Final

from policies.masks.cells import Inner, is_ascii, mask_cells, total_bytes

_BLANK: Final = 0x20


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
        total_bytes(masked, cells)
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
        total_bytes(buffer, cells)
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
        total_bytes(masked, cells)
        for place in range(0, len(cells), 2):
            start, end = cells[place], cells[place + 1]
            if start < 0:
                continue
            value = masked[start:end]
            if is_ascii(masked, start, end):
                value = value[: self._length].ljust(self._length)
            else:
                text = value.decode("utf-8", "surrogateescape")
                value = text[: self._length].ljust(self._length).encode("utf-8", "surrogateescape")
            parts.append(value)
            cells[place] = to
            to += len(value)
            cells[place + 1] = to
        return b"".join(parts)
