"""When a `when` holds: addresses as sockets show them, and clocks that jump."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from policies.circumstances import holds
from policies.model import Circumstances, When

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("address", "network", "expected"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3:5432", "10.0.0.0/8", True),
        ("::ffff:10.1.2.3", "10.0.0.0/8", True),
        ("::ffff:11.1.2.3", "10.0.0.0/8", False),
        ("[::ffff:10.1.2.3]:5432", "10.0.0.0/8", True),
        ("fe80::1%eth0", "fe80::/10", True),
        ("[fe80::1%eth0]:5432", "fe80::/10", True),
        ("::1", "::1/128", True),
        ("::1", "0.0.0.0/0", False),
        ("127.0.0.1", "::/0", False),
        ("", "0.0.0.0/0", False),
        ("local", "0.0.0.0/0", False),
        ("local", "::/0", False),
        ("10.1.2.3.", "10.0.0.0/8", False),
        ("010.1.2.3", "10.0.0.0/8", False),
    ],
)
def test_addresses(address: str, network: str, expected: bool) -> None:
    assert holds(When(cidr=(network,)), Circumstances(address, NOON)) is expected


def test_any_network_of_several_suffices_and_all_parts_must_hold() -> None:
    when = When(cidr=("10.0.0.0/8", "fd00::/8"), hours=(0, 600))
    assert not holds(when, Circumstances("fd00::1", NOON))
    assert holds(when, Circumstances("fd00::1", NOON.replace(hour=9)))
    assert not holds(when, Circumstances("192.0.2.1", NOON.replace(hour=9)))


def at(when: When, text: str) -> bool:
    return holds(when, Circumstances("", datetime.fromisoformat(text)))


def test_the_first_minute_counts_and_the_last_does_not() -> None:
    when = When(hours=(7 * 60, 20 * 60))
    times = ["06:59:59", "07:00:00", "19:59:59", "20:00:00"]
    assert [at(when, f"2026-07-01T{time}+00:00") for time in times] == [False, True, True, False]
    whole = When(hours=(0, 24 * 60))
    assert at(whole, "2026-07-01T00:00:00+00:00")
    assert at(whole, "2026-07-01T23:59:59+00:00")


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_began() -> None:
    friday_night = When(hours=(22 * 60, 6 * 60), days=frozenset({4}))
    # 3 July 2026 is a Friday.
    assert at(friday_night, "2026-07-03T22:00+00:00")
    assert at(friday_night, "2026-07-04T05:59+00:00")
    assert not at(friday_night, "2026-07-04T06:00+00:00")
    assert not at(friday_night, "2026-07-04T22:00+00:00")
    assert not at(friday_night, "2026-07-03T05:59+00:00"), "the window that began on Thursday"
    assert not at(friday_night, "2026-07-03T12:00+00:00")


def test_days_are_those_of_the_time_zone() -> None:
    monday = When(days=frozenset({0}), timezone="Pacific/Auckland")
    # 5 July 2026 is a Sunday; in Auckland Monday begins at noon UTC.
    assert not at(monday, "2026-07-05T11:59+00:00")
    assert at(monday, "2026-07-05T12:00+00:00")


def minutes_of(when: When, day: str) -> int:
    start = datetime.fromisoformat(f"{day}T00:00+00:00")
    return sum(holds(when, Circumstances("", start + timedelta(minutes=i))) for i in range(24 * 60))


@pytest.mark.parametrize(
    ("day", "minutes"),
    [("2026-03-29", 0), ("2026-07-01", 60), ("2026-10-25", 120)],
    ids=["the hour is left out", "an ordinary day", "the hour comes twice"],
)
def test_summer_time(day: str, minutes: int) -> None:
    # In Berlin 02:00-03:00 doesn't happen on 29 March 2026, and happens twice on 25 October.
    assert minutes_of(When(hours=(120, 180), timezone="Europe/Berlin"), day) == minutes


def test_only_full_minutes_change_the_answer() -> None:
    when = When(hours=(7 * 60 + 30, 20 * 60), days=frozenset({2}), timezone="Asia/Kathmandu")
    start = datetime(2026, 6, 30, 18, tzinfo=UTC)
    for minute in range(26 * 60):
        moment = start + timedelta(minutes=minute)
        first, last = (holds(when, Circumstances("", moment + timedelta(seconds=s))) for s in (0, 59))
        assert first is last, moment
