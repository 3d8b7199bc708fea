"""Two schemas with the same tables: `app` as it is, `clean` without what the policy hides; no query names either."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import psycopg

from policies.catalog import Catalog, Namespace
from policies.compile import Compiler
from policies.decision import Decision
from policies.model import EffectivePolicy

POLICY = """
principals: [{user: ada, roles: [a], attributes: {tenant: 1}}]
policies:
  - name: p
    subjects: {any: true}
    statements: [select, copy_to, insert, update, delete, merge]
    tables: {allow: ["app.*"]}
    columns: {block: [app.people.secret, app.hidden.a, app.hidden.b, app.notes.code]}
    rows:
      - {table: app.people, filter: "tenant = {tenant}"}
      - {table: app.parts, filter: "id < 100"}
      - {table: app.parent, filter: "label <> 'gone'"}
    masks:
      - {column: app.people.name, mask: {kind: constant, value: "(hidden)"}}
      - {column: app.people.home, mask: {kind: nullify}}
      - {column: app.people.points, mask: {kind: nullify}}
      - {column: app.notes.body, mask: {kind: nullify}}
      - {column: app.docs.xml, mask: {kind: nullify}}
"""
TABLES = """
CREATE TYPE {0}.address AS (city text, zip int);
CREATE DOMAIN {0}.percent AS int CHECK (VALUE BETWEEN 0 AND 100);
CREATE TABLE {0}.people (
    id int PRIMARY KEY, tenant int, {1} name text, home {0}.address, work {0}.address, share {0}.percent,
    points int, tags text[], doc jsonb, plain json
);
CREATE TABLE {0}.notes (id int PRIMARY KEY, person int REFERENCES {0}.people, {2} body text, points int);
CREATE TABLE {0}.hidden ({3});
CREATE TABLE {0}.docs (id int, xml xml, doc jsonb);
CREATE TABLE {0}.open (id int PRIMARY KEY, label text, code text);
CREATE TABLE {0}.parts (id int, label text) PARTITION BY RANGE (id);
CREATE TABLE {0}.parts_1 PARTITION OF {0}.parts FOR VALUES FROM (0) TO (50);
CREATE TABLE {0}.parts_2 PARTITION OF {0}.parts FOR VALUES FROM (50) TO (1000);
CREATE TABLE {0}.parent (id int, label text);
CREATE TABLE {0}.child (extra text) INHERITS ({0}.parent);
CREATE TABLE {0}."SELECT" (id int, "from" text, "Ünï" text);
CREATE TABLE {0}."{4}" (id int, "{4}" text);
CREATE VIEW {0}.seen AS SELECT id, name, home FROM {0}.people;
CREATE FUNCTION {0}.label(p {0}.people) RETURNS text LANGUAGE sql AS 'SELECT p.name || p.id';
INSERT INTO {0}.open SELECT i, 'l' || i % 4, 'c' || i FROM generate_series(1, 12) i;
INSERT INTO {0}."SELECT" VALUES (1, 'f', 'ü');
INSERT INTO {0}."{4}" VALUES (1, 'long');
INSERT INTO {0}.parent VALUES (1, 'p'), (3, 'q');
INSERT INTO {0}.child VALUES (2, 'c', 'e');
INSERT INTO {0}.parts SELECT i, 'l' || i FROM generate_series(1, 99, 7) i;
"""
LONG = "n" * 63
ROWS = """
INSERT INTO app.people
SELECT i, i % 2, 'canary' || i, 'canary' || i,
    ('canary' || i, i)::app.address, ('town' || i % 3, i)::app.address, i % 100,
    i * 7, ARRAY['t' || i, 'u'], jsonb_build_object('k', i, 'a', jsonb_build_array(i, i + 1)), json_build_object('k', i)
FROM generate_series(1, 20) i;
INSERT INTO clean.people
SELECT id, tenant, '(hidden)', NULL, (work::text)::clean.address, share, NULL, tags, doc, plain FROM app.people
WHERE tenant = 1;
INSERT INTO app.notes SELECT i, i, 'canary' || i, 'canary' || i, i FROM generate_series(1, 20) i;
ALTER TABLE clean.notes DROP CONSTRAINT notes_person_fkey;
INSERT INTO clean.notes SELECT id, person, NULL, points FROM app.notes;
INSERT INTO app.hidden SELECT 'canary', 'canary' FROM generate_series(1, 3);
INSERT INTO clean.hidden SELECT FROM generate_series(1, 3);
INSERT INTO app.docs SELECT i, NULL, jsonb_build_object('n', i) FROM generate_series(1, 3) i;
INSERT INTO clean.docs SELECT id, NULL, doc FROM app.docs;
INSERT INTO app.parts VALUES (200, 'canary'), (300, 'canary');
INSERT INTO app.parent VALUES (9, 'gone');
INSERT INTO app.child VALUES (8, 'gone', 'canary');
ANALYZE;
"""
XML = "UPDATE app.docs SET xml = '<a>canary</a>'"  # a server may be built without libxml


def create(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA app; CREATE SCHEMA clean")
        both = "a text, b text"
        connection.execute(TABLES.format("app", "secret text,", "code text,", both, LONG).encode())
        connection.execute(TABLES.format("clean", "", "", "", LONG).encode())
        connection.execute(ROWS.encode())
        with suppress(psycopg.errors.FeatureNotSupported):
            connection.execute(XML)


@dataclass
class Copies:
    """Copies a query out of both schemas: out of `app` as the compiler rewrites it, masks at the source."""

    guarded: psycopg.Connection
    clean: psycopg.Connection
    compiler: Compiler
    policy: EffectivePolicy
    catalog: Catalog

    def decide(self, statement: str) -> Decision:
        return self.compiler.decide(statement, self.policy, self.catalog, Namespace(("app",), ("app",)))

    def pair(self, query: str) -> tuple[object, object]:
        """Rows as text or the SQLSTATE, of each; sorted where the query doesn't sort."""
        # Under such a text for NULL no mask waits for the stream.
        statement = f"COPY ({query}) TO STDOUT (NULL '~')"
        decision = self.decide(statement)
        assert decision.refusal is None, (query, decision.refusal)
        is_sorted = "order by" in query.lower()
        return _copied(self.guarded, decision.text, is_sorted), _copied(self.clean, statement, is_sorted)


def _copied(connection: psycopg.Connection, statement: str, is_sorted: bool) -> object:
    try:
        with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            rows = b"".join(bytes(part) for part in copy).decode().splitlines()
    except psycopg.Error as error:
        return error.sqlstate
    return rows if is_sorted else sorted(rows)
