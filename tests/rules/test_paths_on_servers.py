"""A client's search_path doesn't choose the operators of a filter: citext would compare as text without its schema."""

from __future__ import annotations

from pathlib import Path

import psycopg

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
    statements: [select, copy_to, prepare]
    tables: {allow: ["app.*"]}
    rows:
      - {table: app.t, filter: "kind <> 'internal'"}
      - {table: app.u, filter: "id <> 2"}
"""
SCHEMA = """
CREATE SCHEMA app; CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext;
CREATE TABLE app.t (id int, kind ext.citext); INSERT INTO app.t VALUES (1, 'public'), (2, 'Internal');
CREATE TABLE app.u (id int); INSERT INTO app.u VALUES (1), (2);
CREATE VIEW app.v AS SELECT id FROM app.t;
"""


async def test_a_path_without_the_types_schema_is_refused(server: TestServer, tmp_path: Path) -> None:
    database = server.empty()
    with psycopg.connect(server.dsn(database), autocommit=True) as connection:
        connection.execute(SCHEMA)
        connection.execute(f"ALTER DATABASE {database} SET search_path = app, ext".encode())
    (tmp_path / "p.yaml").write_text(POLICY)
    catalog = await read_catalog(server.dsn(database), database=database)
    policy = resolve(load_folder(tmp_path, {}), "ada", database)
    assert policy is not None
    compiler = Compiler()
    with psycopg.connect(server.dsn(database), autocommit=True) as connection:
        for path in (("app", "ext"), ("ext", "app"), ("public", "app", "ext")):
            connection.execute(f"SET search_path = {', '.join(path)}".encode())
            for sql in ("SELECT id FROM app.t", "SELECT id FROM app.v", "SELECT id FROM app.u"):
                decision = compiler.decide(sql, policy, catalog, Namespace(path))
                assert connection.execute(decision.text.encode()).fetchall() == [(1,)]
        # What the rule is for: there the server itself finds the operator of text.
        text = compiler.decide("SELECT id FROM app.t", policy, catalog, Namespace(("app", "ext"))).text
        connection.execute(f"PREPARE prepared AS {text}".encode())
        connection.execute("SET search_path = app")
        assert connection.execute(text.encode()).fetchall() == [(1,), (2,)]
        assert connection.execute("EXECUTE prepared").fetchall() == [(1,), (2,)]
    for path in (("app",), (), ("public", "app")):
        for sql in ("SELECT id FROM app.t", "SELECT id FROM app.v", "COPY app.t TO STDOUT", "EXECUTE prepared"):
            refusal = compiler.decide(sql, policy, catalog, Namespace(path)).refusal
            assert refusal is not None
            assert (refusal.sqlstate, refusal.rule) == ("0A000", "pgwarden/search_path")
        assert compiler.decide("SELECT id FROM app.u", policy, catalog, Namespace(path)).refusal is None
