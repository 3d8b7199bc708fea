"""Writes as the compiler rewrites them, run on real servers: what they change, give back and refuse."""

# ruff: noqa: E501 - a statement reads best on one line

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from policies.catalog import Catalog, Namespace
from policies.compile import Compiler
from policies.decision import CHECK_TOKEN, Decision
from policies.load import load_texts
from policies.model import EffectivePolicy
from policies.resolve import resolve
from proxy.net.introspect import read_catalog
from tests.fix_servers import TestServer

POLICY = """
principals: [{user: ada, roles: [a], attributes: {tenant_id: 1}}]
policies:
  - name: p
    subjects: {any: true}
    statements: [select, insert, update, delete, merge]
    tables: {allow: ["app.*"]}
    columns: {block: [app.accounts.secret]}
    rows:
      - {table: app.accounts, filter: "tenant_id = {tenant_id}"}
      - {table: app.notes, filter: "EXISTS (SELECT 1 FROM app.accounts AS a WHERE a.id = account_id AND a.tenant_id = {tenant_id})"}
      - {table: app.events, filter: "tenant_id = {tenant_id} AND kind <> 'secret'"}
    masks:
      - {column: app.accounts.email, mask: {kind: email}}
      - {column: app.accounts.tags, mask: {kind: partial, keep_first: 1}}
"""
# Accounts 1 to 4 are the client's, 5 and 6 are hidden.
SCHEMA = """
CREATE SCHEMA app;
CREATE TABLE app.accounts (
    id int PRIMARY KEY, secret text DEFAULT 'raw default', tenant_id int NOT NULL DEFAULT 1, name text,
    email text UNIQUE, score int, tags text[] DEFAULT '{raw default}',
    shout text GENERATED ALWAYS AS (upper(email)) STORED
);
INSERT INTO app.accounts (id, secret, tenant_id, name, email, score, tags)
SELECT i, 'raw secret ' || i, CASE WHEN i > 4 THEN 2 ELSE 1 END, 'name ' || i, 'raw' || i || '@mail.example', i * 10,
    ARRAY['raw tag ' || i]
FROM generate_series(1, 6) i;
CREATE TABLE app.notes (
    id int PRIMARY KEY, account_id int REFERENCES app.accounts ON DELETE CASCADE ON UPDATE CASCADE, body text
);
INSERT INTO app.notes SELECT i, i, 'note ' || i FROM generate_series(1, 6) i;
CREATE TABLE app.events (id int, tenant_id int, kind text) PARTITION BY RANGE (id);
CREATE TABLE app.events_low PARTITION OF app.events FOR VALUES FROM (0) TO (10);
CREATE TABLE app.events_high PARTITION OF app.events FOR VALUES FROM (10) TO (20);
INSERT INTO app.events VALUES (1, 1, 'a'), (2, 2, 'a'), (3, 1, 'secret'), (11, 1, 'b'), (12, 2, 'b');
CREATE TABLE app.log (id int PRIMARY KEY, body text);
CREATE VIEW app.log_view AS SELECT id, body FROM app.log;
INSERT INTO app.log VALUES (1, 'one'), (5, 'five');
ANALYZE;
"""
_RAW = re.compile("raw", re.IGNORECASE)


