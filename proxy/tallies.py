"""What one worker counts about itself: plain integers, because every statement counts.

Nothing here knows Prometheus: `metrics` names these numbers when somebody asks. They travel to the supervisor as they
are, and those of several workers are added up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any, Final

from audit.record import ShadowDecision, Verdict
from policies.limits import Limit
from proxy.work_lanes import WorkLane

# The upper ends of the buckets in microseconds; what is longer than the last is in one bucket more.
TOTAL_US: Final = (
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
)
ADDED_US: Final = (50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000)
WAIT_US: Final = (
    1_000,
    5_000,
    10_000,
    50_000,
    100_000,
    500_000,
    1_000_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
)

ESTIMATES: Final = ("known", "made", "failed")
FIELDS: Final = (
    "allowed",
    "rewritten",
    "denied",
    "on_hold",
    "total_us",
    "total_buckets",
    "added_us",
    "added_buckets",
    "rows",
    "sent_bytes",
    "masked_cells",
    "raw_uses",
    "plan_exact",
    "plan_shape",
    "plan_miss",
    "logins_ok",
    "logins_failed",
    "policy_loads_ok",
    "policy_loads_failed",
    "sessions",
    "limits",
    "shadow_decisions",
    "estimates",
    "pool_busy",
    "pool_idle",
    "pool_waiting",
    "pool_waits",
    "pool_waited_us",
    "pool_lent",
    "pool_pins",
    "interactive_running",
    "interactive_waiting",
    "interactive_waited_us",
    "interactive_waits",
    "interactive_turned_away",
    "bulk_running",
    "bulk_waiting",
    "bulk_waited_us",
    "bulk_waits",
    "bulk_turned_away",
    "bulk_elsewhere",
)
# What a worker that has ended has none of.
OF_NOW: Final = (
    "sessions",
    "pool_busy",
    "pool_idle",
    "pool_waiting",
    "interactive_running",
    "interactive_waiting",
    "bulk_running",
    "bulk_waiting",
)
PINS: Final = (
    "advisory_lock",
    "cursor",
    "function",
    "library",
    "listen",
    "other",
    "prepare",
    "sequence",
    "setting",
    "temporary",
)

_ALLOW: Final = Verdict.ALLOW
_REWRITE: Final = Verdict.REWRITE
_DENY: Final = Verdict.DENY
_BULK: Final = WorkLane.BULK


class Tallies:
    """Counts since the worker's start; `sessions` is how many are open now. Histograms: a number for each bucket."""

    def __init__(self) -> None:
        self.allowed = 0
        self.rewritten = 0
        self.denied = 0
        self.on_hold = 0
        self.total_us = 0
        self.total_buckets = [0] * (len(TOTAL_US) + 1)
        self.added_us = 0
        self.added_buckets = [0] * (len(ADDED_US) + 1)
        self.rows = 0
        self.sent_bytes = 0
        self.masked_cells = 0
        self.raw_uses = 0
        self.plan_exact = 0
        self.plan_shape = 0
        self.plan_miss = 0
        self.logins_ok = 0
        self.logins_failed = 0
        self.policy_loads_ok = 0
        self.policy_loads_failed = 0
        self.sessions = 0
        self.limits = {limit.value: 0 for limit in Limit}
        self.shadow_decisions = {decision.value: 0 for decision in ShadowDecision}
        self.estimates = dict.fromkeys(ESTIMATES, 0)
        self.pool_busy = 0
        self.pool_idle = 0
        self.pool_waiting = 0
        self.pool_waits = 0
        self.pool_waited_us = 0
        self.pool_lent = 0
        self.pool_pins = dict.fromkeys(PINS, 0)
        self.interactive_running = 0
        self.interactive_waiting = 0
        self.interactive_waited_us = 0
        self.interactive_waits = [0] * (len(WAIT_US) + 1)
        self.interactive_turned_away = 0
        self.bulk_running = 0
        self.bulk_waiting = 0
        self.bulk_waited_us = 0
        self.bulk_waits = [0] * (len(WAIT_US) + 1)
        self.bulk_turned_away = 0
        self.bulk_elsewhere = 0

    def values(self) -> dict[str, Any]:
        """All of them by name: integers, lists and dicts of integers."""
        return {name: getattr(self, name) for name in FIELDS}

    def count_statement(self, verdict: Verdict, duration_us: int, rows: int, bytes_out: int, masked_cells: int) -> None:
        """One that has ended. What was denied took no time and sent nothing."""
        if verdict is _REWRITE:
            self.rewritten += 1
        elif verdict is _ALLOW:
            self.allowed += 1
        elif verdict is _DENY:
            self.denied += 1
            return
        else:
            self.on_hold += 1
        self._count_run(duration_us, rows, bytes_out, masked_cells)

    def _count_run(self, duration_us: int, rows: int, bytes_out: int, masked_cells: int) -> None:
        self.total_us += duration_us
        self.total_buckets[bisect_left(TOTAL_US, duration_us)] += 1
        self.rows += rows
        self.sent_bytes += bytes_out
        if masked_cells:
            self.masked_cells += masked_cells

    def count_plain(
        self, is_rewritten: bool, added_us: int, duration_us: int, rows: int, bytes_out: int, masked_cells: int
    ) -> None:
        """One that went the short way: both counts in one call."""
        if is_rewritten:
            self.rewritten += 1
        else:
            self.allowed += 1
        self._count_run(duration_us, rows, bytes_out, masked_cells)
        self.added_us += added_us
        self.added_buckets[bisect_left(ADDED_US, added_us)] += 1

    def count_added(self, added_us: int) -> None:
        """The time between a statement's arrival and its way upstream."""
        self.added_us += added_us
        self.added_buckets[bisect_left(ADDED_US, added_us)] += 1

    def count_limit(self, limit: Limit) -> None:
        self.limits[limit.value] += 1

    def count_shadow(self, decision: ShadowDecision) -> None:
        self.shadow_decisions[decision.value] += 1

    def count_estimate(self, outcome: str) -> None:
        self.estimates[outcome] += 1

    def count_login(self, is_ok: bool) -> None:
        if is_ok:
            self.logins_ok += 1
        else:
            self.logins_failed += 1

    def count_policy_load(self, is_ok: bool) -> None:
        if is_ok:
            self.policy_loads_ok += 1
        else:
            self.policy_loads_failed += 1

    def count_lent(self, waited_s: float) -> None:
        """A link of a pool was lent, to one who may have waited for it."""
        self.pool_lent += 1
        if waited_s:
            self.pool_waits += 1
            self.pool_waited_us += int(waited_s * 1e6)

    def count_pin(self, reason: str) -> None:
        self.pool_pins[reason] += 1

    def count_running(self, lane: WorkLane, change: int) -> None:
        """Statements in a workload lane, begun or ended."""
        if lane is _BULK:
            self.bulk_running += change
        else:
            self.interactive_running += change

    def count_waiting(self, lane: WorkLane, change: int) -> None:
        if lane is _BULK:
            self.bulk_waiting += change
        else:
            self.interactive_waiting += change

    def count_turn(self, lane: WorkLane, waited_us: int) -> None:
        """A statement got its place in a lane that is limited."""
        if lane is _BULK:
            self.bulk_waited_us += waited_us
            self.bulk_waits[bisect_left(WAIT_US, waited_us)] += 1
        else:
            self.interactive_waited_us += waited_us
            self.interactive_waits[bisect_left(WAIT_US, waited_us)] += 1

    def count_turned_away(self, lane: WorkLane) -> None:
        """The lane's queue was full, or the wait too long."""
        if lane is _BULK:
            self.bulk_turned_away += 1
        else:
            self.interactive_turned_away += 1

    def count_elsewhere(self) -> None:
        """A bulk statement was sent to the lane's own server."""
        self.bulk_elsewhere += 1

    def count_sessions(self, change: int) -> None:
        self.sessions += change


def added_up(of_workers: Iterable[Mapping[str, Any]]) -> Tallies:
    """The `values` of several workers as one. A name that is missing there counts as nothing."""
    total = Tallies()
    for values in of_workers:
        for name in FIELDS:
            if name in values:
                setattr(total, name, _sum(getattr(total, name), values[name]))
    return total


def _sum(one: Any, other: Any) -> Any:
    match one:
        case int():
            return one + other
        case list():
            return [a + b for a, b in zip(one, other, strict=True)]
        case _:
            return {key: one[key] + other.get(key, 0) for key in one}
