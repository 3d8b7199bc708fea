"""How long the oldest record of a journal has been waiting to be carried off. Knows neither journals nor a clock."""

from __future__ import annotations


class WaitingTime:
    """Told now and then how far a journal has been written and carried, in bytes; exact to the time between."""

    def __init__(self, now_s: float) -> None:
        self._since_s = now_s  # everything that was written before this has been carried off
        self._mark_s, self._mark = now_s, 0  # so much had been written then

    def look(self, now_s: float, written: int, lag: int) -> float:
        """For how many seconds, at most, the oldest record has been waiting; 0 when none is."""
        if not lag:
            self._since_s, self._mark_s, self._mark = now_s, now_s, written
            return 0.0
        if written - lag >= self._mark:
            self._since_s = self._mark_s
            self._mark_s, self._mark = now_s, written
        return max(0.0, now_s - self._since_s)
