"""Writes docs/benchmarks.md, docs/profiles.md and their plots from what the lines of the benchmark have kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.bench.plots import svg
from tests.bench.results import Chapter, Table

DOCS = Path("docs")
PLOTS = Path("bench")  # under DOCS

_HEAD = """\
# Benchmarks

Made by `{command}`, which measures everything side by side on one machine and writes this file; don't edit it. Every
figure is a median of runs that take turns, with the least and the greatest in brackets; a ratio compares runs of the
same round. Compare ratios: other work on the machine moves absolute figures, and the spread shows by how much.
"""
_PROFILES_HEAD = """\
# Profiles

Made by `{command}`; don't edit it. Where the microseconds of one statement go, for PgBouncer and for pgwarden with a
row filter, a masked column and its audit. The benchmarks are in [benchmarks.md](benchmarks.md).
"""
_COMMANDS = """\
```
make bench                     # everything: about 25 minutes
make bench QUICK=1             # everything, coarsely: about 3 minutes
python -m tests.bench {names}
                               # one line; --runs, --seconds and --clients as you like
```
"""


def write(chapters: Sequence[Chapter], facts: list[list[str]], command: str, docs: Path = DOCS) -> None:
    (docs / PLOTS).mkdir(parents=True, exist_ok=True)
    profile = [chapter for chapter in chapters if chapter.name == "profile"]
    others = [chapter for chapter in chapters if chapter.name != "profile"]
    for plot in (plot for chapter in others for plot in chapter.plots):
        (docs / PLOTS / f"{plot.name}.svg").write_text(svg(plot), "utf-8")
    machine = ["## Machine and versions", "", *_table(["", ""], facts)]
    (docs / "benchmarks.md").write_text(_joined(_benchmarks(others, machine, command)), "utf-8")
    if profile:
        parts = [_PROFILES_HEAD.format(command=command), *machine, "", *_sections(profile)]
        (docs / "profiles.md").write_text(_joined(parts), "utf-8")


def _joined(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip("\n") + "\n"


def _benchmarks(chapters: Sequence[Chapter], machine: list[str], command: str) -> Iterator[str]:
    yield _HEAD.format(command=command)
    yield "## Targets"
    yield ""
    yield from _table(["what", "target", "measured", ""], list(_judged(chapters)))
    missing = [reason for chapter in chapters for reason in chapter.missing]
    if missing:
        yield from ["", "Not measured:", "", *(f"- {_cell(reason)}" for reason in missing)]
    yield from ["", *machine, "", "## Commands", "", _COMMANDS.format(names="|".join(c.name for c in chapters))]
    yield from _sections(chapters)


def _judged(chapters: Sequence[Chapter]) -> Iterator[list[str]]:
    for chapter in chapters:
        for target in chapter.targets:
            verdict = "met" if target.is_met else f"**not met**: {target.gap}" if target.gap else "**not met**"
            yield [target.what, target.target, target.measured, verdict]


def _sections(chapters: Sequence[Chapter]) -> Iterator[str]:
    for chapter in chapters:
        yield from [f"## {chapter.title}", "", chapter.text, ""]
        for plot in chapter.plots:
            yield from [f"![{plot.title}]({PLOTS}/{plot.name}.svg)", ""]
        for table in chapter.tables:
            yield from _shown(table)
        if chapter.missing:
            yield from ["Not measured here:", "", *(f"- {_cell(reason)}" for reason in chapter.missing), ""]


def _shown(table: Table) -> list[str]:
    return [f"**{table.title}**", "", *_table(table.head, table.lines), ""]


def _table(head: list[str], lines: list[list[str]]) -> list[str]:
    rows = [head, ["---"] * len(head), *lines]
    return ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
