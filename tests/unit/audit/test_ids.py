from uuid import UUID

from audit_samples import START_US

from audit.ids import Ids


def test_ids_are_uuids_of_version_7_that_carry_the_time() -> None:
    record_id = Ids(lambda: START_US, lambda count: bytes(count)).next()
    as_uuid = UUID(hex=record_id)
    assert as_uuid.version == 7
    assert as_uuid.variant == "specified in RFC 4122"
    assert as_uuid.int >> 80 == START_US // 1000


def test_ids_rise_when_the_clock_stands_still_or_goes_back() -> None:
    times = iter([START_US, START_US, START_US - 5_000_000, START_US - 5_000_000, START_US + 1])
    ids = Ids(lambda: next(times), lambda count: b"\xff" * count)
    made = [ids.next() for _ in range(5)]
    assert made == sorted(set(made))


def test_ids_go_on_after_those_of_an_earlier_run() -> None:
    last = Ids(lambda: START_US + 60_000_000).next()
    ids = Ids(lambda: START_US, lambda count: bytes(count))
    ids.go_on_after(last)
    assert ids.next() > last


def test_randomness_is_used() -> None:
    first = Ids(lambda: START_US, lambda count: b"\x01" * count).next()
    second = Ids(lambda: START_US, lambda count: b"\x02" * count).next()
    assert first != second
