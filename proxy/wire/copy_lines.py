# cython: boundscheck=False, wraparound=False
"""The lines of COPY TO in text and CSV format: how they are written, and where their columns stand.

A line is the body of one CopyData message, as the server writes them. Where a line isn't what the server could have
written (manual, COPY, "File Formats"), it is ProtocolViolation, so that nothing of it is given out. Compiled without
checks of every index: each is held against the end of its message first. It must not know masks.
"""

from collections.abc import Sequence
from typing import Final

from proxy.wire.errors import LocalProtocolError, ProtocolViolation

_COPY_DATA: Final = 0x64
_HEADER_BYTES: Final = 5
_NEWLINE: Final = 0x0A
_RETURN: Final = 0x0D
_BACKSLASH: Final = 0x5C
_CAPITAL_N: Final = 0x4E
# Behind a backslash stands a letter for a control character, or the character itself.
_LETTERS: Final = {0x08: b"b", 0x09: b"t", 0x0A: b"n", 0x0B: b"v", 0x0C: b"f", 0x0D: b"r"}
_NO_DELIMITERS: Final = frozenset(bytes((octet,)) for octet in b"\\.\r\nNabcdefghijklmnopqrstuvwxyz0123456789")


class Lines:
    """How lines are written; `quote` and `escape` are empty in text format. `forced`: whether each masked column, from
    the left, is always quoted. Raises LocalProtocolError for options that leave two readings.
    """

    def __init__(
        self, delimiter: bytes, null: bytes, quote: bytes, escape: bytes, column_count: int, forced: Sequence[bool]
    ) -> None:
        texts = (delimiter, quote, escape) if quote else (delimiter,)
        is_apart = delimiter not in (quote, escape) if quote else delimiter not in _NO_DELIMITERS and null == b"\\N"
        if any(len(text) != 1 for text in texts) or not is_apart:
            raise LocalProtocolError("COPY options that leave two readings")
        if quote and any(octet in delimiter + quote + b"\r\n" for octet in null):
            raise LocalProtocolError("a text for NULL that looks like something else")
        self.delimiter = delimiter[0]
        self.quote = quote[0] if quote else -1
        self.escape = escape[0] if quote else -1
        self.null = null
        self.column_count = column_count
        self.forced = bytes(forced)
        self.meant = self._meanings()
        self.written = self._escapes()
        self.stops = self._stops()

    def _meanings(self) -> bytes:
        """For each octet what it means behind a backslash, 0 for one that has no place there."""
        table = bytearray(256)
        table[_BACKSLASH] = _BACKSLASH
        table[self.delimiter] = self.delimiter
        for octet, letter in _LETTERS.items():
            table[letter[0]] = octet
        return bytes(table)

    def _escapes(self) -> bytes:
        """For each octet of a value what is written behind a backslash for it in text, or 1 where CSV has to quote;
        0 for one that stands for itself."""
        table = bytearray(256)
        if self.quote >= 0:
            for octet in (self.delimiter, self.quote, _NEWLINE, _RETURN):
                table[octet] = 1
            return bytes(table)
        table[_BACKSLASH] = _BACKSLASH
        table[self.delimiter] = self.delimiter
        for octet, letter in _LETTERS.items():
            table[octet] = letter[0]
        return bytes(table)

    def _stops(self) -> bytes:
        """For each octet whether a column can't go on with it unseen, outside of quotes."""
        table = bytearray(256)
        for octet in (self.delimiter, _NEWLINE, _RETURN, _BACKSLASH if self.quote < 0 else self.quote):
            table[octet] = 1
        return bytes(table)


def count_lines(buffer: bytes, start: int, end: int) -> int:
    count = 0
    at = start
    while at < end:
        at = line_end(buffer, at, end)
        count += 1
    return count


def line_end(buffer: bytes, at: int, end: int) -> int:
    """Where the CopyData message at `at` ends, a whole one with a newline at its end."""
    if at + _HEADER_BYTES >= end or buffer[at] != _COPY_DATA:
        raise ProtocolViolation("not a complete CopyData")
    length = buffer[at + 1] << 8 | buffer[at + 2]
    length = length << 16 | buffer[at + 3] << 8 | buffer[at + 4]
    row_end = at + 1 + length
    if row_end > end or row_end <= at + _HEADER_BYTES or buffer[row_end - 1] != _NEWLINE:
        raise ProtocolViolation("COPY data that is no line")
    return row_end


