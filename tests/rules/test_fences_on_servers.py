"""What the fence is for, shown on real servers: without it an error tells of a hidden row, with it nothing does."""

from __future__ import annotations

import psycopg
import pytest

from tests.rules.conftest import Guarded


@pytest.mark.parametrize(
    ("condition", "sqlstate"),
    [
        ("1 / (id - 5) > -9", "22012"),
        ("(CASE WHEN id = 5 THEN owner ELSE '1' END)::int = 1", "22P02"),
        (r"secret LIKE 'hidd\'", "22025"),
    ],
)
async def test_an_error_oracle_works_without_the_fence_and_fails_with_it(
    guarded: Guarded, condition: str, sqlstate: str
) -> None:
    text = guarded.text(f"SELECT count(*) FROM app.t WHERE {condition}")
    assert "OFFSET 0" in text
    with pytest.raises(psycopg.Error) as leak:
        guarded.run(text.replace("OFFSET 0", ""))
    assert leak.value.sqlstate == sqlstate
    guarded.run(text)


async def test_a_point_look_up_through_a_guard_uses_its_index(guarded: Guarded) -> None:
    (plan,) = guarded.run("EXPLAIN (FORMAT json) " + guarded.text("SELECT secret FROM app.t WHERE id = 7"))[0]
    assert "Index Scan" in str(plan)
    (fenced,) = guarded.run("EXPLAIN (FORMAT json) " + guarded.text("SELECT secret FROM app.t WHERE id + 0 = 7"))[0]
    assert "Index Scan" not in str(fenced)


async def test_attribute_notation_really_calls_functions_and_finds_the_outer_alias(guarded: Guarded) -> None:
    """The two facts that make rules/functions.py as careful as it is."""
    assert guarded.run("SELECT (16.0).sqrt")[0][0] == 4
    sibling = (
        "SELECT count(*) FROM unnest(ARRAY['x'::text]) AS x"
        " WHERE EXISTS (SELECT 1 FROM (SELECT x.length) y, (SELECT 1 AS length) x)"
    )
    assert guarded.run(sibling) == [(1,)]
    (plan,) = guarded.run(
        "EXPLAIN (FORMAT json, VERBOSE) " + sibling.replace("EXISTS (SELECT 1", "1 = (SELECT y.length")
    )[0]
    assert "length(x.x)" in str(plan)
