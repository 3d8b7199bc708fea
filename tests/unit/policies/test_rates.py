"""Token buckets: what a rate lets through over any time, when it says to try again, and what policies may say of it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import PolicyFileError
from policies.load import load_texts
from policies.model import PolicySet, Principal, RuleId, Source
from policies.rates import SECOND_NS, Charge, Empty, LocalBuckets, Rate, RateSubject, charges_of, too_fast
from policies.tiers import TierName

PLACE = Source("p.yaml", 3, 5)
ADA = Principal("ada", tenant="acme", team="finance")
PEOPLE = "principals: [{user: ada, tenant: acme, team: finance}, {user: bob}]\n"


def charge(per_second: float = 10, burst: int = 5, of: str = "acme") -> Charge:
    return Charge(Rate(RateSubject.TENANT, of, per_second, burst, RuleId("rates[0]", PLACE)), of)


@given(
    st.floats(0.5, 5_000),
    st.integers(1, 50),
    st.lists(st.tuples(st.integers(0, 2 * SECOND_NS), st.integers(1, 3)), min_size=1, max_size=60),
)
def test_never_more_than_the_burst_and_what_time_gave(
    per_second: float, burst: int, steps: list[tuple[int, int]]
) -> None:
    buckets, one = LocalBuckets(), charge(per_second, burst)
    now = begun = 10**15
    taken = 0
    for pause, statements in steps:
        now += pause
        empty = buckets.take([one], statements, now)
        if empty is None:
            taken += statements
        elif empty.wait_ns is not None:
            assert buckets.take([one], statements, now + empty.wait_ns - 2) is not None
            now += empty.wait_ns
            assert buckets.take([one], statements, now) is None
            taken += statements
        assert taken * one.rate.interval_ns <= now - begun + one.rate.depth_ns


def test_a_rested_bucket_gives_its_burst_and_no_more() -> None:
    buckets, one = LocalBuckets(), charge(10, 5)
    assert [buckets.take([one], 1, 10**12) for _ in range(5)] == [None] * 5
    empty = buckets.take([one], 1, 10**12)
    assert empty == Empty(one, SECOND_NS // 10)
    assert buckets.take([one], 1, 10**12 + SECOND_NS // 10) is None


def test_more_than_a_burst_never_passes() -> None:
    empty = LocalBuckets().take([charge(10, 5)], 6, 0)
    assert empty is not None
    assert empty.wait_ns is None
    assert too_fast(empty).hint == "Send at most 5 statements in one text."


def test_all_buckets_together_or_none() -> None:
    buckets, wide, narrow = LocalBuckets(), charge(1, 10, "acme"), charge(1, 1, "ada")
    assert buckets.take([wide, narrow], 1, 0) is None
    assert buckets.take([wide, narrow], 1, 0) == Empty(narrow, SECOND_NS)
    assert [buckets.take([wide], 9, 0), buckets.take([wide], 1, 0) is None] == [None, False]


def test_what_did_not_run_goes_back() -> None:
    buckets, one = LocalBuckets(), charge(1, 2)
    assert buckets.take([one], 2, 0) is None
    buckets.give_back([one], 1)
    assert buckets.take([one], 1, 0) is None
    assert buckets.take([one], 1, 0) is not None


def test_a_bucket_that_policies_made_smaller_owes_no_more_than_it_holds() -> None:
    buckets = LocalBuckets()
    assert buckets.take([charge(1, 1000)], 1000, 0) is None
    empty = buckets.take([charge(1, 2)], 1, 0)
    assert empty is not None
    assert empty.wait_ns == SECOND_NS


@pytest.mark.parametrize(
    ("wait_ns", "hint"),
    [(1, "1 ms."), (20_000_000, "20 ms."), (SECOND_NS, "1 s."), (SECOND_NS + 1, "2 s."), (90 * SECOND_NS, "90 s.")],
)
def test_the_refusal_says_when_to_try_again(wait_ns: int, hint: str) -> None:
    refusal = too_fast(Empty(charge(), wait_ns))
    assert (refusal.sqlstate, refusal.rule, refusal.hint) == ("53400", "rates[0]", f"Try again in {hint}")
    assert refusal.message == 'tenant "acme" may begin 10 statements a second, 5 at once'
    assert "p.yaml:3:5" in refusal.detail


def load(text: str) -> PolicySet:
    return load_texts({"p.yaml": (PEOPLE + text).encode()}, {})


def problems(text: str) -> list[str]:
    with pytest.raises(PolicyFileError) as caught:
        load(text)
    return [str(problem) for problem in caught.value.problems]


def test_rates_are_read_with_their_places() -> None:
    policies = load(
        "rates:\n"
        "  - {tenant: acme, per_second: 50, burst: 200}\n"
        "  - {each: user, per_second: 2.5}\n"
        "  - {team: finance, per_second: 0.1}\n"
    )
    acme, each, finance = policies.rates
    assert (acme.subject, acme.name, acme.burst, str(acme.rule.source)) == (
        RateSubject.TENANT,
        "acme",
        200,
        "p.yaml:3:5",
    )
    assert (each.subject, each.name, each.per_second, each.burst) == (RateSubject.USER, None, 2.5, 3)
    assert (finance.burst, finance.rule.name) == (1, "rates[2]")


def test_whose_statements_take_from_which_bucket() -> None:
    rates = load(
        "rates: [{tenant: acme, per_second: 1}, {each: user, per_second: 1}, {each: team, per_second: 1}]"
    ).rates
    assert [one.of for one in charges_of(rates, ADA)] == ["acme", "ada", "finance"]
    assert [one.of for one in charges_of(rates, Principal("bob"))] == ["bob"]


def test_rates_and_tiers_change_the_fingerprint_and_their_absence_does_not() -> None:
    plain = load("").fingerprint
    assert load("rates: []\ntiers: {}").fingerprint == plain
    assert load("rates: [{each: user, per_second: 1}]").fingerprint != plain
    assert load("tiers: {free: {}}").fingerprint != plain


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "rates: [{tenant: acmee, per_second: 1}]",
            "p.yaml:2:18: no principal has tenant 'acmee'; did you mean 'acme'?",
        ),
        ("rates: [{per_second: 1}]", "p.yaml:2:9: a rate needs one of 'tenant', 'team', 'user', 'each'"),
        ("rates: [{user: ada, tenant: acme, per_second: 1}]", "a rate needs one of"),
        ("rates: [{user: ada}]", "a rate needs 'per_second'"),
        ("rates: [{user: ada, per_second: 0}]", "'per_second' must be a number from 0.001 to 1e+06"),
        ("rates: [{user: ada, per_second: .nan}]", ".nan is no plain decimal number"),
        ("rates: [{user: ada, per_second: true}]", "not the truth value true"),
        ("rates: [{user: ada, per_second: 1, burst: 0}]", "'burst' must be a whole number from 1"),
        ("rates: [{user: ada, per_minute: 1}]", "unknown key 'per_minute'"),
        ("rates: [{each: role, per_second: 1}]", "'each' must be tenant, team or user, not 'role'"),
        ("rates: {user: ada}", "'rates' must be a list"),
        ("tiers: {gold: {}}", "p.yaml:2:9: unknown tier 'gold' (known: free, pro, premium, enterprise)"),
        ("tiers: {free: {statements: 5}}", "unknown key 'statements'"),
        ("tiers: {free: {statements_per_month: 1.5}}", "'statements_per_month' must be a whole number"),
        ("tiers: {free: {cost_per_month: 5}}", "'cost_per_month' needs 'prices' above 0"),
        ("tiers: {free: {burst: 5}}", "'burst' needs 'per_second'"),
        ("tiers: {free: }", "must be a mapping"),
        ("tiers: [free]", "'tiers' must be a mapping"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, message: str) -> None:
    assert any(message in problem for problem in problems(text)), problems(text)


def test_tiers_are_read() -> None:
    tiers = load(
        "prices: {per_second: 1}\n"
        "tiers:\n"
        "  free: {statements_per_month: 1000, cost_per_month: 0.25, per_second: 2, burst: 9}\n"
        "  enterprise: {}\n"
    ).tiers
    free, enterprise = tiers[TierName.FREE], tiers[TierName.ENTERPRISE]
    assert (free.statements_per_month, free.cost_per_month, free.cost_nano) == (1000, Decimal("0.25"), 250_000_000)
    assert free.rate is not None
    assert (free.rate.per_second, free.rate.burst) == (2, 9)
    assert not enterprise.has_quota
    assert enterprise.rate is None
