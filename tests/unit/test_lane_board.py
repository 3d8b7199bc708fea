"""Places of workload lanes over several workers: never more than there are, in order, and none lost with a dead one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.lane_board import LaneBoard, LanePlaces

ROOT = Path(__file__).parents[2]
SECOND = 1_000_000


@pytest.fixture
def board() -> Iterator[LaneBoard]:
    made = LaneBoard.make(3, 2)
    yield made
    made.close()


def places(board: LaneBoard, limit: int | None, lane: int = 0) -> list[LanePlaces]:
    return [LanePlaces(board, lane, worker, limit) for worker in (1, 2, 3)]


def test_a_lane_has_so_many_places_and_no_more(board: LaneBoard) -> None:
    first, second, third = places(board, 2)
    assert first.take(1, 1)
    assert second.take(2, 2)
    assert not third.take(3, 3)
    first.leave()
    assert third.take(4, 4)
    assert (first.running, third.running) == (2, 2)


def test_lanes_are_apart(board: LaneBoard) -> None:
    (first, *_), (other, *_) = places(board, 1, 0), places(board, 1, 1)
    assert first.take(1, 1)
    assert other.take(1, 1)
    assert (first.running, other.running) == (1, 1)


def test_whoever_has_waited_longest_comes_first_in_whatever_worker(board: LaneBoard) -> None:
    first, second, _ = places(board, 1)
    first.show_waiting(1, 10, now_us=20)
    assert not second.take(15, 20)
    assert first.waiting == second.waiting == 1
    assert first.take(10, 20)
    first.show_waiting(0, 0, now_us=20)
    first.leave()
    assert second.take(15, 20)


def test_a_worker_that_looks_no_more_holds_nobody_up(board: LaneBoard) -> None:
    first, second, _ = places(board, 1)
    first.show_waiting(1, 10, now_us=20)
    assert not second.take(15, 20 + SECOND - 1)
    assert second.take(15, 20 + SECOND)


def test_a_dead_worker_has_no_places_and_nobody_waiting(board: LaneBoard) -> None:
    first, second, _ = places(board, 1)
    assert first.take(1, 1)
    first.show_waiting(3, 2, now_us=2)
    board.forget(1)
    assert second.take(5, 5)
    assert second.waiting == 0


def test_without_a_limit_everybody_has_a_place(board: LaneBoard) -> None:
    first, *_ = places(board, None)
    assert all(first.take(number, number) for number in range(100))


@settings(max_examples=60)
@given(st.integers(1, 4), st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=60))
def test_whatever_is_taken_and_left_the_limit_holds(limit: int, steps: list[tuple[int, bool]]) -> None:
    board = LaneBoard.make(3, 1)
    try:
        workers = places(board, limit)
        held = [0, 0, 0]
        for now, (worker, takes) in enumerate(steps):
            if takes:
                assert workers[worker].take(now, now) is (sum(held) < limit)
                held[worker] += sum(held) < limit
            elif held[worker]:
                workers[worker].leave()
                held[worker] -= 1
            assert workers[0].running == sum(held)
    finally:
        board.close()


_RUSH = """
import sys
from proxy.lane_board import LaneBoard, LanePlaces
board = LaneBoard(int(sys.argv[1]), 4, 1)
places = LanePlaces(board, 0, int(sys.argv[2]), 3)
most = 0
for turn in range(20000):
    if places.take(turn, turn):
        most = max(most, places.running)
        places.leave()
print(most)
"""


def test_processes_that_rush_never_get_more_than_there_are() -> None:
    board = LaneBoard.make(4, 1)
    try:
        rushing = [
            subprocess.Popen(
                [sys.executable, "-c", _RUSH, str(board.file), str(worker)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
                pass_fds=(board.file,),
            )
            for worker in (1, 2, 3, 4)
        ]
        most = [int(process.communicate(timeout=60)[0]) for process in rushing]
        assert all(1 <= seen <= 3 for seen in most)
        assert LanePlaces(board, 0, 1, 3).running == 0
    finally:
        board.close()
