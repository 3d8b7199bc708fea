"""Statements as the compiler rewrites them, run on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from policies.catalog import Namespace
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
        decision = self._compiler.decide(sql, self._policy, self._catalog, Namespace(("app",)))
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
