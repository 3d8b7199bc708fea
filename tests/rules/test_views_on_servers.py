"""Views, expanded by the compiler, mean on real servers what the server's own views mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from policies.catalog import Catalog, Namespace
from policies.compile import Compiler
from policies.decision import Decision
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
    statements: [select]
    tables: {allow: ["app.*"]}
    columns: {block: [app.people.secret]}
    rows:
      - {table: app.people, filter: "tenant = 1"}
      - {table: app.visits, filter: "tenant = 1"}
      - {table: app.narrow, filter: "id > 1"}
    masks:
      - {column: app.people.email, mask: {kind: redact}}
      - {column: app.narrow.called, mask: {kind: partial, keep_first: 1}}
"""
SCHEMA = """
CREATE SCHEMA app;
CREATE SCHEMA elsewhere;
CREATE TYPE app.mood AS ENUM ('calm', 'cross');
CREATE TABLE app.people (
    id int PRIMARY KEY, tenant int, name text, email varchar(40), boss int, mood app.mood DEFAULT 'calm', secret text);
INSERT INTO app.people (id, tenant, name, email, boss, secret)
SELECT i, i % 2, 'n' || i, 'mail' || i, NULLIF(i - 2, 0), 'x' FROM generate_series(1, 8) i;
CREATE TABLE app.visits (day date, tenant int, person int, note text) PARTITION BY RANGE (day);
CREATE TABLE app.visits_1 PARTITION OF app.visits FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
INSERT INTO app.visits SELECT '2024-02-01', i % 2, i, 'v' || i FROM generate_series(1, 8) i;

CREATE VIEW app.plain AS SELECT id, name, email FROM app.people;
CREATE VIEW app.renamed (a, b) AS SELECT id, email FROM app.people;
ALTER VIEW app.renamed RENAME COLUMN b TO c;
CREATE VIEW app.nested AS SELECT a * 2 AS twice, upper(c) AS mail FROM app.renamed;
CREATE VIEW app.grouped AS
    SELECT p.id, p.name, p.email, count(v.*) AS visits FROM app.people p LEFT JOIN app.visits v ON v.person = p.id
    GROUP BY p.id;
CREATE VIEW app.kinds AS SELECT DISTINCT email, mood FROM app.people;
CREATE VIEW app.first_ones AS SELECT DISTINCT ON (tenant) tenant, id, name FROM app.people ORDER BY tenant, id DESC;
CREATE VIEW app.over_parts AS SELECT date_trunc('month', day) AS month, count(*) AS n FROM app.visits GROUP BY 1;
CREATE VIEW app.over_views AS SELECT g.*, o.n FROM app.grouped g CROSS JOIN app.over_parts o;
CREATE RECURSIVE VIEW app.chain (id, path) AS
    SELECT id, name FROM app.people WHERE boss IS NULL OR boss < 1
    UNION ALL SELECT p.id, c.path || '/' || p.email FROM app.people p JOIN chain c ON p.boss = c.id;
CREATE VIEW app.checked AS SELECT id, name FROM app.people WHERE id > 2 WITH CHECK OPTION;
CREATE VIEW app.narrow AS SELECT id, name AS called, email FROM app.people;
CREATE VIEW app.rows AS SELECT (p.r).id AS id, to_jsonb(p.r) ->> 'name' AS j FROM (SELECT q AS r FROM app.plain q) p;
CREATE VIEW app.windowed AS SELECT id, rank() OVER w AS r, sum(id) FILTER (WHERE id > 3) OVER w AS s FROM app.people
    WINDOW w AS (PARTITION BY mood ORDER BY id);
CREATE VIEW app.joined AS SELECT * FROM app.plain JOIN (SELECT person AS id, note FROM app.visits) v USING (id);
CREATE VIEW app.constants AS SELECT 1 AS one, 'calm'::app.mood AS mood, ARRAY[1, 2] AS a, INTERVAL '1 day' AS i;
CREATE VIEW app.unions AS SELECT id, name FROM app.people UNION SELECT person, note FROM app.visits;
CREATE VIEW app.lateral_ones AS SELECT p.id, l.note FROM app.people p
    CROSS JOIN LATERAL (SELECT note FROM app.visits v WHERE v.person = p.id ORDER BY note LIMIT 1) l;
CREATE VIEW app.starred AS SELECT * FROM (SELECT id, tenant, name, email FROM app.people) p;
ALTER TABLE app.people ADD COLUMN later text DEFAULT 'later';
ALTER TABLE app.people RENAME COLUMN name TO full_name;

CREATE VIEW app.all_columns AS SELECT p.* FROM app.people p;
CREATE FUNCTION app.shout(text) RETURNS text LANGUAGE sql AS 'SELECT upper($1)';
CREATE VIEW app.calling AS SELECT app.shout(full_name) AS loud FROM app.people;
CREATE VIEW app.reading AS SELECT pg_read_file('PG_VERSION') AS version;
CREATE TABLE elsewhere.hidden (id int);
CREATE VIEW app.outside AS SELECT id FROM elsewhere.hidden;
CREATE VIEW app.system AS SELECT relname FROM pg_class WHERE relname = 'people';
CREATE MATERIALIZED VIEW app.kept AS SELECT * FROM app.plain;
CREATE VIEW app.over_kept AS SELECT id FROM app.kept;
"""
# What each view shows on the copy: the same statement over tables that hold nothing hidden.
COPY = """
DELETE FROM app.people WHERE tenant <> 1;
DELETE FROM app.visits WHERE tenant <> 1;
UPDATE app.people SET email = 'REDACTED';
"""


