# cython: boundscheck=False, wraparound=False
"""Values of COPY's lines: taken out of their quotes and escapes, written with them, and put into their lines.

The lines were walked and found sound before (`copy_lines`); what masks gave is checked here before it is read. That is
why this module is compiled without checks of every index. It must not know masks.
"""

from typing import Final

from proxy.wire.assembly import Masked
from proxy.wire.copy_lines import Lines, line_end
from proxy.wire.errors import LocalProtocolError

_HEADER_BYTES: Final = 5
_BACKSLASH: Final = 0x5C
_DOT: Final = 0x2E
# Compiled, a loop copies a short value sooner than a slice; interpreted, a slice is always sooner.
_LOOP_BYTES: Final = 0 if __file__.endswith(".py") else 256


def place_values(
    buffer: bytes, lines: Lines, spans: memoryview, cells: memoryview, found: memoryview, count: int
) -> None:
    """Puts the places of the values that aren't NULL into `cells`, column by column, without the quotes around them."""
    slot_count = len(found)
    for line in range(count):
        for slot in range(slot_count):
            place = 2 * (line * slot_count + slot)
            first = spans[place]
            if first < 0:
                continue
            last = spans[place + 1]
            if first < last and buffer[first] == lines.quote:
                first += 1
                last -= 1
            to = 2 * (slot * count + found[slot])
            found[slot] += 1
            cells[to] = first
            cells[to + 1] = last


def without_escapes(buffer: bytes, lines: Lines, cells: memoryview, found: memoryview, count: int) -> bytes:
    """The values that `cells` point to, as they are; `cells` point into what is given back then."""
    size = 0
    for slot in range(len(found)):
        for number in range(found[slot]):
            place = 2 * (slot * count + number)
            size += cells[place + 1] - cells[place]
    out = bytearray(size)
    to = 0
    for slot in range(len(found)):
        for number in range(found[slot]):
            place = 2 * (slot * count + number)
            first, last = cells[place], cells[place + 1]
            cells[place] = to
            to = _put_value(out, to, buffer, first, last, lines)
            cells[place + 1] = to
    return bytes(out[:to])


def _put_value(out: bytearray, to: int, buffer: bytes, at: int, last: int, lines: Lines) -> int:
    is_text = lines.quote < 0
    # A CSV value without quotes may hold the sign that escapes inside of them: there it stands for itself.
    has_escapes = is_text or buffer[last] == lines.quote
    escape = _BACKSLASH if is_text else lines.escape
    while at < last:
        octet = buffer[at]
        if has_escapes and octet == escape:
            at += 1
            octet = lines.meant[buffer[at]] if is_text else buffer[at]
        out[to] = octet
        to += 1
        at += 1
    return to


def write_values(masked: Masked, lines: Lines) -> Masked:
    """The same replacements as they are written in lines. Raises LocalProtocolError for any outside of the pool."""
    _check(masked)
    if not _must_write(masked, lines):
        return masked
    cells = masked.cells
    count = masked.count
    out = bytearray(_most_bytes(masked))
    bases = memoryview(bytearray(8 * len(masked.found))).cast("q")
    to = 0
    for slot in range(len(masked.found)):
        base = masked.bases[slot]
        for number in range(masked.found[slot]):
            place = 2 * (slot * count + number)
            if cells[place] < 0:
                continue
            first = base + cells[place]
            last = base + cells[place + 1]
            cells[place] = to
            if lines.quote < 0:
                to = _put_text(out, to, masked.pool, first, last, lines)
            else:
                to = _put_csv(out, to, masked.pool, first, last, lines, lines.forced[slot] != 0)
            cells[place + 1] = to
    return Masked(bytes(out[:to]), cells, masked.found, bases, count)


def _check(masked: Masked) -> None:
    cells = masked.cells
    pool_size = len(masked.pool)
    for slot in range(len(masked.found)):
        for number in range(masked.found[slot]):
            place = 2 * (slot * masked.count + number)
            start, end = cells[place], cells[place + 1]
            if start >= 0 and not start <= end <= pool_size - masked.bases[slot]:
                raise LocalProtocolError("a mask gave a value that lies outside of what it gave")


def _must_write(masked: Masked, lines: Lines) -> bool:
    """Whether some replacement isn't written as it is."""
    cells = masked.cells
    for slot in range(len(masked.found)):
        base = masked.bases[slot]
        is_forced = lines.forced[slot] != 0
        for number in range(masked.found[slot]):
            place = 2 * (slot * masked.count + number)
            if cells[place] >= 0:
                first, last = base + cells[place], base + cells[place + 1]
                if is_forced or _is_special(masked.pool, first, last, lines):
                    return True
    return False


