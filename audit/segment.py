"""The journal's file format: a header, then frames, then zeros. Knows nothing of durability, keys or stores.

Everything is little-endian. A segment starts with a header of 128 bytes; each frame is length (u32), CRC-32
(u32), previous hash (32 bytes), own hash (32 bytes) and the record's canonical bytes, padded with zeros to 8
bytes. A length of zero ends the segment. Writers store the length last, so that a killed writer leaves no
half frame.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from audit.errors import CorruptJournalError
from audit.record import hash_of

HEADER_BYTES = 128
FRAME_HEAD_BYTES = 72
MAX_BODY_BYTES = 1 << 30  # a longer length is damage, not a record
SUFFIX = ".seg"

_MAGIC = b"PGWJRNL\x01"
_HEADER = struct.Struct("<8sQQQ32s")
_CRC = struct.Struct("<I")
_LENGTH = struct.Struct("<I")
_FRAME_START = struct.Struct("<II")
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """Where a segment stands in its chain.

    `sequence` counts segments from 1; `base` is the journal position (bytes) of the segment's first byte;
    `records_before` and `prev_hash` describe the chain up to here.
    """

    sequence: int
    base: int
    records_before: int
    prev_hash: bytes


class Frame:
    """One stored record: `start` and `end` are offsets in the segment. Not to be changed."""

    __slots__ = ("body", "end", "hash", "prev_hash", "start")

    def __init__(self, start: int, end: int, prev_hash: bytes, own_hash: bytes, body: bytes) -> None:
        self.start = start
        self.end = end
        self.prev_hash = prev_hash
        self.hash = own_hash
        self.body = body

    def is_hash_true(self) -> bool:
        """Whether the stored hash is that of the stored bytes."""
        return hash_of(self.prev_hash, self.body) == self.hash


class End(Enum):
    """Why reading stopped."""

    CLEAN = "nothing more is written"
    DAMAGED = "bytes that are no frame"


@dataclass(frozen=True, slots=True)
class Scan:
    """Frames read in one go, the offset behind the last one, and why reading stopped (None: at the limit)."""

    frames: tuple[Frame, ...]
    offset: int
    end: End | None


def segment_path(directory: Path, sequence: int) -> Path:
    """The file of a segment, named so that names sort as sequences do."""
    return directory / f"{sequence:010d}{SUFFIX}"


def sequences_in(directory: Path) -> list[int]:
    """The sequences of all segments in a worker's folder, ascending."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    stems = (name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))
    return sorted(int(stem) for stem in stems if stem.isdigit())


def bytes_in(directory: Path) -> int:
    """What all segments of a worker's folder take on the disk. Raises OSError."""
    total = 0
    for sequence in sequences_in(directory):
        with suppress(FileNotFoundError):  # shipped and deleted since we looked
            total += segment_path(directory, sequence).stat().st_size
    return total


def header_bytes(header: SegmentHeader) -> bytes:
    """A header as it stands in the file, with its own checksum, padded to HEADER_BYTES."""
    packed = _HEADER.pack(_MAGIC, header.sequence, header.base, header.records_before, header.prev_hash)
    return (packed + _CRC.pack(zlib.crc32(packed))).ljust(HEADER_BYTES, b"\0")


def parse_header(data: bytes) -> SegmentHeader:
    """Reads a header. Raises CorruptJournalError if it is torn, edited or of another version."""
    packed, checksum = data[: _HEADER.size], data[_HEADER.size : _HEADER.size + _CRC.size]
    if len(data) < HEADER_BYTES or _CRC.pack(zlib.crc32(packed)) != checksum:
        raise CorruptJournalError("the segment's header is damaged")
    magic, sequence, base, records_before, prev_hash = _HEADER.unpack(packed)
    if magic != _MAGIC:
        raise CorruptJournalError("the file is not a segment of this version")
    return SegmentHeader(sequence, base, records_before, prev_hash)


def frame_bytes(body_length: int) -> int:
    """How many bytes a record of this length takes in a segment."""
    return (FRAME_HEAD_BYTES + body_length + 7) & ~7


