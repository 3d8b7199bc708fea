"""Medians, ratios and their spread, of runs that take turns: A B C A B C ..., so that a neighbour's load hits all."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


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
