"""Comparisons as a table: for the terminal and, as Markdown, for docs/compat.md. Text only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.compat.known import Known, reason_for
from tests.compat.outcomes import Comparison, Outcome

COLUMNS: Final = ("suite", "tests", "passed directly", "passed through", "newly failing", "documented", "measured")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One comparison held against the list of known differences."""

    comparison: Comparison
    documented: tuple[tuple[str, str], ...]  # test and reason
    unexplained: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Nothing was proven: the suite itself didn't run."""
        return not self.comparison.direct.count(Outcome.PASSED)


def judge(comparison: Comparison, known: Sequence[Known]) -> Verdict:
    reasons = [(test, reason_for(known, comparison.suite, test)) for test in comparison.newly_failing]
    documented = tuple((test, reason) for test, reason in reasons if reason is not None)
    return Verdict(comparison, documented, tuple(test for test, reason in reasons if reason is None))


def row(verdict: Verdict) -> tuple[str, ...]:
    comparison = verdict.comparison
    direct, through = comparison.direct, comparison.through
    return (
        f"{comparison.suite} {comparison.version}",
        str(len(direct.outcomes)),
        str(direct.count(Outcome.PASSED)),
        str(through.count(Outcome.PASSED)),
        str(len(comparison.newly_failing)),
        str(len(verdict.documented)),
        comparison.measured,
    )


def markdown(verdicts: Sequence[Verdict], heading: Sequence[str]) -> str:
    """`heading`: lines above the table."""
    lines = ["# Third-party suites, directly and through pgwarden", "", *heading, ""]
    lines += [_line(COLUMNS), _line(["---", *["---:"] * (len(COLUMNS) - 2), "---"]), *(_line(row(v)) for v in verdicts)]
    lines += _notes(verdicts)
    documented = [(v.comparison.suite, test, reason) for v in verdicts for test, reason in v.documented]
    if documented:
        lines += ["", "Differences that are inherent:", "", _line(("suite", "test", "reason")), _line(["---"] * 3)]
        lines += [_line((suite, f"`{test}`", reason)) for suite, test, reason in documented]
    open_ = [(v.comparison.suite, test) for v in verdicts for test in v.unexplained]
    if open_:
        lines += ["", "Differences that are bugs:", "", *(f"- {suite}: `{test}`" for suite, test in open_)]
    return "\n".join(lines) + "\n"


def _notes(verdicts: Sequence[Verdict]) -> list[str]:
    noted = [v.comparison for v in verdicts if v.comparison.direct.note]
    told = [f"- {c.suite}: directly {c.direct.note}, through pgwarden {c.through.note}" for c in noted]
    return ["", "Besides, of the same runs:", "", *told] if told else []


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
