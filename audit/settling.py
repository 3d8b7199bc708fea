"""What was acknowledged when, until it has settled. Knows no clock."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from audit.shipped import ShippedPosition

_TOGETHER_S = 1.0  # positions that were acknowledged within so long settle together


@dataclass(slots=True)
class _Group:
    first_s: float
    last_s: float
    position: ShippedPosition


class Settling:
    """Positions in the order of their acknowledgement; times in seconds of one clock that never goes back."""

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._groups: deque[_Group] = deque()

    def put(self, now_s: float, position: ShippedPosition) -> None:
        """Everything before `position` has just been acknowledged."""
        if self._groups and now_s - self._groups[-1].first_s < _TOGETHER_S:
            self._groups[-1].last_s, self._groups[-1].position = now_s, position
        else:
            self._groups.append(_Group(now_s, now_s, position))

    def settled(self, now_s: float) -> ShippedPosition | None:
        """The newest position that was acknowledged long enough ago and wasn't given before."""
        found = None
        while self._groups and now_s - self._groups[0].last_s >= self._settle_s:
            found = self._groups.popleft().position
        return found

    def oldest(self) -> ShippedPosition | None:
        """The next position to settle, which counts as settled from now on."""
        return self._groups.popleft().position if self._groups else None

    def clear(self) -> None:
        """Nothing of it counts any more."""
        self._groups.clear()
