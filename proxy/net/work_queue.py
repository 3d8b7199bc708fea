"""Who runs in the workload lanes of one database, and who waits for a turn there: one worker's part of it.

First come, first served, over all workers; whose transaction may hold locks that others wait for has a head start. It
must not know what is run, nor why it belongs to its lane.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Protocol

from policies.decision import Refusal
from proxy.lane_board import LanePlaces
from proxy.tallies import Tallies
from proxy.work_lanes import BulkWay, Shapes, Signs, WorkLane

_LOOK_S: Final = 0.005  # so often a worker looks for places that others have left, while somebody waits
_HEAD_START_US: Final = 10_000_000  # of who may hold locks; who has waited longer still comes first


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """Of one lane. `concurrency`: statements at once, None without end; so many may wait, and so long."""

    concurrency: int | None = None
    queue: int = 100
    wait_s: float = 60.0


class Waiter(Protocol):
    """Who waits: one of both is called, once, and never before `wait` has returned."""

    def turn_came(self, lane: WorkLane) -> None:
        """The place is its own from now on, even if it is gone by now."""

    def turn_refused(self, refusal: Refusal) -> None: ...


@dataclass(slots=True)
class _Waiting:
    since_us: int
    rank: int


class _Queue:
    """One lane. Who waits stands in one of two lines, each in order of ranks: thousands may wait."""

    def __init__(self, lane: WorkLane, limits: LaneLimits, places: LanePlaces) -> None:
        self.lane = lane
        self.limits = limits
        self.places = places
        self._lines: tuple[dict[Waiter, _Waiting], dict[Waiter, _Waiting]] = {}, {}

    @property
    def has_waiters(self) -> bool:
        return any(self._lines)

    def add(self, waiter: Waiter, waiting: _Waiting, *, is_urgent: bool) -> None:
        self._lines[is_urgent][waiter] = waiting

    def pop(self, waiter: Waiter) -> _Waiting | None:
        return self._lines[0].pop(waiter, None) or self._lines[1].pop(waiter, None)

    def first(self) -> tuple[Waiter, _Waiting]:
        """Somebody waits."""
        heads = [next(iter(line.items())) for line in self._lines if line]
        return min(heads, key=lambda head: head[1].rank)

    def overdue(self, until_us: int) -> list[Waiter]:
        """Who has waited since then, or longer."""
        return [
            waiter
            for line in self._lines
            for waiter, _ in takewhile(lambda one: one[1].since_us <= until_us, line.items())
        ]

    def show(self, now_us: int) -> None:
        """To the other workers."""
        rank = self.first()[1].rank if self.has_waiters else 0
        self.places.show_waiting(sum(map(len, self._lines)), rank, now_us)


class WorkQueue:
    """Implements `session.ports.WorkLanes`. `now_us`: a clock that all workers of the machine share.

    `bulk_way`: where bulk work that only reads is to be sent now.
    """

    def __init__(
        self,
        signs: Signs,
        limits: Mapping[WorkLane, LaneLimits],
        places: Mapping[WorkLane, LanePlaces],
        tallies: Tallies,
        now_us: Callable[[], int],
        bulk_way: Callable[[], BulkWay] = lambda: BulkWay.PRIMARY,
    ) -> None:
        self.signs = signs
        self.shapes = Shapes(signs)
        self._tallies = tallies
        self._now_us = now_us
        self.bulk_way = bulk_way
        self._queues = {lane: _Queue(lane, limits[lane], places[lane]) for lane in WorkLane}
        self._look: asyncio.TimerHandle | None = None

    def is_limited(self, lane: WorkLane) -> bool:
        return self._queues[lane].limits.concurrency is not None

    # places

    def enter(self, lane: WorkLane) -> bool:
        """Takes a place at once, if one is free and nobody waits for it."""
        queue = self._queues[lane]
        if self.is_limited(lane):
            now = self._now_us()
            if queue.has_waiters or not queue.places.take(now, now):
                return False
            self._tallies.count_turn(lane, 0)
        else:
            queue.places.take_anyway()
        self._tallies.count_running(lane, +1)
        return True

    def leave(self, lane: WorkLane) -> None:
        queue = self._queues[lane]
        queue.places.leave()
        self._tallies.count_running(lane, -1)
        if queue.has_waiters:
            self._serve(queue)

    # waiting

    def full(self, lane: WorkLane) -> Refusal | None:
        """Why nobody more may wait there. All workers' waiting counts."""
        limits = self._queues[lane].limits
        if self._queues[lane].places.waiting < limits.queue:
            return None
        self._tallies.count_turned_away(lane)
        message = f"{limits.queue} statements wait for the {lane.value} lane already"
        return _refused(lane, message, "Try again later, or ask for less at once.")

    def wait(self, waiter: Waiter, lane: WorkLane, *, is_urgent: bool) -> None:
        """`is_urgent`: its transaction has run something, and others may wait for its locks."""
        queue, now = self._queues[lane], self._now_us()
        rank = now - _HEAD_START_US if is_urgent else now
        queue.add(waiter, _Waiting(now, rank), is_urgent=is_urgent)
        self._tallies.count_waiting(lane, +1)
        queue.show(now)
        self._keep_looking()

    def forget(self, waiter: Waiter) -> bool:
        """It doesn't wait any more. Whether it did."""
        return any(self._take_out(queue, waiter) for queue in self._queues.values())

    def _take_out(self, queue: _Queue, waiter: Waiter) -> bool:
        """Whether it was there."""
        if queue.pop(waiter) is None:
            return False
        self._tallies.count_waiting(queue.lane, -1)
        queue.show(self._now_us())
        return True

    def _serve(self, queue: _Queue) -> None:
        """Gives places to those that have waited longest, as far as there are any."""
        while queue.has_waiters:
            now, (waiter, waiting) = self._now_us(), queue.first()
            queue.show(now)
            if not queue.places.take(waiting.rank, now):
                return
            self._take_out(queue, waiter)
            self._tallies.count_running(queue.lane, +1)
            self._tallies.count_turn(queue.lane, now - waiting.since_us)
            self._call(lambda waiter=waiter: waiter.turn_came(queue.lane))  # type: ignore[misc]

    def _call(self, tell: Callable[[], None]) -> None:
        """A little later: whoever has left a place is still at work."""
        asyncio.get_running_loop().call_soon(tell)

    def _keep_looking(self) -> None:
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(_LOOK_S, self._look_again)

    def _look_again(self) -> None:
        self._look = None
        for queue in self._queues.values():
            if queue.has_waiters:
                self._end_overdue(queue)
                self._serve(queue)
        if any(queue.has_waiters for queue in self._queues.values()):
            self._keep_looking()

    def _end_overdue(self, queue: _Queue) -> None:
        until_us = self._now_us() - int(queue.limits.wait_s * 1e6)
        for waiter in queue.overdue(until_us):
            self._take_out(queue, waiter)
            self._tallies.count_turned_away(queue.lane)
            refusal = self._overdue(queue)
            self._call(lambda waiter=waiter, refusal=refusal: waiter.turn_refused(refusal))  # type: ignore[misc]

    def _overdue(self, queue: _Queue) -> Refusal:
        limits, name = queue.limits, queue.lane.value
        message = f"the {name} lane had no place for this statement within {limits.wait_s:g} s"
        hint = f"It runs {limits.concurrency} statements at once. Try again later."
        return _refused(queue.lane, message, hint)

    def close(self) -> None:
        """Nobody is told any more."""
        if self._look is not None:
            self._look.cancel()


def _refused(lane: WorkLane, message: str, hint: str) -> Refusal:
    return Refusal("53400", f"pgwarden/lanes/{lane.value}", message, "", hint)
