"""COPY, cursors and prepared statements as the compiler rewrites them, against a copy with the hidden data removed.

Schema `app` holds the data, schema `clean` the same with the policy's rules applied by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import sql

from policies.catalog import Catalog, Namespace
from policies.compile import Compiler
from policies.copy_masks import CopyFormat, CopyMasks
from policies.decision import Decision
from policies.load import load_folder
from policies.model import EffectivePolicy
from policies.resolve import resolve
from proxy.net.introspect import read_catalog
from proxy.session.masked_copy import place_copy_masks
from proxy.wire import messages as m
from proxy.wire.codec import encode
from tests.fix_servers import TestServer

POLICY = """
principals: [{user: ada, roles: [a], attributes: {tenant: 1}}]
policies:
  - name: p
    subjects: {any: true}
    statements: [select, copy_to, copy_from, cursor, prepare, listen, call, update]
    tables: {allow: ["app.*", "app.made", "app.made_masked"]}
    columns: {block: [app.people.secret, app.notes.secret]}
    rows: [{table: app.people, filter: "tenant = {tenant}"}]
    masks:
      - {column: app.people.name, mask: {kind: constant, value: "(hidden), \\"x\\""}}
      - {column: app.people.born, mask: {kind: truncate, unit: year}}
      - {column: app.people.points, mask: {kind: nullify}}
      - {column: app.notes.body, mask: {kind: nullify}}
      - {column: app.made_masked.label, mask: {kind: constant, value: "(hidden)"}}
    functions: {allow: [app.tell]}
"""
TABLES = """
CREATE TABLE {0}.people (
    id int PRIMARY KEY, tenant int, {1} name text, born date, points numeric, "Odd ""Name" text,
    doubled int GENERATED ALWAYS AS (id * 2) STORED, shouted text GENERATED ALWAYS AS (upper(name)) STORED
);
CREATE TABLE {0}.notes (id int, {1} body text, twice int GENERATED ALWAYS AS (id * 2) STORED);
CREATE TABLE {0}.open (id int, label text);
CREATE TABLE {0}.parts (id int, label text) PARTITION BY RANGE (id);
CREATE TABLE {0}.parts_1 PARTITION OF {0}.parts FOR VALUES FROM (0) TO (1000);
CREATE TABLE {0}.parent (id int, label text);
CREATE TABLE {0}.child (extra text) INHERITS ({0}.parent);
CREATE MATERIALIZED VIEW {0}.made AS SELECT 1 AS id, 'open' AS label;
CREATE MATERIALIZED VIEW {0}.made_masked AS SELECT 1 AS id, {2}::text AS label;
CREATE VIEW {0}.seen AS SELECT id, name FROM {0}.people;
INSERT INTO {0}.open SELECT i, 'l' || i FROM generate_series(1, 40) i;
INSERT INTO {0}.parts SELECT i, 'l' || i FROM generate_series(1, 5) i;
INSERT INTO {0}.parent VALUES (1, 'p');
INSERT INTO {0}.child VALUES (2, 'c', 'e');
"""
ROWS = """
INSERT INTO app.people (id, tenant, secret, name, born, points, "Odd ""Name")
SELECT i, i % 3, 'canary' || i, 'canary' || i, date '2000-05-05' + i * 40, i * 1.5,
    CASE WHEN i % 2 = 0 THEN E'a\\t"\\n,' END
