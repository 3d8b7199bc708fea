"""What `when`, `mode`, denied statements and several limits mean for the effective policy."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from policies.model import AtCap, Circumstances, EffectivePolicy, Statement
from policies.resolve import holding_names, resolve, resolve_table, statement_denied_by, timed_policies
from tests.unit.policies.test_resolve import EVERYTHING, OPEN, policy_set

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
INSIDE = Circumstances("10.0.0.1", NOON)
OUTSIDE = Circumstances("192.0.2.1", NOON)
HOME = "when: {cidr: 10.0.0.0/8}"


def effective(*policies: str, circumstances: Circumstances | None = INSIDE) -> EffectivePolicy:
    policy = resolve(policy_set(*policies), "ada", "shop", circumstances)
    assert policy is not None
    return policy


def names(policy: EffectivePolicy) -> list[str]:
    return [part.name for part in policy.policies]


def test_a_policy_counts_only_while_its_when_holds() -> None:
    policies = (f"{HOME}, {OPEN}", "statements: [select]")
    inside, outside = effective(*policies), effective(*policies, circumstances=OUTSIDE)
    assert (names(inside), names(outside)) == (["p0", "p1"], ["p1"])
    assert resolve_table(inside, "shop", "orders").is_allowed
    assert not resolve_table(outside, "shop", "orders").is_allowed
    assert inside.fingerprint != outside.fingerprint
    assert ([p.name for p in inside.waiting], [p.name for p in outside.waiting]) == ([], ["p0"])


def test_without_circumstances_no_when_holds() -> None:
    assert names(effective(f"{HOME}, {OPEN}", circumstances=None)) == []


def test_moments_alike_give_the_same_fingerprint() -> None:
    later = Circumstances("10.9.9.9", NOON.replace(hour=13))
    assert effective(f"{HOME}, {OPEN}").fingerprint == effective(f"{HOME}, {OPEN}", circumstances=later).fingerprint


def test_who_depends_on_circumstances() -> None:
    policies = policy_set(EVERYTHING, f"subjects: {{users: [ada]}}, database: shop, {HOME}")
    asked = [("ada", "shop"), ("ada", "other"), ("bob", "shop"), ("eve", "shop")]
    assert [len(timed_policies(policies, *one)) for one in asked] == [1, 0, 0, 0]
    timed = timed_policies(policies, "ada", "shop")
    assert (holding_names(timed, INSIDE), holding_names(timed, OUTSIDE)) == ({"p1"}, frozenset())


def test_everything_stays_everything_under_a_when() -> None:
    assert effective(f"{HOME}, {EVERYTHING}").is_everything
    assert not effective(f"{HOME}, {EVERYTHING}", circumstances=OUTSIDE).is_everything


class TestShadow:
    def test_changes_nothing_and_shows_what_it_would_do(self) -> None:
        policy = effective(EVERYTHING, "mode: shadow, tables: {block: [shop.salaries]}, limits: {rows: 1}")
        assert policy.is_everything
        assert policy.shadow is not None
        assert not policy.shadow.is_everything
        assert policy.shadow.limits.rows == 1
        assert not resolve_table(policy.shadow, "shop", "salaries").is_allowed
        assert policy.shadow.shadow is None

    def test_alone_allows_nothing(self) -> None:
        policy = effective(f"mode: shadow, {EVERYTHING}")
        assert (names(policy), policy.statements, policy.is_everything) == ([], frozenset(), False)
        assert policy.shadow is not None
        assert policy.shadow.is_everything

    def test_is_none_where_none_matches(self) -> None:
        assert effective(EVERYTHING).shadow is None
        assert effective(EVERYTHING, f"mode: shadow, {HOME}", circumstances=OUTSIDE).shadow is None

    def test_counts_for_the_fingerprint(self) -> None:
        with_one = effective(EVERYTHING, "mode: shadow, limits: {rows: 1}")
        other = effective(EVERYTHING, "mode: shadow, limits: {rows: 2}")
        assert with_one.fingerprint != other.fingerprint


class TestDeniedStatements:
    def test_beat_all(self) -> None:
        policy = effective("statements: {allow: [all], deny: [insert]}", "statements: [all]")
        assert policy.statements.isdisjoint({Statement.INSERT, Statement.ALL})
        assert {Statement.SELECT, Statement.DDL} <= policy.statements
        assert str(statement_denied_by(policy, Statement.INSERT)) == "p0/statements.deny[0]"
        assert statement_denied_by(policy, Statement.SELECT) is None

    def test_unite(self) -> None:
        policy = effective(
            "statements: [select, insert, update]", "statements: {deny: [update]}", "statements: {deny: [insert]}"
        )
        assert policy.statements == {Statement.SELECT}

    def test_all_leaves_nothing(self) -> None:
        policy = effective("statements: [all, replication]", "statements: {deny: [all]}")
        assert policy.statements == frozenset()
        assert str(statement_denied_by(policy, Statement.REPLICATION)) == "p1/statements.deny[0]"

    def test_alone_allow_nothing(self) -> None:
        assert effective("statements: {deny: [insert]}").statements == frozenset()

    @pytest.mark.parametrize("kind", ["insert", "replication", "all"])
    def test_any_of_them_is_a_narrowing(self, kind: str) -> None:
        assert effective(EVERYTHING).is_everything
        assert not effective(EVERYTHING, f"statements: {{deny: [{kind}]}}").is_everything


LIMITS = ["rows: 1", "runtime: 1s", "bytes: 1B", "concurrent: 1", "statements_per_minute: 1"]


@pytest.mark.parametrize("limit", LIMITS)
def test_any_limit_is_a_narrowing(limit: str) -> None:
    assert not effective(EVERYTHING, f"limits: {{{limit}}}").is_everything


def test_of_each_limit_the_least_wins_with_its_rule() -> None:
    limits = effective(
        "limits: {bytes: 2GiB, concurrent: 4, statements_per_minute: 9}",
        "limits: {bytes: 1GiB, concurrent: 8, runtime: 3s}",
    ).limits
    assert (limits.bytes, limits.concurrent, limits.statements_per_minute, limits.runtime_s) == (1 << 30, 4, 9, 3.0)
    rules = (limits.bytes_rule, limits.concurrent_rule, limits.statements_per_minute_rule)
    assert [str(rule) for rule in rules] == [
        "p1/limits.bytes",
        "p0/limits.concurrent",
        "p0/limits.statements_per_minute",
    ]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (["rows: 1, at_cap: truncate"], AtCap.TRUNCATE),
        (["rows: 1, at_cap: truncate", "bytes: 1B"], AtCap.ERROR),
        (["rows: 1, at_cap: truncate", "runtime: 1s"], AtCap.TRUNCATE),
        (["rows: 1, at_cap: truncate", "bytes: 1B, at_cap: truncate"], AtCap.TRUNCATE),
        (["rows: 1"], AtCap.ERROR),
        (["runtime: 1s"], AtCap.ERROR),
    ],
)
def test_an_error_at_the_cap_wins(limits: list[str], expected: AtCap) -> None:
    assert effective(*(f"limits: {{{one}}}" for one in limits)).limits.at_cap is expected
