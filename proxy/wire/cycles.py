"""Reads the two halves of a plain cycle when each came as one chunk: what a client asks, what a server answers.

A chunk is read only if it is exactly one such half, to the last byte; of anything else nothing is said. It knows
neither statements nor sessions, and looks into no row.

    asked.read(chunk)     # Query, or [Parse] Bind [Describe] Execute Sync of the unnamed portal
    answer.read(chunk)    # [RowDescription] DataRow* CommandComplete ReadyForQuery, and what the extended one adds
"""

from __future__ import annotations

from typing import Final

# Kinds of what a client asks; OTHER: the chunk is something else.
OTHER: Final = 0
QUERY: Final = 1
PARSED: Final = 2
BOUND: Final = 3

_QUERY: Final = 0x51
_PARSE: Final = 0x50
_BIND: Final = 0x42
_DESCRIBE: Final = 0x44
_EXECUTE: Final = 0x45
_SYNC: Final = 0x53
_PORTAL: Final = 0x50
_ROW: Final = 0x44
_DESCRIPTION: Final = 0x54
_NO_DATA: Final = 0x6E
_COMPLETE: Final = 0x43
_READY: Final = 0x5A
_PARSE_COMPLETE: Final = 0x31
_BIND_COMPLETE: Final = 0x32
_SPACE: Final = 0x20
_ZERO: Final = 0x30
_NULL_LENGTH: Final = 0xFFFFFFFF
_MOST_DIGITS: Final = 18  # of a number in a tag: it fits 64 bits


class Asked:
    """The client's half. Offsets count from the chunk's beginning.

    `text`: of Query and Parse, without its terminator; `types`: Parse's OIDs as they stand there; `statement`: Bind's
    name of it; `formats`: Bind's result formats with their number; `bind_at`: where Bind begins.
    """

    def __init__(self) -> None:
        self.kind = OTHER
        self.text = b""
        self.types = b""
        self.statement = b""
        self.formats = b""
        self.bind_at = 0
        self.is_described = False

    def read(self, chunk: bytes) -> int:
        """QUERY, PARSED, BOUND (without Parse) or OTHER."""
        self.kind = OTHER
        if len(chunk) < 6:
            return OTHER
        first = chunk[0]
        if first == _QUERY:
            self._read_query(chunk)
        elif first == _PARSE:
            at = self._read_parse(chunk)
            if at > 0 and self._read_rest(chunk, at) and not self.statement:
                self.kind = PARSED
        elif first == _BIND and self._read_rest(chunk, 0):
            self.kind = BOUND
        return self.kind

    def _read_query(self, chunk: bytes) -> None:
        size = len(chunk)
        # A NUL before the last byte hides what the server doesn't read.
        if frame_end(chunk, 0, size) == size and _zero_at(chunk, 5, size) == size - 1:
            self.text = chunk[5 : size - 1]
            self.kind = QUERY

    def _read_parse(self, chunk: bytes) -> int:
        """Where an unnamed Parse ends; 0 if it is another one."""
        end = frame_end(chunk, 0, len(chunk))
        if end <= 0 or chunk[5] != 0:
            return 0
        zero = _zero_at(chunk, 6, end)
        if zero < 0 or zero + 3 > end:
            return 0
        count = chunk[zero + 1] << 8 | chunk[zero + 2]
        if zero + 3 + 4 * count != end:
            return 0
        self.text = chunk[6:zero]
        self.types = chunk[zero + 3 : end]
        return end

    def _read_rest(self, chunk: bytes, start: int) -> bool:
        """Bind, perhaps Describe, Execute of all rows and Sync, to the chunk's end."""
        size = len(chunk)
        end = frame_end(chunk, start, size)
        if end <= 0 or chunk[start] != _BIND or not self._read_bind(chunk, start, end):
            return False
        self.bind_at = start
        left = size - end
        self.is_described = left == 22 and chunk[end : end + 7] == b"D\0\0\0\6P\0"
        if self.is_described:
            end += 7
            left -= 7
        return left == 15 and chunk[end:size] == b"E\0\0\0\x09\0\0\0\0\0S\0\0\0\4"

    def _read_bind(self, chunk: bytes, start: int, end: int) -> bool:
        """A Bind to the unnamed portal."""
        if end < start + 12 or chunk[start + 5] != 0:
            return False
        zero = _zero_at(chunk, start + 6, end)
        if zero < 0 or zero + 3 > end:
            return False
        at = zero + 3 + 2 * (chunk[zero + 1] << 8 | chunk[zero + 2])
        at = _values_end(chunk, at, end)
        if at < 0 or at + 2 > end or at + 2 + 2 * (chunk[at] << 8 | chunk[at + 1]) != end:
            return False
        self.statement = chunk[start + 6 : zero]
        self.formats = chunk[at:end]
        return True


