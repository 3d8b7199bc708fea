"""Long, deep and broad statements are decided or refused, and their cost grows with their size."""

from __future__ import annotations

from time import process_time

import pytest

from policies.compile.compilation import MAX_TOKENS
from tests.compile_world import World


def _joined(count: int) -> str:
    tables = ", ".join(f"customers c{i}" for i in range(count))
    return f"SELECT {', '.join(f'c{i}.name' for i in range(count))} FROM {tables}"


def _least_seconds(world: World, make: object, size: int) -> float:
    """The best of three; blanks before it make each a text of its own, which the cache doesn't know."""
    taken = []
    for mark in range(3):
        sql = " " * mark + make(size)  # type: ignore[operator]
        begin = process_time()
        world.allowed(sql)
        taken.append(process_time() - begin)
    return min(taken)


@pytest.mark.parametrize(
    "make",
    [
        _joined,
        lambda n: " UNION ALL ".join(["SELECT id FROM customers"] * n),
        lambda n: "; ".join(["SELECT id FROM customers"] * n),
        lambda n: f"SELECT id FROM customers WHERE id IN ({', '.join(map(str, range(n * 10)))})",
        lambda n: "WITH " + ", ".join(f"a{i} AS (SELECT id FROM customers)" for i in range(n)) + " SELECT * FROM a0",
    ],
)
def test_four_times_the_size_costs_far_less_than_its_square(world: World, make: object) -> None:
    assert _least_seconds(world, make, 400) < 12 * _least_seconds(world, make, 100)


def test_thousands_of_relations_are_guarded(world: World) -> None:
    text = world.allowed("SELECT 1 FROM " + ", ".join(f"customers c{i}" for i in range(2000))).text
    assert text.count("WHERE (tenant_id = 1)") == 2000


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM customers WHERE name = '" + "x" * 1_000_000 + "'",
        "SELECT id /*" + "x" * 1_000_000 + "*/ FROM customers",
        "SELECT " + "(" * 1000 + "id" + ")" * 1000 + " FROM customers",
        "SELECT " + "lower(" * 1000 + "name" + ")" * 1000 + " FROM customers",
        "SELECT * FROM " + "(SELECT * FROM " * 500 + "customers" + ") x" * 500,
    ],
)
def test_a_megabyte_and_a_thousand_levels_are_decided(world: World, sql: str) -> None:
    assert '"shop"."customers" WHERE (tenant_id = 1)' in world.allowed(sql).text


def test_a_statement_of_too_many_words_is_refused_before_it_is_parsed(world: World) -> None:
    assert world.refused("SELECT " + "1, " * (MAX_TOKENS // 2) + "1 FROM customers") == ("54000", "pgwarden/parse")


@pytest.mark.parametrize("depth", [3_000, 5_000, 100_000])
def test_a_statement_that_is_too_deep_is_refused(world: World, depth: int) -> None:
    """By us, or by the grammar's own stack."""
    sql = "SELECT " + "lower(" * depth + "name" + ")" * depth + " FROM customers"
    assert world.refused(sql) in {(state, "pgwarden/parse") for state in ("54000", "54001", "42601")}