def _is_special(pool: bytes, first: int, last: int, lines: Lines) -> bool:
    written = lines.written
    for at in range(first, last):
        if written[pool[at]]:
            return True
    if lines.quote < 0:
        return False
    size = last - first
    if size == len(lines.null) and pool[first:last] == lines.null:
        return True
    # Alone on its line this would look like the end of the data.
    return lines.column_count == 1 and size == 2 and pool[first] == _BACKSLASH and pool[first + 1] == _DOT


def _most_bytes(masked: Masked) -> int:
    """Every octet escaped, and quotes around."""
    cells = masked.cells
    size = 0
    for slot in range(len(masked.found)):
        for number in range(masked.found[slot]):
            place = 2 * (slot * masked.count + number)
            if cells[place] >= 0:
                size += 2 * (cells[place + 1] - cells[place]) + 2
    return size


def _put_text(out: bytearray, to: int, pool: bytes, first: int, last: int, lines: Lines) -> int:
    written = lines.written
    for at in range(first, last):
        octet = pool[at]
        if written[octet]:
            out[to] = _BACKSLASH
            to += 1
            octet = written[octet]
        out[to] = octet
        to += 1
    return to


def _put_csv(out: bytearray, to: int, pool: bytes, first: int, last: int, lines: Lines, is_forced: bool) -> int:
    is_quoted = is_forced or _is_special(pool, first, last, lines)
    if is_quoted:
        out[to] = lines.quote
        to += 1
    for at in range(first, last):
        octet = pool[at]
        if is_quoted and (octet == lines.quote or octet == lines.escape):
            out[to] = lines.escape
            to += 1
        out[to] = octet
        to += 1
    if is_quoted:
        out[to] = lines.quote
        to += 1
    return to


def assemble_lines(buffer: bytes, start: int, end: int, lines: Lines, spans: memoryview, masked: Masked) -> bytearray:
    """The messages of buffer[start:end] with `masked` (written, see `write_values`) where `spans` says."""
    slot_count = len(masked.found)
    cells = masked.cells
    count = masked.count
    pool = memoryview(masked.pool)
    octets = memoryview(buffer)
    taken = bytearray(end - start + _grown(masked, lines, spans))
    out = memoryview(taken)
    used = memoryview(bytearray(8 * slot_count)).cast("q")
    to = 0
    at = start
    line = 0
    while at < end:
        row_end = line_end(buffer, at, end)
        row_to = to
        copied = at
        for slot in range(slot_count + 1):
            first = row_end
            if slot < slot_count:
                first = spans[2 * (line * slot_count + slot)]
                if first < 0:
                    continue
            # What stands before a masked value, or at the line's end.
            size = first - copied
            if size > _LOOP_BYTES:
                out[to : to + size] = octets[copied:first]
            else:
                for octet in range(size):
                    out[to + octet] = octets[copied + octet]
            to += size
            if slot == slot_count:
                break
            copied = spans[2 * (line * slot_count + slot) + 1]
            place = 2 * (slot * count + used[slot])
            used[slot] += 1
            if cells[place] < 0:
                to = _put_null(taken, to, lines)
                continue
            cell = masked.bases[slot] + cells[place]
            size = cells[place + 1] - cells[place]
            if size > _LOOP_BYTES:
                out[to : to + size] = pool[cell : cell + size]
            else:
                for octet in range(size):
                    out[to + octet] = pool[cell + octet]
            to += size
        _put_length(taken, row_to, to)
        line += 1
        at = row_end
    return taken


def _grown(masked: Masked, lines: Lines, spans: memoryview) -> int:
    """By how many octets the messages grow, perhaps below zero."""
    grown = 0
    for place in range(0, len(spans), 2):
        grown -= spans[place + 1] - spans[place]
    cells = masked.cells
    for slot in range(len(masked.found)):
        for number in range(masked.found[slot]):
            place = 2 * (slot * masked.count + number)
            grown += len(lines.null) if cells[place] < 0 else cells[place + 1] - cells[place]
    return grown


def _put_null(taken: bytearray, to: int, lines: Lines) -> int:
    for at in range(len(lines.null)):
        taken[to + at] = lines.null[at]
    return to + len(lines.null)


def _put_length(taken: bytearray, start: int, end: int) -> None:
    length = end - start - 1
    taken[start + 1] = length >> 24 & 0xFF
    taken[start + 2] = length >> 16 & 0xFF
    taken[start + 3] = length >> 8 & 0xFF
    taken[start + 4] = length & 0xFF
