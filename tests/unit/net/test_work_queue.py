"""One worker's queues: order, refusals, and that no place is lost whoever goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from policies.decision import Refusal
from proxy.lane_board import LaneBoard, LanePlaces
from proxy.net.work_queue import LaneLimits, WorkQueue
from proxy.tallies import Tallies
from proxy.work_lanes import Signs, WorkLane

BULK, INTERACTIVE = WorkLane.BULK, WorkLane.INTERACTIVE


class Client:
    def __init__(self, name: str, served: list[str]) -> None:
        self.name = name
        self.refusals: list[Refusal] = []
        self._served = served

    def turn_came(self, lane: WorkLane) -> None:
        self._served.append(self.name)

    def turn_refused(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)


class Town:
    """Queues of two workers over one board, and a clock to turn."""

    def __init__(self, board: LaneBoard, **limits: Any) -> None:
        self.now_us = 1_000_000
        self.tallies = Tallies()
        self.served: list[str] = []
        wanted = {INTERACTIVE: LaneLimits(), BULK: LaneLimits(**{"concurrency": 1} | limits)}
        self.queues = [self._queue(board, worker, wanted) for worker in (1, 2)]

    def _queue(self, board: LaneBoard, worker: int, wanted: dict[WorkLane, LaneLimits]) -> WorkQueue:
        places = {lane: LanePlaces(board, at, worker, wanted[lane].concurrency) for at, lane in enumerate(WorkLane)}
        return WorkQueue(Signs(), wanted, places, self.tallies, lambda: self.now_us)

    def wait(self, name: str, worker: int = 0, *, is_urgent: bool = False) -> Client:
        client = Client(name, self.served)
        self.now_us += 10
        self.queues[worker].wait(client, BULK, is_urgent=is_urgent)
        return client

    def close(self) -> None:
        for queue in self.queues:
            queue.close()


@pytest.fixture
def board() -> Iterator[LaneBoard]:
    made = LaneBoard.make(2, 2)
    yield made
    made.close()


async def settled() -> None:
    await asyncio.sleep(0.03)


async def test_turns_come_in_order_over_all_workers_and_urgent_ones_first(board: LaneBoard) -> None:
    town = Town(board)
    assert town.queues[0].enter(BULK)
    for name, worker, is_urgent in [("a", 0, False), ("b", 1, False), ("c", 0, False), ("d", 1, True)]:
        town.wait(name, worker, is_urgent=is_urgent)
    await settled()
    assert town.served == []
    assert not town.queues[0].enter(BULK)  # nobody overtakes
    holder = 0
    for expected in "dabc":
        town.queues[holder].leave(BULK)
        town.now_us += 10
        await settled()
        assert town.served[-1] == expected
        holder = {"a": 0, "b": 1, "c": 0, "d": 1}[expected]
    assert town.served == ["d", "a", "b", "c"]
    assert (town.tallies.bulk_running, town.tallies.bulk_waiting) == (1, 0)
    assert sum(town.tallies.bulk_waits) == 5
    town.close()


async def test_who_has_waited_long_comes_before_what_is_urgent(board: LaneBoard) -> None:
    town = Town(board)
    assert town.queues[0].enter(BULK)
    town.wait("patient")
    town.now_us += 11_000_000
    town.wait("urgent", 1, is_urgent=True)
    town.queues[0].leave(BULK)
    await settled()
    assert town.served == ["patient"]
    town.close()


async def test_an_unlimited_lane_is_never_in_the_way(board: LaneBoard) -> None:
    town = Town(board)
    assert not town.queues[0].is_limited(INTERACTIVE)
    assert all(town.queues[0].enter(INTERACTIVE) for _ in range(50))


async def test_the_queue_of_all_workers_is_limited(board: LaneBoard) -> None:
    town = Town(board, queue=2)
    assert town.queues[0].enter(BULK)
    town.wait("a", 0)
    assert town.queues[1].full(BULK) is None
    town.wait("b", 1)
    full = town.queues[0].full(BULK)
    assert full is not None
    assert (full.sqlstate, full.rule) == ("53400", "pgwarden/lanes/bulk")
    assert town.tallies.bulk_turned_away == 1
    town.close()


async def test_who_waits_too_long_is_told_and_the_next_one_is_served(board: LaneBoard) -> None:
    town = Town(board, wait_s=1.0)
    assert town.queues[0].enter(BULK)
    early = town.wait("early")
    town.now_us += 900_000
    town.wait("late")
    town.now_us += 100_000
    await settled()
    assert [refusal.sqlstate for refusal in early.refusals] == ["53400"]
    town.queues[0].leave(BULK)
    await settled()
    assert town.served == ["late"]
    assert not town.queues[0].forget(early)


async def test_who_goes_away_isn_t_served(board: LaneBoard) -> None:
    town = Town(board)
    assert town.queues[0].enter(BULK)
    gone = town.wait("gone")
    town.wait("there")
    assert town.queues[0].forget(gone)
    town.queues[0].leave(BULK)
    await settled()
    assert town.served == ["there"]
    town.queues[0].leave(BULK)
    assert town.queues[1].enter(BULK)
