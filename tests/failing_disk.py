"""A disk that fails when it is told to, and one that forgets what wasn't synced: system calls about one folder.

The calls are Python's own; those about other places pass. Interrupted calls (EINTR) are Python's to repeat, so they
come from real signals in the tests.
"""

from __future__ import annotations

import builtins
import io
import mmap
import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PAGE = 4096
CALLS = (
    *("open", "close", "fsync", "ftruncate", "truncate", "pwrite", "pread", "rename", "replace", "link", "unlink"),
    *("posix_fallocate", "mkdir", "listdir", "stat"),
)


@dataclass
class FailingDisk:
    """Counts the calls that concern `folder`, and fails those that `is_due` says: by the call's name and number.

    `short`: a write takes half of what it was given instead of failing.
    """

    folder: Path
    error: int
    is_due: Callable[[str, int], bool]
    short: bool = False
    count: int = 0
    failed: list[str] = field(default_factory=list)
    _files: set[int] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def concerns(self, arguments: tuple[Any, ...]) -> bool:
        """By a path inside of the folder, or a file that was opened there."""
        first = arguments[0] if arguments else None
        if isinstance(first, int):
            return first in self._files
        try:
            return os.fspath(first).startswith(str(self.folder))
        except TypeError:
            return False

    def strike(self, name: str) -> bool:
        """Whether this call is to fail."""
        with self._lock:
            self.count += 1
            if not self.is_due(name, self.count):
                return False
            self.failed.append(name)
            return True

    def _call(self, name: str, real: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if not self.concerns(arguments):
            return real(*arguments, **options)
        if self.strike(name):
            if name == "close":  # the file is closed all the same (close(2))
                real(*arguments, **options)
                self._files.discard(arguments[0])
            if not (self.short and name == "pwrite"):
                raise OSError(self.error, os.strerror(self.error), str(arguments[0]))
            file, data, *rest = arguments
            return real(file, data[: len(data) // 2], *rest)
        result = real(*arguments, **options)
        if name == "open":
            self._files.add(result)
        elif name == "close":
            self._files.discard(arguments[0])
        return result

    @contextmanager
    def in_place(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[FailingDisk]:
        with monkeypatch.context() as patch:
            for name in CALLS:
                patch.setattr(os, name, self._wrapped(name, getattr(os, name)))
            opened = self._opened(builtins.open)
            patch.setattr(builtins, "open", opened)
            patch.setattr(io, "open", opened)
            patch.setattr(mmap, "mmap", self._mapped(mmap.mmap))
            yield self

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments, **options: self._call(name, real, arguments, options)

    def _opened(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(file: Any, *arguments: Any, **options: Any) -> Any:
            if not self.concerns((file,)):
                return real(file, *arguments, **options)
            if self.strike("open"):
                raise OSError(self.error, os.strerror(self.error), str(file))
            stream = real(file, *arguments, **options)
            self._files.add(stream.fileno())
            return _Stream(stream, self)

        return call

    def _mapped(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(file: int, *arguments: Any, **options: Any) -> Any:
            if file in self._files and self.strike("mmap"):
                raise OSError(self.error, os.strerror(self.error))
            return real(file, *arguments, **options)

        return call


class _Stream:
    """A file object whose writes fail, or are short."""

    def __init__(self, stream: Any, disk: FailingDisk) -> None:
        self._stream = stream
        self._disk = disk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self._disk._files.discard(self._stream.fileno())
        self._stream.close()

    def write(self, data: bytes) -> int:
        if not self._disk.strike("write"):
            return int(self._stream.write(data))
        if self._disk.short and isinstance(self._stream, io.RawIOBase):
            return int(self._stream.write(data[: len(data) // 2]))
        self._stream.write(data[: len(data) // 2])  # what came through before it failed
        raise OSError(self._disk.error, os.strerror(self._disk.error))

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def truncate(self, size: int) -> int:
        if self._disk.strike("ftruncate"):
            raise OSError(self._disk.error, os.strerror(self._disk.error))
        return int(self._stream.truncate(size))


class ForgetfulDisk:
    """Knows what was synced below a folder: contents of files by fsync, names by that of their folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._contents: dict[int, bytes] = {}
        self._names: dict[Path, dict[str, int]] = {}
        self._lock = threading.Lock()
        self._fsync = os.fsync

    @contextmanager
    def in_place(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForgetfulDisk]:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", self._sync)
            yield self

    def _sync(self, file: int) -> None:
        self._fsync(file)
        path = Path(os.readlink(f"/proc/self/fd/{file}"))
        with self._lock:
            if path.is_dir():
                self._names[path] = {entry.name: entry.inode() for entry in os.scandir(path)}
            else:
                self._contents[os.fstat(file).st_ino] = Path(f"/proc/self/fd/{file}").read_bytes()

    def cut(self, into: Path, chance: random.Random) -> None:
        """What a disk may hold when the power goes now: everything synced, and any pages and names of the rest."""
        with self._lock:
            current = {path: path.stat().st_ino for path in self.folder.rglob("*") if path.exists()}
            written = {inode: path.read_bytes() for path, inode in current.items() if path.is_file()}
            folders = [self.folder, *(path for path in current if path.is_dir())]
            self._put(into, folders, current, written, chance)

    def _put(
        self,
        into: Path,
        folders: list[Path],
        current: dict[Path, int],
        written: dict[int, bytes],
        chance: random.Random,
    ) -> None:
        into.mkdir()
        for folder in sorted(folders):
            target = into / folder.relative_to(self.folder)
            if not target.is_dir():
                continue
            now = {path.name: inode for path, inode in current.items() if path.parent == folder}
            synced = self._names.get(folder, {})
            for name in sorted(now.keys() | synced.keys()):
                inode = chance.choice([now.get(name), synced.get(name)])
                if inode is None:
                    continue
                if inode in written or inode in self._contents:
                    (target / name).write_bytes(self._content(inode, written, chance))
                elif (folder / name).is_dir():
                    (target / name).mkdir()

    def _content(self, inode: int, written: dict[int, bytes], chance: random.Random) -> bytes:
        synced, now = self._contents.get(inode, b""), written.get(inode)
        if now is None or now == synced:
            return synced
        size = chance.choice([len(synced), len(now)])
        pages = []
        for at in range(0, size, PAGE):
            page = chance.choice([synced, now])[at : at + PAGE]
            pages.append(page.ljust(min(PAGE, size - at), b"\0"))
        return b"".join(pages)[:size]
