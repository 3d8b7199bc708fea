"""DDL as the compiler writes it out, run on real servers: they take every form, and name the same objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from policies.catalog import Catalog, Namespace
from policies.compile import Compiler
from policies.load import load_folder
from policies.model import EffectivePolicy
from policies.resolve import resolve
from proxy.net.introspect import read_catalog
from tests.fix_servers import TestServer

POLICY = """
principals: [{user: ada, roles: [a]}]
policies:
  - name: p
    subjects: {any: true}
    statements: [select, temp_tables, ddl]
    tables: {allow: ["app.*"], block: [app.hidden]}
    rows: [{table: app.guarded, filter: "owner = 'me'"}]
    masks: [{column: app.guarded.secret, mask: {kind: redact}}]
"""
SCHEMA = """
CREATE SCHEMA app;
CREATE TABLE app.guarded (id int PRIMARY KEY, owner text, secret text);
INSERT INTO app.guarded VALUES (1, 'me', 'mine'), (2, 'other', 'theirs');
CREATE TABLE app.plain (id int PRIMARY KEY, body text);
CREATE INDEX plain_body ON app.plain (body);
CREATE TABLE app.hidden (id int REFERENCES app.plain, body text);
CREATE VIEW app.over_hidden AS SELECT h.id FROM app.hidden h JOIN app.plain p USING (id);
CREATE FUNCTION app.reads_bare() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM plain); END';
CREATE FUNCTION app.reads_qualified() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM app.guarded';
"""
# One session's statements; each is decided under the names that those before it have made.
STATEMENTS = """
CREATE TEMP TABLE t (a int PRIMARY KEY, b text DEFAULT upper('x'), c int GENERATED ALWAYS AS (a) STORED, CHECK (a > 0))
CREATE TEMP TABLE IF NOT EXISTS t (a int)
CREATE TEMP TABLE IF NOT EXISTS u (LIKE plain INCLUDING ALL) ON COMMIT PRESERVE ROWS
CREATE TABLE pg_temp.v AS SELECT * FROM guarded
SELECT id, secret INTO TEMP w FROM guarded
CREATE TEMP SEQUENCE s START 5
CREATE INDEX ON t (lower(b)) WHERE a > 5
ALTER TABLE t ADD COLUMN d date DEFAULT current_date, ALTER COLUMN b TYPE varchar(5) USING left(b, 5)
ALTER TABLE u RENAME TO x
ALTER TABLE x RENAME COLUMN body TO words
COMMENT ON COLUMN t.a IS 'a'
ANALYZE t (a)
TRUNCATE t, x RESTART IDENTITY CASCADE
DROP TABLE t, pg_temp.x CASCADE
DROP TABLE IF EXISTS w, v
CREATE TABLE IF NOT EXISTS made (id serial PRIMARY KEY, kind app.kind, plain_id int REFERENCES plain ON DELETE CASCADE)
CREATE UNLOGGED TABLE copied AS SELECT * FROM guarded WITH NO DATA
CREATE TABLE parts (id int, at date) PARTITION BY RANGE (at)
CREATE TABLE part PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')
CREATE TABLE child () INHERITS (plain)
CREATE VIEW seen AS SELECT p.id FROM plain AS p
CREATE OR REPLACE VIEW seen (id) WITH (security_barrier) AS SELECT id FROM plain
CREATE MATERIALIZED VIEW IF NOT EXISTS stored AS SELECT 1 AS one
CREATE INDEX ON made (kind)
ALTER TABLE made ADD COLUMN note text NOT NULL DEFAULT '', ADD CONSTRAINT short CHECK (length(note) < 9) NOT VALID
ALTER TABLE made VALIDATE CONSTRAINT short
ALTER TABLE made DROP CONSTRAINT short, ALTER note DROP NOT NULL
ALTER TABLE made RENAME TO renamed
ALTER VIEW seen RENAME TO shown
COMMENT ON TABLE renamed IS 'renamed'
COMMENT ON VIEW app.shown IS NULL
TRUNCATE renamed, ONLY copied
VACUUM (ANALYZE) renamed, app.guarded
CREATE TYPE colour AS ENUM ('red', 'blue')
CREATE TYPE app.pair AS (a int, b text)
CREATE SEQUENCE app.counter AS int CACHE 5 OWNED BY NONE
CREATE SCHEMA IF NOT EXISTS app
DROP VIEW shown
DROP MATERIALIZED VIEW stored
DROP TABLE renamed, copied, child, parts CASCADE
DROP SEQUENCE counter
DROP TYPE colour, app.pair
DROP INDEX plain_body
DROP TABLE IF EXISTS nothing, app.nothing
"""


@pytest.fixture(scope="module")
def dsn(server: TestServer) -> str:
    found = server.dsn(server.empty())
    with psycopg.connect(found, autocommit=True) as connection:
        connection.execute(f"{SCHEMA} CREATE TYPE app.kind AS ENUM ('a')".encode())
    return found


@pytest.fixture
async def catalog(dsn: str) -> Catalog:
    return await read_catalog(dsn, database="shop")


@pytest.fixture
def policy(tmp_path: Path) -> EffectivePolicy:
    (tmp_path / "p.yaml").write_text(POLICY)
    found = resolve(load_folder(tmp_path, {}), "ada", "shop")
    assert found is not None
    return found


@pytest.fixture
def elsewhere(dsn: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A session whose search_path finds nothing: what isn't written out fails, or comes to stand in the wrong place."""
    with psycopg.connect(dsn, autocommit=True, options="-c search_path=") as connection:
        yield connection


