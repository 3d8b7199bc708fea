"""Records in files, one for each day (UTC) on which they were made. Knows no store.

`position.json` beside them says what they hold, and is replaced after they have been synced: what stands behind that in
a file is cut off at the next start, so that a crash leaves neither a torn line nor a record twice.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from audit.errors import ExportError
from audit.export_lines import Form, header_of, line_of
from audit.record import at_datetime
from audit.store_rows import ChainedRecord

POSITION_FILE: Final = "position.json"
_LOCK_FILE: Final = "lock"
_PREFIX: Final = "records-"


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """`chains`: the number of the last record of each that the files hold. `files`: the bytes of each, by name."""

    chains: dict[str, int] = {}
    files: dict[str, int] = {}


class DailyFiles:
    """One folder. Made by `open`; every method may raise OSError."""

    def __init__(self, directory: Path, form: Form, lock: int, position: Position) -> None:
        """`open` is the way in."""
        self._directory = directory
        self._form = form
        self._lock = lock
        self.position = position

    @classmethod
    def open(cls, directory: Path, form: Form) -> DailyFiles:
        """Makes the folder if need be, and cuts off what was being written when the program ended.

        Raises ExportError if another process writes there or the position can't be read.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _locked(directory)
        try:
            files = cls(directory, form, lock, _read_position(directory))
            files._cut()
            files._note(files.position)
        except BaseException:
            os.close(lock)
            raise
        return files

    def close(self) -> None:
        os.close(self._lock)

    def write(self, records: Sequence[ChainedRecord], chains: dict[str, int]) -> None:
        """Adds the records, each to its day's file, durably; then `chains` is what the files hold.

        What was written when it fails is cut off by the next one.
        """
        days: dict[str, list[bytes]] = {}
        for one in records:
            days.setdefault(self._name(at_datetime(one.record).date()), []).append(line_of(self._form, one))
        self._cut()
        if new := {name: 0 for name in days if name not in self.position.files}:
            self._note(Position(chains=self.position.chains, files=self.position.files | new))
        sizes = {name: self._append(name, b"".join(lines)) for name, lines in days.items()}
        self._note(Position(chains=dict(chains), files=self.position.files | sizes))

    def drop(self, now: datetime, keep_days: int) -> list[str]:
        """Deletes the files of days that ended more than `keep_days` ago; gives their names."""
        oldest = (now.astimezone(UTC) - timedelta(days=keep_days)).date()
        old = [name for name in self.position.files if (day := _day_of(name)) is not None and day < oldest]
        for name in old:
            (self._directory / name).unlink(missing_ok=True)
        if old:
            left = {name: size for name, size in self.position.files.items() if name not in old}
            self._note(Position(chains=self.position.chains, files=left))
        return old

    def _name(self, day: date) -> str:
        return f"{_PREFIX}{day.isoformat()}.{self._form}"

    def _append(self, name: str, data: bytes) -> int:
        """The file's size then."""
        path = self._directory / name
        is_new = not path.exists()
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with open(file, "ab") as stream:
            if stream.tell() == 0:
                data = header_of(self._form) + data
            stream.write(data)
            stream.flush()
            os.fsync(file)
            size = stream.tell()
        if is_new:
            _sync_directory(self._directory)
        return size

    def _cut(self) -> None:
        """Our files are as long as the position says; one that is shorter was taken away, and goes on as it is."""
        for name, known in self.position.files.items():
            path = self._directory / name
            if path.exists() and path.stat().st_size > known:
                os.truncate(path, known)

    def _note(self, position: Position) -> None:
        own = self._directory / f"{POSITION_FILE}.tmp"
        with open(own, "wb") as stream:
            stream.write(msgspec.json.encode(position))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(own, self._directory / POSITION_FILE)
        _sync_directory(self._directory)
        self.position = position


def _locked(directory: Path) -> int:
    file = os.open(directory / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise ExportError(f"another process writes records to {directory}") from None
    return file


def _read_position(directory: Path) -> Position:
    try:
        return msgspec.json.decode((directory / POSITION_FILE).read_bytes(), type=Position)
    except FileNotFoundError:
        return _nothing_yet(directory)
    except msgspec.MsgspecError:
        # To begin anew would write all records a second time.
        raise ExportError(f"{directory / POSITION_FILE} can't be read: restore it, or move the folder away") from None


def _nothing_yet(directory: Path) -> Position:
    """`open` notes it before the first file is begun."""
    if any(directory.glob(f"{_PREFIX}*")):
        raise ExportError(f"{directory} holds records but no {POSITION_FILE}: restore it, or move the folder away")
    return Position()


def _day_of(name: str) -> date | None:
    try:
        return date.fromisoformat(name.removeprefix(_PREFIX)[:10])
    except ValueError:
        return None


def _sync_directory(directory: Path) -> None:
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
