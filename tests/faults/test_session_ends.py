"""What comes without being asked for: ends of sessions, notifications, settings that change."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.fix_pgwarden import MakePgwarden, Pgwarden, until
from tests.fix_servers import TestServer
from tests.security.canary_shop import connect
from tests.security.raw_client import SYNC, RawClient, bind, execute, frame, parse, query


def last_words(client: RawClient) -> dict[str, str]:
    """The error before the other end closes."""
    answer = client.receive(b"\0")
    assert answer.kinds[-1:] == [b""]
    return answer.error


def backend(client: RawClient) -> int:
    return int(client.simple("SELECT pg_backend_pid()").rows[0][0] or 0)


@pytest.fixture
def administrator(pgwarden: Pgwarden) -> Iterator[psycopg.Connection]:
    """On the bare server."""
    with psycopg.connect(pgwarden.server.dsn(pgwarden.database), autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("begun", [(), (query("BEGIN"),), (query("SELECT pg_sleep(60)"),)])
def test_an_administrators_command(
    pgwarden: Pgwarden, administrator: psycopg.Connection, begun: tuple[bytes, ...]
) -> None:
    with connect(pgwarden.dsn()) as client:
        pid = backend(client)
        client.send(*begun)
        if begun and b"BEGIN" in begun[0]:
            client.receive()
        administrator.execute("SELECT pg_terminate_backend(%s)", (pid,))
        told = last_words(client)
        assert (told["S"], told["C"]) == ("FATAL", "57P01")
        assert told["M"] == "terminating connection due to administrator command"


def test_a_cancel_by_an_administrator(pgwarden: Pgwarden, administrator: psycopg.Connection) -> None:
    with connect(pgwarden.dsn("ada")) as client, connect(pgwarden.dsn()) as other:
        other.simple("SELECT 1")
        client.send(parse("SELECT count(*) FROM generate_series(1, 1000000000)"), bind(), execute(), SYNC)
        find = (
            "SELECT pid FROM pg_stat_activity WHERE query LIKE %s AND datname = current_database() AND state = 'active'"
        )
        while not (found := administrator.execute(find, ("SELECT count(*) FROM generate_series%",)).fetchall()):
            time.sleep(0.02)
        administrator.execute("SELECT pg_cancel_backend(%s)", (found[0][0],))
        assert client.receive().sqlstate == "57014"
        assert client.simple("SELECT 1").rows == [(b"1",)]


def test_the_servers_own_idle_time_out(pgwarden: Pgwarden) -> None:
    with connect(pgwarden.dsn()) as client:
        client.simple("SET idle_session_timeout TO 100")
        assert last_words(client)["C"] == "57P05"


def test_the_gateways_idle_time_outs(make_pgwarden: MakePgwarden, server18: TestServer) -> None:
    instance = make_pgwarden(session={"idle_timeout": "400ms", "idle_in_transaction_timeout": "200ms"})
    with connect(instance.dsn("ada")) as idle, connect(instance.dsn("ada")) as block, connect(instance.dsn()) as busy:
        block.simple("BEGIN")
        told = last_words(block)
        assert (told["S"], told["C"]) == ("FATAL", "25P03")
        assert told["M"] == "terminating connection due to idle-in-transaction timeout"
        assert busy.simple("SELECT pg_sleep(0.6)").sqlstate == ""
        told = last_words(idle)
        assert (told["S"], told["C"]) == ("FATAL", "57P05")
        assert told["M"] == "terminating connection due to idle-session timeout"


def test_notifications_and_settings_at_any_point(pgwarden: Pgwarden) -> None:
    with connect(pgwarden.dsn()) as client, connect(pgwarden.dsn()) as other:
        client.simple("LISTEN bell")
        other.simple("NOTIFY bell, 'idle'")
        assert client.receive(b"A").kinds == [b"A"]
        client.simple("CREATE TEMP TABLE c (x int)")
        client.send(query("COPY c FROM STDIN"))
        assert client._frame()[0] == b"G"
        other.simple("NOTIFY bell, 'copying'")
        client.send(frame(b"d", b"1\n"), frame(b"c"))
        copied = client.receive()
        assert copied.tags == ["COPY 1"]
        if b"A" not in copied.kinds:
            assert client.receive(b"A").kinds == [b"A"]
        assert b"S" in client.simple("SET application_name TO 'changed'; SELECT 1").kinds
        assert b"bell\0copying\0" in client.seen


def test_a_client_that_vanishes_while_its_next_message_waits(
    pgwarden: Pgwarden, administrator: psycopg.Connection
) -> None:
    """Behind SET in flight the next message waits; what runs meanwhile must not run on for nobody."""
    text = "SET search_path TO shop; SELECT count(*) AS vanished FROM generate_series(1, 1000000000)"
    count = (
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%AS vanished%%' AND state = 'active' AND pid <> %s"
    )
    own = administrator.info.backend_pid

    def running() -> int:
        return int((administrator.execute(count, (own,)).fetchone() or (0,))[0])

    with connect(pgwarden.dsn("ada")) as client:
        client.send(query(text), query("SELECT 1"))
        until(lambda: running() == 1, "the statement")
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.socket.close()
        until(lambda: running() == 0, "its end")
