"""Counts what became of the queries, and writes the page that shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from tests.readings.corpus import Query
from tests.readings.reading import Reach, Reading
from tests.readings.running import Answer

LEAST_SHARE: Final = 0.95
# What the server says of a value that the policy took away: the same statement fails on a copy without those values.
_ABOUT_VALUES: Final = ("21", "22", "23")


class Fate(Enum):
    """Of one query over tables, compared with what the server says to it as it stands."""

    SAME = "runs, with the same rows and types"
    RUNS = "runs"
    BOTH_FAIL = "fails with and without"
    ON_HIDDEN = "fails for the values that the policy takes away"
    REFUSED = "refused"
    REFUSED_FAILING = "refused, and the server refuses it too"
    FAILS = "fails though the query runs"
    DIFFERS = "gives other rows or types"

    @property
    def is_fault(self) -> bool:
        return self in (Fate.FAILS, Fate.DIFFERS)


@dataclass(slots=True)
class Figures:
    """What happened under one policy. `examples` are the queries of each refusal and of each fault."""

    policy: str
    reaches: Counter[Reach] = field(default_factory=Counter)
    fates: Counter[Fate] = field(default_factory=Counter)
    verified: int = 0
    unchanged: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Query]] = field(default_factory=dict)

    def read(self, readings: Iterable[Reading]) -> None:
        for reading in readings:
            self.reaches[reading.reach] += 1
            self.verified += reading.is_rewritten
            self.unchanged += reading.decision.refusal is None and not reading.is_rewritten

    def run(self, reading: Reading, plain: Answer, shown: Answer | None, *, is_transparent: bool) -> None:
        """`shown` is None for what is refused."""
        fate = fate_of(plain, shown, is_transparent=is_transparent)
        self.fates[fate] += 1
        if fate is Fate.REFUSED:
            self.refusals[reading.refusal] += 1
            self.examples.setdefault(reading.refusal, []).append(reading.query)
        if fate.is_fault:
            message = f"{fate.value}: {shown.sqlstate or ''} {shown.message}" if shown else ""
            self.examples.setdefault(message, []).append(reading.query)

    @property
    def share(self) -> float:
        """Of the queries over tables that the server runs, how many are rewritten and not refused."""
        runnable = sum(self.fates.values()) - self.fates[Fate.BOTH_FAIL] - self.fates[Fate.REFUSED_FAILING]
        return 1 - self.fates[Fate.REFUSED] / runnable if runnable else 0.0

    @property
    def faults(self) -> int:
        return sum(count for fate, count in self.fates.items() if fate.is_fault)


def fate_of(plain: Answer, shown: Answer | None, *, is_transparent: bool) -> Fate:
    """What cost too much time on either side says nothing."""
    if shown is None:
        return Fate.REFUSED if plain.sqlstate is None else Fate.REFUSED_FAILING
    if plain.sqlstate is not None or plain.is_timeout or shown.is_timeout:
        return Fate.BOTH_FAIL if shown.sqlstate else Fate.RUNS
    if shown.sqlstate is not None:
        is_about_values = not is_transparent and shown.sqlstate.startswith(_ABOUT_VALUES)
        return Fate.ON_HIDDEN if is_about_values else Fate.FAILS
    if not is_transparent:
        return Fate.RUNS
    return Fate.SAME if shown.equals(plain) else Fate.DIFFERS


def page(all_figures: list[Figures], version: str, unparseable: int) -> str:
    """Markdown."""
    parsed = sum(all_figures[0].reaches.values())
    lines = [
        "# Two readings of PostgreSQL's regression queries",
        "",
        "`make readings` writes this page. It takes every distinct query out of the regression suite of PostgreSQL",
        f"{version} ({parsed} that parse; {unparseable} don't: psql's variables, errors on purpose),",
        "runs the suite once, and holds each query against policies made from the catalog that the suite leaves. What",
        "is rewritten has been read twice, from the text and by the tree, and both agreed.",
        "Queries over tables that still exist are run as they stand and as rewritten, and their answers compared.",
        "",
        "- *everything*: the allow-everything policy.",
        "- *transparent*: a row filter on every table that hides nothing. Rows and types must be those without it.",
        "- *hiding*: a row filter on every table and a mask on one column of each. What runs must still run.",
    ]
    for figures in all_figures:
        lines += ["", f"## {figures.policy}", "", *_section(figures)]
    return "\n".join(lines) + "\n"


def _section(figures: Figures) -> list[str]:
    lines = [f"- passed unchanged: {figures.unchanged}; rewritten and read alike twice: {figures.verified}"]
    lines += [f"- reading {reach.value}: {count}" for reach, count in figures.reaches.most_common()]
    if not figures.fates:
        return lines
    lines += [f"- over tables, {fate.value}: {count}" for fate, count in figures.fates.most_common()]
    lines += [f"- **{figures.share:.1%}** of the queries over tables that the server runs are rewritten"]
    if figures.refusals:
        lines += ["", "| refused | queries | for example |", "|---|---|---|"]
        lines += [f"| {why} | {count} | {_place(figures, why)} |" for why, count in figures.refusals.most_common()]
    faults = [message for message in figures.examples if message not in figures.refusals]
    if faults:
        lines += ["", "| fault | queries | for example |", "|---|---|---|"]
        lines += [f"| {why} | {len(figures.examples[why])} | {_place(figures, why)} |" for why in faults]
    return lines


def _place(figures: Figures, message: str) -> str:
    query = figures.examples[message][0]
    return f"`{query.file}.sql:{query.line}`"
