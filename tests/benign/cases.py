"""Reads the statements of BI tools, editors and frameworks from `statements/<tool>.sql`.

A case begins with ``--: name ...``. More lines of that kind say how it is asked and judged; all else is the text as the
tool sends it, comments included::

    --: name orders by month
    --: as wes                  who asks: ada, who may only select (the default), or wes, who may do everything else
    --: parameters ["1", null]  of the extended protocol, as text
    --: metadata                compared with a copy whose values are whole: only hidden things are gone
    --: ties                    its ORDER BY doesn't decide the order of all rows
    --: fails 42P01             the tool tries what may fail: it must fail here and on the copy
    --: differs <reason>        known not to be the copy's answer, and why
    --: then                    the next statement of the same connection
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("statements")
TOOLS = tuple(sorted(path.stem for path in FOLDER.glob("*.sql")))
_MARK = "--: "


@dataclass
class Step:
    """One statement. `lines` as written."""

    lines: list[str] = field(default_factory=list)
    parameters: tuple[str | None, ...] = ()
    is_metadata: bool = False
    has_ties: bool = False
    fails: str = ""

    @property
    def sql(self) -> str:
        return "".join(self.lines).strip()

    @property
    def is_ordered(self) -> bool:
        return not self.has_ties and "order by" in self.sql.lower()


@dataclass
class Case:
    """Steps are asked one after the other on one connection. `differs`: the reason of a known difference."""

    tool: str
    name: str
    user: str = "ada"
    steps: list[Step] = field(default_factory=lambda: [Step()])
    differs: str = ""


@cache
def cases_of(tool: str) -> tuple[Case, ...]:
    """In the order of the file. Raises AssertionError for a line that isn't understood."""
    found: list[Case] = []
    for line in (FOLDER / f"{tool}.sql").read_text("utf-8").splitlines(keepends=True):
        if line.startswith(f"{_MARK}name "):
            found.append(Case(tool, line.removeprefix(f"{_MARK}name ").strip()))
        elif line.startswith(_MARK):
            _mark(found[-1], *line.removeprefix(_MARK).strip().partition(" ")[::2])
        elif found:
            found[-1].steps[-1].lines.append(line)
    assert all(step.sql for case in found for step in case.steps)
    return tuple(found)


def _mark(case: Case, word: str, rest: str) -> None:
    step = case.steps[-1]
    match word:
        case "as":
            case.user = rest
        case "differs":
            case.differs = rest
        case "then":
            case.steps.append(Step())
        case "parameters":
            step.parameters = tuple(json.loads(rest))
        case "metadata":
            step.is_metadata = True
        case "ties":
            step.has_ties = True
        case "fails":
            step.fails = rest
        case _:
            raise AssertionError(f"{case.tool}: {word} {rest}")
