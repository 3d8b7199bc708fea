"""Policy tests: what a file may say, what is wrong with it and where, and when a test fails."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from policies.errors import PolicyFileError
from policies.unit_tests import PolicyTest, failures, read_tests
from tests.compile_world import World

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


def read(world: World, text: str) -> list[PolicyTest]:
    return read_tests(text.encode(), "t.yaml", world.policies, ["shop"], NOW)


def one(world: World, expect: str, sql: str, user: str = "ada") -> list[str]:
    (test,) = read(world, f"tests: [{{name: n, user: {user}, sql: '{sql}', expect: {expect}}}]")
    return list(failures(test.expectation, world.decide(test.sql, test.user)))


@pytest.mark.parametrize(
    ("expect", "sql"),
    [
        ("{decision: rewrite, masked: [shop.customers.email, shop.customers.birth_date]}", "SELECT * FROM customers"),
        ("{filtered: [shop.customers], upstream: tenant_id}", "SELECT id FROM customers"),
        ("{decision: allow, masked: [], filtered: []}", "SELECT id FROM shop.orders"),
        ('{sqlstate: 42501, rule: "analysts/tables.block[0]"}', "SELECT * FROM salaries"),
        ("{decision: deny, message: salaries}", "SELECT * FROM salaries"),
    ],
)
def test_what_holds_passes(world: World, expect: str, sql: str) -> None:
    assert one(world, expect, sql) == []


@pytest.mark.parametrize(
    ("expect", "sql", "told"),
    [
        ("{decision: allow}", "SELECT * FROM salaries", "expected allow, got deny: 42501"),
        ("{decision: deny}", "SELECT 1", "expected deny, got allow"),
        ("{sqlstate: 53400}", "SELECT * FROM salaries", "expected sqlstate 53400, got 42501"),
        ("{rule: nope}", "SELECT * FROM salaries", "expected rule nope, got analysts/tables.block[0]"),
        ("{message: nope}", "SELECT * FROM salaries", "expected 'nope' in the refusal"),
        (
            "{masked: [shop.customers.name]}",
            "SELECT id, email FROM customers",
            "masked columns: not shop.customers.name; also shop.customers.",
        ),
        ("{filtered: []}", "SELECT id FROM customers", "filtered tables: also shop.customers"),
        ("{upstream: nope}", "SELECT 1", "expected 'nope' in what goes upstream"),
    ],
)
def test_what_differs_is_said(world: World, expect: str, sql: str, told: str) -> None:
    (failure,) = one(world, expect, sql)
    assert failure.startswith(told)


def test_address_time_and_database(world: World) -> None:
    line = (
        'tests: [{name: n, user: ada, database: shop, address: 10.0.0.1, at: "2026-03-01T09:30+01:00", sql: x, '
        "expect: {decision: deny}}]"
    )
    (test,) = read(world, line)
    assert test.database == "shop"
    assert test.circumstances is not None
    assert test.circumstances.address == "10.0.0.1"
    assert test.circumstances.at.isoformat() == "2026-03-01T09:30:00+01:00"
    (without,) = read(world, "tests: [{name: n, user: ada, address: 10.0.0.1, sql: x, expect: {decision: deny}}]")
    assert without.circumstances is not None
    assert without.circumstances.at == NOW


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "t.yaml:1:1: the file holds no tests"),
        ("tests: []", "t.yaml:1:1: the file holds no tests"),
        ("tests: 3", "t.yaml:1:8: 'tests' must be a list"),
        ("test: []", "unknown key 'test' in a file of tests; did you mean 'tests'?"),
        ("tests: [{user: ada, sql: x, expect: {decision: deny}}]", "a test needs 'name'"),
        ("tests: [{name: n, user: ad, sql: x, expect: {decision: deny}}]", "no principal is called 'ad'"),
        ("tests: [{name: n, user: ada, sql: x, expect: {}}]", "'expect' needs at least one of"),
        ("tests: [{name: n, user: ada, sql: x, expect: {decison: deny}}]", "did you mean 'decision'?"),
        ("tests: [{name: n, user: ada, sql: x, expect: {decision: denied}}]", "'decision' must be one of"),
        ("tests: [{name: n, user: ada, sql: x, expect: {decision: allow, sqlstate: 42501}}]", "only a refusal has it"),
        ("tests: [{name: n, user: ada, database: shp, sql: x, expect: {rule: r}}]", "did you mean 'shop'?"),
        ('tests: [{name: n, user: ada, at: "noon", sql: x, expect: {rule: r}}]', "'at' must be a time with its zone"),
        ('tests: [{name: n, user: ada, at: "2026-03-01", sql: x, expect: {rule: r}}]', "a time with its zone"),
        ("tests: [", "t.yaml:1:"),
    ],
)
def test_what_is_wrong_has_a_place(world: World, text: str, told: str) -> None:
    with pytest.raises(PolicyFileError) as caught:
        read(world, text)
    assert told in str(caught.value)
    assert str(caught.value).startswith("t.yaml:")


def test_all_problems_at_once(world: World, tmp_path: Path) -> None:
    with pytest.raises(PolicyFileError) as caught:
        read(world, "tests: [{name: n}, {name: m, user: nobody, sql: x, expect: {rule: r}}]")
    assert len(caught.value.problems) == 4
