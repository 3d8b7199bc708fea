"""What the fence is for, shown on real servers: without it an error tells of a hidden row, with it nothing does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from policies.compile import Compiler
from policies.load import load_folder
from policies.resolve import resolve
from proxy.net.introspect import read_catalog
from tests.fix_servers import TestServer

POLICY = """
principals: [{user: ada, roles: [a]}]
policies:
  - name: p
    subjects: {any: true}
    statements: [select]
    tables: {allow: ["app.*"]}
    rows: [{table: app.t, filter: "app.mine(owner)"}]
"""
# A filter that costs more than the client's condition: the planner runs the cheaper one first.
SCHEMA = """
CREATE SCHEMA app;
CREATE TABLE app.t (id int PRIMARY KEY, owner text, secret text);
INSERT INTO app.t
SELECT i, CASE WHEN i = 5 THEN 'other' ELSE 'me' END, CASE WHEN i = 5 THEN 'hidden' ELSE 'seen' END
FROM generate_series(1, 1000) i;
CREATE FUNCTION app.mine(text) RETURNS boolean LANGUAGE plpgsql COST 10000 AS $$ BEGIN RETURN $1 = 'me'; END $$;
ANALYZE app.t;
"""


class Guarded:
    """Runs a client's statement as the compiler rewrites it."""

    def __init__(self, dsn: str, compiler: Compiler, policy, catalog) -> None:  # type: ignore[no-untyped-def]
        self.connection = psycopg.connect(dsn, autocommit=True)
        self._compiler, self._policy, self._catalog = compiler, policy, catalog

    def text(self, sql: str) -> str:
        decision = self._compiler.decide(sql, self._policy, self._catalog, ("app",))
        assert decision.refusal is None, decision.refusal
        return decision.text

    def run(self, sql: str) -> list[tuple[object, ...]]:
        return self.connection.execute(sql.encode()).fetchall()


@pytest.fixture
async def guarded(server: TestServer, tmp_path: Path) -> AsyncIterator[Guarded]:
    database = server.empty()
    with psycopg.connect(server.dsn(database), autocommit=True) as connection:
        connection.execute(SCHEMA)
    (tmp_path / "p.yaml").write_text(POLICY)
    catalog = await read_catalog(server.dsn(database), database=database)
    policy = resolve(load_folder(tmp_path, {}), "ada", database)
    found = Guarded(server.dsn(database), Compiler(), policy, catalog)
    yield found
    found.connection.close()


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
