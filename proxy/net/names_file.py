"""Keeps on disk what `policies.known_names` remembers, so that rules follow renames over a restart.

One small JSON file beside the journal, replaced as a whole. A file that can't be read stops the start: without it a
renamed table could shed its rules. It holds names and numbers, no data and no secrets.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from policies.known_names import Called, Memory, RuledName, Seen

FILE_NAME: Final = "names.json"
_VERSION: Final = 1


class NamesFileError(Exception):
    """The file is there but can't be read, or can't be written."""


def read_names(path: Path) -> dict[str, Memory]:
    """By database; empty where there is no file yet. Raises NamesFileError."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise NamesFileError(_unreadable(path, type(error).__name__)) from error
    try:
        return _parsed(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NamesFileError(_unreadable(path, "it isn't what pgwarden wrote")) from error


def _unreadable(path: Path, reason: str) -> str:
    return (
        f"{path} can't be read ({reason}): it tells which tables the rules mean. Restore it, or remove it to begin "
        "anew: rules then hold for the names of now only"
    )


def write_names(path: Path, memories: Mapping[str, Memory]) -> None:
    """Replaces the file: after a crash it is the old one or the new one. Raises NamesFileError."""
    fresh = path.with_suffix(".fresh")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(fresh, "w", encoding="utf-8", opener=_private) as file:  # noqa: PTH123 - Path.open takes no opener
            json.dump(_plain(memories), file, ensure_ascii=False, separators=(",", ":"))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise NamesFileError(f"{path} can't be written: {error.strerror or type(error).__name__}") from error


def lock_names(path: Path) -> int:
    """Waits until no other worker is between reading and writing. Closing the descriptor lets go.

    Raises NamesFileError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise NamesFileError(f"{path} can't be locked: {error.strerror or type(error).__name__}") from error
    return lock


def mark_of(path: Path) -> tuple[int, int, int] | None:
    """Changes when the file is replaced; None while there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _sync_folder(folder: Path) -> None:
    """The new name is durable only then."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _plain(memories: Mapping[str, Memory]) -> dict[str, Any]:
    return {"version": _VERSION, "databases": {name: _plain_memory(one) for name, one in memories.items()}}


def _plain_memory(memory: Memory) -> dict[str, Any]:
    return {
        "identity": memory.identity,
        "policies": memory.policies,
        "names": [
            [
                schema,
                table,
                ruled.rules,
                {str(oid): dict(attnums) for oid, attnums in ruled.relations.items()},
                {str(oid): [one.schema, one.name, dict(one.columns)] for oid, one in ruled.called.items()},
            ]
            for (schema, table), ruled in memory.names.items()
        ],
        "seen": {str(oid): [one.schema, one.name, *sorted(one.columns)] for oid, one in memory.seen.items()},
    }


def _parsed(data: Any) -> dict[str, Memory]:
    if data["version"] != _VERSION:
        raise ValueError("another version")
    return {_text(name): _memory(one) for name, one in data["databases"].items()}


def _memory(data: Any) -> Memory:
    names = {
        (_text(schema), _text(table)): RuledName(
            _text(rules), {int(oid): _attnums(found) for oid, found in relations.items()}, _called(*called)
        )
        # Files of earlier versions end before what the relations are called.
        for schema, table, rules, relations, *called in data["names"]
    }
    seen = {
        int(oid): Seen(_text(schema), _text(name), frozenset(map(_text, columns)))
        for oid, (schema, name, *columns) in data["seen"].items()
    }
    return Memory(_text(data["identity"]), _text(data["policies"]), names, seen)


def _called(data: Any = None) -> dict[int, Called]:
    return {
        int(oid): Called(_text(schema), _text(name), {int(number): _text(column) for number, column in columns.items()})
        for oid, (schema, name, columns) in (data or {}).items()
    }


def _attnums(data: Any) -> dict[str, tuple[int, ...]]:
    return {_text(column): tuple(int(number) for number in numbers) for column, numbers in data.items()}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value
