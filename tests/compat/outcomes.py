"""What became of each test of one run, and what two runs differ in. Pure: no processes, no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


Outcomes = Mapping[str, Outcome]  # by the test's name


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one suite. `was_cut_off`: it took too long, what is missing never ran. `note`: for the reader."""

    outcomes: Outcomes
    seconds: float = 0.0
    was_cut_off: bool = False
    note: str = ""
    faults: tuple[str, ...] = ()  # exceptions that pgwarden logged

    def count(self, outcome: Outcome) -> int:
        return sum(found is outcome for found in self.outcomes.values())


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both runs of one suite. `flaky`: tests that failed through pgwarden once and passed when run again."""

    suite: str
    version: str
    direct: Run
    through: Run
    flaky: frozenset[str] = frozenset()
    measured: str = ""  # the day, and what was measured

    @property
    def newly_failing(self) -> tuple[str, ...]:
        return tuple(name for name in newly_failing(self.direct.outcomes, self.through.outcomes))

    def settled(self, again: Outcomes) -> Comparison:
        """With the outcomes of tests that were run through pgwarden once more."""
        healed = {name for name in self.newly_failing if again.get(name) is Outcome.PASSED}
        outcomes = {**self.through.outcomes, **dict.fromkeys(healed, Outcome.PASSED)}
        through = replace(self.through, outcomes=outcomes)
        return replace(self, through=through, flaky=self.flaky | healed)


def newly_failing(direct: Outcomes, through: Outcomes) -> list[str]:
    """Tests that pass directly and don't through pgwarden: failed, skipped or not there at all."""
    passed = (name for name, outcome in direct.items() if outcome is Outcome.PASSED)
    return sorted(name for name in passed if through.get(name) is not Outcome.PASSED)