def find_columns(buffer: bytes, start: int, end: int, lines: Lines, slots: memoryview, spans: memoryview) -> bool:
    """Walks the messages of buffer[start:end]; whether some masked value is written with escapes.

    `slots`: for each column which masked one it is, counted from the left, -1 for none. `spans` gets two numbers for
    each masked column of each line: where it starts and ends in the buffer, quotes included; -1 twice for NULL.
    """
    has_escapes = False
    place = 0
    at = start
    while at < end:
        row_end = line_end(buffer, at, end)
        if _walk(buffer, at + _HEADER_BYTES, row_end - 1, lines, slots, spans, place):
            has_escapes = True
        place += 2 * len(lines.forced)
        at = row_end
    return has_escapes


def _walk(buffer: bytes, at: int, last: int, lines: Lines, slots: memoryview, spans: memoryview, place: int) -> bool:
    """One line, whose newline stands at `last`."""
    has_escapes = False
    for index in range(lines.column_count):
        first = at
        at = _text_end(buffer, at, last, lines) if lines.quote < 0 else _csv_end(buffer, at, last, lines)
        is_escaped = at < 0
        if is_escaped:
            at = -at
        slot = slots[index]
        if slot >= 0:
            is_null = _is_null(buffer, first, at, lines)
            spans[place + 2 * slot] = -1 if is_null else first
            spans[place + 2 * slot + 1] = -1 if is_null else at
            if is_escaped and not is_null:
                has_escapes = True
        if index + 1 < lines.column_count:
            if at >= last:
                raise ProtocolViolation("COPY data with too few columns")
            at += 1
    if at != last:
        raise ProtocolViolation("COPY data with too many columns")
    return has_escapes


def _is_null(buffer: bytes, first: int, end: int, lines: Lines) -> bool:
    """A value that reads like NULL is escaped in text and quoted in CSV."""
    size = len(lines.null)
    return end - first == size and (size == 0 or buffer[first:end] == lines.null)


def _text_end(buffer: bytes, at: int, last: int, lines: Lines) -> int:
    """Where a column in text format ends; negative when it holds escapes."""
    stops = lines.stops
    first = at
    is_escaped = False
    while True:
        while at < last and not stops[buffer[at]]:
            at += 1
        if at >= last or buffer[at] == lines.delimiter:
            return -at if is_escaped else at
        if buffer[at] != _BACKSLASH:
            raise ProtocolViolation("COPY data with two lines in a message")
        is_escaped = True
        at += 1
        if at >= last:
            raise ProtocolViolation("COPY data end inside an escape")
        if not lines.meant[buffer[at]] and not (at == first + 1 and _ends_null(buffer, at, last, lines)):
            raise ProtocolViolation("COPY data with an escape that isn't known")
        at += 1


def _ends_null(buffer: bytes, at: int, last: int, lines: Lines) -> bool:
    """Whether the letter at `at` ends the column that it began with a backslash, as NULL."""
    return buffer[at] == _CAPITAL_N and (at + 1 == last or buffer[at + 1] == lines.delimiter)


def _csv_end(buffer: bytes, at: int, last: int, lines: Lines) -> int:
    """Where a column in CSV format ends; negative when it holds escapes."""
    if at < last and buffer[at] == lines.quote:
        return _quoted_end(buffer, at, last, lines)
    stops = lines.stops
    while at < last and not stops[buffer[at]]:
        at += 1
    if at < last and buffer[at] != lines.delimiter:
        raise ProtocolViolation("COPY data with a value that isn't quoted")
    return at


def _quoted_end(buffer: bytes, at: int, last: int, lines: Lines) -> int:
    """Behind the closing quote; negative when there are escapes inside."""
    quote = lines.quote
    escape = lines.escape
    is_escaped = False
    at += 1
    while at < last:
        octet = buffer[at]
        if octet == escape and at + 1 < last and buffer[at + 1] in (quote, escape):
            is_escaped = True
            at += 2
        elif octet == quote:
            break
        elif octet == escape:
            raise ProtocolViolation("COPY data with an escape that isn't known")
        else:
            at += 1
    at += 1
    if at > last or (at < last and buffer[at] != lines.delimiter):
        raise ProtocolViolation("COPY data go on behind a quoted value, or end inside one")
    return -at if is_escaped else at
