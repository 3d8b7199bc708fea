"""Links that break, stall, lie or never come: what each side hears, and that the sidecar stays up."""

from __future__ import annotations

import asyncio
import logging
import struct
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from proxy.embedded import find_free_port
from proxy.wire import messages as m
from proxy.wire.codec import encode
from tests.fix_servers import TestServer
from tests.unit.net.worker_stage import WorkerStage, worker_before


async def hear(stage: WorkerStage, data: bytes, patience_s: float = 15.0) -> bytes:
    """Sends `data` and reads to the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    writer.write(data)
    async with asyncio.timeout(patience_s):
        heard = await reader.read()
    writer.close()
    return heard


async def connect(stage: WorkerStage, user: str = "admin") -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(stage.dsn(user), autocommit=True)


async def answer(connection: psycopg.AsyncConnection, query: str) -> object:
    row = await (await connection.execute(query.encode())).fetchone()
    return None if row is None else row[0]


def sqlstate_of(heard: bytes) -> bytes:
    assert heard[:1] == b"E", heard
    return heard[heard.index(b"\0C") + 2 :][:5]


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        struct.pack("!II", 0x7FFFFFFF, 196608),
        struct.pack("!II", 8, 131072),
        bytes(4096),
        b"\0\0\0\x08\0\3\0\0",
    ],
)
async def test_garbage_is_answered_and_closed(
    server18: TestServer, tmp_path: Path, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with worker_before(server18, tmp_path) as stage:
        assert sqlstate_of(await hear(stage, garbage)) in (b"08P01", b"0A000")
        async with await connect(stage) as admin:
            assert await answer(admin, "SELECT 1") == 1
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_length_of_two_gibibytes_after_login_ends_the_session_only(
    server18: TestServer, tmp_path: Path
) -> None:
    async with worker_before(server18, tmp_path) as stage:
        startup = encode(m.StartupMessage(m.PROTOCOL_3_0, {b"user": b"ada", b"database": b"shop"}))
        heard = await hear(stage, startup + b"p\x7f\xff\xff\xff")
        assert heard.startswith(encode(m.AuthenticationSASL((b"SCRAM-SHA-256",))))
        assert b"C08P01" in heard


@pytest.mark.parametrize("said", [b"", encode(m.SSLRequest()), b"\0\0\0"])
async def test_a_client_that_stalls_is_let_go(server18: TestServer, tmp_path: Path, said: bytes) -> None:
    async with worker_before(server18, tmp_path, handshake_s=0.3) as stage:
        assert b"C08006" in await hear(stage, said)
        async with await connect(stage) as admin:
            await asyncio.sleep(0.6)
            assert await answer(admin, "SELECT 1") == 1


async def test_an_unreachable_server_is_told_and_later_reached(
    server18: TestServer, tmp_path: Path, relay: Relay
) -> None:
    port = find_free_port()
    database = server18.shop()
    dsn = server18.gateway_dsn(database)
    away = dsn.replace(f":{server18.port}/", f":{port}/")
    async with worker_before(away, tmp_path) as stage:
        with pytest.raises(psycopg.OperationalError, match="could not connect to the database server"):
            await connect(stage)
        assert "shop" in stage.worker.unreachable
        await relay.start(port)
        async with await connect(stage) as admin:
            assert await answer(admin, "SELECT count(*) FROM shop.products") != 0
        assert "shop" not in stage.worker.unreachable


class Relay:
    """A TCP relay to a server's port that can be cut. Everything is closed on exit."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, onward_writer]
        pumps = self._pump(reader, onward_writer), self._pump(onward_reader, writer)
        self._tasks += [asyncio.create_task(pump) for pump in pumps]

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                target.write(data)
        finally:
            target.close()


@pytest.fixture
async def relay(server18: TestServer) -> AsyncIterator[Relay]:
    relay = Relay(server18.port)
    yield relay
    await relay.stop()


async def test_a_server_that_ends_a_session_is_heard(server18: TestServer, tmp_path: Path) -> None:
    async with worker_before(server18.dsn(server18.shop()), tmp_path) as stage:
        admin, other = await connect(stage), await connect(stage)
        with pytest.raises(psycopg.errors.AdminShutdown):
            await answer(other, f"SELECT pg_terminate_backend({other.info.backend_pid})")
        assert await answer(admin, "SELECT 1") == 1
        await admin.close()
        await other.close()


async def test_a_link_that_is_cut_in_the_middle_of_an_answer(
    server18: TestServer, tmp_path: Path, relay: Relay
) -> None:
    await relay.start()
    dsn = server18.gateway_dsn(server18.shop()).replace(f":{server18.port}/", f":{relay.port}/")
    async with worker_before(dsn, tmp_path) as stage:
        admin = await connect(stage)
        running = asyncio.create_task(admin.execute("SELECT pg_sleep(30)"))
        await asyncio.sleep(0.2)
        relay.cut()
        with pytest.raises(psycopg.OperationalError):
            await asyncio.wait_for(running, 10)
        async with await connect(stage) as again:
            assert await answer(again, "SELECT 1") == 1
        await admin.close()


VANISHING = """
import psycopg, sys
psycopg.connect(sys.argv[1]).execute("SELECT pg_sleep(600) /* vanished */")
"""


async def test_what_a_vanished_client_started_is_cancelled(server18: TestServer, tmp_path: Path) -> None:
    count = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%/* vanished */' AND pid <> pg_backend_pid()"
    async with worker_before(server18.dsn(server18.shop()), tmp_path) as stage, await connect(stage) as watcher:

        async def wait_for(number: int) -> None:
            async with asyncio.timeout(30):
                while await answer(watcher, count) != number:
                    await asyncio.sleep(0.1)

        client = await asyncio.create_subprocess_exec(sys.executable, "-c", VANISHING, stage.dsn("admin"))
        await wait_for(1)
        client.kill()
        await client.wait()
        await wait_for(0)


async def test_a_journal_that_takes_nothing_stops_statements_only(server18: TestServer, tmp_path: Path) -> None:
    async with worker_before(server18, tmp_path) as stage, await connect(stage) as admin:
        assert await answer(admin, "SELECT 1") == 1
        stage.journal.close()
        with pytest.raises(psycopg.errors.DiskFull, match="journal"):
            await admin.execute("SELECT 2")
        with pytest.raises(psycopg.errors.DiskFull, match="journal"):
            await admin.execute("SELECT %s", (2,))
        assert not admin.closed
