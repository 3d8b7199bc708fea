"""Walks and masks runs of DataRow frames, and hides their last columns: one pass, one bytes object out.

Fails closed: whatever doesn't add up (another number of columns, a length beyond its frame) is ProtocolViolation
and nothing of the run is given out. It must not know policies: a mask is any object with `mask(value, format)`.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from proxy.wire.errors import LocalProtocolError, ProtocolViolation

DATA_ROW: Final = 0x44
_HEADER_BYTES: Final = 7
_NULL: Final = b"\xff\xff\xff\xff"
_NULL_LENGTH: Final = 0xFFFFFFFF


class ColumnMask(Protocol):
    """`mask` gets a value that isn't NULL and its format (0 text, 1 binary); None means SQL NULL."""

    def mask(self, value: bytes, format_code: int) -> bytes | None: ...


def mask_rows(
    buffer: bytes,
    start: int,
    end: int,
    columns: Sequence[tuple[int, int, ColumnMask]],
    column_count: int,
    hidden_count: int = 0,
) -> bytes:
    """The DataRow frames in buffer[start:end] with `columns` (index, format, mask) masked.

    `column_count` is what RowDescription promised; the last `hidden_count` of them are left out. Raises
    ProtocolViolation for any row that differs, and LocalProtocolError for columns or a run out of range.
    NULL stays NULL.
    """
    # A negative offset would index from the buffer's end.
    if not 0 <= start <= end <= len(buffer):
        raise LocalProtocolError("a run of rows lies inside its buffer")
    if not 0 <= hidden_count <= column_count:
        raise LocalProtocolError("more columns are hidden than there are")
    by_index = _masks_by_index(columns, column_count - hidden_count)
    parts: list[bytes] = []
    at = start
    while at < end:
        at = _mask_row(buffer, at, end, by_index, hidden_count, parts)
    return b"".join(parts)


def _masks_by_index(
    columns: Sequence[tuple[int, int, ColumnMask]], column_count: int
) -> list[tuple[int, ColumnMask] | None]:
    if column_count < 0:
        raise LocalProtocolError("a number of columns is not negative")
    by_index: list[tuple[int, ColumnMask] | None] = [None] * column_count
    for index, format_code, mask in columns:
        if not 0 <= index < column_count or by_index[index] is not None:
            raise LocalProtocolError("a masked column is out of range or masked twice")
        by_index[index] = (format_code, mask)
    return by_index


def _mask_row(
    buffer: bytes,
    start: int,
    end: int,
    by_index: list[tuple[int, ColumnMask] | None],
    hidden_count: int,
    parts: list[bytes],
) -> int:
    row_end = _row_end(buffer, start, end, len(by_index) + hidden_count)
    head = len(parts)
    parts.append(b"")
    at = copied = start + _HEADER_BYTES
    for masked in by_index:
        value_at = at + 4
        if value_at > row_end:
            raise ProtocolViolation("row ends inside a column")
        length = _uint32(buffer, at)
        if length == _NULL_LENGTH:
            at = value_at
            continue
        if length > row_end - value_at:
            raise ProtocolViolation("column is longer than its row")
        if masked is not None:
            parts.append(buffer[copied:at])
            parts.append(_masked_value(buffer[value_at : value_at + length], masked))
            copied = value_at + length
        at = value_at + length
    parts.append(buffer[copied:at])
    for _ in range(hidden_count):
        at = _column_end(buffer, at, row_end)
    if at != row_end:
        raise ProtocolViolation("row is longer than its columns")
    parts[head] = _header(buffer, start, sum(map(len, parts[head + 1 :])), len(by_index))
    return row_end


def _column_end(buffer: bytes, at: int, row_end: int) -> int:
    value_at = at + 4
    if value_at > row_end:
        raise ProtocolViolation("row ends inside a column")
    length = _uint32(buffer, at)
    if length == _NULL_LENGTH:
        return value_at
    if length > row_end - value_at:
        raise ProtocolViolation("column is longer than its row")
    return value_at + length


def _masked_value(value: bytes, masked: tuple[int, ColumnMask]) -> bytes:
    replaced = masked[1].mask(value, masked[0])
    return _NULL if replaced is None else len(replaced).to_bytes(4, "big") + replaced


def _header(buffer: bytes, start: int, columns_bytes: int, column_count: int) -> bytes:
    length = (columns_bytes + 6).to_bytes(4, "big")
    return buffer[start : start + 1] + length + column_count.to_bytes(2, "big")


def _row_end(buffer: bytes, start: int, end: int, column_count: int) -> int:
    if start + _HEADER_BYTES > end or buffer[start] != DATA_ROW:
        raise ProtocolViolation("not a complete DataRow")
    row_end = start + 1 + _uint32(buffer, start + 1)
    if row_end > end or row_end < start + _HEADER_BYTES:
        raise ProtocolViolation("row is longer than its run or shorter than its header")
    if buffer[start + 5] << 8 | buffer[start + 6] != column_count:
        raise ProtocolViolation("row has another number of columns than its description")
    return row_end


def _uint32(data: bytes, at: int) -> int:
    # In halves: compiled, a byte is a C int, and 255 << 24 would be negative.
    high = data[at] << 8 | data[at + 1]
    low = data[at + 2] << 8 | data[at + 3]
    return high << 16 | low
