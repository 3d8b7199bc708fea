"""Workload lanes through a running pgwarden: bulk work queues, everyday work doesn't, and the records tell."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest

from tests.fix_pgwarden import DATABASE, MakePgwarden, Pgwarden, until
from tests.fix_servers import TestServer

Connection = psycopg.Connection[Any]


@pytest.fixture(params=["session", "transaction"])
def pool(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"mode": "session"} if request.param == "session" else {"mode": "transaction", "size": 4}


def laned(make: MakePgwarden, server: TestServer, pool: dict[str, Any], bulk: dict[str, Any], **more: Any) -> Pgwarden:
    """One with these lanes; its store and shop are its own."""
    instance = make(server, is_started=False, pool=pool, **more)
    instance.configuration["databases"][DATABASE]["lanes"] = {"bulk": bulk}
    instance.start()
    return instance


@contextmanager
def clients(instance: Pgwarden, count: int, **options: Any) -> Iterator[list[Connection]]:
    with ExitStack() as stack:
        made = [psycopg.connect(instance.dsn("admin"), autocommit=True, **options) for _ in range(count)]
        yield [stack.enter_context(one) for one in made]


def started(client: Connection, sql: str) -> threading.Thread:
    thread = threading.Thread(target=lambda: client.execute(sql.encode()))
    thread.start()
    return thread


def waiting(instance: Pgwarden) -> float:
    return instance.metric('pgwarden_lane_waiting{lane="bulk"}')


def running(instance: Pgwarden) -> float:
    return instance.metric('pgwarden_lane_running{lane="bulk"}')


def test_bulk_work_waits_for_its_turn_and_everyday_work_does_not(
    make_pgwarden: MakePgwarden, server18: TestServer, pool: dict[str, Any]
) -> None:
    bulk = {"concurrency": 1, "applications": ["etl*"]}
    instance = laned(make_pgwarden, server18, pool, bulk)
    with clients(instance, 3, application_name="etl-night") as jobs, clients(instance, 1) as people:
        threads = [started(job, "SELECT pg_sleep(0.6), 'bulk job'") for job in jobs]
        until(lambda: waiting(instance) == 2, "two that wait")
        assert running(instance) == 1
        for _ in range(5):
            assert people[0].execute("SELECT 'everyday'").fetchone() == ("everyday",)
        assert waiting(instance) >= 1
        for thread in threads:
            thread.join()
        until(lambda: running(instance) == 0, "the lane's end")
    records = instance.records_of("bulk job", outcomes=3)
    assert {record["lane"] for record in records} == {"bulk"}
    queued = sorted(r["queued_us"] or 0 for r in records if r["stage"] == "intent")
    assert queued[0] == 0
    assert 200_000 < queued[1] < queued[2]
    assert {record["lane"] for record in instance.records_of("everyday", outcomes=5)} == {"interactive"}
    assert instance.metric('pgwarden_lane_wait_seconds_count{lane="bulk"}') == 3
    assert instance.faults() == []
