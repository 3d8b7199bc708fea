"""DDL that runs at the server itself, past pgwarden: what rules protect stays protected under its next name."""

from __future__ import annotations

import psycopg
import pytest

from policies.catalog import Catalog, Namespace
from policies.compile import Compiler
from policies.decision import Decision, Refusal
from policies.known_names import Memory, follow
from policies.load import load_texts
from policies.model import PolicySet
from policies.resolve import resolve
from proxy.net.introspect import read_catalog
from tests.fix_servers import TestServer

POLICY = """
principals: [{user: ada, roles: [a]}]
policies:
  - name: p
    subjects: {any: true}
    statements: [select]
    tables: {allow: ["app.*", "later.*"], block: [app.salaries, "vault.*"]}
    columns: {block: [app.people.pin]}
    rows:
      - {table: app.people, filter: "tenant = 1"}
      - {table: app.visits, filter: "tenant = 1"}
    masks:
      - {column: app.people.email, mask: {kind: redact}}
      - {column: app.visits.note, mask: {kind: redact}}
"""
SCHEMA = """
CREATE SCHEMA app; CREATE SCHEMA vault; CREATE SCHEMA later;
CREATE TABLE app.people (id int PRIMARY KEY, tenant int, email text, pin text);
INSERT INTO app.people VALUES (1, 1, 'raw1', 'pin1'), (2, 2, 'raw2', 'pin2');
CREATE TABLE app.salaries (id int, amount text);
INSERT INTO app.salaries VALUES (1, 'raw3');
CREATE TABLE app.visits (day date, tenant int, note text) PARTITION BY RANGE (day);
CREATE TABLE app.visits_1 PARTITION OF app.visits FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
INSERT INTO app.visits VALUES ('2024-02-01', 1, 'raw4'), ('2024-02-01', 2, 'raw5');
CREATE TABLE app.plain (id int, remark text);
INSERT INTO app.plain VALUES (1, 'open');
CREATE TABLE app.other (id int, tenant int, email text, extra int);
INSERT INTO app.other VALUES (9, 2, 'known look-alike', 1);
CREATE TABLE vault.keys (id int, key text);
INSERT INTO vault.keys VALUES (1, 'raw6');
CREATE VIEW app.contacts AS SELECT id, email FROM app.people;
"""


