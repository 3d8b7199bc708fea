"""Replication connections: only where a policy names them and hides nothing; then real tools find nothing amiss."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import psycopg2
import psycopg2.extras
import pytest

from proxy.embedded import EmbeddedServer
from proxy.installation import find_system
from tests.fix_pgwarden import DATABASE, Pgwarden, run_pgwarden, until
from tests.fix_servers import TestServer, passing_server

POLICIES = """
principals:
  - {user: admin, roles: [admin], auth: {scram: "@admin@"}}
  - {user: sam, roles: [sync], auth: {scram: "@sam@"}}
  - {user: ada, roles: [masked], auth: {scram: "@ada@"}}
policies:
  - {name: all, subjects: {roles: [admin]}, statements: [all], tables: {allow: ["*.*"]}, functions: {allow: ["*"]}}
  - name: sync
    subjects: {roles: [sync]}
    statements: [all, replication]
    tables: {allow: ["*.*"]}
    functions: {allow: ["*"]}
  - name: masked
    subjects: {roles: [masked]}
    statements: [all, replication]
    tables: {allow: ["*.*"], block: [public.secret]}
    functions: {allow: ["*"]}
"""
NO_LONGER = POLICIES.replace("[all, replication]", "[all]")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server whose changes can be followed."""
    installation = find_system()
    if installation is None:
        pytest.skip("no PostgreSQL is installed on this system")
    settings = {"fsync": "off", "wal_level": "logical", "max_wal_senders": "8"}
    with passing_server(tmp_path_factory.mktemp("source"), installation, settings=settings) as server:
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE changes")
            connection.execute("CREATE DATABASE store")
        with psycopg.connect(server.dsn("changes"), autocommit=True) as connection:
            connection.execute("CREATE TABLE public.secret (id int PRIMARY KEY, word text)")
        yield server


@pytest.fixture
def gate(source: EmbeddedServer, server18: TestServer, tmp_path: Path) -> Iterator[Pgwarden]:
    # pg_receivewal names the database "replication", as walsenders without a database do.
    databases = {name: {"upstream": source.dsn("changes")} for name in (DATABASE, "replication")}
    with run_pgwarden(tmp_path, server18, policies=POLICIES, databases=databases) as instance:
        yield instance
        assert instance.stop() == 0
        assert instance.faults() == []


def follow(gate: Pgwarden, user: str = "sam") -> psycopg2.extensions.connection:
    kind = psycopg2.extras.LogicalReplicationConnection
    return psycopg2.connect(gate.dsn(user), connection_factory=kind)


def write(source: EmbeddedServer, *words: str) -> None:
    with psycopg.connect(source.dsn("changes"), autocommit=True) as connection:
        for word in words:
            query = "INSERT INTO public.secret SELECT coalesce(max(id), 0) + 1, %s FROM public.secret"
            connection.execute(query, (word,))


@pytest.mark.parametrize("user", ["admin", "ada"])
def test_it_has_to_be_granted_by_name_and_nothing_may_be_hidden(gate: Pgwarden, user: str) -> None:
    with pytest.raises(psycopg2.OperationalError, match="rule pgwarden/replication"):
        follow(gate, user)
    denied = until(lambda: gate.records("shape = 'login' AND decision = 'deny' AND \"user\" = %s", user))
    assert denied[0]["sqlstate"] == "42501"
    with psycopg.connect(gate.dsn(user)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_changes_are_followed_and_commands_recorded(gate: Pgwarden, source: EmbeddedServer) -> None:
    large = "x" * 3_000_000
    with closing(follow(gate)) as connection, connection.cursor() as cursor:
        cursor.execute("IDENTIFY_SYSTEM")
        assert cursor.fetchone()[3] == "changes"
        cursor.execute("SELECT count(*) FROM public.secret")
        assert cursor.fetchone() is not None
        cursor.create_replication_slot("follower", output_plugin="test_decoding")
        cursor.start_replication("follower", decode=True)
        write(source, "hidden word", large)
        heard = receive(cursor, 6)
        cursor.send_feedback(flush_lsn=cursor.wal_end, force=True)
        assert any("hidden word" in text for text in heard)
        assert any(large in text for text in heard)
    until(lambda: not _is_active(source, "follower"), "the stream's end")
    started = gate.records_of("START_REPLICATION")
    assert [record["stage"] for record in started] == ["intent", "outcome"]
    assert started[1]["bytes_out"] > len(large)
    with closing(follow(gate)) as connection, connection.cursor() as cursor:
        cursor.execute("DROP_REPLICATION_SLOT follower")
        with pytest.raises(psycopg2.errors.SyntaxError):
            cursor.execute("NO SUCH COMMAND")
    refused = gate.records_of("NO SUCH COMMAND")
    assert refused[-1]["sqlstate"] == "42601"


def receive(cursor: psycopg2.extras.ReplicationCursor, count: int) -> list[str]:
    heard: list[str] = []
    deadline = time.monotonic() + 30
    while len(heard) < count:
        message = cursor.read_message()
        if message is not None:
            heard.append(message.payload)
        assert time.monotonic() < deadline, heard
    return heard


def _is_active(source: EmbeddedServer, slot: str) -> bool:
    with psycopg.connect(source.dsn()) as connection:
        query = "SELECT active FROM pg_replication_slots WHERE slot_name = %s"
        row = connection.execute(query, (slot,)).fetchone()
    return bool(row and row[0])


def test_a_stream_ends_when_the_policy_no_longer_grants_it(gate: Pgwarden, source: EmbeddedServer) -> None:
    with closing(follow(gate)) as connection, connection.cursor() as cursor:
        cursor.create_replication_slot("cut", output_plugin="test_decoding")
        cursor.start_replication("cut", decode=True)
        write(source, "before")
        receive(cursor, 3)
        gate.write_policies(NO_LONGER)
        until(lambda: 'fingerprint":"' in gate.log_text and gate.log_text.count("policies loaded") > 1, "the edit")
        write(source, "after the edit")
        with pytest.raises(psycopg2.OperationalError, match="policies changed"):
            receive(cursor, 3)
    until(lambda: not _is_active(source, "cut"), "the stream's end")
    with psycopg.connect(source.dsn(), autocommit=True) as direct:
        direct.execute("SELECT pg_drop_replication_slot('cut')")


def test_pg_receivewal_receives(gate: Pgwarden, source: EmbeddedServer, tmp_path: Path) -> None:
    folder = tmp_path / "wal"
    folder.mkdir()
    program = source.installation.program("pg_receivewal")
    command = [str(program), "-D", str(folder), "-d", gate.dsn("sam"), "--no-loop", "--synchronous"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as receiver:
        until(lambda: list(folder.glob("*.partial")), "the stream's beginning")
        write(source, "a word that is looked for")
        until(lambda: b"a word that is looked for" in _content(folder), "the word")
        receiver.send_signal(signal.SIGINT)
        _, told = receiver.communicate(timeout=30)
    assert receiver.returncode == 0, told


def _content(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())
