"""Price lists: which one holds, and what may not be written."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from policies.errors import PolicyFileError
from policies.load import load_texts
from policies.prices import PriceBook

HEAD = "principals: [{user: ada}]\n"
YEARS = """
prices:
  - {name: old, until: 2026-01-01, per_second: 1, currency: EUR}
  - {name: new, from: 2026-01-01, per_second: 2, currency: EUR}
  - {name: shop 26, from: 2026-01-01, until: "2026-07-01T00:00:00+02:00", databases: [shop], per_second: 3,
     currency: EUR}
  - {name: shop 26b, from: "2026-06-30T22:00:00", databases: [shop], per_second: 4, currency: EUR}
"""


def book(text: str) -> PriceBook:
    return load_texts({"a.yaml": (HEAD + text).encode()}, {}, ["shop", "blog"]).prices


def problems(text: str) -> list[str]:
    with pytest.raises(PolicyFileError) as caught:
        book(text)
    return [str(problem) for problem in caught.value.problems]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("database", "moment", "name"),
    [
        ("blog", "2025-12-31T23:59:59.999999", "old"),
        ("blog", "2026-01-01", "new"),
        ("blog", "2040-01-01", "new"),
        ("shop", "2025-01-01", "shop 26"),  # before the first, the first holds
        ("shop", "2026-06-30T21:59:59", "shop 26"),
        ("shop", "2026-06-30T22:00:00", "shop 26b"),
    ],
)
def test_one_list_holds_at_each_moment(database: str, moment: str, name: str) -> None:
    found = book(YEARS).holding(database, at(moment))
    assert found is not None
    assert found.name == name


def test_a_list_without_an_end_holds_until_the_next_begins() -> None:
    lists = book("prices: [{name: b, from: 2026-02-01, per_second: 2}, {name: a, per_second: 1}]")
    assert [one.name for one in lists.of("shop")] == ["a", "b"]
    assert lists.next_change(at("2026-01-01")) == at("2026-02-01")
    assert lists.next_change(at("2026-02-01")) is None


def test_databases_that_no_list_is_for_cost_nothing() -> None:
    lists = book("prices: [{name: a, databases: [shop], per_second: 1}]")
    assert lists.holding("blog", at("2026-01-01")) is None
    assert not lists.is_free


def test_the_last_list_goes_on_and_is_told() -> None:
    lists = book("prices: [{name: a, until: 2026-01-01, per_second: 1}]")
    found = lists.holding("shop", at("2027-01-01"))
    assert found is not None
    assert found.name == "a"
    assert [one.name for one in lists.ended(at("2026-01-01"))] == ["a"]
    assert not list(lists.ended(at("2025-12-31")))


def test_one_mapping_is_a_list_for_everything_as_before() -> None:
    old = load_texts({"a.yaml": HEAD.encode() + b"prices: {per_second: 1}"}, {})
    assert old.prices.holding("anything", at("2026-01-01")) is old.prices.lists[0]
    moved = load_texts({"a.yaml": HEAD.encode() + b"\n\nprices: {per_second: 1}"}, {})
    assert old.fingerprint == moved.fingerprint
    named = load_texts({"a.yaml": HEAD.encode() + b"prices: [{name: x, per_second: 1}]"}, {})
    assert old.fingerprint != named.fingerprint


BROKEN = [
    (
        "prices:\n- {name: a, until: 2026-01-01}\n- {name: b, from: 2026-01-02}\n",
        "a.yaml:4:3: between price lists 'a' (at a.yaml:3:3) and 'b' there is a gap, from 2026-01-01 until 2026-01-02",
    ),
    (
        "prices:\n- {name: a, until: 2026-03-01}\n- {name: b, from: 2026-01-02}\n",
        "a.yaml:4:3: price lists 'a' (at a.yaml:3:3) and 'b' overlap: 'a' ends at 2026-03-01, 'b' begins at 2026-01-02",
    ),
    ("prices:\n- {name: a}\n- {name: b}\n", "begin at the same time for the same database"),
    ("prices:\n- {name: a, databases: [shop]}\n- {name: b, databases: [blog, shop]}\n", "begin at the same time"),
    ("prices:\n- {name: a}\n- {name: a, from: 2026-01-01}\n", "price list 'a' is defined twice (first at a.yaml:3:3)"),
    ("prices:\n- {name: a, currency: EUR}\n- {name: b, from: 2026-01-01}\n", "one currency"),
    ("prices: [{name: a, databases: [chop]}]", "a.yaml:2:32: there is no database 'chop'; did you mean 'shop'?"),
    ("prices: [{name: a, databases: []}]", "'databases' is empty"),
    ("prices: [{per_second: 1}]", "a price list needs 'name'"),
    ("prices: [{name: a, from: yesterday}]", "'from' must be a day such as 2026-01-01"),
    ("prices: [{name: a, from: 2026-13-01}]", "'from' must be a day such as 2026-01-01"),
    ("prices: [{name: a, from: 2026-02-01, until: 2026-02-01}]", "'until' must be later than 'from'"),
    ("prices: [{name: a, since: now}]", "unknown key 'since' in a price list"),
    ("prices: {name: a}", "unknown key 'name' in 'prices'"),
    ("prices: {function: os.system}", "there is no price function 'os.system' (none is installed)"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_what_may_not_be_written(text: str, message: str) -> None:
    assert message in "\n".join(problems(text))


def test_a_limit_of_cost_needs_plan_units_in_every_list_of_its_database() -> None:
    policy = "policies: [{name: p, subjects: {any: true}, database: shop, limits: {cost: 1}}]\n"
    (problem,) = problems(policy + "prices:\n- {name: a, per_million_plan_units: 1}\n- {name: b, databases: [shop]}\n")
    assert "'limits.cost' needs" in problem
    assert book(policy + "prices:\n- {name: a}\n- {name: b, databases: [shop], per_million_plan_units: 1}\n").lists
