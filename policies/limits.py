"""What one principal has under way on one database, counted, and what is said when a limit is reached.

Pure: moments come in as microseconds of any clock that doesn't go back; nothing is global.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import Final, Protocol

from policies.decision import RawColumn, Refusal
from policies.model import Limits, RuleId

SLICES: Final = 60
MINUTE_US: Final = 60_000_000
HOUR_US: Final = 60 * MINUTE_US
_BUILT_IN: Final = "pgwarden/limits"


class Limit(StrEnum):
    """The limits by name; also a metric's label."""

    ROWS = "rows"
    BYTES = "bytes"
    RUNTIME = "runtime"
    CONCURRENT = "concurrent"
    STATEMENTS_PER_MINUTE = "statements_per_minute"
    COST = "cost"
    PROBES = "probes"
    RATE = "rate"
    KEY_QUOTA = "key_quota"
    BUDGET = "budget"


class Window(Protocol):
    """How often something happened within the last span of time."""

    def count(self, now_us: int) -> int: ...

    def add(self, now_us: int, events: int = 1) -> None: ...

    def wait_us(self, now_us: int, events: int, limit: int) -> int | None:
        """In how long so many more would stay within the limit: 0 is now, None is never."""


class SlidingWindow:
    """How often something happened within the last `span_us`, in bounded memory.

    It is counted in slices of a sixtieth of the span, and a slice counts until all of it is old: never less than the
    span, at most a slice more.
    """

    def __init__(self, span_us: int) -> None:
        self._slice_us = span_us // SLICES
        self._counts: deque[list[int]] = deque()  # [number of the slice, events in it], oldest first
        self._total = 0

    def count(self, now_us: int) -> int:
        oldest = now_us // self._slice_us - SLICES
        while self._counts and self._counts[0][0] < oldest:
            self._total -= self._counts.popleft()[1]
        return self._total

    def add(self, now_us: int, events: int = 1) -> None:
        number = now_us // self._slice_us
        if not self._counts or self._counts[-1][0] != number:
            self._counts.append([number, 0])
        self._counts[-1][1] += events
        self._total += events

    def wait_us(self, now_us: int, events: int, limit: int) -> int | None:
        left = self.count(now_us) + events - limit
        if events > limit:
            return None
        for number, count in self._counts:
            if left <= 0:
                break
            left -= count
            if left <= 0:
                return (number + SLICES + 1) * self._slice_us - now_us
        return 0


class Load:
    """One principal on one database, all sessions together. `running`: sessions that wait for a statement's end."""

    def __init__(self, running: int = 0) -> None:
        self._running = running
        self._minute: Window = SlidingWindow(MINUTE_US)
        self._probes: dict[str, Window] = {}

    @property
    def running(self) -> int:
        return self._running

    @property
    def minute(self) -> Window:
        """Statements begun."""
        return self._minute

    def probes(self, column: str) -> Window:
        """Comparisons of this column's real values, over an hour."""
        found = self._probes.get(column)
        if found is None:
            found = self._probes[column] = self._new_probes(column)
        return found

    def enter(self) -> None:
        self._running += 1

    def leave(self) -> None:
        self._running -= 1

    def alone(self) -> AbstractContextManager[None]:
        """Nobody else counts inside: what is looked at there and counted there is one step."""
        return nullcontext()

    def _new_probes(self, column: str) -> Window:
        return SlidingWindow(HOUR_US)


class Loads:
    """All that one worker sees, by user and database. Users are those of the policies, so there is an end to them."""

    def __init__(self, make: Callable[[str, str], Load] = lambda user, database: Load()) -> None:
        self._make = make
        self._loads: dict[tuple[str, str], Load] = {}

    def of(self, user: str, database: str) -> Load:
        key = user, database
        if key not in self._loads:
            self._loads[key] = self._make(user, database)
        return self._loads[key]


# refusals before a statement runs: 53400


def too_many_at_once(limits: Limits, load: Load) -> Refusal | None:
    """For a session that has nothing under way yet."""
    if limits.concurrent is None or load.running < limits.concurrent:
        return None
    message = f"{limits.concurrent} statements of this user are running already"
    return _refused(limits.concurrent_rule, message, "Try again when one of them has ended.")


def too_many_a_minute(limits: Limits, load: Load, statements: int, now_us: int) -> Refusal | None:
    """For so many statements that are to begin together."""
    limit = limits.statements_per_minute
    if limit is None:
        return None
    wait_us = load.minute.wait_us(now_us, statements, limit)
    if wait_us == 0:
        return None
    message = f"{limit} statements were begun by this user within a minute"
    hint = _try_again(wait_us) if wait_us is not None else f"Send at most {limit} statements in one text."
    return _refused(limits.statements_per_minute_rule, message, hint)


def too_many_probes(raw: Iterable[RawColumn], load: Load, now_us: int) -> Refusal | None:
    """For statements that compare these columns' real values, each as often as it stands here."""
    wanted: dict[str, int] = {}
    for column in raw:
        wanted[column.column] = wanted.get(column.column, 0) + column.probes
        limit = column.probes_per_hour
        if limit is None:
            continue
        wait_us = load.probes(column.column).wait_us(now_us, wanted[column.column], limit)
        if wait_us != 0:
            message = f"this user may compare the real values of {column.column} {limit} times an hour"
            hint = _try_again(wait_us) if wait_us is not None else "Compare them with fewer values."
            return _refused(column.rule, message, hint)
    return None


def too_costly(limits: Limits, currency: str) -> Refusal:
    """Doesn't say what the estimate is: it tells of rows that are hidden."""
    price = f"{limits.cost:g} {currency}".rstrip()
    message = f"the planner's estimate of this statement is above the limit of {price}"
    return _refused(limits.cost_rule, message, "Ask for less: fewer rows, fewer tables, a condition on an index.")


def not_estimated(limits: Limits, reason: str, hint: str) -> Refusal:
    message = f"the cost of this statement could not be estimated: {reason}"
    return _refused(limits.cost_rule, message, hint)


# what cuts a running statement off: 57014, or a NOTICE with what there is so far


def cut_off(limits: Limits, limit: Limit) -> Refusal:
    match limit:
        case Limit.ROWS:
            rule, after, hint = limits.rows_rule, f"{limits.rows} rows", "fewer rows, for example with LIMIT"
        case Limit.BYTES:
            rule, after, hint = limits.bytes_rule, f"{limits.bytes} bytes", "fewer rows or smaller columns"
        case _:
            rule, after, hint = limits.runtime_rule, f"{limits.runtime_s or 0:g} s", ""
    message = f"the statement was cut off after {after}"
    return _refused(rule, message, f"Ask for {hint}." if hint else "", "57014")


def truncated(limits: Limits, limit: Limit) -> Refusal:
    """What the NOTICE says."""
    refusal = cut_off(limits, limit)
    message = refusal.message.replace("the statement was", "the result was")
    return Refusal("01000", refusal.rule, message, refusal.detail, refusal.hint)


def _refused(rule: RuleId | None, message: str, hint: str, sqlstate: str = "53400") -> Refusal:
    where = "" if rule is None else f"Rule {rule} at {rule.source}."
    return Refusal(sqlstate, str(rule or _BUILT_IN), message, where, hint)


def _try_again(wait_us: int) -> str:
    return f"Try again in {-(-wait_us // 1_000_000)} s."
