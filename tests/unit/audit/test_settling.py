"""What was acknowledged counts once it is old enough, and never before."""

from __future__ import annotations

from audit.settling import Settling
from audit.shipped import ShippedPosition


def at(records: int) -> ShippedPosition:
    return ShippedPosition(records=records)


def test_positions_settle_in_their_order() -> None:
    settling = Settling(10.0)
    for second in range(5):
        settling.put(float(second), at(second))
    assert settling.settled(9.9) is None
    assert settling.settled(12.0) == at(2)
    assert settling.settled(12.0) is None
    assert settling.settled(99.0) == at(4)


def test_what_comes_at_once_settles_together_and_by_its_last() -> None:
    settling = Settling(10.0)
    settling.put(0.0, at(1))
    settling.put(0.9, at(2))
    assert settling.settled(10.5) is None
    assert settling.settled(10.9) == at(2)


def test_a_steady_stream_settles_too() -> None:
    settling = Settling(10.0)
    for step in range(200):
        settling.put(step / 10, at(step))
    found = settling.settled(19.9)
    assert found is not None
    assert 80 <= found.records <= 99


def test_nothing_settles_behind_a_lost_connection() -> None:
    settling = Settling(10.0)
    settling.put(0.0, at(1))
    settling.clear()
    assert settling.settled(99.0) is None
