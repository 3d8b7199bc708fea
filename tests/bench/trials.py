"""Medians, ratios and their spread, of runs that take turns: A B C A B C ..., so that a neighbour's load hits all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

Tell = Callable[[str], None]  # where progress goes, line by line


def quiet(line: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some figures, the least and the greatest."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> Spread:
        found = sorted(figures)
        return cls(statistics.median(found), found[0], found[-1])

    def text(self, form: str = ".2f") -> str:
        return f"{self.median:{form}} ({self.least:{form}} to {self.greatest:{form}})"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Of runs of the same round."""
    return Spread.of(one / other for one, other in zip(ours, theirs, strict=True))


def in_turns(names: Sequence[str], runs: int, limit_s: float = 600.0) -> Iterator[tuple[int, str]]:
    """A B C, C B A, A B C, ...: nobody always comes after the same one. No new round begins after `limit_s`."""
    start = time.monotonic()
    for number in range(runs):
        if time.monotonic() - start > limit_s:
            return
        for name in names if number % 2 == 0 else reversed(names):
            yield number, name