@dataclass
class Shown:
    """The original with the compiler before it, and a copy from which everything hidden is gone."""

    dsn: str
    copy_dsn: str
    catalog: Catalog
    policy: EffectivePolicy

    def decide(self, sql: str, *, temporary: frozenset[str] = frozenset()) -> Decision:
        return Compiler().decide(sql, self.policy, self.catalog, Namespace(("app",), temporary=temporary))

    def seen(self, sql: str) -> list[tuple[object, ...]]:
        decision = self.decide(sql)
        assert decision.refusal is None, decision.refusal
        return _rows(self.dsn, decision.text)

    def on_copy(self, sql: str) -> list[tuple[object, ...]]:
        return _rows(self.copy_dsn, sql)


def _rows(dsn: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, options="-csearch_path=app", autocommit=True) as connection:
        return sorted(connection.execute(sql.encode()).fetchall(), key=repr)


@pytest.fixture
async def shown(server: TestServer, tmp_path: Path) -> Shown:
    original, copy = server.empty(), server.empty()
    for database, script in ((original, SCHEMA), (copy, SCHEMA + COPY)):
        with psycopg.connect(server.dsn(database), autocommit=True) as connection:
            connection.execute(script.encode())
    (tmp_path / "p.yaml").write_text(POLICY)
    catalog = await read_catalog(server.dsn(original), database=original)
    policy = resolve(load_folder(tmp_path, {}), "ada", original)
    assert policy is not None
    return Shown(server.dsn(original), server.dsn(copy), catalog, policy)


SAME = (
    "SELECT * FROM plain",
    "SELECT * FROM renamed",
    "SELECT * FROM nested",
    "SELECT * FROM grouped",
    "SELECT * FROM kinds",
    "SELECT * FROM first_ones",
    "SELECT * FROM over_parts",
    "SELECT * FROM over_views",
    "SELECT * FROM chain",
    "SELECT * FROM checked",
    "SELECT * FROM windowed",
    "SELECT * FROM joined",
    "SELECT * FROM constants",
    "SELECT * FROM unions",
    "SELECT * FROM lateral_ones",
    "SELECT * FROM starred",
    "SELECT * FROM rows",
    "SELECT relname FROM system",
    "SELECT to_jsonb(v) FROM nested v",
    "SELECT v::text FROM starred v",
    "SELECT count(*), max(mail) FROM nested WHERE mail LIKE 'R%'",
    "SELECT x.a FROM renamed AS x(a, b) WHERE x.b = 'REDACTED'",
    "SELECT * FROM plain JOIN renamed ON renamed.a = plain.id ORDER BY id",
    "WITH p AS (SELECT * FROM plain) SELECT * FROM p WHERE id IN (SELECT a FROM renamed)",
)


async def test_views_show_what_they_show_on_the_copy(shown: Shown) -> None:
    for sql in SAME:
        assert shown.seen(sql) == shown.on_copy(sql), sql


