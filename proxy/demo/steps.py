"""The stations of the guided tour: what is asked, as whom, and what must be seen. It must not know how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Refused:
    """What the server said instead of rows. `position` counts characters from 1, 0 when it named none."""

    sqlstate: str
    message: str
    detail: str
    hint: str
    position: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What one user got: names and rows as text, or the refusal."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str | None, ...], ...] = ()
    refused: Refused | None = None

    def column(self, name: str) -> list[str | None]:
        return [row[self.columns.index(name)] for row in self.rows]

    def text(self) -> str:
        return "\n".join(str(cell) for row in self.rows for cell in row)


Views = Mapping[str, Seen]


@dataclass(frozen=True, slots=True)
class Step:
    """`broken` gives one sentence for each expectation that did not hold."""

    title: str
    note: str
    sql: str
    users: Sequence[str]
    broken: Callable[[Views], list[str]]


def unmet(**expectations: Any) -> list[str]:
    """The names of what is not true, as sentences."""
    return [name.replace("_", " ") for name, is_met in expectations.items() if not is_met]
