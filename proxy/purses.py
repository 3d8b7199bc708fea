"""What a statement draws on: purses of money in memory that all workers share, and what it has reserved of them.

A worker writes its own words only, so no lock is needed and one that dies leaves nothing held but what its statements
had reserved, which stays spent. Where the money comes from is not known here. Amounts are whole nano-units.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from policies.budgets import Budget

# A purse's words, from its first one on. Behind them, for each worker: what it has used, and what it asks for.
KEY: Final = 0  # two words
STATE: Final = 2
CEILING: Final = 3  # of what all workers have used, counted since the memory was made
ENDS: Final = 4  # the period, on the machine's monotonic clock, in us
FREES_AT: Final = 5  # the same moment in us since 1970, by the store's clock
STARTS_AT: Final = 6  # likewise; tells periods apart
BASE: Final = 7  # what all workers had used when the period began
WORDS: Final = 8
ASKED_AND_USED: Final = 2  # words of each worker
EMPTY_PURSE_WORDS: Final = WORDS + ASKED_AND_USED

# States. What is left below the ceiling may be spent in each of them.
NEW: Final = 0  # nobody has asked the store yet
FINE: Final = 1
WARNED: Final = 2
SPENT: Final = 3  # the store has no more to give
AWAY: Final = 4  # the store can't be asked

# What a look at a purse finds.
MAY: Final = 0
LOW: Final = 1  # more is on its way
OVER: Final = 2

UNKNOWN: Final = -1

# The same for this module's own use: as numbers of the machine where it is compiled.
_STATE: Final = STATE
_CEILING: Final = CEILING
_ENDS: Final = ENDS
_FREES_AT: Final = FREES_AT
_STARTS_AT: Final = STARTS_AT
_WORDS: Final = WORDS
_FINE: Final = FINE
_WARNED: Final = WARNED
_SPENT: Final = SPENT
_AWAY: Final = AWAY
_MAY: Final = MAY
_LOW: Final = LOW
_OVER: Final = OVER
_UNKNOWN: Final = UNKNOWN

_MEANS: Final = 20_000
_WEIGHT: Final = 8  # of what was before, beside one new cost


class Mean:
    """What statements of one shape cost, a running average."""

    def __init__(self) -> None:
        self.nano = _UNKNOWN

    def note(self, nano: int) -> None:
        self.nano = nano if self.nano < 0 else (self.nano * (_WEIGHT - 1) + nano) // _WEIGHT


class Means:
    """By database and shape, those seen last."""

    def __init__(self) -> None:
        self._means: OrderedDict[tuple[str, str], Mean] = OrderedDict()

    def of(self, database: str, shape: str) -> Mean:
        key = database, shape
        found = self._means.get(key)
        if found is None:
            found = self._means[key] = Mean()
            if len(self._means) > _MEANS:
                self._means.popitem(last=False)
        return found


class Purse:
    """One budget's money here, as one worker sees it. `words`: signed, of 64 bits; `at`: where the purse begins."""

    def __init__(self, budget: Budget, words: memoryview, at: int, worker: int, workers: int, is_binding: bool) -> None:
        self.budget = budget
        self.is_binding = is_binding
        self._words = words
        self._at = at
        self._used = at + _WORDS
        self._behind = self._used + workers
        self._own = self._used + worker - 1
        self._asked = self._behind + worker - 1

    def state(self) -> int:
        return self._words[self._at + _STATE]

    def starts_at(self) -> int:
        return self._words[self._at + _STARTS_AT]

    def frees_at(self) -> int:
        return self._words[self._at + _FREES_AT]

    def used(self) -> int:
        """By all workers, what is reserved included."""
        total = 0
        for place in range(self._used, self._behind):
            total += self._words[place]
        return total

    def take(self, nano: int, now_us: int) -> bool:
        """Reserves so much, or nothing. Two workers at the same moment may both find too little, never too much."""
        self._words[self._own] += nano
        if not self.is_binding:
            return True
        if now_us < self._words[self._at + _ENDS] and self.used() <= self._words[self._at + _CEILING]:
            return True
        self._words[self._own] -= nano
        return False

    def put(self, nano: int) -> None:
        """Counts so much more, or less, as used."""
        self._words[self._own] += nano

    def look(self, nano: int, now_us: int) -> int:
        """MAY, LOW or OVER. What can't be taken is asked for."""
        words, at = self._words, self._at
        if not self.is_binding:
            return _OVER if words[at + _STATE] == _SPENT and now_us < words[at + _ENDS] else _MAY
        is_over = now_us >= words[at + _ENDS]
        if not is_over and self.used() + nano <= words[at + _CEILING]:
            return _MAY
        words[self._asked] = max(words[self._asked], nano, 1)
        # A state that was found for less, or in another period, says nothing.
        is_answered = words[at + _STATE] == AWAY or (words[at + _STATE] == _SPENT and not is_over)
        return _OVER if is_answered else _LOW


class Spending:
    """The purses of one session's statements. `told`: by purse, the period whose warning the client has read."""

    def __init__(self, purses: tuple[Purse, ...], told: dict[str, int]) -> None:
        self.purses = purses
        self.told = told
        self.first_nano = min(purse.budget.first for purse in purses)

    def estimate(self, mean: Mean) -> int:
        """What a statement of this kind reserves."""
        return mean.nano if mean.nano >= 0 else self.first_nano

    def begin(self, mean: Mean, now_us: int) -> int:
        """Reserves and gives how much; below 0 there is something to say first, or to wait for: nothing is reserved."""
        for purse in self.purses:
            state = purse.state()
            if state != _FINE and not self._is_said(purse, state):
                return _UNKNOWN
        nano = self.estimate(mean)
        return nano if self.take(nano, now_us) else _UNKNOWN

    def take(self, nano: int, now_us: int) -> bool:
        """From all purses or from none."""
        taken = 0
        for purse in self.purses:
            if not purse.take(nano, now_us):
                break
            taken += 1
        if taken == len(self.purses):
            return True
        for purse in self.purses[:taken]:
            purse.put(-nano)
        return False

    def settle(self, reserved: int, cost: int) -> None:
        """The statement has ended, or didn't begin after all."""
        for purse in self.purses:
            purse.put(cost - reserved)

    def is_told(self, purse: Purse) -> bool:
        return self.told.get(purse.budget.key) == purse.starts_at()

    def _is_said(self, purse: Purse, state: int) -> bool:
        if state == _WARNED:
            return self.is_told(purse)
        return state == _SPENT and purse.is_binding and self.is_told(purse)


class Reservation:
    """What one statement holds until its outcome is known. `mean` learns what it cost."""

    def __init__(self, spending: Spending, mean: Mean, nano: int) -> None:
        self._spending = spending
        self._mean = mean
        self._nano = nano

    def settle(self, cost: int) -> None:
        self._mean.note(cost)
        self._spending.settle(self._nano, cost)

    def undo(self) -> None:
        """It didn't begin."""
        self._spending.settle(self._nano, 0)
