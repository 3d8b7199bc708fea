"""The planner tries patterns on values that statistics hold of hidden rows; behind a guard it must find none."""

from __future__ import annotations

import psycopg
import pytest

from tests.rules.conftest import Guarded

# Half of the rows are hidden, so the statistics list their value.
FREQUENT = """
UPDATE app.t SET owner = CASE WHEN id % 2 = 0 THEN 'other' ELSE 'me' END,
    secret = CASE WHEN id % 2 = 0 THEN 'hidden' ELSE 'seen' END;
ANALYZE app.t;
"""
FAILING = (
    r"secret LIKE 'hi%\'",
    r"secret ILIKE 'HI%\'",
    r"secret NOT LIKE 'hi%\'",
    r"secret LIKE ANY (ARRAY['hi%\'])",
    r"secret LIKE CASE WHEN true THEN 'hi%\' ELSE secret END",
    r"pg_catalog.like(secret, 'hi%\')",
    r"secret OPERATOR(pg_catalog.~~) 'hi%\'",
)


@pytest.mark.parametrize("condition", FAILING)
async def test_no_pattern_fails_on_hidden_values(guarded: Guarded, condition: str) -> None:
    guarded.connection.execute(FREQUENT)
    text = guarded.text(f"SELECT count(*) FROM t WHERE {condition}")
    assert guarded.run(text) in ([(0,)], [(500,)])
    assert guarded.run(f"SELECT count(*) FROM ({guarded.text('SELECT * FROM t')}) x") == [(500,)]
    open_to_statistics = text.replace(
        'CASE WHEN "secret" IS NULL THEN "secret" ELSE "secret" END AS "secret"', '"secret"'
    )
    assert open_to_statistics != text
    with pytest.raises(psycopg.errors.InvalidEscapeSequence):
        guarded.run(open_to_statistics)


async def test_names_of_hidden_tables_are_kept_from_patterns_too(guarded: Guarded) -> None:
    guarded.connection.execute(
        "DO $$ BEGIN CREATE SCHEMA vault; FOR i IN 1..300 LOOP EXECUTE 'CREATE TABLE vault.hidden_' || i || ' ()';"
        " END LOOP; END $$; ANALYZE pg_catalog.pg_class"
    )
    text = guarded.text(r"SELECT count(*) FROM pg_catalog.pg_class WHERE relname LIKE 'hidd%\'")
    assert guarded.run(text) == [(0,)]
    with pytest.raises(psycopg.errors.InvalidEscapeSequence):
        guarded.run(r"SELECT count(*) FROM (SELECT relname FROM pg_class OFFSET 0) c WHERE relname LIKE 'hidd%\'")


async def test_whole_patterns_keep_their_plans(guarded: Guarded) -> None:
    assert "CASE" not in guarded.text("SELECT count(*) FROM t WHERE secret LIKE 'hi%'")
    assert "CASE" not in guarded.text("SELECT count(*) FROM t WHERE 1 / id > 0")
