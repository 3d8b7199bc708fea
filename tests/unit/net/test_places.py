"""Where links lead: hosts of a list, unix sockets, servers that come back; and what keeps a link alive or ends it."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from proxy.dsn import parse_dsn
from proxy.embedded import EmbeddedServer, find_free_port
from proxy.net.acceptor import Acceptor
from proxy.net.link import ClientLink
from proxy.net.places import Places
from proxy.net.sockets import UnixSocket
from proxy.net.upstream import Encryption, attempts
from proxy.wire import messages as m
from proxy.wire.codec import encode
from tests.fix_servers import TestServer
from tests.unit.net.worker_stage import WorkerStage, worker_before

OPEN = """
principals: [{user: admin, roles: [admin], auth: {scram: "@admin@"}}]
policies:
  - {name: all, subjects: {any: true}, statements: [all], tables: {allow: ["*.*"]}, functions: {allow: ["*"]}}
"""


async def connect(stage: WorkerStage, **options: str) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(stage.dsn("admin", **options), autocommit=True)


async def one(connection: psycopg.AsyncConnection, query: str) -> object:
    row = await (await connection.execute(query.encode())).fetchone()
    return row and row[0]


async def begun(dsn: str) -> None:
    """Returns once the server works on the long statement: an earlier cancel would hit nothing."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)' AND state = 'active'"
    async with asyncio.timeout(20), await psycopg.AsyncConnection.connect(dsn, autocommit=True) as direct:
        while await one(direct, query) == 0:
            await asyncio.sleep(0.05)


# what is tried, in libpq's order


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("sslmode=disable", ["a NONE", "b NONE"]),
        ("sslmode=allow", ["a NONE", "a NEEDED", "b NONE", "b NEEDED"]),
        ("sslmode=prefer", ["a WANTED", "a NONE", "b WANTED", "b NONE"]),
        ("", ["a WANTED", "a NONE", "b WANTED", "b NONE"]),
        ("sslmode=require", ["a NEEDED", "b NEEDED"]),
        ("sslmode=verify-ca", ["a NEEDED", "b NEEDED"]),
        ("sslmode=verify-full", ["a NEEDED", "b NEEDED"]),
    ],
)
def test_attempts(options: str, expected: list[str]) -> None:
    found = attempts(parse_dsn(f"postgresql://u@a,b/d?{options}"))
    assert [f"{attempt.upstream.host} {attempt.encryption.name}" for attempt in found] == expected


def test_a_unix_socket_has_no_tls() -> None:
    (attempt,) = attempts(parse_dsn("postgresql://u@/d?host=/run/pg&sslmode=require"))
    assert attempt.encryption is Encryption.NONE


# several hosts


async def test_the_first_host_that_answers_is_taken(server18: TestServer, tmp_path: Path) -> None:
    database = server18.shop()
    dsn = server18.gateway_dsn(database)
    listed = dsn.replace("@127.0.0.1:", f"@127.0.0.1:{find_free_port()},127.0.0.1:")
    async with worker_before(listed, tmp_path) as stage, await connect(stage) as admin:
        assert stage.worker.unreachable == {}
        assert await one(admin, "SHOW port") == str(server18.port)


@pytest.mark.parametrize(("wanted", "answers"), [("read-write", True), ("read-only", False), ("any", None)])
async def test_the_host_that_is_wanted_is_taken(
    server18: TestServer, server15: TestServer, tmp_path: Path, wanted: str, answers: bool | None
) -> None:
    """Two servers, the first of them read-only: the tests' own user may log in at both."""
    first, second = _twins(server18, server15)
    try:
        places = f"127.0.0.1:{server18.port},127.0.0.1:{server15.port}"
        dsn = f"postgresql://twin:twin@{places}/twin?target_session_attrs={wanted}"
        async with worker_before(dsn, tmp_path, policies_text=OPEN) as stage, await connect(stage) as admin:
            expected = server15.port if answers else server18.port
            assert await one(admin, "SHOW port") == str(expected)
            running = asyncio.create_task(admin.execute("SELECT pg_sleep(30)"))
            await begun((server15 if answers else server18).dsn())
            await admin.cancel_safe()  # at the server that was taken, not the first of the list
            with pytest.raises(psycopg.errors.QueryCanceled):
                await running
    finally:
        for server in (first, second):
            with psycopg.connect(server.dsn(), autocommit=True) as connection:
                connection.execute("DROP DATABASE twin WITH (FORCE)")
                connection.execute("DROP ROLE twin")


def _twins(*servers: TestServer) -> tuple[TestServer, ...]:
    for server in servers:
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("CREATE ROLE twin LOGIN PASSWORD 'twin'")
            connection.execute("CREATE DATABASE twin OWNER twin")
            if server is servers[0]:
                connection.execute("ALTER ROLE twin SET default_transaction_read_only = on")
    return servers


