"""tableoid goes through guards, the places of rows don't."""

import pytest

from tests.compile_world import World


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT tableoid, id FROM events", 'SELECT tableoid, id FROM  (SELECT "id", tableoid FROM "shop"."events"'),
        ("SELECT e.tableoid FROM events e, orders o", '(SELECT tableoid FROM "shop"."events"'),
        ("SELECT (SELECT tableoid) FROM events", '(SELECT tableoid FROM "shop"."events"'),
        (
            "SELECT tableoid, * FROM events",
            'SELECT tableoid, "events"."id", "events"."tenant_id", "events"."body" FROM',
        ),
        ("SELECT e.*, e.tableoid FROM events e(a), orders", 'SELECT "e"."a", "e"."tenant_id", "e"."body", e.tableoid'),
    ],
)
def test_tableoid_is_handed_through(world: World, sql: str, expected: str) -> None:
    assert expected in world.allowed(sql).text


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT *, e.tableoid FROM events e, orders o",
        "SELECT e, e.tableoid FROM events e",
        "SELECT count(e.*), max(e.tableoid::int) FROM events e",
        "SELECT e.tableoid FROM events e NATURAL JOIN orders",
        "SELECT ctid FROM events",
        "SELECT e.xmin FROM events e",
        "SELECT id FROM events WHERE ctid = '(0,1)'",
        "SELECT 1 FROM orders o WHERE EXISTS (SELECT FROM events e ORDER BY e.cmax)",
        "SELECT xmin FROM pg_class",
    ],
)
def test_what_would_tell_of_hidden_rows_or_be_seen_in_a_star_is_refused(world: World, sql: str) -> None:
    assert world.refused(sql) == ("0A000", "pgwarden/system_columns")


@pytest.mark.parametrize("sql", ["SELECT ctid, tableoid, * FROM orders", "SELECT x.ctid FROM (SELECT 1 AS ctid) x"])
def test_open_tables_and_other_columns_of_those_names_stay_as_they_are(world: World, sql: str) -> None:
    assert world.allowed(sql).text.replace('"shop".', "") == sql