@dataclass
class Writing:
    """A client of the compiler, in a transaction that is rolled back in the end."""

    connection: psycopg.Connection[Any]
    catalog: Catalog
    policy: EffectivePolicy
    compiler: Compiler = field(default_factory=Compiler)

    def decide(self, sql: str) -> Decision:
        return self.compiler.decide(sql, self.policy, self.catalog, Namespace(("app",)))

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows that a client sees; none of them holds what is hidden."""
        decision = self.decide(sql)
        assert decision.refusal is None, decision.refusal
        (plan,) = decision.plans
        with self.connection.cursor() as cursor:
            cursor.execute(decision.text.encode())
            rows = cursor.fetchall() if cursor.description else []
        shown = [row[: len(row) - plan.hidden_columns] for row in rows]
        assert all(row[-1] is None for row in rows) or not plan.hidden_columns
        assert not _RAW.search(repr(shown)), shown
        return [] if plan.is_all_hidden else shown

    def tag(self, sql: str) -> int:
        """How many rows the command's tag counts."""
        decision = self.decide(sql)
        assert decision.refusal is None, decision.refusal
        return self.connection.execute(decision.text.encode()).rowcount

    def fails(self, sql: str) -> psycopg.Error:
        decision = self.decide(sql)
        assert decision.refusal is None, decision.refusal
        with pytest.raises(psycopg.Error) as caught, self.connection.transaction():
            self.connection.execute(decision.text.encode())
        return caught.value

    def refused(self, sql: str) -> tuple[str, str]:
        refusal = self.decide(sql).refusal
        assert refusal is not None, self.decide(sql).text
        return refusal.sqlstate, refusal.rule

    def is_checked(self, sql: str) -> bool:
        """Whether the statement fails because a row would be written that the client can't see."""
        error = self.fails(sql)
        return error.sqlstate == "22P02" and CHECK_TOKEN in str(error) and self.decide(sql).plans[0].check is not None

    def really(self, sql: str) -> list[tuple[Any, ...]]:
        """As the server has it."""
        return self.connection.execute(sql.encode()).fetchall()


@pytest.fixture(scope="module")
def database(server: TestServer) -> tuple[str, Catalog]:
    name = server.empty()
    with psycopg.connect(server.dsn(name), autocommit=True) as connection:
        connection.execute(SCHEMA)
    return server.dsn(name), asyncio.run(read_catalog(server.dsn(name), database="shop"))


@pytest.fixture
def writing(database: tuple[str, Catalog]) -> Iterator[Writing]:
    dsn, catalog = database
    policy = resolve(load_texts({"p.yaml": POLICY.encode()}, {}), "ada", "shop")
    assert policy is not None
    with psycopg.connect(dsn) as connection:
        yield Writing(connection, catalog, policy)
        connection.rollback()


def _names(writing: Writing) -> dict[int, str]:
    return dict(writing.really("SELECT id, name FROM app.accounts"))


def test_update_changes_visible_rows_only(writing: Writing) -> None:
    assert writing.tag("UPDATE accounts SET name = 'new'") == 4
    assert _names(writing) == {1: "new", 2: "new", 3: "new", 4: "new", 5: "name 5", 6: "name 6"}


@pytest.mark.parametrize(
    "condition",
    [
        "id >= 4",
        "id = 4 OR id = 5",
        "true",
        "score / (id - 5) <> 0 AND id > 3",
        "id > 3 AND score / (id - 5) <> 0",
        "id BETWEEN 4 AND 6 AND score / (id - 5) <> 0 AND name IS NOT NULL",
        "CASE WHEN id = 5 THEN name::int = 1 ELSE id > 3 END",
        "NOT name LIKE 'name 5\\'",
        "id IN (SELECT a.id FROM accounts a WHERE a.id > 3)",
        "EXISTS (SELECT FROM notes n WHERE n.account_id = accounts.id AND accounts.id > 3)",
        "(id > 3 AND id < 9) AND score / (id - 5) <> 0",
    ],
)
def test_delete_looks_at_visible_rows_only(writing: Writing, condition: str) -> None:
    """A division by zero, a cast or a pattern that fails on account 5, which is hidden, must not fail."""
    writing.run(f"DELETE FROM accounts WHERE {condition}")
    left = {row[0] for row in writing.really("SELECT id FROM app.accounts")}
    assert left >= {5, 6}
    assert 4 not in left


