import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from audit.alarm import Alarm, Level
from audit.syslog import Place, Sender
from audit.syslog_sender import SyslogSender

WHO = Sender("authpriv", "host", 1, "1.0")


def alarms(*names: str) -> list[Alarm]:
    return [Alarm(id=name, at="2025-06-15T15:06:40.000001Z", level=Level.DENIAL, name="statement") for name in names]


def ids(data: bytes) -> list[str]:
    """Of messages that stand behind their lengths, held against those."""
    found = []
    while data:
        length, _, rest = data.partition(b" ")
        message, data = rest[: int(length)], rest[int(length) :]
        found.append(json.loads(message.partition(b'"] ')[2])["id"])
    return found


@asynccontextmanager
async def receiving(path: Path | None = None) -> AsyncIterator[tuple[Place, list[bytes], list[asyncio.StreamWriter]]]:
    """A stream's place, what came over each link, and the links' other ends."""
    links: list[bytes] = []
    ends: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = len(links)
        links.append(b"")
        ends.append(writer)
        while data := await reader.read(1 << 16):
            links[own] += data
        writer.close()

    if path is None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        place = Place("tcp", "127.0.0.1", server.sockets[0].getsockname()[1])
    else:
        server = await asyncio.start_unix_server(serve, path)
        place = Place("unix", path=str(path))
    async with server:
        yield place, links, ends
        await until(lambda: all(end.is_closing() for end in ends))


async def until(look: object) -> None:
    async with asyncio.timeout(10):
        while not look():  # type: ignore[operator]
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("is_unix", [False, True])
async def test_a_stream_carries_messages_behind_their_lengths(tmp_path: Path, is_unix: bool) -> None:
    async with receiving(tmp_path / "log" if is_unix else None) as (place, links, _):
        sender = SyslogSender(place, WHO)
        await sender.send(alarms("a", "b"))
        await sender.send(alarms("c"))
        await until(lambda: links and ids(links[0]) == ["a", "b", "c"])
        assert len(links) == 1
        await sender.close()


async def test_a_stream_that_the_receiver_has_ended_is_begun_anew() -> None:
    async with receiving() as (place, links, ends):
        sender = SyslogSender(place, WHO)
        await sender.send(alarms("a"))
        await until(lambda: links and links[0])
        ends[0].write_eof()
        await asyncio.sleep(0.05)
        await sender.send(alarms("b"))
        await until(lambda: len(links) == 2 and links[1])
        assert [ids(link) for link in links] == [["a"], ["b"]]
        await sender.close()


async def test_a_unix_socket_of_datagrams_gets_one_each(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        sender = SyslogSender(Place("unix", path=str(tmp_path / "log")), WHO)
        await sender.send(alarms("a", "b"))
        got = [json.loads(log.recv(4096).partition(b'"] ')[2])["id"] for _ in range(2)]
        await sender.close()
    assert got == ["a", "b"]


@pytest.mark.parametrize("scheme", ["tcp", "unix"])
async def test_nobody_there_is_told(tmp_path: Path, scheme: str) -> None:
    sender = SyslogSender(Place(scheme, "127.0.0.1", 1, str(tmp_path / "none")), WHO)
    with pytest.raises(OSError, match=r"refused|Connect call failed|No such file"):
        await sender.send(alarms("a"))
