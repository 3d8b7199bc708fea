"""Whole rows keep the type of their table where a guard lists all of its columns."""

import pytest

from tests.compile_world import World


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT c FROM events c", 'SELECT CAST(c AS "shop"."events") FROM'),
        ("SELECT c AS x FROM events c", 'SELECT CAST(c AS "shop"."events") AS x FROM'),
        ("SELECT events FROM events", 'SELECT CAST(events AS "shop"."events") FROM'),
    ],
)
def test_a_row_is_cast_to_its_tables_type(world: World, sql: str, expected: str) -> None:
    assert expected in world.allowed(sql).text


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT p FROM payments p",  # a column is blocked: no such type
        "SELECT c FROM events c GROUP BY c",
        "SELECT DISTINCT c FROM events c",
        "SELECT c FROM events c ORDER BY c",
        "SELECT row_to_json(c) FROM events c",
        "SELECT id FROM events id",  # the column comes first
        "SELECT c FROM events c, (SELECT 1 AS c) s",  # so does another item's
        "SELECT c FROM events c(a)",
        "SELECT s.x FROM (SELECT c AS x FROM events c) s",  # nobody knows whether s has a column c
    ],
)
def test_other_rows_stay_as_written(world: World, sql: str) -> None:
    assert ' AS "shop".' not in world.allowed(sql).text


def test_rows_of_open_tables_need_nothing(world: World) -> None:
    assert world.allowed("SELECT o FROM orders o").text == 'SELECT o FROM "shop".orders o'
