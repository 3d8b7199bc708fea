"""How long the oldest record waits, told by positions alone."""

from __future__ import annotations

from proxy.waiting_time import WaitingTime


def test_nothing_waits_while_everything_is_carried_off() -> None:
    waiting = WaitingTime(0.0)
    assert [waiting.look(now, 1000 * now, 0) for now in (1, 2, 3)] == [0.0, 0.0, 0.0]


def test_a_store_that_is_away_is_counted_from_the_last_time_it_had_everything() -> None:
    waiting = WaitingTime(0.0)
    assert waiting.look(10.0, 500, 0) == 0.0
    assert waiting.look(11.0, 600, 100) == 1.0
    assert waiting.look(100.0, 9_000, 8_500) == 90.0
    assert waiting.look(101.0, 9_000, 0) == 0.0


def test_under_a_steady_load_there_is_always_something_and_never_for_long() -> None:
    waiting = WaitingTime(0.0)
    found = [waiting.look(float(now), 1000 * now, 100) for now in range(1, 60)]
    assert max(found) <= 2.0


def test_catching_up_shows_in_what_waits() -> None:
    waiting = WaitingTime(0.0)
    waiting.look(0.0, 0, 0)
    for now in range(1, 101):
        waiting.look(float(now), 1000 * now, 1000 * now)
    assert waiting.look(101.0, 101_000, 1_000) <= 101.0
    assert waiting.look(102.0, 102_000, 500) <= 101.0
    assert waiting.look(103.0, 103_000, 500) <= 3.0