class Answer:
    """The server's half of a plain cycle. Rows stand in chunk[rows_at:rows_end], their description before them.

    `affected` is the number at the end of the tag; `tag_bytes` the size of the whole CommandComplete.
    """

    def __init__(self) -> None:
        self.description_at = 0
        self.rows_at = 0
        self.rows_end = 0
        self.rows = 0
        self.is_no_data = False
        self.tag_at = 0
        self.tag_bytes = 0
        self.affected = 0
        self.status = 0

    def read(self, chunk: bytes, kind: int) -> bool:
        """Whether the chunk is exactly the whole answer to what `kind` asked (as Asked has it)."""
        size = len(chunk)
        at = _completions_end(chunk, size, kind)
        if at < 0:
            return False
        self.description_at = at
        self.is_no_data = False
        if at + 5 <= size and chunk[at] == _DESCRIPTION:
            at = frame_end(chunk, at, size)
        elif at + 5 <= size and chunk[at] == _NO_DATA:
            self.is_no_data = True
            at = at + 5 if chunk[at : at + 5] == b"n\0\0\0\4" else -1
        self.rows_at = at
        count = 0
        while 0 < at < size and chunk[at] == _ROW:
            at = frame_end(chunk, at, size)
            count += 1
        if at < 0:
            return False
        self.rows = count
        self.rows_end = at
        return self._read_end(chunk, at, size)

    def _read_end(self, chunk: bytes, at: int, size: int) -> bool:
        """CommandComplete and ReadyForQuery, to the chunk's end."""
        if at >= size or chunk[at] != _COMPLETE:
            return False
        end = frame_end(chunk, at, size)
        if end < at + 6 or end + 6 != size or chunk[end : end + 5] != b"Z\0\0\0\5":
            return False
        self.status = chunk[size - 1]
        self.tag_at = at
        self.tag_bytes = end - at
        self.affected = _number_before(chunk, at + 5, end - 1)
        return self.affected >= 0


def frame_end(data: bytes, at: int, size: int) -> int:
    """Where the frame at `at` ends; -1 if it doesn't end within `size`, or its length makes no sense."""
    if at + 5 > size:
        return -1
    # In halves: compiled, a byte is a C int, and 255 << 24 would be negative.
    high = data[at + 1] << 8 | data[at + 2]
    low = data[at + 3] << 8 | data[at + 4]
    length = high << 16 | low
    return -1 if length < 4 or length > size - at - 1 else at + 1 + length


def _zero_at(data: bytes, at: int, end: int) -> int:
    """The first NUL from `at` on; -1 if there is none before `end`."""
    while at < end and data[at] != 0:
        at += 1
    return at if at < end else -1


def _values_end(data: bytes, at: int, end: int) -> int:
    """Where Bind's values end, their number standing at `at`; -1 if they don't."""
    if at + 2 > end:
        return -1
    count = data[at] << 8 | data[at + 1]
    at += 2
    while count > 0:
        if at + 4 > end:
            return -1
        high = data[at] << 8 | data[at + 1]
        low = data[at + 2] << 8 | data[at + 3]
        length = high << 16 | low
        at += 4
        if length != _NULL_LENGTH:
            if length > end - at:
                return -1
            at += length
        count -= 1
    return at


def _completions_end(data: bytes, size: int, kind: int) -> int:
    """Behind ParseComplete and BindComplete, as far as they are due; -1 if they aren't there."""
    if kind == QUERY:
        return 0
    if kind == PARSED:
        return 10 if size > 10 and data[:10] == b"1\0\0\0\x042\0\0\0\4" else -1
    return 5 if size > 5 and data[:5] == b"2\0\0\0\4" else -1


def _number_before(data: bytes, start: int, end: int) -> int:
    """The number that ends a tag behind a blank, 0 if none does; -1 for one that is too long."""
    at = end
    while at > start and _ZERO <= data[at - 1] <= _ZERO + 9:
        at -= 1
    if at in (start, end) or data[at - 1] != _SPACE:
        return 0
    if end - at > _MOST_DIGITS:
        return -1
    number = 0
    while at < end:
        number = number * 10 + (data[at] - _ZERO)
        at += 1
    return number
