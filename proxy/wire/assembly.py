# cython: boundscheck=False, wraparound=False
"""Writes DataRow frames anew with other values in some of their columns: every octet is copied once.

The rows were walked and found sound before (`rows`), so only what masks gave is checked here; that is why this
module alone is compiled without checks of every index. It must not know masks.
"""

from typing import Final

from proxy.wire.errors import LocalProtocolError

_DATA_ROW: Final = 0x44
_HEADER_BYTES: Final = 7
_NULL_LENGTH: Final = 0xFFFFFFFF
# Compiled, a loop copies a short value sooner than a slice; interpreted, a slice is always sooner.
_LOOP_BYTES: Final = 0 if __file__.endswith(".py") else 256


class Masked:
    """Replacements of one run: the values of column `slot` are from `bases[slot]` on in `pool`, where `cells` says.

    `cells` holds a start and an end (-1 for NULL) for each of the `found[slot]` values, from 2 * slot * count on.
    """

    def __init__(self, pool: bytes, cells: memoryview, found: memoryview, bases: memoryview, count: int) -> None:
        self.pool = pool
        self.cells = cells
        self.found = found
        self.bases = bases
        self.count = count


def assemble(buffer: bytes, start: int, end: int, slots: memoryview, masked: Masked, removed: int) -> bytearray:
    """The rows of buffer[start:end], which add up, with `masked` in place. `slots`: the masked column for each shown
    one, -1 for none. `removed`: how many octets of theirs are left out. Raises LocalProtocolError for cells that lie
    outside of the pool."""
    pool = memoryview(masked.pool)
    cells = masked.cells
    bases = masked.bases
    taken = bytearray(end - start - removed + _added(masked))
    octets = memoryview(buffer)
    out = memoryview(taken)
    used = memoryview(bytearray(8 * len(masked.found))).cast("q")
    shown_count = len(slots)
    at = start
    to = 0
    while at < end:
        row_end = at + 1 + _uint32(buffer, at + 1)
        row_to = to
        to += _HEADER_BYTES
        at += _HEADER_BYTES
        copied = at
        for index in range(shown_count + 1):
            slot = -1
            if index < shown_count:
                slot = slots[index]
                size = _size(buffer, at)
                if slot < 0 or buffer[at] == 0xFF:
                    at += size
                    continue
            # What stands before a masked value, or at the row's end. Both copies are written out here: as a function,
            # they would cost twice as much as what they do.
            length = at - copied
            if length > _LOOP_BYTES:
                out[to : to + length] = octets[copied:at]
            else:
                for octet in range(length):
                    out[to + octet] = octets[copied + octet]
            to += length
            if slot < 0:
                break
            at += size
            copied = at
            place = 2 * (slot * masked.count + used[slot])
            used[slot] += 1
            if cells[place] < 0:
                _put_uint32(taken, to, _NULL_LENGTH)
                to += 4
                continue
            cell = bases[slot] + cells[place]
            length = cells[place + 1] - cells[place]
            _put_uint32(taken, to, length)
            to += 4
            if length > _LOOP_BYTES:
                out[to : to + length] = pool[cell : cell + length]
            else:
                for octet in range(length):
                    out[to + octet] = pool[cell + octet]
            to += length
        _put_header(taken, row_to, to, shown_count)
        at = row_end
    return taken


def _added(masked: Masked) -> int:
    """How many octets the replacements have. Raises LocalProtocolError."""
    cells = masked.cells
    pool_size = len(masked.pool)
    added = 0
    for slot in range(len(masked.found)):
        first = 2 * slot * masked.count
        base = masked.bases[slot]
        for place in range(first, first + 2 * masked.found[slot], 2):
            start, end = cells[place], cells[place + 1]
            if start >= 0:
                if not start <= end <= pool_size - base:
                    raise LocalProtocolError("a mask gave a value that lies outside of what it gave")
                added += end - start
    return added


def _put_header(taken: bytearray, start: int, end: int, column_count: int) -> None:
    taken[start] = _DATA_ROW
    _put_uint32(taken, start + 1, end - start - 1)
    taken[start + 5] = column_count >> 8
    taken[start + 6] = column_count & 0xFF


def _put_uint32(taken: bytearray, to: int, number: int) -> None:
    taken[to] = number >> 24 & 0xFF
    taken[to + 1] = number >> 16 & 0xFF
    taken[to + 2] = number >> 8 & 0xFF
    taken[to + 3] = number & 0xFF


def _size(buffer: bytes, at: int) -> int:
    """Of the column there, its length word included."""
    length = _uint32(buffer, at)
    return 4 if length == _NULL_LENGTH else 4 + length


def _uint32(buffer: bytes, at: int) -> int:
    # In halves: compiled, a byte is a C int, and 255 << 24 would be negative.
    high = buffer[at] << 8 | buffer[at + 1]
    low = buffer[at + 2] << 8 | buffer[at + 3]
    return high << 16 | low
