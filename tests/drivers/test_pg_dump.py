"""pg_dump of the server's own version through pgwarden: what it writes restores, and holds what the policy shows."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import psycopg
import pytest

from tests.fix_pgwarden import PATIENCE_S, Pgwarden, run_pgwarden
from tests.fix_servers import TestServer

POLICY = """
principals:
  - {user: admin, tenant: hq, roles: [admin], auth: {scram: "@admin@"}}
  - {user: ada, tenant: acme, roles: [analyst], attributes: {tenant_id: 1}, auth: {scram: "@ada@"}}
policies:
  - name: administrators
    subjects: {roles: [admin]}
    statements: [all]
    tables: {allow: ["*.*"]}
    functions: {allow: ["*"]}
  - name: analysts
    subjects: {roles: [analyst]}
    statements: [select, copy_to, cursor, prepare]
    tables: {allow: ["shop.*"], block: [shop.salaries]}
    columns: {block: [shop.payments.card_number]}
    rows:
      - {table: shop.customers, filter: "tenant_id = {tenant_id}"}
      - {table: shop.orders, filter: "tenant_id = {tenant_id}"}
      - {table: shop.order_items, filter: "tenant_id = {tenant_id}"}
      - {table: shop.employees, filter: "tenant_id = {tenant_id}"}
      - {table: shop.support_tickets, filter: "tenant_id = {tenant_id}"}
      - {table: shop.payments, filter: "tenant_id = {tenant_id}"}
      - {table: shop.events, filter: "tenant_id = {tenant_id}"}
    masks:
      - {column: shop.customers.email, mask: {kind: hash, salt: "s"}}
      - {column: shop.customers.ssn, mask: {kind: redact}}
    functions: {allow: [shop.safe_report]}
"""


@pytest.fixture(scope="module")
def dumped(server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    with run_pgwarden(tmp_path_factory.mktemp("dumped"), server, policies=POLICY) as instance:
        yield instance
        assert instance.faults() == []


def run(pgwarden: Pgwarden, program: str, *arguments: str, stdin: str = "") -> str:
    """What the program of the server's version writes; it must have nothing to say and end well."""
    path = pgwarden.server.embedded.installation.program(program)
    done = subprocess.run(
        [str(path), *arguments],
        input=stdin,
        env={**os.environ, "PGTZ": "UTC", "PSQLRC": os.devnull},
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def dump(pgwarden: Pgwarden, user: str, *arguments: str) -> str:
    return run(pgwarden, "pg_dump", "--no-owner", "--no-acl", *arguments, "-d", pgwarden.dsn(user))


def restored(pgwarden: Pgwarden, script: str) -> str:
    """The DSN of a database into which the script went without an error."""
    dsn = pgwarden.server.dsn(pgwarden.server.empty())
    run(pgwarden, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", os.devnull, "-d", dsn, stdin=script)
    return dsn


def rows(dsn: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(query.encode()).fetchall()


def test_an_administrators_dump_is_the_servers(dumped: Pgwarden) -> None:
    direct = run(dumped, "pg_dump", "--no-owner", "--no-acl", "--schema-only", "-d", dumped.direct_dsn)
    through = dump(dumped, "admin", "--schema-only")
    assert [line for line in through.splitlines() if "restrict" not in line] == [
        line for line in direct.splitlines() if "restrict" not in line
    ]


def test_the_schema_of_what_an_analyst_sees_restores(dumped: Pgwarden) -> None:
    script = dump(dumped, "ada", "--schema-only")
    for hidden in ("salaries", "card_number"):
        assert hidden not in script
    dsn = restored(dumped, script)
    names = {name for (name,) in rows(dsn, "SELECT relname FROM pg_class WHERE relnamespace = 'shop'::regnamespace")}
    assert {"customers", "orders", "customers_pkey", "customer_totals", "events_2025_01"} <= names
    assert rows(dsn, "SELECT count(*) FROM shop.customer_totals") == [(0,)]
    assert rows(dsn, "SELECT proname FROM pg_proc WHERE pronamespace = 'shop'::regnamespace") == [("safe_report",)]


def test_a_whole_dump_holds_masked_and_filtered_rows(dumped: Pgwarden) -> None:
    script = dump(dumped, "ada")
    dsn = restored(dumped, script)
    count = "SELECT count(*) FROM shop.customers WHERE tenant_id = 1"
    assert rows(dsn, "SELECT count(*) FROM shop.customers") == rows(dumped.direct_dsn, count)
    own = dict(rows(dumped.dsn("ada"), "SELECT id, email || ssn FROM shop.customers"))
    assert dict(rows(dsn, "SELECT id, email || ssn FROM shop.customers")) == own
    raw = {email for (email,) in rows(dumped.direct_dsn, "SELECT email FROM shop.customers")}
    assert not raw.intersection(script.split())
    assert rows(dsn, "SELECT count(*) FROM shop.events") == rows(dumped.dsn("ada"), "SELECT count(*) FROM shop.events")


@pytest.mark.parametrize("switch", [["--inserts"], ["--column-inserts", "--rows-per-insert=50"]])
def test_dumps_of_a_table_as_inserts(dumped: Pgwarden, switch: list[str]) -> None:
    script = dump(dumped, "ada", "-t", "shop.products", *switch)
    dsn = restored(dumped, f"CREATE SCHEMA shop;\n{script}")
    count = "SELECT count(*), sum(price) FROM shop.products"
    assert rows(dsn, count) == rows(dumped.direct_dsn, count)


def test_a_hidden_table_is_not_there(dumped: Pgwarden) -> None:
    path = dumped.server.embedded.installation.program("pg_dump")
    command = [str(path), "-t", "shop.salaries", "-d", dumped.dsn("ada")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 1
    assert "no matching tables were found" in done.stderr
