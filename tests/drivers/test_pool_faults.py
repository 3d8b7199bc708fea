"""A pool whose links end, whose server goes away, whose clients are cancelled or told to go: nobody hangs."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from proxy.embedded import EmbeddedServer
from tests.drivers.test_pool import PID, Connection, clients, value
from tests.drivers.test_pool_links import pooled
from tests.fix_pgwarden import DATABASE, MakePgwarden, Pgwarden, run_pgwarden, until
from tests.fix_servers import TestServer
from tests.fix_workers import workers_of

ADMIN_ONLY = """
principals:
  - {user: admin, roles: [admin], auth: {scram: "@admin@"}}
policies:
  - name: administrators
    subjects: {roles: [admin]}
    statements: [all]
    tables: {allow: ["*.*"]}
    functions: {allow: ["*"]}
"""


class Asking:
    """A question in a thread of its own; `answer` waits for it."""

    def __init__(self, client: Connection, sql: str = "SELECT 1", *parameters: object) -> None:
        self._found: list[Any] = []
        self._thread = threading.Thread(target=self._ask, args=(client, sql, parameters))
        self._thread.start()

    def _ask(self, client: Connection, sql: str, parameters: tuple[object, ...]) -> None:
        try:
            self._found.append(value(client, sql, *parameters))
        except psycopg.Error as error:
            self._found.append(error)

    @property
    def answer(self) -> Any:
        self._thread.join(30)
        assert self._found, "no answer came"
        return self._found[0]


def is_waited(instance: Pgwarden, count: int = 1) -> None:
    until(lambda: instance.metric("pgwarden_pool_waiting") == count, "a waiter")


@contextmanager
def administrator(instance: Pgwarden) -> Iterator[psycopg.Connection[Any]]:
    """On the bare server."""
    with psycopg.connect(instance.server.dsn(instance.database), autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def one_link(server18: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    with pooled(tmp_path_factory.mktemp("faults"), server18, size=1, wait="20s") as instance:
        yield instance


# links that end


@pytest.mark.parametrize("user", ["admin", "wes"])
def test_a_link_that_dies_while_nobody_has_it(one_link: Pgwarden, user: str) -> None:
    with clients(one_link, 2, user) as (first, second), administrator(one_link) as admin:
        value(first, "SELECT 1")
        for client in (first, second, first):
            ended = admin.execute(
                "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle'"
                " AND usename <> session_user"
            ).fetchone()
            assert ended is not None
            assert value(client, "SELECT 1") == 1


def test_a_link_that_dies_while_it_is_lent(one_link: Pgwarden) -> None:
    with clients(one_link, 2) as (first, second), administrator(one_link) as admin:
        first.execute("BEGIN")
        pid = value(first, PID)
        asking = Asking(second, PID)
        is_waited(one_link)
        admin.execute("SELECT pg_terminate_backend(%s)", [pid])
        with pytest.raises(psycopg.OperationalError):
            value(first, "SELECT 1")
        assert isinstance(asking.answer, int)
        assert asking.answer != pid


def test_a_server_that_ends_idle_links(server18: TestServer, tmp_path: Path) -> None:
    with pooled(tmp_path, server18, size=2) as instance, administrator(instance) as admin:
        admin.execute(f"ALTER DATABASE {instance.database} SET idle_session_timeout TO '150ms'".encode())
        with clients(instance, 2, "wes") as both:
            for _ in range(3):
                for client in both:
                    assert value(client, "SELECT 1") == 1
                until(lambda: instance.metric("pgwarden_pool_links_idle") == 0, "the end of idle links")


def test_a_server_that_starts_anew_while_clients_wait(
    make_pgwarden: MakePgwarden, server18: TestServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with EmbeddedServer(tmp_path_factory.mktemp("mortal"), server18.embedded.installation) as mortal:
        with psycopg.connect(mortal.dsn(), autocommit=True) as connection:
            connection.execute("CREATE SCHEMA shop")
        pool = {"mode": "transaction", "size": 1, "wait": "25s"}
        instance = make_pgwarden(databases={DATABASE: {"upstream": mortal.dsn(), "pool": pool}}, policies=ADMIN_ONLY)
        with clients(instance, 4) as (first, *others):
            first.execute("BEGIN")
            asking = [Asking(client, "SELECT 7") for client in others]
            is_waited(instance, 3)
            mortal.stop()
            with pytest.raises(psycopg.OperationalError):
                value(first, "SELECT 1")
            mortal.start()
            assert [one.answer for one in asking] == [7, 7, 7]
        assert instance.faults() == []


# who waits


def test_the_wait_has_an_end_and_says_so(server18: TestServer, tmp_path: Path) -> None:
    with pooled(tmp_path, server18, size=1, wait="400ms") as instance:
        for sql, parameters in (("SELECT 1", ()), ("SELECT %s::int", (1,))):
            with clients(instance, 2) as (first, second):
                value(second, sql, *parameters)  # from now on the lane knows it
                first.execute("BEGIN")
                value(first, "SELECT 1")
                with pytest.raises(psycopg.errors.TooManyConnections) as told:
                    value(second, sql, *parameters)
                expected = "none of the 1 server connections of this database came free within 0.4 s"
                assert told.value.diag.message_primary == expected
                assert value(first, "SELECT 1") == 1


@pytest.mark.parametrize(("sql", "parameters"), [("SELECT 1", ()), ("SELECT %s::int", (1,))])
def test_a_cancel_finds_who_waits(one_link: Pgwarden, sql: str, parameters: tuple[object, ...]) -> None:
    with clients(one_link, 3) as (first, second, third):
        value(second, sql, *parameters)
        first.execute("BEGIN")
        asking = Asking(second, sql, *parameters)
        is_waited(one_link)
        patient = Asking(third, sql, *parameters)
        is_waited(one_link, 2)
        second.cancel()
        assert isinstance(asking.answer, psycopg.errors.QueryCanceled)
        assert str(asking.answer) == "canceling statement due to user request"
        is_waited(one_link)  # only the patient one: who was cancelled wants no link
        again = Asking(second, sql, *parameters)
        is_waited(one_link, 2)
        first.execute("COMMIT")
        assert (patient.answer, again.answer) == (1, 1)


def test_a_cancel_of_one_doesnt_hit_the_next(one_link: Pgwarden) -> None:
    """Each cancel comes about when the statement ends; whoever has the link then must not feel it."""
    with clients(one_link, 2) as (first, second):
        for _ in range(15):
            asking = Asking(first, "SELECT pg_sleep(0.005) IS NULL")
            waiting = Asking(second, "SELECT pg_sleep(0.01) IS NULL")
            first.cancel()
            assert waiting.answer is False
            assert asking.answer is False or isinstance(asking.answer, psycopg.errors.QueryCanceled)


def test_one_that_vanishes_while_it_waits(one_link: Pgwarden) -> None:
    with clients(one_link, 2) as (first, second):
        first.execute("BEGIN")
        with psycopg.connect(one_link.dsn("admin"), autocommit=True) as third:
            third.pgconn.send_query(b"SELECT 1")
            is_waited(one_link)
            with socket.socket(fileno=os.dup(third.pgconn.socket)) as own:
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # without a word
                third.pgconn.finish()
        is_waited(one_link, 0)
        asking = Asking(second)
        first.execute("COMMIT")
        assert asking.answer == 1


# the gateway's own end


@contextmanager
def ending(folder: Path, server: TestServer) -> Iterator[tuple[Pgwarden, Connection, Asking]]:
    """One has the only link in a transaction, another waits."""
    with (
        run_pgwarden(folder, server, pool={"mode": "transaction", "size": 1}) as instance,
        clients(instance, 2) as (first, second),
    ):
        value(second, "SELECT 1")
        first.execute("BEGIN")
        asking = Asking(second)
        is_waited(instance)
        yield instance, first, asking


def test_a_drain_serves_who_waits(server18: TestServer, tmp_path: Path) -> None:
    with ending(tmp_path, server18) as (instance, first, asking):
        process = instance.process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        first.execute("COMMIT")
        assert asking.answer == 1
        assert process.wait(30) == 0
        instance.process = None


def test_an_end_at_once_tells_who_waits(server18: TestServer, tmp_path: Path) -> None:
    with ending(tmp_path, server18) as (instance, first, asking):
        assert instance.stop() == 0
        first.close()
        assert isinstance(asking.answer, psycopg.errors.AdminShutdown)
        assert "the gateway is shutting down" in str(asking.answer)


def test_fewer_links_than_workers(server18: TestServer, tmp_path: Path) -> None:
    """Each worker has one at least."""
    with run_pgwarden(tmp_path, server18, pool={"mode": "transaction", "size": 1}, workers=2) as instance:
        assert len(workers_of(instance)) == 2
        with clients(instance, 8) as eight:
            asked = [Asking(client, PID) for client in eight for _ in range(1)]
            assert len({one.answer for one in asked}) <= 2
        assert instance.stop() == 0


# programs that wait for themselves


def test_pgbench_prepares_in_transactions_where_links_suffice(server18: TestServer, tmp_path: Path) -> None:
    """With fewer links than clients it waits for itself: it prepares without a look at its other clients.

    Those hold links in their transactions, and it doesn't read their answers. So it ends by `wait`, and says why.
    """
    script = tmp_path / "script.sql"
    script.write_text("BEGIN;\nSELECT 1;\nCOMMIT;\n")
    run: Callable[[int, Pgwarden], Any] = lambda count, instance: subprocess.run(  # noqa: E731 - one line, twice
        ["pgbench", "-n", "-M", "prepared", "-c", str(count), "-t", "5", "-f", str(script), instance.dsn("wes")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    (tmp_path / "instance").mkdir()
    with pooled(tmp_path / "instance", server18, size=2, wait="1s") as instance:
        done = run(2, instance)
        assert done.returncode == 0, done.stderr
        assert "10/10" in done.stdout
        done = run(6, instance)
        assert "none of the 2 server connections of this database came free" in done.stderr
