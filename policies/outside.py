"""Values that policies only point to: the environment's, and those of files beside them. No problem quotes a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from policies.fields import Fields
from policies.yaml_nodes import Node

MAX_SECRET_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Outside:
    """`read_file` takes a path as written in a policy file; it raises OSError or UnicodeDecodeError."""

    environment: Mapping[str, str]
    read_file: Callable[[str], str]


def no_files(path: str) -> str:
    """For texts that stand in no folder."""
    raise FileNotFoundError(2, "there is no folder to look in", path)


def files_beside(folder: Path) -> Callable[[str], str]:
    """Reads files relative to the policy folder, bounded; a pipe or device is none."""

    def read(path: str) -> str:
        file = folder / path
        if not file.is_file():
            raise FileNotFoundError(2, "no such file", path)
        with file.open("rb") as stream:
            return stream.read(MAX_SECRET_BYTES).decode("utf-8")

    return read


def read_secret(fields: Fields, node: Node, text: str, env: Mapping[str, str]) -> str | None:
    """`text` itself, or the environment's value for ``env:NAME``."""
    if not text.startswith("env:"):
        return text
    name = text.removeprefix("env:")
    if not env.get(name):
        fields.report(node, f"the environment variable {name!r} is not set")
        return None
    return env[name]


def read_secret_file(fields: Fields, node: Node, path: str, outside: Outside) -> str | None:
    """The file's one line."""
    try:
        text = outside.read_file(path).rstrip("\r\n")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        fields.report(node, f"the file {path!r} can't be read: {reason or type(error).__name__}")
        return None
    return text