def test_without_the_case_the_error_would_tell(writing: Writing) -> None:
    """The fact behind it: the server runs both sides of AND in the order of their costs."""
    text = writing.decide("DELETE FROM notes WHERE 1 / (id - 5) < 9").text
    assert "CASE WHEN" in text
    bare = re.sub(r"CASE WHEN .* THEN (\(1 / .*\)) ELSE false END", r"\1", text)
    with pytest.raises(psycopg.errors.DivisionByZero), writing.connection.transaction():
        writing.connection.execute(bare.encode())
    assert writing.tag("DELETE FROM notes WHERE 1 / (id - 5) < 9") == 4


def test_a_point_update_uses_its_index(writing: Writing) -> None:
    writing.connection.execute("SET LOCAL enable_seqscan = off")
    for condition in ("id = 3", "id = 3 AND upper(name) LIKE concat('N', '%')"):
        text = writing.decide(f"UPDATE accounts SET name = 'x' WHERE {condition}").text
        (plan,) = writing.really("EXPLAIN (FORMAT json) " + text)[0]
        assert "'Index Cond': '(id = 3)'" in str(plan), text


def test_update_from_reads_guarded_rows(writing: Writing) -> None:
    writing.run("UPDATE accounts SET name = o.email FROM accounts o WHERE o.id = accounts.id + 1 AND accounts.id > 2")
    names = _names(writing)
    assert names[3].startswith("r***@")
    assert names[4] == "name 4"  # account 5 isn't there to be joined


def test_update_of_several_columns_from_a_subquery(writing: Writing) -> None:
    writing.run(
        "UPDATE accounts SET (name, score) = (SELECT o.email, o.id FROM accounts o WHERE o.id = 2) WHERE id = 1"
    )
    assert writing.really("SELECT name, score FROM app.accounts WHERE id = 1") == [("r***@mail.example", 2)]
    writing.run("UPDATE accounts SET (name, score) = ROW(DEFAULT, 7), tags = '{new}' WHERE id = 1")
    assert writing.really("SELECT name, score, tags FROM app.accounts WHERE id = 1") == [(None, 7, ["new"])]


def test_delete_using(writing: Writing) -> None:
    writing.run("DELETE FROM accounts USING notes n WHERE n.account_id = accounts.id AND n.id >= 4")
    assert writing.really("SELECT count(*) FROM app.accounts") == [(5,)]


def test_filters_with_subqueries_are_bound_to_the_target(writing: Writing) -> None:
    """Under any alias, also one that the filter uses itself."""
    assert writing.tag("UPDATE notes AS a SET body = 'x'") == 4
    assert writing.tag("DELETE FROM notes AS account_id USING log l WHERE l.id = account_id.id") == 1
    assert {row[0] for row in writing.really("SELECT id FROM app.notes")} == {2, 3, 4, 5, 6}


def test_partitions_are_written_under_their_parents_rules(writing: Writing) -> None:
    assert writing.tag("DELETE FROM events_low") == 1
    assert writing.tag("UPDATE events SET id = 15 WHERE id = 11") == 1
    assert writing.really("SELECT id FROM app.events ORDER BY id") == [(2,), (3,), (12,), (15,)]
    assert writing.is_checked("INSERT INTO events VALUES (5, 1, 'secret')")
    assert writing.is_checked("UPDATE events_high SET kind = 'secret'")
    writing.run("INSERT INTO events_low VALUES (5, 1, 'x')")


def test_inserted_rows_must_be_visible(writing: Writing) -> None:
    assert writing.run("INSERT INTO accounts (id, tenant_id) VALUES (7, 1)") == []
    assert writing.is_checked("INSERT INTO accounts (id, tenant_id) VALUES (8, 2)")
    assert writing.is_checked("INSERT INTO accounts (id, tenant_id) VALUES (8, 1), (9, 2) RETURNING id")
    assert writing.is_checked("INSERT INTO notes VALUES (7, 5, 'x')")
    assert writing.run("INSERT INTO notes VALUES (7, 1, 'x') RETURNING *") == [(7, 1, "x")]
    assert writing.run("INSERT INTO accounts (id) VALUES (8) RETURNING tenant_id") == [(1,)]


