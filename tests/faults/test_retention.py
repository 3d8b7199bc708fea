"""What the configuration says of retention is done by a running instance, and nothing else."""

from __future__ import annotations

import psycopg
import pytest

from tests.fix_pgwarden import MakePgwarden, Pgwarden, until

_OLD = "SELECT pgwarden.ensure_partition('2020-03-05')"


def old_month(instance: Pgwarden) -> object:
    with psycopg.connect(instance.store_dsn) as connection:
        return (connection.execute("SELECT to_regclass('pgwarden.records_2020_03')::text").fetchone() or [None])[0]


@pytest.mark.parametrize("days", [90, None])
def test_old_months_are_dropped_as_configured(make_pgwarden: MakePgwarden, days: int | None) -> None:
    instance = make_pgwarden(is_started=False)
    audit = instance.configuration["audit"] | {"retention_days": days}
    instance.configuration["audit"] = audit
    instance.start()
    assert instance.stop() == 0
    with psycopg.connect(instance.store_dsn, autocommit=True) as connection:
        connection.execute(_OLD)
    assert old_month(instance) == "pgwarden.records_2020_03"
    instance.start()
    if days is None:
        assert instance.stop() == 0
        assert old_month(instance) == "pgwarden.records_2020_03"
    else:
        until(lambda: old_month(instance) is None, "the old month's end")


@pytest.mark.parametrize("days", [0, -1, "soon", 1_000_000])
def test_a_retention_that_makes_no_sense_is_refused(make_pgwarden: MakePgwarden, days: object) -> None:
    instance = make_pgwarden(is_started=False)
    instance.configuration["audit"] = instance.configuration["audit"] | {"retention_days": days}
    instance.write_configuration()
    told = instance.run("serve")
    assert told.returncode != 0
    assert "audit.retention_days" in told.stderr
