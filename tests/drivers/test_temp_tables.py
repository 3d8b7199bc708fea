"""psycopg through pgwarden: temporary tables of masked data, and DDL that is in force for the next statement."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from tests.fix_pgwarden import Pgwarden, run_pgwarden
from tests.fix_servers import TestServer

POLICY = """
principals:
  - {user: admin, tenant: hq, roles: [admin], auth: {scram: "@admin@"}}
  - {user: wes, tenant: acme, roles: [builder], attributes: {tenant_id: 1}, auth: {scram: "@wes@"}}
policies:
  - name: administrators
    subjects: {roles: [admin]}
    statements: [all]
    tables: {allow: ["*.*"]}
    functions: {allow: ["*"]}
  - name: builders
    subjects: {roles: [builder]}
    statements: [select, insert, update, delete, temp_tables, ddl]
    tables: {allow: ["shop.*", "lab.*"], block: [shop.salaries]}
    rows:
      - {table: shop.customers, filter: "tenant_id = {tenant_id}"}
    masks:
      - {column: shop.customers.email, mask: {kind: email}}
      - {column: lab.later.secret, mask: {kind: redact}}
"""
EMAILS = "SELECT email FROM shop.customers ORDER BY id"
Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def building(server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    with run_pgwarden(tmp_path_factory.mktemp("building"), server, policies=POLICY, is_started=False) as instance:
        with psycopg.connect(server.dsn(instance.database), autocommit=True) as owner:
            owner.execute("CREATE SCHEMA lab AUTHORIZATION gateway")
            owner.execute("CREATE TABLE lab.later (id int, secret text)")
            owner.execute("ALTER TABLE lab.later OWNER TO gateway")
        instance.start()
        yield instance
        assert instance.faults() == []


@pytest.fixture
def wes(building: Pgwarden) -> Iterator[Connection]:
    with psycopg.connect(building.dsn("wes"), autocommit=True) as connection:
        yield connection


def rows(connection: Connection, query: str) -> list[tuple[object, ...]]:
    return connection.execute(query.encode()).fetchall()


def test_a_temporary_table_keeps_what_was_shown(wes: Connection) -> None:
    shown = rows(wes, EMAILS)
    wes.execute("CREATE TEMP TABLE kept AS SELECT id, email FROM shop.customers")
    assert rows(wes, "SELECT email FROM kept ORDER BY id") == shown
    assert all("***" in str(email) for (email,) in shown)


def test_a_temporary_table_is_the_sessions_own(wes: Connection, building: Pgwarden) -> None:
    wes.execute("CREATE TEMP TABLE notes (id int PRIMARY KEY, body text DEFAULT upper('x'))")
    wes.execute("INSERT INTO notes (id) VALUES (1), (2)")
    wes.execute("UPDATE notes SET body = 'y' WHERE id = 2")
    wes.execute("DELETE FROM notes WHERE id = 1")
    assert rows(wes, "SELECT * FROM notes") == [(2, "y")]
    with psycopg.connect(building.dsn("wes")) as other, pytest.raises(errors.UndefinedTable):
        other.execute("SELECT * FROM notes")


def test_a_temporary_table_goes_with_its_transaction(wes: Connection) -> None:
    with wes.transaction(force_rollback=True):
        wes.execute("CREATE TEMP TABLE regions AS SELECT 1 AS one")
        assert rows(wes, "SELECT one FROM regions") == [(1,)]
    with pytest.raises(errors.UndefinedTable):
        wes.execute("SELECT one FROM regions")


def test_on_commit_drop(wes: Connection) -> None:
    with wes.transaction():
        wes.execute("CREATE TEMP TABLE brief ON COMMIT DROP AS SELECT 1 AS one")
        assert rows(wes, "SELECT * FROM brief") == [(1,)]
    with pytest.raises(errors.UndefinedTable):
        wes.execute("SELECT * FROM brief")


def test_temporary_tables_are_in_the_catalogs_of_their_session(wes: Connection) -> None:
    wes.execute("CREATE TEMP TABLE listed (id int, body text)")
    asked = "SELECT attname FROM pg_attribute WHERE attrelid = 'listed'::regclass AND attnum > 0 ORDER BY attnum"
    assert rows(wes, asked) == [("id",), ("body",)]
    assert rows(wes, "SELECT table_type FROM information_schema.tables WHERE table_name = 'listed'") == [
        ("LOCAL TEMPORARY",)
    ]


def test_the_next_statement_knows_the_new_table(wes: Connection, building: Pgwarden) -> None:
    for number in range(3):
        wes.execute(f"CREATE TABLE lab.numbers (id int, extra{number} text)".encode())
        wes.execute("INSERT INTO lab.numbers VALUES (1, 'x')")
        with psycopg.connect(building.dsn("wes")) as other:
            assert rows(other, f"SELECT id, extra{number} FROM lab.numbers") == [(1, "x")]
        wes.execute("DROP TABLE lab.numbers")
        with pytest.raises(errors.UndefinedTable):
            wes.execute("SELECT * FROM lab.numbers")


def test_a_table_is_usable_in_the_transaction_that_makes_it(wes: Connection) -> None:
    with wes.transaction():
        wes.execute("CREATE TABLE lab.made AS SELECT id, email AS address FROM shop.customers")
        wes.execute("ALTER TABLE lab.made ADD COLUMN note text")
        wes.execute("ALTER TABLE lab.made RENAME TO kept")
        assert rows(wes, "SELECT address FROM lab.kept ORDER BY id") == rows(wes, EMAILS)
    assert rows(wes, "SELECT address FROM lab.kept ORDER BY id") == rows(wes, EMAILS)
    wes.execute("DROP TABLE lab.kept")


def test_a_look_alike_is_for_its_transaction_until_policies_name_it(wes: Connection) -> None:
    """Others may not see what its maker saw, and nobody has said yet who may."""
    with wes.transaction():
        wes.execute("CREATE TABLE lab.alike AS SELECT id, email FROM shop.customers")
        assert rows(wes, "SELECT email FROM lab.alike ORDER BY id") == rows(wes, EMAILS)
    with pytest.raises(errors.InsufficientPrivilege, match="newer than the policies"):
        wes.execute("SELECT id FROM lab.alike")


def test_a_table_with_rules_is_not_dropped(wes: Connection) -> None:
    with pytest.raises(errors.InsufficientPrivilege, match="dropping lab.later is not allowed"):
        wes.execute("DROP TABLE lab.later")


def test_views_over_what_is_open(wes: Connection) -> None:
    wes.execute("CREATE VIEW lab.prices AS SELECT sku, price FROM shop.products")
    assert rows(wes, "SELECT count(*) FROM lab.prices") == rows(wes, "SELECT count(*) FROM shop.products")
    wes.execute("DROP VIEW lab.prices")
    with pytest.raises(errors.FeatureNotSupported, match="would be stored without what the policy changes"):
        wes.execute("CREATE VIEW lab.people AS SELECT * FROM shop.customers")


def test_an_administrators_ddl_counts_for_others_at_once(wes: Connection, building: Pgwarden) -> None:
    with psycopg.connect(building.dsn(), autocommit=True) as admin:
        for _ in range(3):
            admin.execute("CREATE TABLE lab.fresh (id int)")
            assert rows(wes, "SELECT * FROM lab.fresh") == []
            admin.execute("DROP TABLE lab.fresh")
            with pytest.raises(errors.UndefinedTable, match="pgwarden/relations"):
                wes.execute("SELECT * FROM lab.fresh")
