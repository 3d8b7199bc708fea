"""From a segment's bytes to rows for the store, in one pass. Knows no files and no store.

The same frames as `segment.SegmentReader` gives, held against the same checksums, without an object for each.
"""

from __future__ import annotations

import hashlib
import zlib

from audit import octets
from audit.copy_rows import RowWriter, cut
from audit.errors import CorruptJournalError
from audit.libraries import Functions, found
from audit.segment import FRAME_HEAD_BYTES, MAX_BODY_BYTES, End

_crc32 = zlib.crc32
_sha256 = hashlib.sha256
_HEAD_BYTES = FRAME_HEAD_BYTES
_MAX_BYTES = MAX_BODY_BYTES
_HASHED_AT = 8  # behind length and checksum
_DRAFT_BYTES = 1 << 15  # longer frames are held against their checksums by Python's own functions


class FrameRows:
    """Has `writer` translate a chain's frames.

    Of the last `take`: `frames` counts the whole ones, `edited` those among them that weren't passed on as they aren't
    what was hashed, `last_hash` is that of the last one, `end` says why it stopped (None: for want of bytes), and
    `needed_bytes` are those of the frame that was cut off, if its length was there.
    """

    def __init__(self, writer: RowWriter, functions: Functions | None = None) -> None:
        self._writer = writer
        self._functions = functions or found()
        self._draft = memoryview(bytearray(_DRAFT_BYTES + 32))  # a frame, and a digest behind the longest
        self._draft_room = _DRAFT_BYTES if self._functions.is_complete else 0
        self.frames = 0
        self.edited = 0
        self.last_hash = b""
        self.end: End | None = None
        self.needed_bytes = 0

    def take(self, data: bytes, number: int, is_cut: bool) -> int:
        """Adds the frames that stand in `data` from its start on; gives the offset behind the last whole one.

        `number`: the first record's in the chain. `is_cut`: the file goes on behind `data`.
        """
        self.frames = self.edited = self.needed_bytes = 0
        self.end = None
        at, size = 0, len(data)
        while size - at >= _HEAD_BYTES:
            length = _number_at(data, at)
            if not 0 < length <= _MAX_BYTES:
                self.end = End.DAMAGED if length else End.CLEAN
                return at
            end = at + _HEAD_BYTES + length
            if end > size:
                self.needed_bytes = end - at
                self.end = None if is_cut else End.DAMAGED
                return at
            if not self._is_whole(data, at, end):
                self.end = End.DAMAGED
                return at
            self._add(number + self.frames, cut(data, at + _HASHED_AT, end))
            at = end + 7 & ~7
        if not is_cut:
            self.end = End.DAMAGED if data[at:].strip(b"\0") else End.CLEAN
        return at

    def _is_whole(self, data: bytes, at: int, end: int) -> bool:
        """Whether the frame has the bytes that its checksum is of."""
        size = end - at
        if size > self._draft_room:
            checksum = _crc32(cut(data, at + _HASHED_AT, end), _crc32(cut(data, at, at + 4)))
            return bool(_number_at(data, at + 4) == checksum)
        octets.put(self._draft, 0, cut(data, at, end))
        of_length = octets.crc32(self._functions, self._draft, 0, 4, 0)
        of_rest = octets.crc32(self._functions, self._draft, _HASHED_AT, size - _HASHED_AT, of_length)
        return _number_at(data, at + 4) == of_rest

    def _add(self, number: int, record: bytes) -> None:
        """`record` is the frame that was looked at last, without its length and checksum."""
        self.frames += 1
        self.last_hash = cut(record, 32, 64)
        if not self._is_hash_true(record):
            self.edited += 1
            return
        try:
            self._writer.add(number, record)
        except CorruptJournalError:
            self.edited += 1

    def _is_hash_true(self, record: bytes) -> bool:
        size, before = len(record), cut(record, 0, 32)
        if size + _HASHED_AT > self._draft_room:
            return bool(_sha256(before + cut(record, 64, size)).digest() == self.last_hash)
        octets.put_sha256(self._functions, self._draft, _DRAFT_BYTES, before, _HEAD_BYTES, size - 64)
        same = 0
        while same < 32 and self._draft[_DRAFT_BYTES + same] == record[32 + same]:
            same += 1
        return same == 32


def _number_at(data: bytes, at: int) -> int:
    """32 bits, the lowest first."""
    first, second, third, fourth = data[at], data[at + 1], data[at + 2], data[at + 3]
    return first | second << 8 | third << 16 | fourth << 24
