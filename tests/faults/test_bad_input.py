"""What comes in wrong, end to end: bad clients, servers that are away, full disks, a kill under load."""

from __future__ import annotations

import contextlib
import os
import random
import re
import socket
import struct
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from proxy.embedded import EmbeddedServer, find_free_port
from tests.fix_pgwarden import (
    DATABASE,
    PATIENCE_S,
    MakePgwarden,
    Pgwarden,
    run_pgwarden,
    until,
)
from tests.fix_servers import TestServer

HANDSHAKE_S = 10.0
SSL_REQUEST = struct.pack("!ii", 8, 80877103)


@pytest.fixture(scope="module")
def running(server18: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    """One instance for all bad clients: it must outlive them."""
    with run_pgwarden(tmp_path_factory.mktemp("bad"), server18) as instance:
        yield instance
        assert instance.stop() == 0
        assert instance.faults() == []


@pytest.fixture(autouse=True)
def _still_serves(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "running" in request.fixturenames:
        assert ask(request.getfixturevalue("running"), "SELECT 1") == 1


def ask(pgwarden: Pgwarden, sql: str, user: str = "admin") -> object:
    with psycopg.connect(pgwarden.dsn(user), autocommit=True) as connection:
        row = connection.execute(sql.encode()).fetchone()
    return None if row is None else row[0]


def login_error(dsn: str) -> str:
    with pytest.raises(psycopg.OperationalError) as refused:
        psycopg.connect(dsn)
    return str(refused.value)


# clients


def test_an_unknown_database(running: Pgwarden) -> None:
    assert 'database "nowhere" does not exist' in login_error(running.dsn(database="nowhere"))
    # Who can't log in learns nothing about databases.
    told = login_error(running.dsn("ada", password="wrong", database="nowhere"))
    assert "password authentication failed" in told


def test_an_unknown_user_and_a_wrong_password_look_the_same(running: Pgwarden) -> None:
    unknown = login_error(running.dsn("nobody", password="x"))
    wrong = login_error(running.dsn("ada", password="x"))
    assert 'password authentication failed for user "nobody"' in unknown
    assert unknown.replace("nobody", "ada") == wrong
    failed = until(
        lambda: running.records("stage = 'event' AND shape = 'login' AND decision = 'deny' AND \"user\" = 'nobody'")
    )
    assert failed[0]["sqlstate"] == "28P01"


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40),
        bytes(64),
        b"\xff" * 64,
        struct.pack("!ii", 8, 12345),
        struct.pack("!ii", 9, 3 << 16) + b"\0",
        struct.pack("!i", 3) + b"\0" * 4,
        struct.pack("!ii", 20_000, 3 << 16),
        struct.pack("!ii", 0x7FFFFFFF, 3 << 16),
        SSL_REQUEST + SSL_REQUEST,
        struct.pack("!ii", 40, 3 << 16) + b"user\0ada\0database\0shop\0half",
        random.Random(100).randbytes(100),
    ],
)
def test_garbage_on_the_port(running: Pgwarden, garbage: bytes) -> None:
    """It is answered with an error or the end of the connection, not with silence, once the client has finished."""
    with socket.create_connection((running.host, running.port), PATIENCE_S) as link:
        link.sendall(garbage)
        link.shutdown(socket.SHUT_WR)
        heard = _all_from(link)
    assert heard == b"" or heard[:1] in (b"E", b"N", b"R", b"v")


def _all_from(link: socket.socket) -> bytes:
    heard = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while chunk := link.recv(65536):
            heard += chunk
    return bytes(heard)


def test_a_length_of_2_gib_ends_the_session(running: Pgwarden) -> None:
    for length in (0x7FFFFFFF, -1, 3):
        with psycopg.connect(running.dsn("ada"), autocommit=True) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
            with socket.socket(fileno=os.dup(connection.fileno())) as link:
                link.setblocking(True)
                link.settimeout(PATIENCE_S)
                link.sendall(b"Q" + struct.pack("!i", length) + b"SELECT 1\0")
                heard = _all_from(link)
            assert heard[:1] == b"E"
            assert b"C08P01\0" in heard
            assert b"SFATAL\0" in heard


