"""The file of signed checkpoints of one worker: JSON lines, trimmed to the newest. Knows no keys."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import msgspec

from audit.signing import Checkpoint

FILE_NAME = "checkpoints.jsonl"
_KEEP_LINES = 1000
_TRIM_BYTES = 1 << 20
_LONGEST_LINE = 4096  # far longer than any that is written
_DECODER = msgspec.json.Decoder(Checkpoint)


def append_checkpoint(directory: Path, checkpoint: Checkpoint) -> None:
    """Adds a line and makes it durable. Raises OSError; the file is then as it was, or ends with a torn line.

    A line that an earlier crash or a full disk has torn is cut off first: it would spoil the one that follows.
    """
    path = directory / FILE_NAME
    line = msgspec.json.encode(checkpoint) + b"\n"
    with open(path, "ab+", buffering=0) as stream:
        end = _end_of_lines(stream)
        stream.truncate(end)
        if stream.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(stream.fileno())
    if end + len(line) > _TRIM_BYTES:
        _trim(path)


def _end_of_lines(stream: io.FileIO) -> int:
    """The offset behind the last whole line."""
    size = stream.seek(0, os.SEEK_END)
    start = max(0, size - _LONGEST_LINE)
    stream.seek(start)
    return start + stream.read(size - start).rfind(b"\n") + 1


def read_checkpoints(directory: Path) -> tuple[list[Checkpoint], int]:
    """All readable checkpoints in order, and how many lines weren't readable (a torn last line isn't
    counted).
    """
    try:
        data = (directory / FILE_NAME).read_bytes()
    except FileNotFoundError:
        return [], 0
    *lines, _torn = data.split(b"\n")
    checkpoints = [checkpoint for line in lines if (checkpoint := _checkpoint_of(line)) is not None]
    return checkpoints, len(lines) - len(checkpoints)


def _checkpoint_of(line: bytes) -> Checkpoint | None:
    try:
        return _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _trim(path: Path) -> None:
    """Keeps the newest lines; the file is replaced whole, so a crash leaves the old or the new one."""
    lines = path.read_bytes().splitlines(keepends=True)[-_KEEP_LINES:]
    own = path.with_suffix(".tmp")
    with open(own, "wb") as stream:
        stream.writelines(lines)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(own, path)