async def test_rules_of_a_view_and_of_its_tables_both_hold(shown: Shown) -> None:
    rows = shown.seen("SELECT id, called, email FROM narrow")
    assert rows == [(3, "n*", "REDACTED"), (5, "n*", "REDACTED"), (7, "n*", "REDACTED")]


@pytest.mark.parametrize(
    ("sql", "rule", "message"),
    [
        ("SELECT * FROM all_columns", "p/columns", "view app.all_columns: column app.people.secret is blocked"),
        ("SELECT id FROM calling", "pgwarden/functions", "view app.calling: function app.shout"),
        ("SELECT * FROM reading", "pgwarden/functions", "view app.reading: function pg_read_file"),
        ("SELECT * FROM outside", "p/tables", "view app.outside: table elsewhere.hidden"),
        ("SELECT * FROM kept", "pgwarden/relations", "app.kept can't be read"),
        ("SELECT * FROM over_kept", "pgwarden/relations", "view app.over_kept: app.kept can't be read"),
    ],
)
async def test_what_can_not_be_expanded_says_why_and_where(shown: Shown, sql: str, rule: str, message: str) -> None:
    refusal = shown.decide(sql).refusal
    assert refusal is not None
    assert refusal.rule.startswith(rule)
    assert refusal.message.startswith(message)
    assert refusal.hint
    assert refusal.position == sql.index("FROM ") + 6


async def test_a_temporary_table_stands_for_nothing_inside_a_view(shown: Shown) -> None:
    decision = shown.decide("SELECT relname FROM system", temporary=frozenset({"pg_class"}))
    assert decision.refusal is None
    assert "pg_temp" not in decision.text
    assert '"pg_catalog"' in decision.text or "pg_catalog." in decision.text


# Owners, logins, row-level security, barriers

ROLES = """
CREATE ROLE {owner};
CREATE ROLE {login} LOGIN;
CREATE SCHEMA app;
CREATE TABLE app.open_t (id int, tenant int, email text);
CREATE TABLE app.shut_t (id int, tenant int, email text);
CREATE TABLE app.row_t (id int, tenant int, email text);
CREATE TABLE app.free_t (id int, tenant int, note text);
INSERT INTO app.row_t VALUES (1, 1, 'a'), (2, 2, 'b');
ALTER TABLE app.row_t ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON app.row_t TO {login} USING (id = 1);
GRANT USAGE ON SCHEMA app TO {owner}, {login};
GRANT SELECT ON app.open_t, app.row_t, app.shut_t, app.free_t TO {owner};
GRANT SELECT ON app.open_t, app.row_t TO {login};
CREATE VIEW app.fine AS SELECT id, email FROM app.open_t;
CREATE VIEW app.shut AS SELECT id, email FROM app.shut_t;
CREATE VIEW app.rows AS SELECT id, email FROM app.row_t;
CREATE VIEW app.unasked AS SELECT id, note FROM app.free_t;
CREATE VIEW app.no_grant AS SELECT id, email FROM app.open_t;
ALTER VIEW app.fine OWNER TO {owner};
ALTER VIEW app.shut OWNER TO {owner};
ALTER VIEW app.rows OWNER TO {owner};
ALTER VIEW app.unasked OWNER TO {owner};
GRANT SELECT ON app.fine, app.shut, app.rows, app.unasked TO {login};
"""
ROLE_POLICY = """
principals: [{user: ada, roles: [a]}]
policies:
  - name: p
    subjects: {any: true}
    statements: [select]
    tables: {allow: ["app.*"]}
    masks:
      - {column: app.open_t.email, mask: {kind: redact}}
      - {column: app.shut_t.email, mask: {kind: redact}}
      - {column: app.row_t.email, mask: {kind: redact}}
"""


async def _shown_to(server: TestServer, tmp_path: Path, more: str = "") -> Shown:
    """Read by a login that is no superuser."""
    database = server.empty()
    names = {"owner": f"{database}_owner", "login": f"{database}_login"}
    with psycopg.connect(server.dsn(database), autocommit=True) as connection:
        connection.execute((ROLES + more).format(**names).encode())
        connection.execute(f"ALTER ROLE {names['login']} PASSWORD 'secret'".encode())
    (tmp_path / "p.yaml").write_text(ROLE_POLICY)
    dsn = server.embedded.dsn(database, names["login"], "secret")
    catalog = await read_catalog(dsn, database=database)
    policy = resolve(load_folder(tmp_path, {}), "ada", database)
    assert policy is not None
    return Shown(dsn, dsn, catalog, policy)