def test_clients_that_stall_in_the_handshake_are_cut_off(running: Pgwarden) -> None:
    """At three places at once: before the first byte, within the startup packet, within SCRAM."""
    startup = struct.pack("!ii", 8 + len(b"user\0ada\0database\0shop\0\0"), 3 << 16) + b"user\0ada\0database\0shop\0\0"
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        links = []
        for sent in (b"", startup[:10], startup):
            link = stack.enter_context(socket.create_connection((running.host, running.port), PATIENCE_S))
            link.sendall(sent)
            links.append(link)
        for link in links:
            _all_from(link)
    took = time.monotonic() - begun
    assert HANDSHAKE_S * 0.9 < took < HANDSHAKE_S * 2


def test_a_client_that_leaves_in_the_middle_frees_the_server(running: Pgwarden) -> None:
    connection = psycopg.connect(running.dsn(), autocommit=True)
    link = socket.socket(fileno=os.dup(connection.fileno()))
    link.sendall(b"Q" + struct.pack("!i", 4 + len(b"SELECT pg_sleep(60)\0")) + b"SELECT pg_sleep(60)\0")
    count = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND datname = current_database()"
    with psycopg.connect(running.server.dsn(running.database), autocommit=True) as direct:

        def sleepers() -> int:
            row = direct.execute(count.encode()).fetchone()
            assert row is not None
            return int(row[0])

        until(lambda: sleepers() == 1, "the statement")
        link.close()
        connection.close()
        until(lambda: sleepers() == 0, "its end")


# servers that are away


def test_an_unreachable_upstream(make_pgwarden: MakePgwarden) -> None:
    port = find_free_port()
    away = {DATABASE: {"upstream": f"postgresql://gateway:x@127.0.0.1:{port}/shop"}}
    pgwarden = make_pgwarden(databases=away, is_started=False)
    pgwarden.start(is_ready=False)
    told = login_error(pgwarden.dsn())
    assert "could not connect to the database server" in told
    assert str(port) not in told.partition("FATAL")[2]
    assert pgwarden.get("/healthz")[0] == 200
    is_ready, checks = pgwarden.readiness()
    assert not is_ready
    assert DATABASE in checks["upstream"]
    assert "password authentication failed" in login_error(pgwarden.dsn("ada", password="x"))
    assert pgwarden.stop() == 0


