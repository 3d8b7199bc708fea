"""Bulk work on a real standby: what goes there, what doesn't, and what happens while it lags or is away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.fix_pgwarden import DATABASE, Pgwarden, run_pgwarden, until
from tests.fix_standby import Standby

PORT = "SELECT setting::int FROM pg_catalog.pg_settings WHERE name = 'port'"
Connection = psycopg.Connection[Any]


def client_of(instance: Pgwarden, user: str = "admin", application: str = "etl") -> Connection:
    return psycopg.connect(instance.dsn(user), application_name=application, autocommit=True)


def port(client: Connection, sql: str = PORT) -> int:
    row = client.execute(sql.encode()).fetchone()
    assert row is not None
    return int(row[0])


def configure(instance: Pgwarden, standby: Standby, **more: Any) -> None:
    bulk = {"applications": ["etl"], "concurrency": 2, "upstream": standby.gateway_dsn(instance.database)} | more
    instance.configuration["databases"][DATABASE]["lanes"] = {"bulk": bulk}


def test_bulk_reading_goes_to_the_standby_while_that_knows_what_the_primary_knows(
    standby: Standby, tmp_path: Path
) -> None:
    there, here = standby.server.port, standby.primary.port
    pool = {"mode": "transaction", "size": 2}
    with run_pgwarden(tmp_path, standby.primary, pool=pool, is_started=False) as instance:
        standby.catch_up()
        configure(instance, standby)
        instance.start()
        with client_of(instance) as job, client_of(instance, application="psql") as person:
            until(lambda: port(job) == there, "the standby's catalog")
            assert port(person) == here
            _assert_only_reading_goes_there(job, here, there)
            assert job.info.parameter_status("in_hot_standby") == "off"
            _assert_masked(instance)
            _assert_it_follows_the_catalog(instance, standby, here, there)
            configure(instance, standby, fall_back=False)  # from the next start on
            standby.server.stop()
            assert [port(job) for _ in range(3)] == [here] * 3
            assert port(person) == here
        assert instance.metric("pgwarden_lane_elsewhere_total") >= 4
        assert instance.metric("pgwarden_pool_links_busy") == 0
        assert instance.faults() == []
        _assert_no_fall_back(instance)


def _assert_only_reading_goes_there(job: Connection, here: int, there: int) -> None:
    with job.transaction():
        assert port(job) == here
    assert port(job, f"WITH w AS (UPDATE shop.customers SET name = name WHERE false RETURNING 1) {PORT}") == here
    job.execute("UPDATE shop.customers SET name = name WHERE id = 1")
    job.execute("SELECT id FROM shop.customers WHERE id = 1 FOR UPDATE")
    job.execute("CREATE TEMP TABLE kept (x int)")  # from here on the session has a link of its own
    assert port(job) == here
    job.execute("DISCARD ALL")
    for prepare in (True, False):
        found = job.execute(PORT.encode(), prepare=prepare).fetchone()
        assert found is not None


def _assert_masked(instance: Pgwarden) -> None:
    sql = "SELECT id, email FROM shop.customers ORDER BY id"
    with client_of(instance, "ada", "psql") as here, client_of(instance, "ada", "etl") as there:
        before = instance.metric("pgwarden_lane_elsewhere_total")
        assert there.execute(sql).fetchall() == here.execute(sql).fetchall()
        assert instance.metric("pgwarden_lane_elsewhere_total") == before + 1


def _assert_it_follows_the_catalog(instance: Pgwarden, standby: Standby, here: int, there: int) -> None:
    """A name that means another table there would be a leak."""
    own = standby.primary.dsn(instance.database)
    with client_of(instance) as job, psycopg.connect(own, autocommit=True) as owner:
        assert port(job) == there
        standby.pause(is_paused=True)
        owner.execute("ALTER TABLE shop.customers RENAME TO clients")
        until(lambda: port(job) == here, "the primary's catalog")
        owner.execute("ALTER TABLE shop.clients RENAME TO customers")
        standby.pause(is_paused=False)
        until(lambda: port(job) == there, "the standby's catalog")


def _assert_no_fall_back(instance: Pgwarden) -> None:
    instance.restart()
    with client_of(instance) as job:
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="server of the bulk lane"):
            job.execute(PORT)
        job.execute("UPDATE shop.customers SET name = name WHERE id = 1")
        assert job.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
