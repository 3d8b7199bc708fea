"""The segment that is being written: a preallocated, memory-mapped file. Knows nothing of chains or recovery.

What is copied into the mapping belongs to the kernel at once: it outlives the process without a system call.
All its blocks are allocated before, so a full disk shows at creation and never as a fault in the middle of a
write.
"""

from __future__ import annotations

import errno
import mmap
import os
from contextlib import suppress
from pathlib import Path

from audit.errors import JournalError
from audit.segment import SegmentHeader, frame_bytes, header_bytes, segment_path


class ActiveSegment:
    """One open segment. `file` stays open after `unmap`, for whoever syncs and cuts it."""

    __slots__ = ("file", "header", "mapping", "path", "size")

    def __init__(self, directory: Path, header: SegmentHeader, size: int) -> None:
        """Allocates `size` bytes. Raises JournalError if the disk has no room, and leaves nothing."""
        self.path = segment_path(directory, header.sequence)
        self.header = header
        self.size = size
        self.file = _make_file(self.path, header, size)
        try:
            self.mapping = mmap.mmap(self.file, size)
        except OSError as error:
            with suppress(OSError):
                os.close(self.file)
                self.path.unlink(missing_ok=True)
            raise JournalError(f"no memory for the journal: {error.strerror}") from error

    def unmap(self) -> None:
        """Ends writing. The kernel keeps the written pages."""
        self.mapping.close()

    def finish(self, end: int) -> None:
        """After `unmap`: syncs the file, gives back what lies behind `end`, closes it. Raises OSError."""
        try:
            os.fsync(self.file)
            os.ftruncate(self.file, end)
        finally:
            os.close(self.file)


def room_for(bodies: list[bytes]) -> int:
    """Bytes that these records take together."""
    return sum(frame_bytes(len(body)) for body in bodies)


def _make_file(path: Path, header: SegmentHeader, size: int) -> int:
    """Makes the whole file under another name first, so that a segment either exists with its header or
    doesn't.
    """
    own = path.with_suffix(".tmp")
    file = -1
    try:
        file = os.open(own, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        _allocate(file, size)
        _put_header(file, header_bytes(header))
        os.rename(own, path)
    except OSError as error:
        with suppress(OSError):  # the first error says what is wrong; recovery clears away what stays
            if file >= 0:
                os.close(file)
            own.unlink(missing_ok=True)
        raise JournalError(f"no room for the journal: {error.strerror}") from error
    return file


def _put_header(file: int, header: bytes) -> None:
    """A segment with half a header would be damaged from its beginning."""
    if os.pwrite(file, header, 0) != len(header):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _allocate(file: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
        return
    zeros = bytes(1 << 20)
    for offset in range(0, size, len(zeros)):
        os.pwrite(file, zeros[: size - offset], offset)