async def test_a_list_without_the_wanted_host(server18: TestServer, tmp_path: Path) -> None:
    dsn = server18.gateway_dsn(server18.shop()) + "?target_session_attrs=standby"
    async with worker_before(dsn, tmp_path) as stage:
        assert stage.worker.unreachable == {}, "any host serves to read the catalog"
        with pytest.raises(psycopg.OperationalError, match="no host is standby"):
            await connect(stage)


# unix sockets


@pytest.fixture(scope="module")
def local(server18: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedServer, Path]]:
    """A server that listens in a folder, too."""
    folder = Path("/tmp") / f"pgwarden-test-{os.getpid()}"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)

    class Local(EmbeddedServer):
        def _server_options(self, port: int) -> str:
            plain = super()._server_options(port)
            return plain.replace("unix_socket_directories=", f"unix_socket_directories={folder}")

    try:
        directory = tmp_path_factory.mktemp("local")
        with Local(directory, server18.embedded.installation, settings={"fsync": "off"}) as server:
            yield server, folder
    finally:
        folder.rmdir()


@pytest.mark.parametrize("sslmode", ["prefer", "require"])
async def test_a_server_behind_a_unix_socket(local: tuple[EmbeddedServer, Path], tmp_path: Path, sslmode: str) -> None:
    server, folder = local
    dsn = f"postgresql://postgres:{server.password}@/postgres?host={folder}&port={server.port}&sslmode={sslmode}"
    async with worker_before(dsn, tmp_path, policies_text=OPEN) as stage, await connect(stage) as admin:
        assert await one(admin, "SELECT inet_client_addr() IS NULL") is True
        running = asyncio.create_task(admin.execute("SELECT pg_sleep(30)"))
        await begun(server.dsn())
        await admin.cancel_safe()
        with pytest.raises(psycopg.errors.QueryCanceled):
            await running


def test_a_socket_of_a_program_that_lives_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / ".s.PGSQL.1"
    lock = tmp_path / ".s.PGSQL.1.lock"
    lock.write_text("1\n/var/lib/other\n")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(OSError, match="another program listens there"):
            UnixSocket(path, 0o777)
        assert lock.read_text() == "1\n/var/lib/other\n"
    lock.unlink()
    made = UnixSocket(path, 0o700)  # what it left behind is no obstacle
    with pytest.raises(OSError, match="another program listens there"):
        UnixSocket(path, 0o777)
    made.close()
    assert list(tmp_path.iterdir()) == []
    made.close()


def test_a_place_that_is_no_socket_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / ".s.PGSQL.1"
    path.write_text("somebody's")
    with pytest.raises(OSError):
        UnixSocket(path, 0o777)
    assert path.read_text() == "somebody's"


# signs of life


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> list[ClientLink]:
    """The links of this process, as they come."""
    found: list[ClientLink] = []
    made = ClientLink.connection_made

    def note(link: ClientLink, transport: asyncio.BaseTransport) -> None:
        found.append(link)
        made(link, transport)

    monkeypatch.setattr(ClientLink, "connection_made", note)
    return found