async def test_a_view_is_not_expanded_where_its_owner_reads_otherwise(server: TestServer, tmp_path: Path) -> None:
    shown = await _shown_to(server, tmp_path)
    assert shown.seen("SELECT * FROM fine") == []
    assert shown.decide("SELECT * FROM unasked").text == 'SELECT * FROM "app".unasked'  # as it is, with its rights
    for view, part in (("shut", "no SELECT"), ("rows", "row-level security")):
        refusal = shown.decide(f"SELECT * FROM {view}").refusal
        assert refusal is not None
        assert (refusal.sqlstate, refusal.rule, refusal.position) == ("0A000", "pgwarden/views", 15)
        assert part in refusal.detail
        assert "security_invoker" in refusal.hint
    refusal = shown.decide("SELECT * FROM no_grant").refusal
    assert refusal is not None
    assert refusal.message == "permission denied for view app.no_grant"


async def test_an_invokers_view_is_expanded_with_the_rights_it_has(server18: TestServer, tmp_path: Path) -> None:
    shown = await _shown_to(
        server18,
        tmp_path,
        """
        ALTER VIEW app.rows SET (security_invoker = on);
        CREATE VIEW app.outer_rows AS SELECT id, email FROM app.rows;
        ALTER VIEW app.outer_rows OWNER TO {owner};
        GRANT SELECT ON app.outer_rows TO {login};
        GRANT SELECT ON app.rows TO {owner};
        """,
    )
    assert shown.seen("SELECT * FROM rows") == [(1, "REDACTED")]
    # inside another's view it is that one's owner who reads
    refusal = shown.decide("SELECT * FROM outer_rows").refusal
    assert refusal is not None
    assert refusal.rule == "pgwarden/views"


BARRIER = """
CREATE FUNCTION app.mine(text) RETURNS boolean LANGUAGE plpgsql COST 10000 AS $$ BEGIN RETURN $1 = 'me'; END $$;
CREATE TABLE app.notes (id int, owner text, email text);
INSERT INTO app.notes SELECT i, CASE WHEN i = 5 THEN 'other' ELSE 'me' END, 'm' FROM generate_series(1, 100) i;
CREATE VIEW app.kept_apart WITH (security_barrier) AS SELECT id, email FROM app.notes WHERE app.mine(owner);
CREATE VIEW app.wrapped AS SELECT id, email FROM app.kept_apart;
"""
BARRIER_POLICY = """
principals: [{user: ada, roles: [a]}]
policies:
  - name: p
    subjects: {any: true}
    statements: [select]
    tables: {allow: ["app.*"]}
    functions: {allow: [app.mine]}
    masks: [{column: app.notes.email, mask: {kind: redact}}]
"""


@pytest.mark.parametrize("view", ["kept_apart", "wrapped"])
async def test_a_barrier_stays_one(server: TestServer, tmp_path: Path, view: str) -> None:
    """A client's cheap condition that fails on a row behind the barrier never meets that row."""
    database = server.empty()
    with psycopg.connect(server.dsn(database), autocommit=True) as connection:
        connection.execute(b"CREATE SCHEMA app;" + BARRIER.encode())
    (tmp_path / "p.yaml").write_text(BARRIER_POLICY)
    catalog = await read_catalog(server.dsn(database), database=database)
    policy = resolve(load_folder(tmp_path, {}), "ada", database)
    assert policy is not None
    shown = Shown(server.dsn(database), server.dsn(database), catalog, policy)
    sql = f"SELECT count(*) FROM {view} WHERE 1 / (id - 5) >= 0"
    assert shown.seen(sql) == [(98,)]  # 1..100 but 4 (its quotient is -1) and 5
    with pytest.raises(psycopg.errors.DivisionByZero):  # the same without the barrier
        shown.on_copy(
            "SELECT count(*) FROM (SELECT id FROM app.notes WHERE app.mine(owner)) AS v WHERE 1 / (id - 5) >= 0"
        )