def test_updated_rows_must_stay_visible(writing: Writing) -> None:
    assert writing.is_checked("UPDATE accounts SET tenant_id = 2 WHERE id = 1")
    assert writing.run("UPDATE accounts SET tenant_id = 1 WHERE id = 1 RETURNING id") == [(1,)]
    assert writing.is_checked("UPDATE notes SET account_id = 6 WHERE id = 1")
    assert writing.decide("UPDATE notes SET body = 'x'").plans[0].hidden_columns == 0


def test_insert_without_a_list_of_columns_skips_the_blocked_one(writing: Writing) -> None:
    writing.run("INSERT INTO accounts VALUES (7, 1, 'seven')")
    writing.run("INSERT INTO accounts SELECT 8, 1, 'eight', 'e@x.example'")
    assert writing.refused("INSERT INTO accounts SELECT * FROM (SELECT 9, 1) x") == ("0A000", "pgwarden/writes")
    found = writing.really("SELECT secret, name FROM app.accounts WHERE id > 6 ORDER BY id")
    assert found == [("raw default", "seven"), ("raw default", "eight")]
    assert writing.fails("INSERT INTO accounts VALUES (9, 1, 'x', 'y', 1, '{}', DEFAULT, 8)").sqlstate in (
        "42601",
        "42P01",
    )


def test_insert_select_takes_masked_values(writing: Writing) -> None:
    writing.run("INSERT INTO log SELECT id + 100, email FROM accounts")
    bodies = writing.really("SELECT body FROM app.log WHERE id > 100")
    assert len(bodies) == 4
    assert not any(_RAW.search(body) for (body,) in bodies)


def test_on_conflict(writing: Writing) -> None:
    upsert = "INSERT INTO accounts (id, tenant_id, name, email) VALUES ({}, 1, 'up', 'up@x.example') ON CONFLICT (id) "
    assert writing.run(upsert.format(1) + "DO NOTHING RETURNING id") == []
    assert writing.run(upsert.format(5) + "DO NOTHING RETURNING id") == []
    changed = "DO UPDATE SET name = excluded.name, email = excluded.email RETURNING id, name, email"
    assert writing.run(upsert.format(1) + changed) == [(1, "up", "u***@x.example")]
    assert writing.is_checked(upsert.format(5) + changed)
    assert writing.is_checked(
        upsert.format(5) + "DO UPDATE SET name = 'x' WHERE accounts.score / (accounts.id - 5) > 0"
    )
    assert writing.run(upsert.format(2) + "DO UPDATE SET name = 'x' WHERE accounts.score > 1000 RETURNING id") == []
    assert writing.is_checked(upsert.format(2) + "DO UPDATE SET tenant_id = 2")
    assert _names(writing)[5] == "name 5"


def test_on_conflict_inference(writing: Writing) -> None:
    writing.connection.execute("CREATE UNIQUE INDEX ON app.accounts (lower(email)) WHERE score > 0")
    sql = "INSERT INTO accounts (id, email, score) VALUES (1, 'RAW1@mail.example', 1) ON CONFLICT {} DO NOTHING"
    writing.run(sql.format("ON CONSTRAINT accounts_pkey"))
    writing.run(
        "INSERT INTO accounts (id, email, score) VALUES (7, 'RAW1@mail.example', 1) ON CONFLICT (lower(email)) WHERE score > 0 DO UPDATE SET score = 99"
    )
    assert writing.really("SELECT score FROM app.accounts WHERE id = 1") == [(99,)]


