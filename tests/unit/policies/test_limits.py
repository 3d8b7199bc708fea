from dataclasses import replace

import pytest

from policies.decision import RawColumn
from policies.limits import (
    Limit,
    Load,
    Loads,
    SlidingWindow,
    cut_off,
    not_estimated,
    too_costly,
    too_many_a_minute,
    too_many_at_once,
    too_many_probes,
    truncated,
)
from policies.model import Limits, RuleId, Source

RULE = RuleId("analysts/limits", Source("p.yaml", 7, 3))
SECOND = 1_000_000
MINUTE = 60 * SECOND
COLUMN = RawColumn("shop.customers.email", 2, RuleId("analysts/masks[0]", Source("p.yaml", 9, 9)))


@pytest.mark.parametrize("start", [0, 1, 999_999, 123_456_789])
def test_what_happened_counts_for_the_whole_span_and_a_slice_at_most(start: int) -> None:
    window = SlidingWindow(MINUTE)
    window.add(start, 3)
    assert window.count(start + MINUTE) == 3
    assert window.count(start + MINUTE + SECOND) == 0


def test_the_window_slides() -> None:
    window = SlidingWindow(MINUTE)
    for second in range(120):
        window.add(second * SECOND)
    assert window.count(119 * SECOND) == 61
    assert window.count(150 * SECOND) == 30
    assert window.count(10_000 * SECOND) == 0


def test_memory_is_bounded_by_the_slices() -> None:
    window = SlidingWindow(MINUTE)
    for i in range(200_000):
        window.add(i * 1000)
        window.count(i * 1000)
    assert len(window._counts) <= 62


@pytest.mark.parametrize("events", [1, 2, 4])
def test_after_the_wait_there_is_room_and_not_before(events: int) -> None:
    window = SlidingWindow(MINUTE)
    for second in (3, 3, 10, 20):
        window.add(second * SECOND + 17)
    now = 30 * SECOND
    wait = window.wait_us(now, events, 4)
    assert wait
    assert window.wait_us(now + wait - 1, events, 4) == 1
    assert window.wait_us(now + wait, events, 4) == 0


def test_more_than_the_limit_never_fits() -> None:
    assert SlidingWindow(MINUTE).wait_us(0, 5, 4) is None
    assert SlidingWindow(MINUTE).wait_us(0, 4, 4) == 0


def test_loads_are_by_user_and_database() -> None:
    loads = Loads()
    for _ in range(3):
        loads.of("ada", "shop").enter()
    loads.of("ada", "shop").leave()
    assert loads.of("ada", "shop").running == 2
    assert loads.of("ada", "stock").running == 0
    assert loads.of("sam", "shop").running == 0


def test_the_refusal_of_one_too_many_says_what_and_where() -> None:
    limits = Limits(concurrent=2, concurrent_rule=RULE)
    assert too_many_at_once(limits, Load(running=1)) is None
    refusal = too_many_at_once(limits, Load(running=2))
    assert refusal is not None
    assert (refusal.sqlstate, refusal.rule) == ("53400", "analysts/limits")
    assert refusal.detail == "Rule analysts/limits at p.yaml:7:3."
    assert "ended" in refusal.hint


def test_the_refusal_by_the_minute_says_when() -> None:
    limits = Limits(statements_per_minute=2, statements_per_minute_rule=RULE)
    load = Load()
    load.minute.add(0, 2)
    refusal = too_many_a_minute(limits, load, 1, 10 * SECOND)
    assert refusal is not None
    assert refusal.sqlstate == "53400"
    assert refusal.hint == "Try again in 51 s."
    assert too_many_a_minute(limits, load, 1, 61 * SECOND) is None
    never = too_many_a_minute(limits, Load(), 3, 0)
    assert never is not None
    assert "at most 2" in never.hint


def test_probes_are_counted_by_column_and_hour() -> None:
    load = Load()
    assert too_many_probes([COLUMN, COLUMN], load, 0) is None
    assert too_many_probes([COLUMN] * 3, load, 0) is not None
    load.probes(COLUMN.column).add(0, COLUMN.probes)
    load.probes(COLUMN.column).add(0, COLUMN.probes)
    refusal = too_many_probes([COLUMN], load, 60 * MINUTE)
    assert refusal is not None
    assert (refusal.sqlstate, refusal.rule) == ("53400", "analysts/masks[0]")
    assert COLUMN.column in refusal.message
    assert too_many_probes([COLUMN], load, 61 * MINUTE) is None
    assert too_many_probes([replace(COLUMN, probes=3)], Load(), 0) is not None
    other = RawColumn("shop.customers.ssn", 1, RULE)
    assert too_many_probes([other], load, 0) is None
    assert too_many_probes([RawColumn(COLUMN.column, None, RULE)] * 9, load, 0) is None


@pytest.mark.parametrize(
    ("limit", "words"), [(Limit.ROWS, "5 rows"), (Limit.BYTES, "70 bytes"), (Limit.RUNTIME, "1.5 s")]
)
def test_what_cuts_off_is_named(limit: Limit, words: str) -> None:
    limits = Limits(rows=5, bytes=70, runtime_s=1.5, rows_rule=RULE, bytes_rule=RULE, runtime_rule=RULE)
    refusal = cut_off(limits, limit)
    assert (refusal.sqlstate, refusal.rule) == ("57014", "analysts/limits")
    assert words in refusal.message
    assert truncated(limits, limit).sqlstate == "01000"
    assert words in truncated(limits, limit).message


def test_a_limit_without_a_rule_has_a_built_in_name() -> None:
    assert cut_off(Limits(rows=1), Limit.ROWS).rule == "pgwarden/limits"


def test_costs_are_refused_without_the_estimate() -> None:
    limits = Limits(cost=2.5, cost_rule=RULE)
    assert too_costly(limits, "USD").sqlstate == "53400"
    assert "2.5 USD" in too_costly(limits, "USD").message
    assert "a reason" in not_estimated(limits, "a reason", "a way out").message
