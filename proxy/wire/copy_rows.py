"""Masks the rows of a COPY TO as they pass: lines in text or CSV format, or binary rows. Each has a state of its own,
for the first message and the last differ.

PostgreSQL sends a message for each row (and the header line), in binary with the signature before the first row and
the trailer in a message of its own; that is all that is taken. Fails closed: whatever doesn't add up is
ProtocolViolation, and nothing of the run is given out. It must not know policies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from proxy.wire.copy_lines import Lines, count_lines, find_columns, line_end
from proxy.wire.copy_values import assemble_lines, place_values, without_escapes, write_values
from proxy.wire.errors import LocalProtocolError, ProtocolViolation
from proxy.wire.rows import ColumnMask, mask_rows, replacements

_HEADER_BYTES: Final = 5
_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # with no flags, and no extension of the header
_TRAILER: Final = b"\xff\xff"
_LEAST_ROW_BYTES: Final = 2
_COPY_DATA: Final = b"d"
_DATA_ROW: Final = b"D"


class CopyRows(Protocol):
    """`mask` takes a run of whole CopyData messages; each run is given to it once, in their order."""

    def mask(self, buffer: bytes, start: int, end: int) -> tuple[bytes | bytearray, int]:
        """The messages to be shown instead, and how many rows they are. Raises ProtocolViolation."""


class LineRows:
    """`columns`: index and mask, by rising index."""

    def __init__(self, lines: Lines, columns: Sequence[tuple[int, ColumnMask]], column_count: int, has_header: bool):
        if not _is_rising([index for index, _ in columns], column_count):
            raise LocalProtocolError("masked columns of COPY are out of their order")
        self._lines = lines
        self._columns = tuple((index, 0, mask) for index, mask in columns)
        self._slots = _numbers(column_count)
        for index in range(column_count):
            self._slots[index] = -1
        for slot, (index, _) in enumerate(columns):
            self._slots[index] = slot
        self._is_header_due = has_header

    def mask(self, buffer: bytes, start: int, end: int) -> tuple[bytes | bytearray, int]:
        head = b""
        if self._is_header_due and start < end:
            first = line_end(buffer, start, end)
            head, start = buffer[start:first], first
            self._is_header_due = False
        count = count_lines(buffer, start, end)
        shown = self._mask_lines(buffer, start, end, count) if count else b""
        return (head + shown if head else shown), count

    def _mask_lines(self, buffer: bytes, start: int, end: int, count: int) -> bytearray:
        lines, columns = self._lines, self._columns
        spans = _numbers(2 * count * len(columns))
        cells = _numbers(2 * count * len(columns))
        found = _numbers(len(columns))
        has_escapes = find_columns(buffer, start, end, lines, self._slots, spans)
        place_values(buffer, lines, spans, cells, found, count)
        values = without_escapes(buffer, lines, cells, found, count) if has_escapes else buffer
        masked = replacements(values, columns, cells, found, count)
        return assemble_lines(buffer, start, end, lines, spans, write_values(masked, lines))


class BinaryRows:
    """The rows are those of DataRow messages, so they are masked as such."""

    def __init__(self, columns: Sequence[tuple[int, ColumnMask]], column_count: int) -> None:
        self._columns = tuple((index, 1, mask) for index, mask in columns)
        self._column_count = column_count
        self._is_first = True
        self._is_at_end = False

    def mask(self, buffer: bytes, start: int, end: int) -> tuple[bytes | bytearray, int]:
        parts: list[bytes] = []
        count = 0
        while start < end:
            body = _body(buffer, start, end)
            start += _HEADER_BYTES + len(body)
            head = self._head(body)
            shown, is_row = self._masked(body[len(head) :])
            count += is_row
            parts.append(_message(_COPY_DATA, head + shown))
        return b"".join(parts), count

    def _head(self, body: bytes) -> bytes:
        if not self._is_first:
            return b""
        if not body.startswith(_SIGNATURE):
            raise ProtocolViolation("binary COPY data without their signature")
        self._is_first = False
        return _SIGNATURE

    def _masked(self, row: bytes) -> tuple[bytes, bool]:
        if self._is_at_end or len(row) < _LEAST_ROW_BYTES:
            raise ProtocolViolation("binary COPY data that are no row")
        if row == _TRAILER:
            self._is_at_end = True
            return row, False
        message = _message(_DATA_ROW, row)
        return bytes(mask_rows(message, 0, len(message), self._columns, self._column_count)[_HEADER_BYTES:]), True


def _body(buffer: bytes, start: int, end: int) -> bytes:
    if end - start < _HEADER_BYTES or buffer[start : start + 1] != _COPY_DATA:
        raise ProtocolViolation("not a complete CopyData")
    body_end = start + 1 + int.from_bytes(buffer[start + 1 : start + _HEADER_BYTES], "big")
    if not start + _HEADER_BYTES <= body_end <= end:
        raise ProtocolViolation("CopyData is longer than its run or shorter than its header")
    return buffer[start + _HEADER_BYTES : body_end]


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


def _is_rising(indexes: Sequence[int], column_count: int) -> bool:
    return all(before < after for before, after in zip([-1, *indexes], [*indexes, column_count], strict=True))


def _numbers(count: int) -> memoryview:
    return memoryview(bytearray(8 * count)).cast("q")
