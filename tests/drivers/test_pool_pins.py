"""What stays at the server pins a link: its client keeps what it made, and nobody else ever sees it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import psycopg
import pytest
from psycopg import pq

from tests.drivers.test_pool import PID, clients, is_free, value
from tests.fix_pgwarden import Pgwarden, run_pgwarden, until
from tests.fix_servers import TestServer

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def two_links(server18: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    pool = {"mode": "transaction", "size": 2, "wait": "2s"}
    with run_pgwarden(tmp_path_factory.mktemp("pinned"), server18, pool=pool) as instance:
        yield instance
        assert instance.stop() == 0
        assert instance.faults() == []


MAKES: dict[str, tuple[str, str, Any]] = {
    "temporary": ("CREATE TEMP TABLE own AS SELECT 7 AS a", "SELECT a FROM own", 7),
    "prepare": ("PREPARE own AS SELECT 7", "EXECUTE own", 7),
    "cursor": ("DECLARE own CURSOR WITH HOLD FOR SELECT 7", "FETCH own", 7),
    "listen": ("LISTEN own", "SELECT count(*) FROM pg_listening_channels()", 1),
    "setting": ("SET my.own TO '7'", "SELECT current_setting('my.own', true)", "7"),
    "advisory_lock": (
        "SELECT pg_advisory_lock(7)",
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
        1,
    ),
    "function": ("DO $$ BEGIN PERFORM set_config('my.own', '7', false); END $$", "SHOW my.own", "7"),
}


@pytest.mark.parametrize("reason", MAKES)
def test_what_is_made_stays_with_its_client(two_links: Pgwarden, reason: str) -> None:
    make, look, seen = MAKES[reason]
    before = two_links.metric(f'pgwarden_pool_pins_total{{reason="{reason}"}}')
    with clients(two_links) as (first, second):
        pid = value(first, PID)
        first.execute(make.encode())
        assert value(second, PID) == value(second, PID) != value(first, PID) == pid
        assert value(first, look) == seen
        assert _found(second, look) in (0, None, "")
    with clients(two_links) as others:
        assert pid not in [value(other, PID) for other in others for _ in range(3)]
    assert two_links.metric(f'pgwarden_pool_pins_total{{reason="{reason}"}}') > before


def _found(client: Connection, look: str) -> Any:
    """None where there is nothing of this name."""
    try:
        return value(client, look)
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedObject):
        return None
    except (psycopg.errors.InvalidSqlStatementName, psycopg.errors.InvalidCursorName):
        return None


def test_pins_leave_no_link_for_others(two_links: Pgwarden) -> None:
    with clients(two_links, 3) as (first, second, third):
        for client in (first, second):
            client.execute("CREATE TEMP TABLE own ()")
        with pytest.raises(psycopg.OperationalError, match="none of the 2 server connections"):
            value(third, "SELECT 1")
    assert is_free(two_links)


def test_a_pinned_client_has_its_own_names_only(two_links: Pgwarden) -> None:
    listing = "SELECT string_agg(statement, '|') FROM pg_prepared_statements"
    with clients(two_links, 3) as (first, second, third):
        for n, client in enumerate((first, second, third)):
            client.prepare_threshold = 0
            assert value(client, f"SELECT 'secret {n}', %s::int", 1) == f"secret {n}"
        first.pgconn.prepare(b"mine", b"SELECT 'mine'")
        first.execute("CREATE TEMP TABLE own ()", prepare=False)
        first.prepare_threshold = None
        assert value(first, listing) is None
        assert first.pgconn.exec_prepared(b"mine", []).get_value(0, 0) == b"mine"
        assert value(first, listing) == "SELECT 'mine'"
        assert value(first, "EXECUTE mine") == "mine"
        assert first.pgconn.prepare(b"mine", b"SELECT 1").error_field(pq.DiagnosticField.SQLSTATE) == b"42P05"
        first.execute("DEALLOCATE mine")
        assert value(first, listing) is None
        first.prepare_threshold = 0
        assert value(first, "SELECT 'secret 0', %s::int", 1) == "secret 0"


def test_a_prepared_name_runs_by_sql(two_links: Pgwarden) -> None:
    with clients(two_links) as (first, second):
        first.pgconn.prepare(b"mine", b"SELECT 'mine'")
        value(second, "SELECT 1")
        assert value(first, "EXECUTE mine") == "mine"
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            second.execute("EXECUTE mine")


@pytest.mark.parametrize("user", ["admin", "wes"])
def test_sequences_tell_nothing_of_others(two_links: Pgwarden, user: str) -> None:
    with clients(two_links, 4, user) as many:
        for client in many:
            with client.transaction():
                client.execute("CREATE TEMP TABLE numbered (id serial) ON COMMIT DROP")
                client.execute("INSERT INTO numbered DEFAULT VALUES")
        for client in many[:2]:
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
                value(client, "SELECT lastval()")


def test_a_hostile_name_finds_nothing(two_links: Pgwarden) -> None:
    with clients(two_links, 3) as (first, second, third):
        for client in (first, second):
            client.prepare_threshold = 0
            value(client, "SELECT 'secret', %s::int", 1)
        for name in (b"pgwarden_1", b"pgwarden_refused", b"pgwarden_nowhere", b"s"):
            found = third.pgconn.exec_prepared(name, [])
            assert found.error_field(pq.DiagnosticField.SQLSTATE) == b"26000"
            found = third.pgconn.describe_prepared(name)
            assert found.error_field(pq.DiagnosticField.SQLSTATE) == b"26000"


# cancels


def test_a_cancel_hits_its_own_client(two_links: Pgwarden) -> None:
    with clients(two_links) as (first, second):
        threads = [
            threading.Timer(0.3, first.cancel_safe),
            threading.Timer(0.0, lambda: value(second, "SELECT pg_sleep(0.8)")),
        ]
        for thread in threads:
            thread.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            first.execute("SELECT pg_sleep(20)")
        for thread in threads:
            thread.join()
        assert value(second, "SELECT 1") == 1
        assert value(first, "SELECT 1") == 1


def test_late_cancels_hit_nobody(two_links: Pgwarden) -> None:
    """Cancels of one who has nothing under way any more, while others work on the same links."""
    with clients(two_links, 4) as (idler, *workers):
        end = time.monotonic() + 2
        failures: list[psycopg.Error] = []

        def work(client: Connection) -> None:
            try:
                while time.monotonic() < end:
                    value(client, "SELECT pg_sleep(0.001)")
            except psycopg.Error as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(client,)) for client in workers]
        for thread in threads:
            thread.start()
        while time.monotonic() < end:
            cancel = threading.Thread(target=idler.cancel_safe)
            cancel.start()
            with suppress(psycopg.errors.QueryCanceled):
                idler.execute("SELECT 1")
            cancel.join()
        for thread in threads:
            thread.join()
        assert failures == []


# faults


def terminate(server: TestServer, database: str, *pids: int) -> None:
    with psycopg.connect(server.dsn(database), autocommit=True) as direct:
        for pid in pids:
            direct.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_idle_links_that_the_server_ends(two_links: Pgwarden) -> None:
    with clients(two_links) as (first, second):
        for _ in range(3):
            pids = {value(first, PID), value(second, PID)}
            left = two_links.metric("pgwarden_pool_links_idle") - len(pids)
            terminate(two_links.server, two_links.database, *pids)
            until(lambda left=left: two_links.metric("pgwarden_pool_links_idle") <= left, "the end of the links")
            assert value(first, "SELECT 1") == value(second, "SELECT 1") == 1


def test_a_link_that_ends_in_a_transaction(two_links: Pgwarden) -> None:
    with clients(two_links) as (first, second):
        first.execute("BEGIN")
        terminate(two_links.server, two_links.database, value(first, PID))
        with pytest.raises(psycopg.OperationalError):
            first.execute("SELECT 1")
        assert value(second, "SELECT 1") == 1
        assert is_free(two_links)


def test_clients_that_vanish(two_links: Pgwarden) -> None:
    ends: list[Callable[[Connection], object]] = [
        lambda client: client.pgconn.send_query(b"SELECT pg_sleep(30)"),
        lambda client: client.pgconn.send_query(b"BEGIN; SELECT 1"),
        lambda client: client.pgconn.send_query(b"COPY (SELECT generate_series(1, 10000000)) TO STDOUT"),
        lambda client: client.pgconn.send_query(b"SELECT 1; SELECT repeat('x', 1000000)"),
        _half_a_pipeline,
    ]
    for leave in ends:
        with ExitStack() as stack:
            for client in stack.enter_context(clients(two_links)):
                leave(client)
                client.pgconn.flush()
                time.sleep(0.05)
                client.pgconn.finish()
        assert is_free(two_links)
        with clients(two_links) as pair:
            assert [value(client, "SELECT count(*) FROM pg_cursors") for client in pair] == [0, 0]


def _half_a_pipeline(client: Connection) -> None:
    client.pgconn.enter_pipeline_mode()
    client.pgconn.send_query_params(b"SELECT 1", [])
    client.pgconn.send_prepare(b"left", b"SELECT 2")
    client.pgconn.send_flush_request()


# code of the database's own


def test_what_triggers_leave_is_nobody_elses(server18: TestServer, tmp_path_factory: pytest.TempPathFactory) -> None:
    pool = {"mode": "transaction", "size": 1, "wait": "2s"}
    with run_pgwarden(tmp_path_factory.mktemp("code"), server18, is_started=False, pool=pool) as instance:
        with psycopg.connect(server18.dsn(instance.database), autocommit=True) as direct:
            direct.execute(
                """CREATE TABLE public.watched (a int); GRANT ALL ON public.watched TO PUBLIC;
                CREATE FUNCTION public.leave() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    PERFORM set_config('my.left', 'secret', false), pg_advisory_lock(77);
                    CREATE TEMP TABLE IF NOT EXISTS made_by_trigger (a int); RETURN NEW; END $$;
                CREATE TRIGGER t BEFORE INSERT ON public.watched FOR EACH ROW EXECUTE FUNCTION public.leave()"""
            )
        instance.start()
        with clients(instance) as (first, second):
            first.execute("SET timezone TO 'Asia/Tokyo'")
            first.execute("INSERT INTO public.watched VALUES (1)")
            look = "SELECT current_setting('my.left', true) IS NULL OR current_setting('my.left') = ''"
            assert value(second, look) is True
            assert value(second, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
            with pytest.raises(psycopg.errors.UndefinedTable):
                second.execute("SELECT * FROM made_by_trigger")
            assert value(first, "SHOW timezone") == "Asia/Tokyo"
            assert is_free(instance)
        assert instance.stop() == 0
        assert instance.faults() == []
