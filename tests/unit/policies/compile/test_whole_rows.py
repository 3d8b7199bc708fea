"""Whole rows keep the type of their table where a guard lists all of its columns."""

import pytest

from tests.compile_world import World


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT c FROM events c", 'SELECT CAST(c AS "shop"."events") FROM'),
        ("SELECT c AS x FROM events c", 'SELECT CAST(c AS "shop"."events") AS x FROM'),
        ("SELECT events FROM events", 'SELECT CAST(events AS "shop"."events") FROM'),
        ("SELECT c FROM events c GROUP BY c", 'SELECT CAST(c AS "shop"."events") FROM'),
        ("SELECT 1 FROM events c GROUP BY c", 'GROUP BY CAST(c AS "shop"."events")'),
        ("SELECT c FROM events c ORDER BY c", " ORDER BY c"),
        ("SELECT DISTINCT c AS x FROM events c ORDER BY c", ' ORDER BY CAST(c AS "shop"."events")'),
        ("SELECT row_to_json(c), array_agg(c) FROM events c", 'array_agg(CAST(c AS "shop"."events"))'),
        ("SELECT to_jsonb(c) FROM events c(a, b)", 'to_jsonb(CAST(c AS "shop"."events"))'),
        ("SELECT (c).id FROM events c(a, b)", '(CAST(c AS "shop"."events")).id'),
        ("SELECT s.x FROM (SELECT c AS x FROM events c) s", 'SELECT CAST(c AS "shop"."events") AS x'),
        ("SELECT (SELECT c) FROM events c, (SELECT 1) s", 'SELECT (SELECT CAST(c AS "shop"."events"))'),
        (
            "SELECT c FROM orders LEFT JOIN events c ON true",
            'SELECT CASE WHEN c IS NOT DISTINCT FROM NULL THEN NULL ELSE CAST(c AS "shop"."events") END FROM',
        ),
    ],
)
def test_a_row_is_cast_to_its_tables_type(world: World, sql: str, expected: str) -> None:
    assert expected in world.allowed(sql).text


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT p FROM payments p",  # a column is blocked: no such type
        "SELECT 1 FROM events c WHERE c IS NULL",
        "SELECT id FROM events id",  # the column comes first
        "SELECT c FROM events c, (SELECT 1 AS c) s",  # so does another item's
        "SELECT c FROM events c, (SELECT * FROM orders) s",  # nobody knows whether s has a column c
        "SELECT c FROM events c(c)",
    ],
)
def test_other_rows_stay_as_written(world: World, sql: str) -> None:
    assert ' AS "shop".' not in world.allowed(sql).text


def test_rows_of_open_tables_need_nothing(world: World) -> None:
    assert world.allowed("SELECT o FROM orders o").text == 'SELECT o FROM "shop".orders o'


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT pg_typeof(p) FROM payments p",
        "SELECT (array_agg(p))[1].id FROM payments p",
        "SELECT p FROM payments p(a)",
        "SELECT to_jsonb(c) FROM events c(a), generate_series(1, 2) g",
    ],
)
def test_rows_whose_names_would_be_others_are_refused(world: World, sql: str) -> None:
    assert world.refused(sql) == ("0A000", "pgwarden/rows")
