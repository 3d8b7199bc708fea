"""How long to wait before something that failed is tried again. Knows no clock."""

from __future__ import annotations

import random as random_module
from collections.abc import Callable
from typing import Final

FIRST_S: Final = 0.2
LONGEST_S: Final = 30.0
_MOST_DOUBLINGS: Final = 20


class Backoff:
    """Seconds that double with each failure in a row, spread over half to one and a half times of that."""

    def __init__(self, longest_s: float = LONGEST_S, random: Callable[[], float] = random_module.random) -> None:
        self._longest_s = longest_s
        self._random = random
        self._failures = 0

    def after_failure(self) -> float:
        plain_s = min(self._longest_s, FIRST_S * 2.0 ** min(self._failures, _MOST_DOUBLINGS))
        self._failures += 1
        return plain_s * (0.5 + self._random())

    def succeeded(self) -> None:
        """The next failure is the first one again."""
        self._failures = 0