def test_an_upstream_that_dies_and_comes_back(
    make_pgwarden: MakePgwarden, server18: TestServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with EmbeddedServer(tmp_path_factory.mktemp("mortal"), server18.embedded.installation) as mortal:
        with psycopg.connect(mortal.dsn(), autocommit=True) as connection:
            connection.execute("CREATE SCHEMA shop")
        policies = _policies_without_tables()
        pgwarden = make_pgwarden(databases={DATABASE: {"upstream": mortal.dsn()}}, policies=policies)
        with psycopg.connect(pgwarden.dsn(), autocommit=True) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
            mortal.stop()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        assert "could not connect to the database server" in login_error(pgwarden.dsn())
        mortal.start()
        assert f":{mortal.port}/" in pgwarden.config_file.read_text(), "another program took the server's port"
        assert ask(pgwarden, "SELECT 2") == 2


def _policies_without_tables() -> str:
    return """
principals:
  - {user: admin, roles: [admin], auth: {scram: "@admin@"}}
policies:
  - name: administrators
    subjects: {roles: [admin]}
    statements: [all]
    tables: {allow: ["*.*"]}
    functions: {allow: ["*"]}
"""


def test_an_unreachable_store(
    make_pgwarden: MakePgwarden, server18: TestServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Statements go on, readiness and metrics say so, and the records arrive later, once each."""
    with EmbeddedServer(tmp_path_factory.mktemp("store"), server18.embedded.installation) as store:
        dsn = store.dsn()
        store.stop()
        pgwarden = make_pgwarden(audit={"directory": "journal", "store": dsn}, is_started=False)
        pgwarden.store_dsn = dsn
        pgwarden.start(is_ready=False)
        for _ in range(5):
            assert ask(pgwarden, "SELECT 'waiting mark'") == "waiting mark"
        is_ready, checks = pgwarden.readiness()
        assert not is_ready
        assert [name for name, told in checks.items() if told != "ok"] == ["store"]
        until(lambda: pgwarden.metric("pgwarden_journal_lag_bytes") > 0, "a journal lag")
        assert pgwarden.metric("pgwarden_store_reachable") == 0

        store.start()
        assert store.dsn() == dsn, "another program took the store's port"
        until(lambda: pgwarden.readiness()[0], "readiness")
        found = pgwarden.records_of("waiting mark", outcomes=5)
        assert [record["stage"] for record in found] == ["intent", "outcome"] * 5
        until(lambda: pgwarden.metric("pgwarden_store_reachable") == 1)
        assert pgwarden.stop() == 0
        verified = pgwarden.run("audit", "verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr


# disks


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB; only root can have one."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_a_full_disk_refuses_statements(make_pgwarden: MakePgwarden, small_disk: Path) -> None:
    """The store is away, so that nothing shipped is dropped; room that comes back is used again."""
    away = f"postgresql://postgres@127.0.0.1:{find_free_port()}/store"
    pgwarden = make_pgwarden(audit={"directory": str(small_disk / "journal"), "store": away}, is_started=False)
    pgwarden.start(is_ready=False)
    with psycopg.connect(pgwarden.dsn("ada"), autocommit=True) as connection:
        connection.execute("SELECT 1")
        ballast = small_disk / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 20))
        wide = f"SELECT 1 -- {'x' * 200_000}".encode()
        with pytest.raises(errors.DiskFull) as refused:
            for _ in range(1000):
                connection.execute(wide)
        assert "pgwarden/journal" in str(refused.value)
        with pytest.raises(errors.DiskFull):
            connection.execute(wide)
        until(lambda: pgwarden.metric("pgwarden_journal_failed") == 1, "the metric")
        assert pgwarden.readiness()[1]["journal"] != "ok"
        ballast.unlink()
        assert connection.execute(wide).fetchone() == (1,)
    pgwarden.stop()
    verified = pgwarden.run("audit", "verify", "--journal-only")
    assert verified.returncode == 0, verified.stdout + verified.stderr


# a kill in the middle of load


def test_a_kill_in_the_middle_of_load_loses_and_doubles_nothing(make_pgwarden: MakePgwarden) -> None:
    pgwarden = make_pgwarden()
    answered: list[str] = []
    for run in range(3):
        if run:
            pgwarden.start()
        clients = [threading.Thread(target=_load, args=(pgwarden.dsn("ada"), f"{run}-{n}", answered)) for n in range(3)]
        wanted = len(answered) + 60
        for client in clients:
            client.start()
        until(lambda: len(answered) >= wanted, "answers")  # noqa: B023
        pgwarden.kill()
        for client in clients:
            client.join(PATIENCE_S)
    pgwarden.start()
    until(lambda: pgwarden.metric("pgwarden_journal_lag_bytes") == 0, "shipping")
    assert pgwarden.stop() == 0

    found = pgwarden.records("stage <> 'event'")
    texts = (record["sql_text"] for record in found if record["stage"] == "intent")
    intents = Counter(name for text in texts for name in re.findall(r"load (\S+) ", text))
    assert set(answered) <= set(intents), "an answered statement has no record"
    assert max(intents.values()) == 1
    by_stage = {stage: [r["statement_id"] for r in found if r["stage"] == stage] for stage in ("intent", "outcome")}
    assert sorted(by_stage["intent"]) == sorted(by_stage["outcome"])
    chains: dict[str, list[int]] = {}
    for record in pgwarden.records():
        chains.setdefault(record["chain"], []).append(record["sequence"])
    assert len(chains) == 2  # the worker's and the supervisor's
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in chains.values())
    verified = pgwarden.run("audit", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def _load(dsn: str, name: str, answered: list[str]) -> None:
    """Asks until the connection breaks; remembers what was answered."""
    with contextlib.suppress(psycopg.OperationalError), psycopg.connect(dsn, autocommit=True) as connection:
        for number in range(100_000):
            connection.execute(f"SELECT 'load {name}-{number} ', email FROM shop.customers WHERE id < 20".encode())
            answered.append(f"{name}-{number}")
