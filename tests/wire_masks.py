"""Masks that show what they were given, for the tests of rows and of COPY's lines."""

from __future__ import annotations

from typing import Protocol


class Mask(Protocol):
    def mask(self, value: bytes, format_code: int) -> bytes | None: ...


class Tag:
    """A mask that shows what it was given: the value's length and format."""

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        return b"%d/%d" % (len(value), format_code)


class Hide:
    """A mask to SQL NULL."""

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        return None


class AtOnce:
    """Another mask, asked for all values at once. Its replacements lie in the order that nobody would expect."""

    def __init__(self, inner: Mask) -> None:
        self.mask = inner.mask

    def mask_cells(self, buffer: bytes, cells: memoryview, format_code: int) -> bytes | bytearray:
        out = bytearray(b"?")
        for place in reversed(range(0, len(cells), 2)):
            value = self.mask(buffer[cells[place] : cells[place + 1]], format_code)
            cells[place], cells[place + 1] = (-1, -1) if value is None else (len(out), len(out) + len(value))
            out += value or b"!"
        return out


class Misplaced:
    """A mask whose replacements lie elsewhere."""

    def __init__(self, start: int, end: int) -> None:
        self._place = start, end

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        raise AssertionError("asked for all at once")

    def mask_cells(self, buffer: bytes, cells: memoryview, format_code: int) -> bytes | bytearray:
        cells[-2], cells[-1] = self._place
        return b"abc"
