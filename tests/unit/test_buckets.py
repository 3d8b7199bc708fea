"""Buckets on the board: what one worker takes the others lack, also while they all take at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.model import RuleId, Source
from policies.rates import SECOND_NS, Charge, LocalBuckets, Rate, RateSubject
from proxy import buckets as buckets_module
from proxy.board import Board
from proxy.buckets import SharedBuckets

ROOT = Path(__file__).parents[2]
NOW = 10**15


def charge(of: str, per_second: float = 10, burst: int = 5) -> Charge:
    return Charge(Rate(RateSubject.TENANT, None, per_second, burst, RuleId("rates[0]", Source("p.yaml", 1, 1))), of)


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board.make(2)
    yield made
    made.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, SECOND_NS), st.integers(1, 6), st.sampled_from("abc")), max_size=50))
def test_shared_buckets_tell_what_those_of_one_process_tell(steps: list[tuple[int, int, str]]) -> None:
    board = Board.make(2)
    try:
        local, shared, other, now = LocalBuckets(), SharedBuckets(board), SharedBuckets(board), NOW
        for index, (pause, statements, of) in enumerate(steps):
            now += pause
            charges = [charge(of), charge("all", 20, 10)]
            worker = shared if index % 2 else other
            assert worker.take(charges, statements, now) == local.take(charges, statements, now)
            if index % 7 == 0:
                worker.give_back(charges[:1], 1)
                local.give_back(charges[:1], 1)
    finally:
        board.close()


def test_what_a_later_bucket_refuses_the_first_ones_keep(board: Board) -> None:
    buckets = SharedBuckets(board)
    narrow = charge("ada", 1, 1)
    assert buckets.take([charge("acme"), narrow], 1, NOW) is None
    assert buckets.take([charge("acme"), narrow], 1, NOW) is not None
    assert buckets.take([charge("acme")], 4, NOW) is None
    assert buckets.take([charge("acme")], 1, NOW) is not None


def test_a_full_bucket_makes_room_for_another(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets_module, "BUCKETS", 2)
    monkeypatch.setattr(buckets_module, "BUCKET_TRIES", 2)
    buckets = SharedBuckets(board)
    assert [buckets.take([charge(name)], 5, NOW) for name in "ab"] == [None, None]
    refused = buckets.take([charge("c")], 1, NOW)
    assert refused is not None
    assert refused.wait_ns == SECOND_NS
    later = NOW + SECOND_NS
    assert [buckets.take([charge(name)], 5, later) for name in "cd"] == [None, None]
    assert buckets.take([charge("a")], 1, later) is not None


def test_loads_and_buckets_do_not_touch(board: Board) -> None:
    words = list(board.words[: len(board.words) - len(board.buckets)])
    SharedBuckets(board).take([charge(str(number)) for number in range(200)], 1, NOW)
    assert list(board.words[: len(words)]) == words


_TAKER = """
import sys
from proxy.board import Board
from proxy.buckets import SharedBuckets
from tests.unit.test_buckets import NOW, charge
buckets = SharedBuckets(Board(int(sys.argv[1]), 2))
sys.stdin.readline()
print(sum(buckets.take([charge("acme", 1, 3000)], 1, NOW) is None for _ in range(2000)))
"""


def test_two_processes_at_once_take_no_more_than_there_is(board: Board) -> None:
    command = [sys.executable, "-c", _TAKER, str(board.file)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    takers = [
        subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=[board.file], **pipes)  # type: ignore[call-overload]
        for _ in range(2)
    ]
    for taker in takers:
        taker.stdin.write("\n")
        taker.stdin.flush()
    taken = [int(taker.communicate(timeout=60)[0]) for taker in takers]
    assert sum(taken) == 3000
