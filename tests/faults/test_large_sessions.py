"""Much of everything: statements in one pipeline, names in one session, long texts, wide rows, large fields.

What pgwarden holds of it is bounded: it reads no faster than the other side takes.
"""

from __future__ import annotations

import struct
import subprocess
import threading
from collections.abc import Iterator

import pytest

from tests.fix_pgwarden import MakePgwarden, Pgwarden, run_pgwarden
from tests.fix_servers import TestServer
from tests.security.canary_shop import connect
from tests.security.raw_client import SYNC, bind, execute, frame, parse, query, string

MIB = 1 << 20
FIELD_BYTES = 256 * MIB
STATEMENTS = 100_000
NAMES = 10_000


@pytest.fixture(scope="module")
def instance(server18: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    with run_pgwarden(tmp_path_factory.mktemp("large"), server18) as started:
        yield started
        assert started.stop() == 0
        assert started.faults() == []


def resident_bytes(instance: Pgwarden) -> int:
    """Of all its processes together, but for the database servers that it may have started."""
    assert instance.process is not None
    found = subprocess.run(
        ["ps", "-o", "rss=", "--pid", str(instance.process.pid), "--ppid", str(instance.process.pid)],
        capture_output=True,
        text=True,
        check=True,
    )
    return sum(int(line) for line in found.stdout.split()) * 1024


def test_a_pipeline_of_100_000_statements(instance: Pgwarden) -> None:
    """Nobody reads the answers at first: the client has to wait with the rest, and pgwarden keeps little of it."""
    once = parse(f"SELECT '{'x' * 200}'") + bind() + execute() + SYNC  # more than sockets and buffers take
    with connect(instance.dsn()) as client:
        before = resident_bytes(instance)
        sender = threading.Thread(target=client.socket.sendall, args=(once * STATEMENTS,))
        sender.start()
        sender.join(3)
        assert sender.is_alive()
        assert resident_bytes(instance) - before < 96 * MIB
        ready = rows = 0
        while ready < STATEMENTS:
            kind, _ = client._frame()
            assert kind in (b"1", b"2", b"D", b"C", b"Z"), kind
            ready += kind == b"Z"
            rows += kind == b"D"
            client.seen.clear()
        sender.join()
        assert rows == STATEMENTS
        assert resident_bytes(instance) - before < 96 * MIB


@pytest.mark.parametrize("user", ["admin", "ada"])
def test_10_000_prepared_statements(instance: Pgwarden, user: str) -> None:
    with connect(instance.dsn(user)) as client:
        before = resident_bytes(instance)
        for start in range(0, NAMES, 1000):
            names = range(start, start + 1000)
            texts = (parse(f"SELECT {n}, id FROM shop.customers WHERE id = $1", f"s{n}") for n in names)
            parsed = client.roundtrip(*texts, SYNC)
            assert parsed.kinds.count(b"1") == 1000
        assert resident_bytes(instance) - before < 128 * MIB
        for n in (0, NAMES // 2, NAMES - 1):
            ((found, _),) = client.roundtrip(bind((b"1",), name=f"s{n}"), execute(), SYNC).rows
            assert found == str(n).encode()


@pytest.mark.parametrize("user", ["admin", "ada"])
def test_texts_of_a_megabyte(instance: Pgwarden, user: str) -> None:
    literal = "x" * MIB
    with connect(instance.dsn(user)) as client:
        for answer in (client.simple(f"SELECT length('{literal}')"), client.extended(f"SELECT length('{literal}')")):
            assert answer.rows == [(str(MIB).encode(),)]
        listed = ", ".join(map(str, range(100_000)))
        assert client.simple(f"SELECT count(*) FROM shop.customers WHERE id IN ({listed})").sqlstate == ""


@pytest.mark.parametrize("user", ["admin", "ada"])
def test_rows_of_1600_columns(instance: Pgwarden, user: str) -> None:
    columns = ", ".join(["email", "1"] * 800)
    with connect(instance.dsn(user)) as client:
        text = f"SELECT {columns} FROM shop.customers LIMIT 3"
        for answer in (client.simple(text), client.extended(text)):
            assert answer.sqlstate == ""
            assert [len(row) for row in answer.rows] == [1600] * 3
            assert all(b"*" in (row[0] or b"") for row in answer.rows) is (user == "ada")
        assert client.simple(f"SELECT {columns}, {columns} FROM shop.customers").sqlstate == "54011"


def test_a_field_of_256_mib_passes_in_parts(instance: Pgwarden) -> None:
    with connect(instance.dsn()) as client:
        before = resident_bytes(instance)
        client.send(query(f"SELECT repeat('x', {FIELD_BYTES})"))
        assert client._frame()[0] == b"T"
        assert client._read(1) == b"D"
        assert struct.unpack("!i", client._read(4))[0] == FIELD_BYTES + 10
        left = FIELD_BYTES + 6
        while left > FIELD_BYTES // 2:
            left -= len(client.socket.recv(min(left, MIB)))
        most = resident_bytes(instance)
        while left:
            left -= len(client.socket.recv(min(left, MIB)))
        assert most - before < 64 * MIB
        assert client.receive().tags == ["SELECT 1"]


def test_copy_data_of_256_mib_in_one_message(instance: Pgwarden) -> None:
    with connect(instance.dsn()) as client:
        client.simple("CREATE TEMP TABLE large (x text)")
        before = resident_bytes(instance)
        client.send(query("COPY large FROM STDIN"))
        assert client._frame()[0] == b"G"
        client.socket.sendall(b"d" + struct.pack("!i", FIELD_BYTES + 5))
        for _ in range(256):
            client.socket.sendall(b"x" * MIB)
        most = resident_bytes(instance)
        client.socket.sendall(b"\n")
        client.send(frame(b"c"))
        assert most - before < 64 * MIB
        assert client.receive().tags == ["COPY 1"]
        assert client.simple("SELECT length(x) FROM large").rows == [(str(FIELD_BYTES).encode(),)]


def test_a_parameter_beyond_the_limit_ends_the_session(instance: Pgwarden) -> None:
    with connect(instance.dsn()) as client:
        client.socket.sendall(parse("SELECT length($1)") + b"B" + struct.pack("!i", 65 * MIB))
        answer = client.receive(b"E")
        assert answer.sqlstate == "08P01"


def test_a_parameter_of_256_mib(make_pgwarden: MakePgwarden) -> None:
    """The statement's message is held whole, so an operator has to allow for it."""
    instance = make_pgwarden(limits={"message": "1GiB"})
    head = string("") * 2 + struct.pack("!hh", 0, 1) + struct.pack("!i", FIELD_BYTES)
    with connect(instance.dsn("ada")) as client:
        client.send(parse("SELECT length($1)"), b"B" + struct.pack("!i", 4 + len(head) + FIELD_BYTES + 2), head)
        for _ in range(256):
            client.socket.sendall(b"x" * MIB)
        client.send(struct.pack("!h", 0), execute(), SYNC)
        assert client.receive().rows == [(str(FIELD_BYTES).encode(),)]