def test_returning_shows_what_a_select_would(writing: Writing) -> None:
    shown = [(2, 1, "name 2", "r***@mail.example", 20, ["r" + "*" * 8])]
    assert writing.run("UPDATE accounts SET score = score WHERE id = 2 RETURNING *") == shown
    assert writing.run("UPDATE accounts a SET score = score WHERE id = 2 RETURNING a.*") == shown
    assert writing.run("DELETE FROM accounts WHERE id = 2 RETURNING *, upper(email), tags[1], (SELECT email)") == [
        (*shown[0], "R***@MAIL.EXAMPLE", "r" + "*" * 8, "r***@mail.example")
    ]


def test_returning_star_keeps_the_servers_order(writing: Writing) -> None:
    sql = "UPDATE accounts SET score = 1 FROM notes n, (VALUES (1, 'v')) AS v(k, w) WHERE n.id = accounts.id AND v.k = n.id RETURNING *"
    assert writing.run(sql) == [(1, 1, "name 1", "r***@mail.example", 1, ["r" + "*" * 8], 1, 1, "note 1", 1, "v")]
    assert writing.run(sql.replace("RETURNING *", "RETURNING n.*")) == [(1, 1, "note 1")]


def test_returning_keeps_the_servers_names(writing: Writing) -> None:
    expressions = (
        'email, (email), ((email)), email AS e, email x, email::varchar, upper(email), email COLLATE "C",'
        " CASE WHEN true THEN 1::text ELSE email END, (SELECT email), coalesce(email, ''), tags[1], email || '', (tags)[1]::text"
    )
    text = writing.decide(f"UPDATE accounts SET score = 1 RETURNING {expressions}").text
    ours = [c.name for c in writing.connection.execute(text.encode()).description or ()]
    plain = writing.connection.execute(f"UPDATE app.accounts SET score = 1 RETURNING {expressions}".encode())
    assert ours == [c.name for c in plain.description or ()]


def test_writes_in_with(writing: Writing) -> None:
    assert writing.run("WITH d AS (DELETE FROM accounts RETURNING email) SELECT count(*), max(email) FROM d") == [
        (4, "r***@mail.example")
    ]
    assert writing.run(
        "WITH u AS (UPDATE log SET body = 'x' WHERE id = 5 RETURNING *) INSERT INTO log SELECT id + 1, body FROM u RETURNING id"
    ) == [(6,)]
    assert writing.run(
        "WITH d AS (DELETE FROM notes WHERE 1 / (id - 5) < 9 RETURNING id), e AS (DELETE FROM log) SELECT count(*) FROM d"
    ) == [(0,)]


def test_rows_written_in_with_are_checked(writing: Writing) -> None:
    sql = "WITH i AS (INSERT INTO accounts (id, tenant_id) VALUES (7, {}){}) SELECT {} FROM {}"
    assert writing.run(sql.format(1, " RETURNING *", "*", "i")) == [(7, 1, None, None, None, ["r" + "*" * 10])]
    for returning, shown, source in (
        (" RETURNING *", "*", "i"),
        (" RETURNING id", "1", "log LIMIT 1"),
        (" RETURNING id", "count(*)", "log WHERE false"),
        ("", "count(*)", "log WHERE false"),
    ):
        assert writing.is_checked(sql.format(2, returning, shown, source).replace("(7,", "(8,")), returning
    assert writing.is_checked("WITH u AS (UPDATE accounts SET tenant_id = 2 WHERE id = 1) DELETE FROM log")
    assert writing.run("WITH u AS (UPDATE accounts SET tenant_id = 1 WHERE id = 1) SELECT 1") == [(1,)]
    moved = "WITH d AS (DELETE FROM notes WHERE id = 1 RETURNING *) INSERT INTO notes SELECT id + 10, {}, body FROM d"
    assert writing.is_checked(moved.format(5))
    assert writing.run(moved.format("account_id") + " RETURNING id") == [(11,)]


def test_open_targets_and_views(writing: Writing) -> None:
    assert writing.decide("UPDATE app.log SET body = 'x'").text == "UPDATE app.log SET body = 'x'"
    assert writing.run("INSERT INTO log_view VALUES (9, 'nine') RETURNING *") == [(9, "nine")]
    assert writing.run("UPDATE log_view SET body = 'x' WHERE id = 9 RETURNING body") == [("x",)]