FROM generate_series(1, 60) i;
INSERT INTO clean.people (id, tenant, name, born, points, "Odd ""Name")
SELECT id, tenant, '(hidden), "x"', date_trunc('year', born)::date, NULL, "Odd ""Name" FROM app.people WHERE tenant = 1;
CREATE PROCEDURE app.tell(inout x int) LANGUAGE plpgsql AS 'BEGIN x := x + 1; END';
"""


@dataclass
class Pair:
    """Two connections: one gets what the compiler makes of a statement, the other the statement, on the clean copy."""

    guarded: psycopg.Connection
    clean: psycopg.Connection
    compiler: Compiler
    policy: EffectivePolicy
    catalog: Catalog

    def decide(self, statement: str) -> Decision:
        return self.compiler.decide(statement, self.policy, self.catalog, Namespace(("app",), ("app",)))

    def text(self, statement: str) -> str:
        decision = self.decide(statement)
        assert decision.refusal is None, decision.refusal
        return decision.text

    def copies(self, statement: str) -> tuple[bytes, bytes]:
        decision = self.decide(statement)
        assert decision.refusal is None, decision.refusal
        return _copied(self.guarded, decision.text, decision.plans[0].copy_masks), _copied(self.clean, statement)

    def rows(self, *statements: str) -> tuple[list[object], list[object]]:
        """What each statement gives, errors by SQLSTATE, inside one transaction that is rolled back."""
        return _told(self.guarded, [self.text(one) for one in statements]), _told(self.clean, list(statements))


def _copied(connection: psycopg.Connection, statement: str, masks: CopyMasks | None = None) -> bytes:
    """`masks`: what is left for the stream."""
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        data = [bytes(part) for part in copy]
        if masks is None:
            return b"".join(data)
        is_binary = masks.layout.format is CopyFormat.BINARY
        rows = place_copy_masks(masks, m.CopyOutResponse(int(is_binary), (int(is_binary),) * masks.column_count))
        shown = (rows.mask(message, 0, len(message))[0] for message in map(encode, map(m.CopyData, data)))
        return b"".join(bytes(message[5:]) for message in shown)


def _told(connection: psycopg.Connection, statements: list[str]) -> list[object]:
    told: list[object] = []
    with connection.transaction(force_rollback=True):
        for statement in statements:
            try:
                with connection.transaction():
                    cursor = connection.execute(statement.encode())
                    told.append((cursor.statusmessage, cursor.fetchall() if cursor.description else None))
            except psycopg.Error as error:
                told.append(error.sqlstate)
    return told


@pytest.fixture(scope="module")
def world(server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, EffectivePolicy, Catalog]:
    database = server.empty()
    with psycopg.connect(server.dsn(database), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA app; CREATE SCHEMA clean")
        connection.execute(TABLES.format("app", "secret text DEFAULT 'canary',", "'canary'").encode())
        connection.execute(TABLES.format("clean", "", "'(hidden)'").encode())
        connection.execute(ROWS.encode())
        connection.execute("ALTER TABLE clean.people DROP COLUMN shouted")
    folder = tmp_path_factory.mktemp("policies")
    (folder / "p.yaml").write_text(POLICY)
    policy = resolve(load_folder(folder, {}), "ada", database)
    assert policy is not None
    return server.dsn(database), policy, asyncio.run(read_catalog(server.dsn(database), database=database))


@pytest.fixture
def pair(world: tuple[str, EffectivePolicy, Catalog]) -> Iterator[Pair]:
    dsn, policy, catalog = world
    with (
        psycopg.connect(dsn, autocommit=True) as guarded,
        psycopg.connect(dsn, autocommit=True, options="-c search_path=clean") as clean,
    ):
        yield Pair(guarded, clean, Compiler(), policy, catalog)


FORMATS = (
    "",
    " WITH CSV HEADER",
    " (FORMAT binary)",
    " WITH BINARY",
    " (FORMAT csv, HEADER, FORCE_QUOTE *, DELIMITER ';', NULL 'none')",
    " CSV FORCE QUOTE name QUOTE '''' ESCAPE '\"'",
    " (FORMAT text, DELIMITER '|', NULL '', HEADER true)",
    " (ENCODING 'UTF-8')",
)


@pytest.mark.parametrize("options", FORMATS)
def test_copy_of_a_guarded_table_is_copy_of_the_clean_one(pair: Pair, options: str) -> None:
    for columns in ("", "(name, id)", '("Odd ""Name", born, name)'):
        guarded, clean = pair.copies(f"COPY people {columns} TO STDOUT{options}")
        assert guarded == clean
        assert len(guarded) > 100
        assert b"canary" not in guarded


@pytest.mark.parametrize(
    "statement",
    [
        "COPY open TO STDOUT",
        "COPY BINARY open TO STDOUT",
        "COPY BINARY people (id, name) TO STDOUT",
        "COPY BINARY people TO STDOUT WITH",
        "COPY open (label) TO STDOUT CSV",
        "COPY parent TO STDOUT",
        "COPY notes TO STDOUT",
        "COPY (SELECT name, upper(name), p FROM (SELECT * FROM people) AS p ORDER BY id) TO STDOUT CSV",
        "COPY (TABLE people) TO STDOUT WITH (FORMAT binary)",
        "COPY (VALUES (1, 'a')) TO STDOUT",
        "COPY (SELECT name FROM seen) TO STDOUT",
    ],
)
def test_other_copies(pair: Pair, statement: str) -> None:
    guarded, clean = pair.copies(statement)
    assert guarded == clean


@pytest.mark.parametrize(
    "statement",
    [
        "COPY people (nothing) TO STDOUT",
        "COPY people (doubled) TO STDOUT",
        "COPY people (id, id) TO STDOUT",
        "COPY people TO STDOUT CSV FORCE QUOTE nothing",
        "COPY people (id) TO STDOUT CSV FORCE QUOTE name",
        "COPY people TO STDOUT CSV FORCE QUOTE doubled",
        "COPY notes FROM STDIN CSV FORCE NULL nothing",
        "COPY notes (id) FROM STDIN CSV FORCE NOT NULL body",
        "COPY notes (twice) FROM STDIN",
        "COPY seen TO STDOUT",
        "COPY parts TO STDOUT",
        "COPY nothing TO STDOUT",
        "COPY people TO STDOUT (NOTHING)",
        "COPY people TO STDOUT (FORMAT csv, FORMAT csv)",
        "COPY people TO STDOUT (FORMAT csv, DELIMITER 'ab')",
    ],
)
def test_errors_of_copy_are_those_of_the_clean_copy(pair: Pair, statement: str) -> None:
    decision = pair.decide(statement)
    with pytest.raises(psycopg.Error) as clean:
        _copied(pair.clean, statement)
    if decision.refusal is not None:
        assert decision.refusal.sqlstate == clean.value.sqlstate
        assert decision.refusal.message == clean.value.diag.message_primary
        return
    with pytest.raises(psycopg.Error) as guarded:
        _copied(pair.guarded, decision.text)
    assert guarded.value.sqlstate == clean.value.sqlstate


@pytest.mark.parametrize("statement", ["COPY made TO STDOUT", "COPY made_masked TO STDOUT CSV"])
def test_materialized_views_are_copied_where_the_server_copies_them(pair: Pair, statement: str) -> None:
    """Since PostgreSQL 18; before it, by its own error."""
    if pair.catalog.server_version >= 180_000:
        guarded, clean = pair.copies(statement)
        assert guarded == clean
        return
    refusal = pair.decide(statement).refusal
    with pytest.raises(psycopg.Error) as clean_error:
        _copied(pair.clean, statement)
    if refusal is not None:
        assert (refusal.sqlstate, refusal.message) == ("42809", clean_error.value.diag.message_primary)
        return
    with pytest.raises(psycopg.errors.WrongObjectType):
        _copied(pair.guarded, pair.text(statement))


def test_copied_rows_fill_the_columns_that_are_left(pair: Pair) -> None:
    with pair.guarded.transaction(force_rollback=True), pair.guarded.cursor() as cursor:
        with cursor.copy(pair.text("COPY notes FROM STDIN CSV WHERE id > 1").encode()) as copy:
            copy.write(b"1,one\n2,two\n")
        with cursor.copy(pair.text("COPY notes (body) FROM STDIN").encode()) as copy:
            copy.write(b"three\n")
        rows = cursor.execute("SELECT id, secret, body, twice FROM app.notes ORDER BY id").fetchall()
    assert rows == [(2, "canary", "two", 4), (None, "canary", "three", None)]


@pytest.mark.parametrize(
    "options",
    ["CURSOR", "SCROLL CURSOR", "BINARY CURSOR", "NO SCROLL CURSOR", "INSENSITIVE CURSOR", "CURSOR WITH HOLD"],
)
@pytest.mark.parametrize(
    "query",
    [
        "SELECT id, name, born FROM people",
        "SELECT id, name FROM people WHERE 10 / (id - 100) <> 5",
        "SELECT row_to_json(p) FROM people p ORDER BY id",
        "SELECT * FROM seen",
        "SELECT count(*), tenant FROM people GROUP BY tenant",
        "VALUES (1), (2), (3), (4), (5), (6)",
    ],
)
def test_a_guard_scrolls_as_its_table_does(pair: Pair, options: str, query: str) -> None:
    guarded, clean = pair.rows(
        f"DECLARE c {options} FOR {query}",
        "FETCH 3 FROM c",
        "FETCH PRIOR FROM c",
        "MOVE FORWARD 2 FROM c",
        "FETCH RELATIVE 0 FROM c",
        "FETCH ABSOLUTE -1 FROM c",
        "FETCH BACKWARD 2 FROM c",
        "FETCH FIRST FROM c",
        "MOVE BACKWARD ALL IN c",
        "FETCH ALL FROM c",
        "FETCH NEXT FROM c",
        "CLOSE c",
        "FETCH c",
    )
    assert guarded == clean


def test_a_cursor_for_update_locks_the_rows_that_are_left(pair: Pair) -> None:
    guarded, clean = pair.rows("DECLARE c CURSOR FOR SELECT id FROM people ORDER BY id FOR UPDATE", "FETCH ALL FROM c")
    assert guarded == clean


def test_prepared_statements_give_what_the_clean_copy_gives(pair: Pair) -> None:
    guarded, clean = pair.rows(
        "PREPARE q (int, text) AS SELECT id, name || $2, born FROM people WHERE id > $1 ORDER BY id",
        "EXECUTE q(30, lower('X'))",
        "EXECUTE q(1 + 1, 'a' || 'b')",
        "EXECUTE q(1)",
        "EXECUTE q('a', 'a')",
        "DEALLOCATE q",
        "EXECUTE q(1, 'a')",
    )
    assert guarded == clean


def test_a_procedure_gives_its_result(pair: Pair) -> None:
    assert _told(pair.guarded, [pair.text("CALL app.tell(41)"), pair.text("CALL app.tell(x => 1 + 1)")]) == [
        ("CALL", [(42,)]),
        ("CALL", [(3,)]),
    ]


def test_locks_are_taken_on_what_was_resolved(pair: Pair) -> None:
    statement = "LOCK TABLE people, ONLY parts, open IN ACCESS SHARE MODE"
    held = "SELECT relation::regclass::text FROM pg_locks WHERE mode = 'AccessShareLock' AND pid = pg_backend_pid()"
    told = _told(pair.guarded, [pair.text(statement), held])
    assert {row[0] for row in told[1][1]} >= {"app.people", "app.parts", "app.open"}  # type: ignore[index]


def test_the_search_path_of_a_literal_is_read_as_the_server_reads_it(pair: Pair) -> None:
    schemas = ("app", "App", 'A"b', 'a"b', 'c"d', "Éa")
    with pair.guarded.transaction(force_rollback=True):
        for schema in schemas[1:]:
            pair.guarded.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        for value in ("", "app", ' "App" , app', 'A"b, "c""d"', '"$user",APP', '"A""b" ,Éa'):
            statement = f"SELECT set_config('search_path', '{value}', true)"
            decision = pair.decide(statement)
            pair.guarded.execute(decision.text.encode())
            (found,) = pair.guarded.execute("SELECT current_schemas(false)").fetchall()[0]
            path = decision.plans[0].effect.search_path
            assert path is not None
            assert found == [name for name in path if name in schemas]
