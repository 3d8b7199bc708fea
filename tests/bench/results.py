"""What one line of the benchmark gives: judged targets, tables, bars for a plot. Kept as JSON until the report."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("var/bench")


@dataclass(frozen=True, slots=True)
class Target:
    """One line of the table of targets. `measured` with its unit or spread; `gap` says by how much it isn't met."""

    what: str
    target: str
    measured: str
    is_met: bool
    gap: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Cells are text, one list per line of the table."""

    title: str
    head: list[str]
    lines: list[list[str]]


@dataclass(frozen=True, slots=True)
class Plot:
    """Bars in groups: `values[series][group]`; `unit` stands at the axis."""

    name: str
    title: str
    unit: str
    groups: list[str]
    values: dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Chapter:
    """All of one line of the benchmark. `text`: how it was measured. `missing`: what wasn't, and why."""

    name: str
    title: str
    text: str
    targets: Sequence[Target] = ()
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
    missing: Sequence[str] = ()


def at_most(what: str, limit: float, value: float, shown: str) -> Target:
    is_met = value <= limit
    return Target(what, f"<= {limit:g}", shown, is_met, "" if is_met else f"{value / limit:.2f} times it")


def at_least(what: str, limit: float, value: float, shown: str) -> Target:
    is_met = value >= limit
    return Target(what, f">= {limit:g}", shown, is_met, "" if is_met else f"{value / limit:.0%} of it")


def keep(chapter: Chapter, folder: Path = FOLDER) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{chapter.name}.json").write_text(json.dumps(dataclasses.asdict(chapter), indent=1), "utf-8")


def kept(name: str, folder: Path = FOLDER) -> Chapter | None:
    """What the last run of that line gave."""
    file = folder / f"{name}.json"
    if not file.exists():
        return None
    values = json.loads(file.read_text("utf-8"))
    parts = {"targets": Target, "tables": Table, "plots": Plot}
    return Chapter(**values | {key: [kind(**value) for value in values[key]] for key, kind in parts.items()})


def as_text(chapter: Chapter) -> str:
    """For the terminal."""
    lines = [f"== {chapter.title}"]
    for table in chapter.tables:
        lines += ["", table.title, *_aligned([table.head, *table.lines])]
    if chapter.targets:
        judged = [[t.what, t.target, t.measured, "met" if t.is_met else f"not met: {t.gap}"] for t in chapter.targets]
        lines += ["", *_aligned([["target", "", "measured", ""], *judged])]
    lines += [f"not measured: {reason}" for reason in chapter.missing]
    return "\n".join(lines)


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
