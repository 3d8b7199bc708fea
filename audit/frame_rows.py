"""From a segment's bytes to rows for the store, in one pass. Knows no files and no store.

The same frames as `segment.SegmentReader` gives, held against the same checksums, without an object for each.
"""

from __future__ import annotations

import hashlib
import zlib

from audit.copy_rows import RowWriter, cut
from audit.errors import CorruptJournalError
from audit.segment import FRAME_HEAD_BYTES, MAX_BODY_BYTES, End

_crc32 = zlib.crc32
_sha256 = hashlib.sha256
_HEAD_BYTES = FRAME_HEAD_BYTES
_MAX_BYTES = MAX_BODY_BYTES
_KEPT = 4096  # lengths whose checksum is known


class FrameRows:
    """Has `writer` translate a chain's frames.

    Of the last `take`: `frames` counts the whole ones, `edited` those among them that weren't passed on as they aren't
    what was hashed, `last_hash` is that of the last one, `end` says why it stopped (None: for want of bytes), and
    `needed_bytes` are those of the frame that was cut off, if its length was there.
    """

    def __init__(self, writer: RowWriter) -> None:
        self._writer = writer
        self._checksums: dict[bytes, int] = {}
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
            record = cut(data, at + 8, end)
            if _number_at(data, at + 4) != _crc32(record, self._checksum_of(cut(data, at, at + 4))):
                self.end = End.DAMAGED
                return at
            self._add(number + self.frames, record)
            at = end + 7 & ~7
        if not is_cut:
            self.end = End.DAMAGED if data[at:].strip(b"\0") else End.CLEAN
        return at

    def _add(self, number: int, record: bytes) -> None:
        self.frames += 1
        self.last_hash = cut(record, 32, 64)
        if _sha256(cut(record, 0, 32) + cut(record, 64, len(record))).digest() != self.last_hash:
            self.edited += 1
            return
        try:
            self._writer.add(number, record)
        except CorruptJournalError:
            self.edited += 1

    def _checksum_of(self, length: bytes) -> int:
        known = self._checksums.get(length)
        if known is None:
            if len(self._checksums) >= _KEPT:
                self._checksums.clear()
            known = self._checksums[length] = _crc32(length)
        return known


def _number_at(data: bytes, at: int) -> int:
    """32 bits, the lowest first."""
    first, second, third, fourth = data[at], data[at + 1], data[at + 2], data[at + 3]
    return first | second << 8 | third << 16 | fourth << 24
