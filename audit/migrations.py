"""The store's numbered migrations as files: which there are and which to run. Knows no database."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from audit.errors import StoreError

SCHEMA_DIRECTORY = Path(__file__).with_name("schema")
_FILE = re.compile(r"(\d{4})_(\w+)\.(up|down)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema: `up` makes it, `down` takes it back."""

    number: int
    name: str
    up: str
    down: str


@dataclass(frozen=True, slots=True)
class Step:
    """One script to run, and the schema's version after it."""

    script: str
    version: int


def load_migrations(directory: Path = SCHEMA_DIRECTORY) -> list[Migration]:
    """All migrations, numbered from 1 without a gap. Raises StoreError if a file is missing."""
    parts: dict[tuple[int, str], dict[str, str]] = {}
    for path in sorted(directory.glob("*.sql")):
        if match := _FILE.fullmatch(path.name):
            parts.setdefault((int(match[1]), match[2]), {})[match[3]] = path.read_text(encoding="utf-8")
    if [number for number, _ in parts] != list(range(1, len(parts) + 1)):
        raise StoreError("the migrations are not numbered from 1 without a gap")
    if any(len(scripts) != 2 for scripts in parts.values()):
        raise StoreError("a migration lacks its way up or down")
    return [Migration(number, name, **scripts) for (number, name), scripts in parts.items()]


def steps_between(migrations: list[Migration], version: int, target: int | None) -> list[Step]:
    """The scripts that lead from `version` to `target` (None: the newest). Raises StoreError if there is no
    way."""
    newest = len(migrations)
    goal = newest if target is None else target
    if version > newest:
        raise StoreError(f"the store's schema is of version {version}, newer than this program's {newest}")
    if not 0 <= goal <= newest:
        raise StoreError(f"there is no schema version {goal}")
    if goal >= version:
        return [Step(migration.up, migration.number) for migration in migrations[version:goal]]
    return [Step(migration.down, migration.number - 1) for migration in reversed(migrations[goal:version])]
