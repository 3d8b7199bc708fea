"""Transaction pooling with real drivers: many clients on one link, and each sees what it would see alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import psycopg
import pytest
from psycopg import pq

from tests.fix_pgwarden import Pgwarden, run_pgwarden
from tests.fix_servers import TestServer

PID = "SELECT pg_backend_pid()"
Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def pooled(server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    """Before each server in turn, with one link for all, so that whatever stays on it is found."""
    pool = {"mode": "transaction", "size": 1, "wait": "3s"}
    with run_pgwarden(tmp_path_factory.mktemp("pooled"), server, pool=pool) as instance:
        yield instance
        assert instance.stop() == 0
        assert instance.faults() == []


@contextmanager
def clients(pooled: Pgwarden, count: int = 2, user: str = "admin", **options: Any) -> Iterator[list[Connection]]:
    with ExitStack() as stack:
        made = [psycopg.connect(pooled.dsn(user), autocommit=True, **options) for _ in range(count)]
        yield [stack.enter_context(client) for client in made]


def value(client: Connection, sql: str, *parameters: object) -> Any:
    row = client.execute(sql.encode(), parameters or None).fetchone()
    return None if row is None else row[0]


def reported(client: Connection) -> str | None:
    return client.info.parameter_status("TimeZone")


def is_free(pooled: Pgwarden) -> bool:
    """Whether somebody else gets the link."""
    with psycopg.connect(pooled.dsn("admin"), autocommit=True) as other:
        return value(other, "SELECT 1") == 1


# lending


def test_three_clients_on_one_link(pooled: Pgwarden) -> None:
    with clients(pooled, 3) as three:
        assert len({value(client, PID) for _ in range(3) for client in three}) == 1


def test_a_transaction_keeps_its_link(pooled: Pgwarden) -> None:
    with clients(pooled) as (first, second):
        with first.transaction():
            value(first, "SELECT 1")
            with pytest.raises(psycopg.OperationalError, match="none of the 1 server connections"):
                value(second, "SELECT 1")
        assert second.closed
        assert is_free(pooled)


def test_a_failed_transaction_keeps_its_link(pooled: Pgwarden) -> None:
    with clients(pooled, 1) as (first,):
        first.execute("BEGIN")
        with pytest.raises(psycopg.errors.DivisionByZero):
            first.execute("SELECT 1 / 0")
        assert first.info.transaction_status is pq.TransactionStatus.INERROR
        first.execute("ROLLBACK")
        assert is_free(pooled)


def test_an_error_outside_of_a_transaction_gives_it_back(pooled: Pgwarden) -> None:
    with clients(pooled) as (first, second):
        for client in (first, second, first):
            with pytest.raises(psycopg.errors.DivisionByZero):
                client.execute("SELECT 1 / 0")
            with pytest.raises(psycopg.errors.DivisionByZero):
                client.execute("SELECT 1 / %s", [0])
        assert is_free(pooled)


def test_a_client_that_vanishes_in_a_transaction(pooled: Pgwarden) -> None:
    with clients(pooled, 1) as (first,):
        first.execute("BEGIN")
        first.execute("SET LOCAL timezone TO 'Asia/Tokyo'")
    with clients(pooled, 1) as (second,):
        assert value(second, "SHOW timezone") != "Asia/Tokyo"


def test_pipelines(pooled: Pgwarden) -> None:
    with clients(pooled) as (first, second):
        for client in (first, second, first):
            with client.pipeline():
                cursors = [client.execute("SELECT %s::int + 1", [n]) for n in range(20)]
            assert [cursor.fetchone() for cursor in cursors] == [(n + 1,) for n in range(20)]


def test_copy(pooled: Pgwarden) -> None:
    with clients(pooled) as (first, second):
        for client in (first, second):
            with client.cursor().copy("COPY (SELECT generate_series(1, 3)) TO STDOUT") as copy:
                assert b"".join(copy) == b"1\n2\n3\n"


def test_cursors_in_transactions(pooled: Pgwarden) -> None:
    with clients(pooled) as (first, second):
        for client in (first, second):
            with client.transaction(), client.cursor("c") as cursor:
                cursor.execute("SELECT generate_series(1, 1000)")
                assert len(cursor.fetchall()) == 1000


# settings


def test_settings_follow_their_client(pooled: Pgwarden) -> None:
    with clients(pooled, 3) as (first, second, third):
        first.execute("SET timezone TO 'Asia/Tokyo'")
        second.execute("SET TIME ZONE 'America/Lima'; SET statement_timeout TO '1min' -- a comment")
        for _ in range(2):
            assert value(first, "SHOW timezone") == "Asia/Tokyo"
            assert value(second, "SHOW timezone") == "America/Lima"
            assert value(second, "SHOW statement_timeout") == "1min"
            assert value(first, "SHOW statement_timeout") == "0"
            assert value(third, "SHOW timezone") not in ("Asia/Tokyo", "America/Lima")
        second.execute("RESET ALL")
        assert value(second, "SHOW timezone") == value(third, "SHOW timezone")
        assert value(first, "SHOW timezone") == "Asia/Tokyo"
        assert is_free(pooled)


def test_what_is_reported_is_what_holds(pooled: Pgwarden) -> None:
    with clients(pooled) as (first, second):
        own = reported(second)
        first.execute("SET timezone TO 'Asia/Tokyo'")
        value(second, "SELECT 1")
        assert reported(first) == "Asia/Tokyo"
        assert reported(second) == own == value(second, "SHOW timezone") != "Asia/Tokyo"
        value(first, "SELECT 1")
        assert reported(first) == "Asia/Tokyo"


def test_a_setting_is_undone_with_its_transaction(pooled: Pgwarden) -> None:
    with clients(pooled) as (first, second):
        first.execute("SET datestyle TO 'ISO, DMY'")
        with first.transaction(force_rollback=True):
            first.execute("SET datestyle TO 'ISO, YMD'")
        with first.transaction():
            first.execute("SET LOCAL datestyle TO 'ISO, YMD'")
        with first.transaction():
            first.execute("SAVEPOINT s")
            first.execute("SET datestyle TO 'ISO, YMD'")
            first.execute("ROLLBACK TO s")
        assert value(second, "SHOW datestyle") == "ISO, MDY"
        assert value(first, "SHOW datestyle") == "ISO, DMY"


def test_settings_by_function(pooled: Pgwarden) -> None:
    with clients(pooled) as (first, second):
        value(first, "SELECT set_config('search_path', 'pg_catalog', false)")
        assert value(second, "SHOW search_path") == '"$user", public'
        assert value(first, "SHOW search_path") == "pg_catalog"
        with first.transaction():
            value(first, "SELECT set_config('my.own', 'x', true)")
            assert value(first, "SELECT current_setting('my.own')") == "x"
        assert value(second, "SELECT current_setting('my.own', true)") in (None, "")


def test_startup_settings_are_each_clients_own(pooled: Pgwarden) -> None:
    with ExitStack() as stack:
        given = {"options": "-c timezone=Asia/Tokyo", "application_name": "one"}
        (first,) = stack.enter_context(clients(pooled, 1, **given))
        (second,) = stack.enter_context(clients(pooled, 1, application_name="two"))
        names = "SELECT current_setting('application_name'), current_setting('timezone')"
        for _ in range(2):
            assert first.execute(names).fetchone() == ("one", "Asia/Tokyo")
            assert second.execute(names).fetchone() == ("two", reported(second))
        assert first.info.parameter_status("application_name") == "one"
        first.execute("SET application_name TO 'other'")
        first.execute("RESET ALL")
        assert second.execute(names).fetchone() == ("two", reported(second))
        assert first.execute(names).fetchone() == ("one", "Asia/Tokyo")
        assert is_free(pooled)


def test_discard_all(pooled: Pgwarden) -> None:
    with clients(pooled) as (first, second):
        first.prepare_threshold = 0
        first.execute("SET timezone TO 'Asia/Tokyo'")
        value(first, "SELECT %s::int", 1)
        value(second, "SELECT 1")
        first.execute("DISCARD ALL", prepare=False)
        assert value(first, "SHOW timezone") != "Asia/Tokyo"
        assert is_free(pooled)


# prepared statements


def test_prepared_statements_are_shared_and_stay_apart(pooled: Pgwarden) -> None:
    with clients(pooled, 3) as three:
        for client in three:
            client.prepare_threshold = 0
        for turn in range(4):
            for n, client in enumerate(three):
                assert value(client, "SELECT %s::int * 2", n) == n * 2
                assert value(client, f"SELECT %s::int + {n}", turn) == n + turn
        assert is_free(pooled)


def test_deallocate(pooled: Pgwarden) -> None:
    with clients(pooled) as (first, second):
        for client in (first, second):
            client.prepare_threshold = 0
            client.prepared_max = 2
        for n in range(6):
            for client in (first, second):
                assert value(client, f"SELECT %s::int + {n}", 1) == n + 1
        first.execute("DEALLOCATE ALL", prepare=False)
        assert value(second, "SELECT %s::int + 5", 1) == 6


def test_names_are_each_clients_own(pooled: Pgwarden) -> None:
    with clients(pooled) as (first, second):
        for client, text in ((first, b"SELECT 'first'"), (second, b"SELECT 'second'")):
            assert client.pgconn.prepare(b"s", text).status == pq.ExecStatus.COMMAND_OK
        for client, answer in ((first, b"first"), (second, b"second"), (first, b"first")):
            assert client.pgconn.exec_prepared(b"s", []).get_value(0, 0) == answer
            assert client.pgconn.describe_prepared(b"s").fname(0) == b"?column?"
        again = first.pgconn.prepare(b"s", b"SELECT 1")
        assert again.error_field(pq.DiagnosticField.SQLSTATE) == b"42P05"
        first.execute("DEALLOCATE s")
        missing = first.pgconn.exec_prepared(b"s", [])
        assert missing.error_field(pq.DiagnosticField.SQLSTATE) == b"26000"
        assert second.pgconn.exec_prepared(b"s", []).get_value(0, 0) == b"second"
        assert first.pgconn.prepare(b"s", b"SELECT 'third'").status == pq.ExecStatus.COMMAND_OK
        assert first.pgconn.exec_prepared(b"s", []).get_value(0, 0) == b"third"
        assert is_free(pooled)


def test_the_unnamed_statement_follows(pooled: Pgwarden) -> None:
    with clients(pooled) as (first, second):
        first.pgconn.prepare(b"", b"SELECT 'first'")
        second.pgconn.prepare(b"", b"SELECT 'second'")
        assert first.pgconn.exec_prepared(b"", []).get_value(0, 0) == b"first"
        assert second.pgconn.exec_prepared(b"", []).get_value(0, 0) == b"second"
    with clients(pooled, 1) as (third,):
        missing = third.pgconn.exec_prepared(b"", [])
        assert missing.error_field(pq.DiagnosticField.SQLSTATE) == b"26000"


def test_a_statement_is_read_under_its_own_clients_settings(pooled: Pgwarden) -> None:
    """The server turns constants into dates when it prepares."""
    with clients(pooled) as (first, second):
        first.execute("SET datestyle TO 'ISO, DMY'")
        for client, day in ((first, "2020-03-02"), (second, "2020-02-03"), (first, "2020-03-02")):
            client.prepare_threshold = 0
            assert str(value(client, "SELECT '02/03/2020'::date")) == day


def test_a_failing_parse(pooled: Pgwarden) -> None:
    with clients(pooled) as (first, second):
        first.prepare_threshold = 0
        for _ in range(2):
            with pytest.raises(psycopg.errors.UndefinedTable):
                first.execute("SELECT * FROM nowhere WHERE a = %s", [1])
            with first.pipeline() as pipeline:
                cursor = first.execute("SELECT %s::int", [1])
                late = first.cursor()
                # psycopg reads what has come whenever it sends: any of these may meet the error.
                with pytest.raises(psycopg.errors.DivisionByZero):
                    first.execute("SELECT 1 / 0")
                    late.execute("SELECT %s::int + 100", [1])
                    pipeline.sync()
                with suppress(psycopg.errors.PipelineAborted):
                    pipeline.sync()
                assert cursor.fetchone() == (1,)
                with pytest.raises(psycopg.Error):
                    late.fetchone()
        assert value(first, "SELECT %s::int + 100", 1) == 101
        assert value(second, "SELECT %s::int + 100", 1) == 101
        assert is_free(pooled)
