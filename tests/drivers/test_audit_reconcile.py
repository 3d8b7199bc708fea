"""Statements that went past pgwarden are found by what the server itself has counted, or logged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from proxy.demo.shop import GATEWAY
from proxy.installation import find_wheel
from tests.fix_pgwarden import Pgwarden, run_pgwarden
from tests.fix_servers import TestServer, passing_server, started

SETTINGS = {
    "fsync": "off",
    "shared_preload_libraries": "pg_stat_statements",
    "logging_collector": "on",
    "log_destination": "csvlog",
    "log_statement": "all",
    "log_timezone": "UTC",
}


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    wheel = find_wheel()
    if wheel is None:
        pytest.skip("there is no PostgreSQL of the wheel on this platform")
    with passing_server(tmp_path_factory.mktemp("counting"), wheel, settings=SETTINGS) as embedded:
        yield started(embedded, wheel.version)


@pytest.fixture
def instance(counting: TestServer, tmp_path: Path) -> Iterator[Pgwarden]:
    with run_pgwarden(tmp_path, counting) as instance:
        direct(instance, "CREATE EXTENSION pg_stat_statements", "SELECT pg_stat_statements_reset()")
        yield instance


def direct(instance: Pgwarden, *statements: str, login: str | None = None) -> None:
    dsn = instance.server.dsn(instance.database) if login is None else instance.direct_dsn
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def through(instance: Pgwarden, user: str, *statements: str) -> None:
    with psycopg.connect(instance.dsn(user), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def reconciled(instance: Pgwarden, *arguments: str) -> tuple[int, dict[str, Any]]:
    """As the superuser, whose own statements don't count."""
    place = ("--server", instance.server.dsn(instance.database), "--ignore", "postgres")
    done = instance.run("audit", "reconcile", "--json", *(arguments or place))
    assert done.returncode in (0, 3), done.stderr
    return done.returncode, json.loads(done.stdout)


def test_what_came_through_is_complete_and_what_went_past_is_named(instance: Pgwarden) -> None:
    through(instance, "ada", "SELECT id, email FROM shop.customers ORDER BY id LIMIT 3", "SELECT -1, 'x', true")
    through(instance, "admin", "SELECT count(*) FROM shop.orders WHERE id IN (1, 2, 3)", "SHOW work_mem")
    code, found = reconciled(instance)
    assert (found["others"], found["unknown"], found["more"], code) == ([], [], [], 0)
    assert found["matched"] >= 3

    direct(instance, "SELECT count(*) FROM shop.orders WHERE id IN (4, 5)", login=GATEWAY)
    direct(instance, "SELECT count(*) FROM shop.orders WHERE id > 9", login=GATEWAY)
    direct(instance, "UPDATE shop.orders SET id = id WHERE id = 1")
    code, found = reconciled(instance)
    assert code == 3
    assert [one["sql"] for one in found["unknown"]] == ["SELECT count(*) FROM shop.orders WHERE id > $1"]
    assert [(one["calls"], one["recorded"]) for one in found["more"]] == [(2, 1)]
    place = ("--server", instance.server.dsn(instance.database))
    _, found = reconciled(instance, *place)
    assert "UPDATE shop.orders SET id = id WHERE id = $1" in [one["sql"] for one in found["others"]]


def test_the_servers_log_tells_the_same(instance: Pgwarden, counting: TestServer) -> None:
    through(instance, "ada", "SELECT id, email FROM shop.customers ORDER BY id LIMIT 3")
    direct(instance, "SELECT id FROM shop.customers WHERE id = 77", login=GATEWAY)
    (log,) = sorted((counting.embedded.data / "log").glob("*.csv"))
    code, found = reconciled(instance, "--log", str(log), "--ignore", "postgres")
    assert code == 3
    unknown = [one["sql"] for one in found["unknown"]]
    assert "SELECT id FROM shop.customers WHERE id = 77" in unknown
    assert not any("ORDER BY id LIMIT" in sql for sql in unknown)


def test_a_login_that_may_not_look_is_told_so(instance: Pgwarden) -> None:
    done = instance.run("audit", "reconcile")
    assert done.returncode == 1
    assert "pg_read_all_stats" in done.stderr
