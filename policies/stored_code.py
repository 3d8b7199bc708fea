"""Code that a database holds and runs by itself: what `check` looks at besides the snapshot. Plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredFunction:
    """A user's function. `reads`: OIDs of relations that it certainly depends on (a body in SQL's own form, the row
    type it returns); `source` is its text in lower case, where it has one."""

    schema: str
    name: str
    reads: tuple[int, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Trigger:
    """A user's trigger, or a rule that isn't a view's own. `runs` is a function's name, empty for a rule."""

    relation: int
    name: str
    runs: str = ""


@dataclass(frozen=True, slots=True)
class StoredCode:
    functions: tuple[StoredFunction, ...] = ()
    triggers: tuple[Trigger, ...] = ()