def write_frame(target: memoryview | mmap.mmap, offset: int, prev_hash: bytes, own_hash: bytes, body: bytes) -> int:
    """Writes one frame at `offset` of a writable buffer and gives the offset behind it. The buffer must be
    large enough.
    """
    length = len(body)
    packed_length = _LENGTH.pack(length)
    rest = prev_hash + own_hash + body
    start = offset + _LENGTH.size
    target[start : start + _CRC.size + len(rest)] = _CRC.pack(zlib.crc32(rest, zlib.crc32(packed_length))) + rest
    target[offset:start] = packed_length  # last: from here on the record exists
    return offset + frame_bytes(length)


class SegmentReader:
    """Reads one segment by offsets, also while it is written. Close it, or use it in a `with`."""

    def __init__(self, path: Path) -> None:
        """Raises CorruptJournalError for a damaged header, OSError if the file can't be opened."""
        self.path = path
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.header = parse_header(os.pread(self._file, HEADER_BYTES, 0))
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> SegmentReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._file)

    def bytes_at(self, offset: int, size: int) -> bytes:
        """What the file has there now, at most `size` bytes."""
        return os.pread(self._file, size, offset)

    def is_deleted(self) -> bool:
        """Whether the file has no name any more."""
        return os.fstat(self._file).st_nlink == 0

    def read(self, offset: int, limit_bytes: int = _READ_BYTES) -> Scan:
        """Whole frames from `offset` on, at least one if there is one, about `limit_bytes` in all."""
        limit_bytes = max(limit_bytes, FRAME_HEAD_BYTES)
        data = os.pread(self._file, limit_bytes, offset)
        scan = _scan(data, offset, is_cut=len(data) == limit_bytes)
        if scan.frames or scan.end is not None:
            return scan
        needed = frame_bytes(_LENGTH.unpack_from(data)[0])  # one record larger than the limit
        data = os.pread(self._file, needed, offset)
        return _scan(data, offset, is_cut=len(data) == needed)

    def frames(self, offset: int = HEADER_BYTES) -> Iterator[Frame]:
        """Every whole frame from `offset` on."""
        end = None
        while end is None:
            scan = self.read(offset)
            yield from scan.frames
            offset, end = scan.offset, scan.end

    def has_bytes_after(self, offset: int) -> bool:
        """Whether anything but zeros stands from `offset` on."""
        while data := os.pread(self._file, _READ_BYTES, offset):
            if data.strip(b"\0"):
                return True
            offset += len(data)
        return False

    def offset_behind(self, offset: int) -> int | None:
        """Where the next frame stands if the damaged one at `offset` has a true length; None if none stands there.

        A torn tail has nothing whole behind it; an edited record has.
        """
        head = os.pread(self._file, _LENGTH.size, offset)
        if len(head) < _LENGTH.size or head == bytes(_LENGTH.size):
            return None
        behind = offset + frame_bytes(_LENGTH.unpack(head)[0])
        return behind if next(self.frames(behind), None) is not None else None


def _scan(data: bytes, base: int, is_cut: bool) -> Scan:
    """Cuts frames out of `data`, which stood at offset `base`; `is_cut`: the file goes on behind it."""
    frames: list[Frame] = []
    at = 0
    while True:
        if len(data) - at < FRAME_HEAD_BYTES:
            return Scan(tuple(frames), base + at, None if is_cut else _end_of_rest(data[at:]))
        length, checksum = _FRAME_START.unpack_from(data, at)
        if length == 0 or length > MAX_BODY_BYTES:
            return Scan(tuple(frames), base + at, End.DAMAGED if length else End.CLEAN)
        end = at + FRAME_HEAD_BYTES + length
        if end > len(data):
            return Scan(tuple(frames), base + at, None if is_cut else End.DAMAGED)
        if zlib.crc32(data[at + 8 : end], zlib.crc32(data[at : at + 4])) != checksum:
            return Scan(tuple(frames), base + at, End.DAMAGED)
        behind = at + frame_bytes(length)
        prev_hash, own_hash = data[at + 8 : at + 40], data[at + 40 : at + FRAME_HEAD_BYTES]
        frames.append(Frame(base + at, base + behind, prev_hash, own_hash, data[at + FRAME_HEAD_BYTES : end]))
        at = behind


def _end_of_rest(rest: bytes) -> End:
    """A rest too short for a frame's head: zeros or nothing is a clean end."""
    return End.DAMAGED if rest.strip(b"\0") else End.CLEAN
