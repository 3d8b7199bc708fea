"""Limits over several workers: what one counts the others see, at the same moment, and what a dead one held is free."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.limits import MINUTE_US, SlidingWindow
from proxy import board as board_module
from proxy.board import AWAY, Board, SharedLoads, SharedWindow

ROOT = Path(__file__).parents[2]
SECOND = 1_000_000


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board.make(3)
    yield made
    made.close()


def test_a_worker_is_ahead_of_those_that_take_links(board: Board) -> None:
    assert [board.words[index] for index in range(3)] == [AWAY] * 3
    board.set_links(1, 4)
    assert board.lead(1) == 0
    board.set_links(2, 1)
    assert (board.lead(1), board.lead(2)) == (3, 0)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 40 * SECOND), st.integers(1, 9), st.integers(1, 20)), max_size=40))
def test_a_shared_window_tells_what_a_window_of_one_process_tells(steps: list[tuple[int, int, int]]) -> None:
    board = Board.make(2)
    try:
        plain, shared = SlidingWindow(MINUTE_US), SharedWindow(board, "ada", MINUTE_US)
        now = 3_000 * SECOND
        for pause, events, limit in steps:
            now += pause
            assert shared.count(now) == plain.count(now)
            assert shared.wait_us(now, events, limit) == plain.wait_us(now, events, limit)
            plain.add(now, events)
            shared.add(now, events)
    finally:
        board.close()


def test_what_one_worker_runs_the_others_see_until_it_dies(board: Board) -> None:
    first, second = SharedLoads(board, 1).of("ada", "shop"), SharedLoads(board, 2).of("ada", "shop")
    for load in (first, first, second):
        with load.alone():
            load.enter()
    first.minute.add(SECOND, 5)
    assert (first.running, second.running, second.minute.count(SECOND)) == (3, 3, 5)
    second.leave()
    assert first.running == 2
    board.forget(1)
    assert second.running == 0
    assert second.minute.count(SECOND) == 5  # what was begun was begun


def test_names_are_not_mixed_up(board: Board) -> None:
    loads = SharedLoads(board, 1)
    loads.of("ada", "shop").minute.add(SECOND)
    loads.of("ada", "shop").probes("shop.customers.ssn").add(SECOND, 2)
    assert loads.of("ada", "stock").minute.count(SECOND) == 0
    assert loads.of("sam", "shop").minute.count(SECOND) == 0
    assert loads.of("ada", "shop").minute.count(SECOND) == 1
    assert loads.of("ada", "shop").probes("shop.customers.email").count(SECOND) == 0


def test_a_full_board_lets_nothing_begin_until_something_is_over(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "_SLOTS", 8)
    loads = SharedLoads(board, 1)
    for number in range(8):
        loads.of(f"user-{number}", "shop").minute.add(SECOND)
    late = loads.of("late", "shop").minute
    assert late.wait_us(2 * SECOND, 1, 10) == MINUTE_US
    assert late.wait_us(90 * SECOND, 1, 10) == 0
    late.add(90 * SECOND)
    assert late.count(90 * SECOND) == 1
    counts = [loads.of(f"user-{number}", "shop").minute.count(90 * SECOND) for number in range(7)]
    assert sum(counts) == 0


TAKE = """
import sys
from proxy.board import Board, SharedLoads, monotonic_us
board = Board(int(sys.argv[1]), 3)
worker = int(sys.argv[2])
load = SharedLoads(board, worker).of("ada", "shop")
taken = 0
while True:
    with load.alone():
        if load.minute.wait_us(monotonic_us(), 1, 5000) != 0:
            break
        load.minute.add(monotonic_us())
        taken += 1
print(taken)
"""


def test_processes_together_take_what_the_limit_gives_and_not_one_more(board: Board) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", TAKE, str(board.file), str(worker)],
            cwd=ROOT,
            pass_fds=[board.file],
            stdout=subprocess.PIPE,
        )
        for worker in (1, 2, 3)
    ]
    taken = [int(worker.communicate()[0]) for worker in workers]
    assert sum(taken) == 5000


def test_a_wait_is_long_enough_and_no_longer(board: Board) -> None:
    window = SharedWindow(board, "ada", MINUTE_US)
    for second in (3, 3, 10, 20):
        window.add(second * SECOND + 17)
    now = 30 * SECOND
    waits = [window.wait_us(now, events, 4) for events in (1, 2, 3, 4)]
    assert all(wait for wait in waits)
    assert all(a is not None and b is not None and a <= b for a, b in pairwise(waits))
    assert window.wait_us(now + (waits[0] or 0) - 1, 1, 4) == 1
    assert window.wait_us(now + (waits[0] or 0), 1, 4) == 0
