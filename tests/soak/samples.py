"""What pgwarden's processes hold while they work: memory and descriptors over time, and whether that rises."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.soak.processes import memory_kib, open_files


@dataclass(frozen=True, slots=True)
class Sample:
    at_s: float
    rss_kib: int
    files: int


def take(pid: int, since_s: float) -> Sample:
    return Sample(time.monotonic() - since_s, memory_kib(pid)[0], open_files(pid))


def slope_per_minute(samples: list[Sample], of: Callable[[Sample], float]) -> float:
    """By least squares over the second half: in the first, caches fill."""
    later = samples[len(samples) // 2 :]
    if len(later) < 2:
        return 0.0
    return statistics.linear_regression([sample.at_s / 60 for sample in later], [of(sample) for sample in later]).slope
