"""The limit of cost and the cap on probes through a running pgwarden."""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
import psycopg
import pytest
from psycopg import errors

from tests.fix_pgwarden import Pgwarden, run_pgwarden
from tests.fix_servers import TestServer

POLICIES = """
principals:
  - {user: admin, tenant: hq, roles: [admin], auth: {scram: "@admin@"}}
  - {user: ada, tenant: acme, roles: [thrifty], attributes: {tenant_id: 1}, auth: {scram: "@ada@"}}
  - {user: sam, tenant: acme, roles: [curious], auth: {scram: "@sam@"}}
policies:
  - name: administrators
    subjects: {roles: [admin]}
    statements: [all]
    tables: {allow: ["*.*"]}
    functions: {allow: ["*"]}
  - name: thrifty
    subjects: {roles: [thrifty]}
    statements: [select, insert, update, copy_to, cursor, prepare, temp_tables]
    tables: {allow: ["shop.*"]}
    rows:
      - {table: shop.customers, filter: "tenant_id = {tenant_id}"}
    limits: {cost: 1}
  - name: curious
    subjects: {roles: [curious]}
    statements: [select, prepare]
    tables: {allow: ["shop.*"]}
    masks:
      - {column: shop.customers.email, mask: {kind: email}, use: {equality: raw}, probes_per_hour: 4}
prices: {per_million_plan_units: 10, currency: EUR}
"""
DEAR = "SELECT count(*) FROM generate_series(1, 100000000) AS a, shop.products"
CHEAP = "SELECT count(*) FROM shop.customers"


@pytest.fixture(scope="module")
def priced(server18: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    with run_pgwarden(tmp_path_factory.mktemp("priced"), server18, policies=POLICIES) as instance:
        yield instance
        assert instance.stop() == 0
        assert instance.faults() == []


@pytest.mark.parametrize("kind", [psycopg.ClientCursor, psycopg.Cursor])
@pytest.mark.parametrize("threshold", [None, 0])
def test_what_is_too_dear_is_refused_before_it_runs(
    priced: Pgwarden, kind: type[psycopg.Cursor[tuple[object, ...]]], threshold: int | None
) -> None:
    with psycopg.connect(priced.dsn("ada"), autocommit=True, prepare_threshold=threshold) as connection:
        for _ in range(2):
            with pytest.raises(errors.ConfigurationLimitExceeded) as caught:
                kind(connection).execute(DEAR)
            message = caught.value.diag.message_primary or ""
            assert "above the limit of 1 EUR" in message
            assert "thrifty/limits.cost" in message
            assert kind(connection).execute(CHEAP).fetchone() is not None


def test_every_way_to_run_it_is_closed(priced: Pgwarden) -> None:
    with psycopg.connect(priced.dsn("ada"), autocommit=True) as connection:
        connection.execute(f"PREPARE dear AS {DEAR}")
        connection.execute(f"PREPARE cheap(integer) AS {CHEAP} WHERE id > $1")
        ways = (
            "EXECUTE dear",
            f"SELECT 1; {DEAR}",
            f"COPY ({DEAR}) TO STDOUT",
            f"DECLARE c CURSOR WITH HOLD FOR {DEAR}",
            f"CREATE TEMPORARY TABLE t AS {DEAR}",
            f"WITH x AS MATERIALIZED ({DEAR}) SELECT 1 FROM x",
        )
        for sql in ways:
            with pytest.raises(errors.ConfigurationLimitExceeded):
                connection.execute(sql)
        # The types of PREPARE end in a comment.
        connection.execute(f"PREPARE hidden(integer -- \n) AS SELECT 'x\n) AS SELECT 1 --', ({DEAR}) HAVING $1 = 1")
        with pytest.raises(errors.ConfigurationLimitExceeded):
            connection.execute("EXECUTE hidden(1)")
        assert connection.execute("EXECUTE cheap(0)").fetchone() is not None
        assert len(connection.execute(f"{CHEAP}; {CHEAP}").fetchall()) == 1


def test_what_this_session_alone_knows_can_not_be_estimated(priced: Pgwarden) -> None:
    with psycopg.connect(priced.dsn("ada"), autocommit=True) as connection:
        connection.execute("CREATE TEMPORARY TABLE mine (x integer)")
        with pytest.raises(errors.ConfigurationLimitExceeded, match="42P01") as caught:
            connection.execute("SELECT * FROM mine")
        assert "Temporary tables" in (caught.value.diag.message_hint or "")


def test_the_estimate_is_in_the_record_and_nowhere_else(priced: Pgwarden) -> None:
    with psycopg.connect(priced.dsn("ada"), autocommit=True) as connection:
        connection.execute(f"{CHEAP} /* priced */")
        with pytest.raises(errors.ConfigurationLimitExceeded):
            connection.execute(f"{DEAR} /* priced */")
    records = priced.records_of("/* priced */", outcomes=2)
    intent, outcome, denied = records
    assert intent["plan_units"] > 0
    assert float(outcome["cost"]) >= intent["plan_units"] * 10 / 1e6
    assert (denied["decision"], denied["sqlstate"]) == ("deny", "53400")
    assert denied["plan_units"] > 100_000
    assert priced.metric('pgwarden_limits_reached_total{limit="cost"}') >= 1
    assert priced.metric('pgwarden_estimates_total{outcome="made"}') >= 2


async def test_estimates_take_the_parameters_and_the_path(priced: Pgwarden) -> None:
    connection = await asyncpg.connect(priced.dsn("ada"), server_settings={"search_path": "shop"})
    try:
        for _ in range(3):
            assert (
                await connection.fetchval("SELECT count(*) FROM customers WHERE id > $1 AND tenant_id = $2", 0, 1) > 0
            )
        dear = "SELECT count(*) FROM generate_series(1, $1::int) AS a, customers AS b, customers AS c, customers AS d"
        with pytest.raises(asyncpg.ConfigurationLimitExceededError):
            await connection.fetchval(dear, 9)
    finally:
        await connection.close()


def test_probes_are_counted_and_capped(priced: Pgwarden) -> None:
    probe = "SELECT count(*) FROM shop.customers WHERE email = %s /* probe */"
    with psycopg.connect(priced.dsn("sam"), autocommit=True, prepare_threshold=0) as connection:
        # PREPARE masks at the source, so what it makes compares no real value.
        connection.execute("PREPARE p(text) AS SELECT count(*) FROM shop.customers WHERE email = $1")
        for _ in range(5):
            connection.execute("EXECUTE p('a@example.com')")
        connection.execute("SELECT count(*) FROM shop.customers WHERE email IN ('a', 'b') /* probe */")
        for _ in range(2):
            connection.execute(probe, ("x@example.com",))
    with psycopg.connect(priced.dsn("sam"), autocommit=True) as connection:
        for sql in (probe.replace("%s", "'y'"), "SELECT count(*) FROM shop.customers WHERE email IN ('c', 'd')"):
            with pytest.raises(
                errors.ConfigurationLimitExceeded, match="shop.customers.email 4 times an hour"
            ) as caught:
                connection.execute(sql.encode())
            assert "Try again in" in (caught.value.diag.message_hint or "")
        # Not a probe: the column is only shown.
        assert connection.execute("SELECT email FROM shop.customers LIMIT 1").fetchone() is not None
    records = priced.records_of("/* probe */", outcomes=4)
    assert [r["raw_columns"] for r in records if r["stage"] == "intent"] == [["shop.customers.email"]] * 4
    assert priced.metric("pgwarden_raw_uses_total") == 4
