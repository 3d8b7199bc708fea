"""Walks and masks runs of DataRow frames, and hides their last columns: a few passes over one buffer, one out.

A few rows are masked cell by cell. Of more, every row is held against its description first, and the masked cells are
found; then each mask is asked once for all cells of its column; then the rows are written anew. Fails closed: whatever
doesn't add up (another number of columns, a length beyond its frame) is ProtocolViolation and nothing of the run is
given out. It must not know policies: a mask is any object with `mask(value, format)`, and `mask_cells` where it can do
many at once.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from proxy.wire.assembly import Masked, assemble
from proxy.wire.errors import LocalProtocolError, ProtocolViolation

_DATA_ROW: Final = 0x44
_HEADER_BYTES: Final = 7
_NULL_LENGTH: Final = 0xFFFFFFFF
_NULL: Final = b"\xff\xff\xff\xff"
# Up to so many, asking for each cell is sooner done than laying out what is asked for all at once.
_FEW_ROWS: Final = 2
# Where rows are large, as many copies fewer count for more.
_FEW_BYTES: Final = 65_536


class ColumnMask(Protocol):
    """`mask` gets a value that isn't NULL and its format (0 text, 1 binary); None means SQL NULL.

    A mask may also have `mask_cells(buffer, cells, format_code) -> bytes | bytearray`, for all values of a run at
    once. `cells` is a memoryview of 64-bit numbers, two for each value: where it starts and ends in `buffer`. They
    are overwritten with where its replacement starts and ends in the octets given back, -1 twice for SQL NULL.
    """

    def mask(self, value: bytes, format_code: int) -> bytes | None: ...


def mask_rows(
    buffer: bytes,
    start: int,
    end: int,
    columns: Sequence[tuple[int, int, ColumnMask]],
    column_count: int,
    hidden_count: int = 0,
) -> bytes | bytearray:
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
    count = _count_rows(buffer, start, end, column_count)
    if count <= _FEW_ROWS and end - start <= _FEW_BYTES:
        return _mask_few(buffer, start, end, by_index, hidden_count)
    slots = _slots(columns, column_count - hidden_count)
    cells = _numbers(2 * count * len(columns))
    found = _numbers(len(columns))
    removed = _find_cells(buffer, start, end, slots, hidden_count, cells, found, count)
    masked = replacements(buffer, columns, cells, found, count)
    return assemble(buffer, start, end, slots, masked, removed)


def _numbers(count: int) -> memoryview:
    return memoryview(bytearray(8 * count)).cast("q")


def _masks_by_index(
    columns: Sequence[tuple[int, int, ColumnMask]], shown_count: int
) -> list[tuple[int, ColumnMask] | None]:
    by_index: list[tuple[int, ColumnMask] | None] = [None] * shown_count
    for index, format_code, mask in columns:
        if not 0 <= index < shown_count or by_index[index] is not None:
            raise LocalProtocolError("a masked column is out of range or masked twice")
        by_index[index] = (format_code, mask)
    return by_index


def _slots(columns: Sequence[tuple[int, int, ColumnMask]], shown_count: int) -> memoryview:
    """For each shown column which of `columns` masks it, -1 for none."""
    slots = _numbers(shown_count)
    for index in range(shown_count):
        slots[index] = -1
    for slot, (index, _, _) in enumerate(columns):
        slots[index] = slot
    return slots


def _count_rows(buffer: bytes, start: int, end: int, column_count: int) -> int:
    count = 0
    at = start
    while at < end:
        at = _row_end(buffer, at, end, column_count)
        count += 1
    return count


def _find_cells(
    buffer: bytes,
    start: int,
    end: int,
    slots: memoryview,
    hidden_count: int,
    cells: memoryview,
    found: memoryview,
    count: int,
) -> int:
    """Walks every column of every row, notes where masked values are; gives how many octets won't be shown."""
    shown_count = len(slots)
    removed = 0
    at = start
    while at < end:
        row_end = _row_end(buffer, at, end, shown_count + hidden_count)
        at += _HEADER_BYTES
        for index in range(shown_count):
            column_end = _column_end(buffer, at, row_end)
            slot = slots[index]
            if slot >= 0 and not _is_null(buffer, at):
                place = 2 * (slot * count + found[slot])
                cells[place] = at + 4
                cells[place + 1] = column_end
                found[slot] += 1
                removed += column_end - at - 4
            at = column_end
        shown_end = at
        for _ in range(hidden_count):
            at = _column_end(buffer, at, row_end)
        if at != row_end:
            raise ProtocolViolation("row is longer than its columns")
        removed += at - shown_end
    return removed


def replacements(
    buffer: bytes,
    columns: Sequence[tuple[int, int, ColumnMask]],
    cells: memoryview,
    found: memoryview,
    count: int,
) -> Masked:
    """The masks' work, column by column."""
    pieces: list[bytes | bytearray] = []
    bases = _numbers(len(columns))
    size = 0
    for slot, (_, format_code, mask) in enumerate(columns):
        first = 2 * slot * count
        own = cells[first : first + 2 * found[slot]]
        mask_cells = getattr(mask, "mask_cells", None)
        if mask_cells is None:
            piece = _mask_each(buffer, own, format_code, mask)
        else:
            piece = mask_cells(buffer, own, format_code)
        pieces.append(piece)
        bases[slot] = size
        size += len(piece)
    return Masked(b"".join(pieces), cells, found, bases, count)


def _mask_each(buffer: bytes, cells: memoryview, format_code: int, mask: ColumnMask) -> bytes:
    parts: list[bytes] = []
    at = 0
    for place in range(0, len(cells), 2):
        replaced = mask.mask(buffer[cells[place] : cells[place + 1]], format_code)
        if replaced is None:
            cells[place] = cells[place + 1] = -1
            continue
        parts.append(replaced)
        cells[place] = at
        at += len(replaced)
        cells[place + 1] = at
    return b"".join(parts)


# a few rows, cell by cell


def _mask_few(
    buffer: bytes, start: int, end: int, by_index: list[tuple[int, ColumnMask] | None], hidden_count: int
) -> bytes:
    parts: list[bytes] = []
    at = start
    while at < end:
        at = _mask_row(buffer, at, end, by_index, hidden_count, parts)
    return b"".join(parts)


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
    size = _HEADER_BYTES - 1
    for masked in by_index:
        column_end = _column_end(buffer, at, row_end)
        if masked is not None and not _is_null(buffer, at):
            replaced = _masked_value(buffer[at + 4 : column_end], masked)
            parts.append(buffer[copied:at])
            parts.append(replaced)
            size += at - copied + len(replaced)
            copied = column_end
        at = column_end
    parts.append(buffer[copied:at])
    parts[head] = _header(size + at - copied, len(by_index))
    for _ in range(hidden_count):
        at = _column_end(buffer, at, row_end)
    if at != row_end:
        raise ProtocolViolation("row is longer than its columns")
    return row_end


def _masked_value(value: bytes, masked: tuple[int, ColumnMask]) -> bytes:
    replaced = masked[1].mask(value, masked[0])
    return _NULL if replaced is None else len(replaced).to_bytes(4, "big") + replaced


def _header(length: int, column_count: int) -> bytes:
    return b"D" + length.to_bytes(4, "big") + column_count.to_bytes(2, "big")


# one row


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


def _is_null(buffer: bytes, at: int) -> bool:
    # A value's length is below its row's, so its first octet tells it from the -1 of NULL.
    return buffer[at] == 0xFF


def _row_end(buffer: bytes, start: int, end: int, column_count: int) -> int:
    if start + _HEADER_BYTES > end or buffer[start] != _DATA_ROW:
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