class Ground:
    """A database under a policy set; `memory` is what a state file would hold."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.policies: PolicySet = load_texts({"p.yaml": POLICY.encode()}, {})
        self.memory: Memory | None = None
        self.catalog: Catalog | None = None

    async def refresh(self, policy: str | None = None) -> None:
        """Reads the snapshot again, as after a restart: only the memory is kept."""
        if policy is not None:
            self.policies = load_texts({"p.yaml": policy.encode()}, {})
        self.memory, self.catalog = follow(self.memory, self.policies, await read_catalog(self.dsn, database="app"))

    async def ddl(self, script: str) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(script.encode())
        await self.refresh()

    def decide(self, sql: str) -> Decision:
        policy = resolve(self.policies, "ada", "app")
        assert policy is not None
        assert self.catalog is not None
        return Compiler().decide(sql, policy, self.catalog, Namespace(("app",)))

    def refusal(self, sql: str) -> Refusal:
        refusal = self.decide(sql).refusal
        assert refusal is not None, f"allowed: {self.decide(sql).text}"
        assert refusal.hint
        return refusal

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """With every mask at the source."""
        decision = self.decide(f"SELECT * FROM ({sql}) AS q")
        assert decision.refusal is None, decision.refusal
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return sorted(connection.execute(decision.text.encode()).fetchall(), key=repr)


@pytest.fixture
async def ground(server: TestServer) -> Ground:
    dsn = server.dsn(server.empty())
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SCHEMA)
    found = Ground(dsn)
    await found.refresh()
    return found


PEOPLE = [(1, 1, "REDACTED")]


async def test_nothing_changes_where_nothing_was_renamed(ground: Ground) -> None:
    assert ground.rows("SELECT * FROM app.people") == PEOPLE
    assert ground.catalog is not None
    assert (ground.catalog.former_names, ground.catalog.newcomers) == ({}, {})


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("ALTER TABLE app.people RENAME TO folk", "app.folk"),
        ("ALTER TABLE app.people SET SCHEMA later", "later.people"),
        (
            "ALTER SCHEMA app RENAME TO app2; ALTER SCHEMA later RENAME TO app; ALTER TABLE app2.people SET SCHEMA app;"
            "ALTER TABLE app.people RENAME TO folk",
            "app.folk",
        ),
        ("ALTER TABLE app.people RENAME TO folk; CREATE TABLE app.people (id int, tenant int, email text)", "app.folk"),
        ("ALTER TABLE app.people RENAME TO a; ALTER TABLE app.a RENAME TO b", "app.b"),
    ],
)
async def test_a_renamed_table_keeps_its_rules(ground: Ground, script: str, name: str) -> None:
    await ground.ddl(script)
    assert ground.rows(f"SELECT * FROM {name}") == PEOPLE
    await ground.refresh()
    assert ground.rows(f"SELECT * FROM {name}") == PEOPLE
    assert ground.refusal(f"SELECT pin FROM {name}").sqlstate == "42501"


async def test_a_renamed_column_keeps_its_rules(ground: Ground) -> None:
    await ground.ddl("ALTER TABLE app.people RENAME email TO mail; ALTER TABLE app.people RENAME pin TO code")
    assert ground.rows("SELECT * FROM app.people") == PEOPLE
    assert "code" in ground.refusal("SELECT code FROM app.people").message
    assert ground.rows("SELECT email FROM app.contacts") == [("REDACTED",)]
    await ground.ddl("ALTER TABLE app.people RENAME TO folk; ALTER TABLE app.folk ADD email text DEFAULT 'x'")
    assert ground.rows("SELECT mail, email FROM app.folk") == [("REDACTED", "REDACTED")]


async def test_a_filter_whose_column_was_renamed_refuses(ground: Ground) -> None:
    await ground.ddl("ALTER TABLE app.people RENAME tenant TO t; ALTER TABLE app.people RENAME id TO tenant")
    refusal = ground.refusal("SELECT * FROM app.people")
    assert refusal.rule == "p/rows[0]"
    assert "p.yaml" in refusal.detail
    assert "its column tenant is called t now" in refusal.message
    assert ground.rows("SELECT * FROM app.plain") == [(1, "open")]


async def test_swapped_names_get_the_rules_of_both(ground: Ground) -> None:
    await ground.ddl(
        "ALTER TABLE app.people RENAME TO x; ALTER TABLE app.other RENAME TO people; ALTER TABLE app.x RENAME TO other"
    )
    assert ground.rows("SELECT * FROM app.other") == PEOPLE
    assert ground.rows("SELECT id, email FROM app.people") == []


async def test_swapped_columns_are_both_masked(ground: Ground) -> None:
    await ground.ddl("ALTER TABLE app.visits RENAME note TO n; ALTER TABLE app.visits ADD note text DEFAULT 'plain'")
    assert ground.rows("SELECT n, note FROM app.visits") == [("REDACTED", "REDACTED")]


async def test_blocked_tables_stay_blocked(ground: Ground) -> None:
    await ground.ddl("ALTER TABLE app.salaries RENAME TO wages; ALTER TABLE vault.keys SET SCHEMA app")
    for name in ("wages", "keys"):
        refusal = ground.refusal(f"SELECT * FROM app.{name}")
        assert refusal.rule.startswith("p/tables.block")


async def test_a_detached_partition_keeps_its_parents_rules(ground: Ground) -> None:
    await ground.ddl("ALTER TABLE app.visits DETACH PARTITION app.visits_1; ALTER TABLE app.visits_1 RENAME TO loose")
    assert ground.rows("SELECT tenant, note FROM app.loose") == [(1, "REDACTED")]


async def test_a_child_that_disinherits_itself_keeps_them_too(ground: Ground) -> None:
    await ground.ddl("CREATE TABLE app.children (age int) INHERITS (app.people)")
    await ground.ddl("ALTER TABLE app.children NO INHERIT app.people")
    assert ground.rows("SELECT id, email FROM app.children") == []
    assert ground.refusal("SELECT pin FROM app.children").sqlstate == "42501"


async def test_a_blocked_table_is_no_partition_to_read(ground: Ground) -> None:
    await ground.ddl(
        "ALTER TABLE app.salaries RENAME TO wages; ALTER TABLE app.wages DROP id; ALTER TABLE app.wages ADD id int;"
        "CREATE TABLE app.all_wages (amount text, id int);"
        "ALTER TABLE app.wages INHERIT app.all_wages"
    )
    assert ground.refusal("SELECT * FROM app.all_wages").rule == "pgwarden/inheritance"


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("CREATE TABLE app.copied AS SELECT id, email FROM app.people", "app.copied"),
        ("SELECT id, email INTO app.chosen FROM app.people", "app.chosen"),
        ("CREATE TABLE app.alike (LIKE app.people); INSERT INTO app.alike SELECT * FROM app.people", "app.alike"),
        ("ALTER TABLE app.plain ADD email text; UPDATE app.plain SET email = 'raw1'", "app.plain"),
        ("CREATE TABLE app.parts (day date, tenant int, note text) PARTITION BY LIST (tenant)", "app.parts"),
        ("CREATE TABLE later.codes AS SELECT pin FROM app.people", "later.codes"),
    ],
)
async def test_newcomers_with_look_alikes_are_refused(ground: Ground, script: str, name: str) -> None:
    await ground.ddl(script)
    refusal = ground.refusal(f"SELECT 1 FROM {name}")
    assert (refusal.sqlstate, refusal.rule, refusal.position) == ("42501", "pgwarden/newcomers", 15)
    assert f"Name {name}" in refusal.hint
    await ground.refresh(POLICY.replace("pin", "pin") + "    functions: {allow: [app.f]}\n")
    assert ground.decide(f"SELECT 1 FROM {name}").refusal is None


async def test_a_copy_without_masked_columns_is_known_by_all_its_columns(ground: Ground) -> None:
    policy = POLICY.replace("- {column: app.visits.note, mask: {kind: redact}}", "")
    await ground.refresh(policy)
    await ground.ddl("CREATE TABLE app.copied AS SELECT * FROM app.visits")
    assert "all the columns of app.visits" in ground.refusal("SELECT count(*) FROM app.copied").detail


async def test_other_newcomers_are_welcome(ground: Ground) -> None:
    await ground.ddl(
        "CREATE TABLE app.fresh AS SELECT 1 AS id; CREATE VIEW app.mails AS SELECT email FROM app.people;"
        "CREATE TABLE app.visits_2 PARTITION OF app.visits FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');"
        "INSERT INTO app.visits VALUES ('2025-02-01', 2, 'raw7'), ('2025-02-01', 1, 'raw8')"
    )
    assert ground.rows("SELECT * FROM app.fresh") == [(1,)]
    assert ground.rows("SELECT * FROM app.mails") == [("REDACTED",)]
    assert ground.rows("SELECT tenant, note FROM app.visits_2") == [(1, "REDACTED")]


async def test_a_table_made_anew_has_the_rules_of_its_name(ground: Ground) -> None:
    await ground.ddl(
        "DROP VIEW app.contacts; DROP TABLE app.people, app.other;"
        "CREATE TABLE app.people (email text, tenant int, pin text, id int); CREATE TABLE app.other (email text);"
        "INSERT INTO app.people VALUES ('raw1', 1, 'x', 1); INSERT INTO app.other VALUES ('known look-alike')"
    )
    assert ground.rows("SELECT id, tenant, email FROM app.people") == PEOPLE
    assert ground.rows("SELECT email FROM app.other") == [("known look-alike",)]


async def test_an_edit_of_the_rules_settles_what_they_mean(ground: Ground) -> None:
    """The operator wrote the new name: the old one means what bears it now."""
    await ground.ddl("ALTER TABLE app.people RENAME TO folk; CREATE TABLE app.people (id int)")
    await ground.refresh(POLICY.replace("app.people", "app.folk"))
    assert ground.catalog is not None
    assert ground.catalog.former_names == {}
    assert ground.rows("SELECT * FROM app.folk") == PEOPLE
    assert ground.rows("SELECT * FROM app.people") == []


async def test_views_functions_and_materialized_views_made_later(ground: Ground) -> None:
    await ground.ddl(
        "CREATE OR REPLACE VIEW app.contacts AS SELECT id, email FROM app.people WHERE id > 0;"
        "CREATE MATERIALIZED VIEW app.kept AS SELECT * FROM app.people;"
        "CREATE FUNCTION app.all_people() RETURNS SETOF app.people LANGUAGE sql AS 'SELECT * FROM app.people';"
        "CREATE VIEW app.by_function AS SELECT * FROM app.all_people()"
    )
    assert ground.rows("SELECT * FROM app.contacts") == [(1, "REDACTED")]
    assert ground.refusal("SELECT * FROM app.kept").rule == "pgwarden/relations"
    assert ground.refusal("SELECT * FROM app.all_people()").rule == "pgwarden/functions"
    assert ground.refusal("SELECT * FROM app.by_function").rule == "pgwarden/functions"


async def test_the_catalogs_hide_a_newcomer_that_is_refused(ground: Ground) -> None:
    await ground.ddl(
        "CREATE TABLE app.copied AS SELECT id, email FROM app.people; ALTER TABLE app.people RENAME TO folk"
    )
    assert ground.rows("SELECT relname::text FROM pg_class WHERE relname IN ('copied', 'folk')") == [("folk",)]


async def test_another_database_of_that_name_starts_anew(ground: Ground, server: TestServer) -> None:
    await ground.ddl("ALTER TABLE app.people RENAME TO folk")
    ground.dsn = server.dsn(server.empty())
    await ground.ddl(SCHEMA)
    assert ground.catalog is not None
    assert (ground.catalog.former_names, ground.catalog.newcomers) == ({}, {})
