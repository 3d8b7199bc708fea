"""A client that shuts down its side and still reads: it hears what the bare server would have told it."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time

import psycopg
import pytest

from tests.fix_pgwarden import PATIENCE_S, Pgwarden, until


def query(text: str) -> bytes:
    body = text.encode() + b"\0"
    return b"Q" + struct.pack("!i", len(body) + 4) + body


def copy_data(data: bytes) -> bytes:
    return b"d" + struct.pack("!i", len(data) + 4) + data


SAYINGS = {
    "nothing": b"",
    "one query": query("SELECT 1 AS x"),
    "two queries": query("SELECT pg_catalog.pg_sleep(0.3)") + query("SELECT repeat('y', 200000)"),
    "a failing one": query("SELECT 1/0"),
    "half a message": query("SELECT 2") + query("SELECT 3")[:-4],
    "an open transaction": query("BEGIN") + query("SELECT 4"),
    "without Sync": b"P" + struct.pack("!i", 4 + 9 + 3) + b"\0SELECT 5\0\0\0",
    "data for COPY": query("COPY pg_temp.half FROM STDIN") + copy_data(b"1\n"),
}


def said_to(dsn: str, saying: bytes) -> bytes:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TEMPORARY TABLE half (x int)")
        with socket.socket(fileno=os.dup(connection.fileno())) as link:
            link.settimeout(PATIENCE_S)
            link.setblocking(True)
            link.sendall(saying)
            link.shutdown(socket.SHUT_WR)
            heard = bytearray()
            with contextlib.suppress(ConnectionResetError):
                while chunk := link.recv(65536):
                    heard += chunk
    return bytes(heard)


@pytest.mark.parametrize("name", SAYINGS)
def test_what_was_asked_before_the_end_is_answered(pgwarden: Pgwarden, name: str) -> None:
    direct = f"{pgwarden.server.dsn(pgwarden.database)}?sslmode=disable"
    assert said_to(pgwarden.dsn("admin"), SAYINGS[name]) == said_to(direct, SAYINGS[name])


def test_one_who_never_reads_the_answer_leaves_nothing_running(pgwarden: Pgwarden) -> None:
    count = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(601)'"
    with psycopg.connect(pgwarden.server.dsn(), autocommit=True) as direct:

        def sleepers() -> int:
            row = direct.execute(count.encode()).fetchone()
            assert row is not None
            return int(row[0])

        with psycopg.connect(pgwarden.dsn("admin")) as connection:
            link = socket.socket(fileno=os.dup(connection.fileno()))
            link.sendall(query("SELECT pg_sleep(601)"))
            link.shutdown(socket.SHUT_WR)
            until(lambda: sleepers() == 1, "the statement")
            begun = time.monotonic()
            until(lambda: sleepers() == 0, "its end")
            assert time.monotonic() - begun > 1, "it had time to be answered"
            link.close()
