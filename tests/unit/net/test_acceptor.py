"""Acceptors of one listening socket, as workers have it: nobody takes all links, nobody waits for who takes none."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from proxy.net.acceptor import Acceptor


class Crew:
    """Counts what each takes; `away`: they take nothing, and nobody waits for them to have as many."""

    def __init__(self, listening: socket.socket, size: int) -> None:
        self.links = [0] * size
        self._tasks: set[asyncio.Task[None]] = set()
        self.acceptors = [
            Acceptor(
                listening.dup(),
                lambda number=number: self._link(number),
                self._spawn,
                lambda: None,
                1.0,
                lambda number=number: self.links[number] - min(self.links),
            )
            for number in range(size)
        ]

    def _link(self, number: int) -> asyncio.Protocol:
        self.links[number] += 1
        return asyncio.Protocol()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def taken(self, count: int) -> None:
        async with asyncio.timeout(10):
            while sum(self.links) < count:
                await asyncio.sleep(0.001)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        found.setblocking(False)
        yield found


async def connect(listening: socket.socket) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection(*listening.getsockname())
    return writer


@pytest.mark.parametrize("pause_s", [0.0, 0.02])
async def test_links_that_come_one_by_one_are_shared_out(listening: socket.socket, pause_s: float) -> None:
    crew = Crew(listening, 2)
    for acceptor in crew.acceptors:
        acceptor.start()
    writers = []
    for number in range(10):
        writers.append(await connect(listening))
        await crew.taken(number + 1)
        await asyncio.sleep(pause_s)  # longer than anybody yields, or not at all
        assert abs(crew.links[0] - crew.links[1]) <= 1
    for one in (*crew.acceptors, *writers):
        one.close()


async def test_each_link_is_left_to_others_anew(listening: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wake-up with nobody to take is no turn."""
    monkeypatch.setattr("proxy.net.acceptor._YIELD_S", 0.02)
    monkeypatch.setattr("proxy.net.acceptor._LONGEST_YIELD_S", 1.0)
    crew = Crew(listening, 2)
    first, second = crew.acceptors
    crew.links = [25, 0]  # the first one leaves each link to others for half a second
    first.start()
    writers = [await connect(listening)]
    await crew.taken(26)
    await asyncio.sleep(0.7)
    writers.append(await connect(listening))
    await asyncio.sleep(0.005)
    second.start()
    await crew.taken(27)
    assert crew.links == [26, 1]
    for one in (*crew.acceptors, *writers):
        one.close()


async def test_who_takes_nothing_keeps_no_client_waiting(listening: socket.socket) -> None:
    crew = Crew(listening, 2)
    crew.acceptors[0].start()  # the other one is there, and stands still
    writers = await asyncio.gather(*(connect(listening) for _ in range(12)))
    await crew.taken(12)
    assert crew.links == [12, 0]
    for one in (*crew.acceptors, *writers):
        one.close()


async def test_many_at_once_are_taken_at_once_by_one_alone(listening: socket.socket) -> None:
    crew = Crew(listening, 1)
    crew.acceptors[0].start()
    writers = await asyncio.gather(*(connect(listening) for _ in range(40)))
    await crew.taken(40)
    for one in (*crew.acceptors, *writers):
        one.close()