async def test_both_sockets_ask_silent_peers(server18: TestServer, tmp_path: Path, links: list[ClientLink]) -> None:
    keepalive = {"idle": "33s", "interval": "7s", "count": 4}
    async with worker_before(server18, tmp_path, keepalive=keepalive) as stage, await connect(stage):
        server = links[0]._server
        assert server is not None
        for transport in (links[0].client_transport, server.transport):
            assert transport is not None
            found = transport.get_extra_info("socket")
            assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_NODELAY)
            assert [found.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [33, 7, 4, 1]


@pytest.mark.parametrize(
    ("key", "statement", "sqlstate"),
    [("idle_timeout", "SELECT 1", "57P05"), ("idle_in_transaction_timeout", "BEGIN", "25P03")],
)
async def test_who_does_nothing_is_put_out(
    server18: TestServer, tmp_path: Path, key: str, statement: str, sqlstate: str
) -> None:
    async with worker_before(server18, tmp_path, session={key: "300ms"}) as stage:
        connection = await connect(stage)
        await connection.execute(statement.encode())
        await asyncio.sleep(1)
        with pytest.raises(psycopg.Error) as ended:
            await connection.execute("SELECT 2")
        assert ended.value.sqlstate == sqlstate
        await connection.close()


async def test_a_message_beyond_the_limit(server18: TestServer, tmp_path: Path) -> None:
    async with worker_before(server18, tmp_path, limits={"message": "1MiB"}) as stage:
        async with await connect(stage) as admin:
            assert await one(admin, f"SELECT length('{'x' * 1_000_000}')") == 1_000_000
        connection = await connect(stage)
        with pytest.raises(psycopg.OperationalError, match="longer than the configured limit"):
            await connection.execute(f"SELECT length('{'x' * 1_100_000}')".encode())
        await connection.close()


# servers that go and come back


async def test_a_server_that_restarts(server18: TestServer, tmp_path: Path) -> None:
    """Its 57P01 is handed through; the next connection works."""
    with EmbeddedServer(tmp_path / "mortal", server18.embedded.installation, settings={"fsync": "off"}) as mortal:
        (tmp_path / "stage").mkdir()
        async with worker_before(mortal.dsn(), tmp_path / "stage", policies_text=OPEN) as stage:
            idle, busy = await connect(stage), await connect(stage)
            running = asyncio.create_task(busy.execute("SELECT pg_sleep(30)"))
            await begun(mortal.dsn())
            await asyncio.to_thread(mortal._pg_ctl, "restart", "-w", "-m", "fast", "-l", str(mortal.log))
            with pytest.raises(psycopg.errors.AdminShutdown, match="due to administrator command"):
                await running
            with pytest.raises(psycopg.errors.AdminShutdown):
                await idle.execute("SELECT 1")
            async with await connect(stage) as again:
                assert await one(again, "SELECT 3") == 3
            await idle.close()
            await busy.close()


# cancels


async def test_a_storm_of_cancels_is_a_trickle_at_the_server(
    server18: TestServer, tmp_path: Path, links: list[ClientLink], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[ClientLink] = []
    send = ClientLink._send_cancel

    async def counted(link: ClientLink) -> None:
        sent.append(link)
        await send(link)

    monkeypatch.setattr(ClientLink, "_send_cancel", counted)
    async with worker_before(server18, tmp_path) as stage, await connect(stage) as admin:
        key = links[0].key
        assert key is not None
        running = asyncio.create_task(admin.execute("SELECT pg_sleep(30)"))
        await begun(server18.dsn())
        request = encode(m.CancelRequest(key.process_id, key.secret_key))
        await asyncio.gather(*(_say(stage.port, request) for _ in range(200)))
        with pytest.raises(psycopg.errors.QueryCanceled):
            await running
        assert 1 <= len(sent) < 100
        wrong = [
            (key.process_id, bytes(4)),
            (key.process_id + 1, key.secret_key),
            (key.process_id, key.secret_key[:3]),
            (key.process_id, key.secret_key + b"\0"),
            (key.process_id, key.server_key),
        ]
        before = len(sent)
        await asyncio.gather(*(_say(stage.port, encode(m.CancelRequest(*pair))) for pair in wrong))
        assert len(sent) == before
        await asyncio.sleep(0.2)
        assert await one(admin, "SELECT 4") == 4


async def _say(port: int, data: bytes) -> None:
    """Sends and waits for the end, which comes once the cancel is at the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    assert await reader.read() == b""
    writer.close()


async def test_a_cancels_end_is_told_after_the_server_has_it(server18: TestServer, tmp_path: Path) -> None:
    """Else it would hit what the client sends next."""
    async with worker_before(server18, tmp_path) as stage, await connect(stage) as admin:
        for number in range(20):
            await admin.cancel_safe()
            assert await one(admin, f"SELECT {number}") == number


# pace


async def test_a_slow_server_stops_the_client(server18: TestServer, tmp_path: Path) -> None:
    """COPY data piles up neither here nor there: a client that is held back can't hand over more than buffers take."""
    dsn = server18.dsn(server18.shop())
    async with worker_before(dsn, tmp_path) as stage, await connect(stage) as admin:
        await admin.execute("CREATE TABLE public.sink (x text)")
        with psycopg.connect(dsn) as holder:
            holder.execute("LOCK TABLE public.sink IN ACCESS EXCLUSIVE MODE")
            reader, writer = await _raw_link(donor := await connect(stage))
            copy = b"COPY public.sink FROM STDIN\0"
            writer.write(b"Q" + struct.pack("!i", len(copy) + 4) + copy)
            chunk = b"d" + struct.pack("!i", 1_000_003 + 4) + b"y" * 1_000_002 + b"\n"
            taken = 0
            try:
                async with asyncio.timeout(3):
                    while taken < 400:
                        writer.write(chunk)
                        await writer.drain()
                        taken += 1
            except TimeoutError:
                pass
            assert taken < 100
            holder.rollback()
        async with asyncio.timeout(60):
            await writer.drain()
            writer.write(b"c\0\0\0\4")
            while b"COPY " not in await reader.read(65536):
                pass
        writer.transport.abort()
        await donor.close()


async def _raw_link(connection: psycopg.AsyncConnection) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The socket of a session that libpq has logged in."""
    return await asyncio.open_connection(sock=socket.socket(fileno=os.dup(connection.fileno())), limit=65536)


# the first byte


async def test_a_listener_that_is_closed_leaves_nothing(tmp_path: Path) -> None:
    spawned: list[asyncio.Task[None]] = []

    def spawn(work: object) -> None:
        spawned.append(asyncio.ensure_future(work))  # type: ignore[arg-type]

    places = Places()
    port = places.bind_tcp("127.0.0.1", 0)
    places.listen()
    listening = places.doors[0].socket
    acceptor = Acceptor(listening, asyncio.Protocol, spawn, lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), 0.3)
    acceptor.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(10):
        assert await reader.read() == b"", "who says nothing is let go"
    writer.close()
    acceptor.close()
    await asyncio.gather(*spawned)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