def test_merge(writing: Writing) -> None:
    source = "MERGE INTO accounts a USING (VALUES (1, 'one'), (5, 'five')) AS s(id, name) ON s.id = a.id "
    writing.run(source + "WHEN MATCHED THEN UPDATE SET name = s.name WHEN NOT MATCHED THEN DO NOTHING")
    assert _names(writing)[1] == "one"
    assert _names(writing)[5] == "name 5"
    writing.run(source + "AND 1 / (a.id - 5) <> 7 WHEN MATCHED AND a.score > 0 THEN DELETE")
    assert set(_names(writing)) == {2, 3, 4, 5, 6}


def test_merge_that_needs_a_check(writing: Writing) -> None:
    sql = (
        "MERGE INTO accounts a USING (VALUES (1, {tenant}), (7, {tenant})) AS s(id, tenant) ON s.id = a.id"
        " WHEN MATCHED THEN UPDATE SET tenant_id = s.tenant WHEN NOT MATCHED THEN INSERT (id, tenant_id) VALUES (s.id, s.tenant)"
    )
    if writing.catalog.server_version < 170000:
        assert writing.refused(sql.format(tenant=1)) == ("0A000", "pgwarden/writes")
        return
    assert writing.run(sql.format(tenant=1)) == []
    assert writing.is_checked(sql.format(tenant=2))
    shown = writing.run(sql.format(tenant=1) + " RETURNING merge_action(), *")
    assert shown[0] == ("UPDATE", 1, 1, 1, 1, "name 1", "r***@mail.example", 10, ["r" + "*" * 8])
    assert writing.is_checked(
        "MERGE INTO notes n USING log l ON l.id = n.id WHEN NOT MATCHED THEN INSERT VALUES (l.id + 50, 5, '')"
    )


def test_merge_by_source(writing: Writing) -> None:
    if writing.catalog.server_version < 170000:
        pytest.skip("NOT MATCHED BY SOURCE exists from PostgreSQL 17 on")
    source = "MERGE INTO accounts a USING (VALUES (1)) AS s(id) ON s.id = a.id "
    writing.run(
        source + "WHEN NOT MATCHED BY SOURCE AND 1 / (a.id - 5) <> 7 AND a.id > 3 THEN UPDATE SET name = 'gone'"
    )
    assert {key for key, name in _names(writing).items() if name == "gone"} == {4}
    both = "WHEN NOT MATCHED BY SOURCE THEN DELETE WHEN NOT MATCHED BY TARGET THEN DO NOTHING"
    writing.run(source + both)
    assert set(_names(writing)) == {1, 5, 6}


def test_old_and_new(writing: Writing) -> None:
    sql = "UPDATE accounts SET email = 'new@x.example' WHERE id = 1 RETURNING old.email, new.email, old.id + new.id"
    named = "UPDATE accounts SET name = 'x' WHERE id = 1 RETURNING WITH (OLD AS o, NEW AS n) o.*, n.name, name"
    if writing.catalog.server_version < 180000:
        assert writing.fails(sql).sqlstate in ("42P01", "42703")
        return
    assert writing.run(sql) == [("r***@mail.example", "n***@x.example", 2)]
    assert writing.run(named) == [(1, 1, "name 1", "n***@x.example", 10, ["r" + "*" * 8], "x", "x")]
    assert writing.run(
        "INSERT INTO accounts (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = 'y' RETURNING old.name, new.*"
    ) == [("x", 1, 1, "y", "n***@x.example", 10, ["r" + "*" * 8])]


def test_a_hidden_rows_key_is_taken(writing: Writing) -> None:
    """As under the server's own row security: a unique constraint knows all rows."""
    assert writing.fails("INSERT INTO accounts (id) VALUES (5)").sqlstate == "23505"