def test_every_form_is_taken_and_leaves_nothing(
    policy: EffectivePolicy, catalog: Catalog, elsewhere: psycopg.Connection[tuple[object, ...]]
) -> None:
    compiler = Compiler()
    names = Namespace(("app",), ("app",))
    before = _objects(elsewhere)
    for sql in STATEMENTS.strip().splitlines():
        decision = compiler.decide(sql, policy, catalog, names)
        assert decision.refusal is None, (sql, decision.refusal)
        elsewhere.execute(decision.text.encode())
        effect = decision.plans[0].effect
        temporary = (names.temporary | set(effect.makes_temporary)) - set(effect.drops_temporary)
        made = (names.made | set(effect.makes_relations)) - set(effect.drops_relations)
        names = Namespace(("app",), ("app",), temporary, made)
    assert names.temporary == {"s"}
    assert names.made == {("app", "part")}  # went with its parent
    assert _objects(elsewhere) == before - {"plain_body"}


def _objects(connection: psycopg.Connection[tuple[object, ...]]) -> set[object]:
    query = "SELECT relname FROM pg_class WHERE relnamespace = 'app'::regnamespace"
    return {name for (name,) in connection.execute(query)}


def test_what_was_made_of_a_guarded_table_holds_what_is_shown(
    policy: EffectivePolicy, catalog: Catalog, elsewhere: psycopg.Connection[tuple[object, ...]]
) -> None:
    made = Compiler().decide("CREATE TEMP TABLE kept AS SELECT * FROM guarded", policy, catalog, Namespace(("app",)))
    elsewhere.execute(made.text.encode())
    assert elsewhere.execute("SELECT id, owner, secret <> 'mine' FROM pg_temp.kept").fetchall() == [(1, "me", True)]


@pytest.mark.parametrize(
    ("sql", "sqlstate"),
    [
        ("CREATE TEMP TABLE plain (id int)", "0A000"),
        ("DROP TABLE plain CASCADE", "42501"),
        ("DROP TABLE guarded", "42501"),
        ("DROP INDEX guarded_pkey", "42501"),
    ],
)
def test_what_the_snapshot_tells_of_functions_keys_and_indexes(
    sql: str, sqlstate: str, policy: EffectivePolicy, catalog: Catalog
) -> None:
    refusal = Compiler().decide(sql, policy, catalog, Namespace(("app",), ("app",))).refusal
    assert refusal is not None
    assert refusal.sqlstate == sqlstate


def test_a_name_that_functions_qualify_is_free(policy: EffectivePolicy, catalog: Catalog) -> None:
    assert catalog.bare_names == {"plain"}
    decision = Compiler().decide("CREATE TEMP TABLE guarded (id int)", policy, catalog, Namespace(("app",), ("app",)))
    assert decision.refusal is None
