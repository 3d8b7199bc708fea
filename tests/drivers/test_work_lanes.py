"""Workload lanes through a running pgwarden: bulk work queues, everyday work doesn't, and the records tell."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import psycopg
import pytest

from tests.fix_pgwarden import DATABASE, MakePgwarden, Pgwarden, run_pgwarden, until
from tests.fix_servers import TestServer
from tests.fix_workers import replaced

Connection = psycopg.Connection[Any]


BULK = {"concurrency": 1, "queue": 2, "wait": "2s", "applications": ["etl*"]}


def laned(instance: Pgwarden, bulk: dict[str, Any]) -> Pgwarden:
    """Started with these lanes."""
    instance.configuration["databases"][DATABASE]["lanes"] = {"bulk": bulk}
    instance.start()
    return instance


@pytest.fixture(scope="module", params=["session", "transaction"])
def lanes(
    request: pytest.FixtureRequest, server18: TestServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pgwarden]:
    """One place for bulk work; sessions with a server link each, and then sessions that share four."""
    pool = {"mode": "session"} if request.param == "session" else {"mode": "transaction", "size": 4}
    with run_pgwarden(tmp_path_factory.mktemp("lanes"), server18, pool=pool, is_started=False) as instance:
        yield laned(instance, BULK)
        assert running(instance) == waiting(instance) == 0
        assert instance.stop() == 0
        assert instance.faults() == []


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


def test_bulk_work_waits_for_its_turn_and_everyday_work_does_not(lanes: Pgwarden) -> None:
    instance = lanes
    with clients(instance, 3, application_name="etl-night") as jobs, clients(instance, 1) as people:
        threads = [started(job, "SELECT pg_sleep(0.4), 'bulk job'") for job in jobs]
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
    assert instance.metric('pgwarden_lane_wait_seconds_count{lane="bulk"}') >= 3


def job_of(instance: Pgwarden, **options: Any) -> Connection:
    return psycopg.connect(instance.dsn("admin"), application_name="etl", autocommit=True, **options)


def test_what_waits_can_be_cancelled_and_its_session_goes_on(lanes: Pgwarden) -> None:
    instance = lanes
    with job_of(instance) as first, job_of(instance) as second:
        thread = started(first, "SELECT pg_sleep(1.5)")
        until(lambda: running(instance) == 1, "the first")
        errors: list[BaseException] = []

        def run() -> None:
            try:
                second.execute("SELECT 'cancelled while it waits'")
            except psycopg.Error as error:
                errors.append(error)

        waiter = threading.Thread(target=run)
        waiter.start()
        until(lambda: waiting(instance) == 1, "the second")
        second.cancel()
        waiter.join()
        assert thread.is_alive()
        assert [getattr(error, "sqlstate", "") for error in errors] == ["57014"]
        assert waiting(instance) == 0
        assert second.execute("SELECT 'after it'").fetchone() == ("after it",)
        thread.join()
    (denied,) = instance.records_of("cancelled while it waits")
    assert (denied["decision"], denied["sqlstate"]) == ("deny", "57014")


def test_a_full_queue_and_a_long_wait_are_refused(lanes: Pgwarden) -> None:
    instance = lanes
    before = instance.metric('pgwarden_lane_turned_away_total{lane="bulk"}')
    with ExitStack() as stack:
        first, second, third, fourth = [stack.enter_context(job_of(instance)) for _ in range(4)]
        thread = started(first, "SELECT pg_sleep(3)")
        until(lambda: running(instance) == 1, "the first")
        told: list[str] = []

        def wait(job: Connection) -> None:
            with pytest.raises(psycopg.errors.ConfigurationLimitExceeded) as caught:
                job.execute("SELECT 'waits too long'")
            told.append(str(caught.value))

        waiters = [threading.Thread(target=wait, args=(job,)) for job in (second, third)]
        for waiter in waiters:
            waiter.start()
        until(lambda: waiting(instance) == 2, "the second and third")
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="2 statements wait for the bulk lane"):
            fourth.execute("SELECT 'one too many'")
        for waiter in waiters:
            waiter.join()
        assert all("no place for this statement within 2 s" in text for text in told)
        thread.join()
        assert [job.execute("SELECT 2").fetchone() for job in (second, third, fourth)] == [(2,)] * 3
    assert instance.metric('pgwarden_lane_turned_away_total{lane="bulk"}') == before + 3


def test_what_fails_or_goes_away_leaves_its_place(lanes: Pgwarden) -> None:
    instance = lanes
    with job_of(instance) as job:
        for _ in range(3):
            with pytest.raises(psycopg.errors.DivisionByZero):
                job.execute("SELECT 1/0")
            with pytest.raises(psycopg.errors.UndefinedTable):
                job.execute("SELECT * FROM nowhere")
        with job.transaction():
            job.execute("SELECT 1")
            job.execute("SELECT %s::int", (2,))
            assert running(instance) == 0  # between statements, a transaction holds none
        with job.cursor().copy("COPY (SELECT generate_series(1, 1000)) TO STDOUT") as copy:
            assert sum(1 for _ in copy) >= 1
        with job.pipeline():
            for number in range(20):
                job.execute("SELECT %s::int", (number,))


def _until_lost(client: Connection, sql: str) -> None:
    with suppress(psycopg.Error):
        client.execute(sql.encode())


def test_copy_cost_and_rows_make_bulk_work(make_pgwarden: MakePgwarden, server18: TestServer) -> None:
    bulk = {"concurrency": 4, "plan_units": 2_000, "rows": 5_000}
    instance = laned(make_pgwarden(server18, is_started=False), bulk)
    dear = "SELECT count(*) AS dear FROM generate_series(1, 1000) a, generate_series(1, 1000) b"
    with clients(instance, 1) as (client,):
        client.execute("SELECT 'a plain one'")
        client.execute((dear + " WHERE a < 0 AND b < 0").encode())  # it ends at once
        client.execute("SELECT g, 'many rows' FROM generate_series(1, 100000) g LIMIT 9000")
        client.execute("SELECT g, 'few rows', g FROM generate_series(1, 100000) g LIMIT 90")
        for _ in range(2):  # the planner takes an unknown function for a thousand rows
            client.execute("SELECT g, 'more than foreseen' FROM regexp_split_to_table(repeat('x,', 6000), ',') g")
        with client.cursor().copy("COPY (SELECT 'copied') TO STDOUT") as copy:
            list(copy)

    def lane_of(part: str, outcomes: int = 1) -> list[str]:
        records = instance.records_of(part, outcomes)
        return [record["lane"] for record in records if record["stage"] == "intent"]

    assert lane_of("a plain one") == ["interactive"]
    assert lane_of("AS dear") == ["bulk"]
    assert lane_of("many rows") == ["bulk"]
    assert lane_of("few rows") == ["interactive"]
    assert lane_of("more than foreseen", 2) == ["interactive", "bulk"]
    assert lane_of("copied") == ["bulk"]
    assert instance.faults() == []


def test_a_lane_holds_for_all_workers_and_a_dead_one_leaves_its_places(
    make_pgwarden: MakePgwarden, server18: TestServer
) -> None:
    bulk = {"concurrency": 2, "wait": "20s", "applications": ["etl"]}
    instance = laned(make_pgwarden(server18, is_started=False, workers=2), bulk)
    jobs = [job_of(instance) for _ in range(6)]
    threads = [threading.Thread(target=_until_lost, args=(job, "SELECT pg_sleep(0.5)")) for job in jobs]
    for thread in threads:
        thread.start()
    until(lambda: running(instance) + waiting(instance) == 6, "all of them")
    assert running(instance) == 2
    for thread in threads:
        thread.join()
    held = [threading.Thread(target=_until_lost, args=(job, "SELECT pg_sleep(60)")) for job in jobs]
    for thread in held:
        thread.start()
    until(lambda: running(instance) == 2, "two again")
    for worker in (1, 2):
        replaced(instance, worker, signal.SIGKILL)
    for thread in held:
        thread.join()
    with job_of(instance) as job:
        assert job.execute("SELECT 'after the dead'").fetchone() == ("after the dead",)
    for job in jobs:
        job.close()


def test_whoever_waits_is_served_while_the_gateway_drains(make_pgwarden: MakePgwarden, server18: TestServer) -> None:
    instance = laned(make_pgwarden(server18, is_started=False), BULK)
    with job_of(instance) as first, job_of(instance) as second:
        answers: list[object] = []
        threads = [
            threading.Thread(target=lambda job=job: answers.append(job.execute("SELECT pg_sleep(1), 'drained'")))
            for job in (first, second)
        ]
        for thread in threads:
            thread.start()
        until(lambda: waiting(instance) == 1, "one that waits")
        assert instance.terminate() == 0
        for thread in threads:
            thread.join()
    assert len(answers) == 2
