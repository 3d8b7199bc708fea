"""Who gets a pool's links, in which order, and when links end: without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

import pytest

from proxy.dsn import Upstream
from proxy.net.pool import Pool, PoolSettings, Way
from proxy.net.pooled_link import PooledLink
from proxy.net.upstream import Attempt, ServerLink, UpstreamUnreachable
from proxy.session.ports import Gateway
from proxy.session.shared_link import LinkKind, SharedLink
from proxy.tallies import Tallies
from proxy.wire import messages as m
from proxy.wire.codec import encode

GUARDED, OPEN = LinkKind.GUARDED, LinkKind.OPEN


class Transport:
    """What a pool asks of one."""

    def __init__(self) -> None:
        self.is_closed = False
        self.reads = True

    def is_closing(self) -> bool:
        return self.is_closed

    def write(self, data: bytes) -> None:
        assert data == encode(m.Terminate())

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def is_reading(self) -> bool:
        return self.reads

    def resume_reading(self) -> None:
        self.reads = True


class Client:
    """A borrower. What it was lent, oldest first; `told`: why it wasn't."""

    def __init__(self, name: str, served: list[str]) -> None:
        self.name = name
        self.links: list[PooledLink] = []
        self.told: list[tuple[str, str]] = []
        self._served = served

    def server_lent(self, link: PooledLink) -> None:
        self.links.append(link)
        self._served.append(self.name)
        link.server.attach(cast(Any, self))

    def lend_failed(self, sqlstate: str, message: str) -> None:
        self.told.append((sqlstate, message))

    def lend_again(self) -> None:
        """There is no elsewhere."""

    def server_lost(self) -> None:
        """Told as any borrower."""


class Town:
    """A pool whose links come about at once, and its clients by name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
        self.tallies = Tallies()
        self.tasks: list[asyncio.Task[None]] = []
        given: dict[str, Any] = {"size": 1, "wait_s": 60.0, "idle_s": 60.0, "lifetime_s": 60.0} | settings
        self.pool = Pool("shop", PoolSettings(**given), _way(), self.tallies, self._spawn)
        self.lifetime_s = given["lifetime_s"]
        self.made: list[PooledLink] = []
        self.problem = ""
        self.served: list[str] = []
        self.clients: dict[str, Client] = {}
        monkeypatch.setattr(self.pool, "_connect", self._connect)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))

    async def _connect(self, kind: LinkKind) -> PooledLink:
        if self.problem:
            raise UpstreamUnreachable(self.problem)
        server = ServerLink()
        server.connection_made(cast(Any, Transport()))
        shared = SharedLink(kind, len(self.made), b"key", b"%04d" % len(self.made), {})
        until_s = asyncio.get_running_loop().time() + self.lifetime_s
        link = PooledLink(server, cast(Attempt, None), shared, until_s, self.pool._lost)
        self.made.append(link)
        return link

    def client(self, name: str) -> Client:
        return self.clients.setdefault(name, Client(name, self.served))

    def borrow(self, name: str, kind: LinkKind = GUARDED, *, is_first: bool = False) -> Client:
        client = self.client(name)
        self.pool.borrow(client, kind, client.links[-1] if client.links else None, is_first)
        return client

    async def settle(self) -> None:
        while self.tasks:
            await self.tasks.pop()

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.tallies.pool_busy, self.tallies.pool_idle, self.tallies.pool_waiting


def _way() -> Way:
    async def ready() -> None:
        """At once."""

    upstream = cast(Upstream, None)
    return Way(lambda: upstream, lambda: Gateway("gate", "shop"), ready, bytes)


def lost(link: PooledLink) -> None:
    cast(Any, link.server.transport).close()
    link.server.connection_lost(None)


async def test_first_come_first_served(monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(monkeypatch)
    for name in "abcd":
        town.borrow(name)
    await town.settle()
    assert town.served == ["a"]
    assert town.counts == (1, 0, 3)
    (link,) = town.made
    for _ in range(4):
        town.pool.give_back(link)
    assert town.served == list("abcd")
    assert town.counts == (0, 1, 0)
    assert (town.tallies.pool_lent, town.tallies.pool_waits) == (4, 4)


async def test_who_waits_already_keeps_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(monkeypatch)
    for name in "abcb":
        town.borrow(name)
    await town.settle()
    assert town.counts == (1, 0, 2)
    for _ in range(3):
        town.pool.give_back(town.made[0])
    assert town.served == list("abc")
    assert town.counts == (0, 1, 0)


async def test_nobody_overtakes_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even one for whom a link is idle."""
    town = Town(monkeypatch, size=2)
    town.borrow("a")
    await town.settle()
    town.pool.give_back(town.made[0])
    town.borrow("b")
    town.borrow("c")
    town.borrow("d")
    await town.settle()
    assert town.served == list("abc")
    town.pool.give_back(town.made[0])
    assert town.served == list("abcd")


async def test_the_link_of_last_time_where_it_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(monkeypatch, size=3)
    clients = [town.borrow(name) for name in "abc"]
    await town.settle()
    for client in clients:
        town.pool.give_back(client.links[0])
    for client in clients:
        town.borrow(client.name)
        assert client.links[0] is client.links[1]


async def test_one_that_doesnt_wait_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(monkeypatch)
    a, b, _ = (town.borrow(name) for name in "abc")
    await town.settle()
    assert town.pool.forget(b)
    assert not town.pool.forget(b)
    assert not town.pool.forget(a)
    assert town.counts == (1, 0, 1)
    town.pool.give_back(town.made[0])
    assert town.served == ["a", "c"]


@pytest.mark.parametrize("end", ["lost", "spent", "old", "unheard"])
async def test_a_link_that_is_no_good_is_handed_to_nobody(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    town = Town(monkeypatch)
    a = town.borrow("a")
    await town.settle()
    b = town.borrow("b")
    link = a.links[0]
    match end:
        case "lost":
            lost(link)
        case "spent":
            link.shared.is_spent = True
        case "old":
            link.until_s = 0.0
        case _:
            cast(Any, link.server.transport).close()  # its end isn't heard of yet
    town.pool.give_back(link)
    await town.settle()
    assert b.links == [town.made[1]]
    assert town.counts == (1, 0, 0)


async def test_a_cancel_that_is_under_way_holds_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(monkeypatch)
    a = town.borrow("a")
    await town.settle()
    b = town.borrow("b")
    link = a.links[0]
    link.cancels += 1
    town.pool.give_back(link)
    assert b.links == []
    town.pool.cancel_done(link)
    assert b.links == [], "it isn't there yet"
    link.cancels -= 1
    town.pool.cancel_done(link)
    assert b.links == [link]
    town.pool.give_back(link)
    assert town.counts == (0, 1, 0)


async def test_idle_links_that_end_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(monkeypatch)
    a = town.borrow("a")
    await town.settle()
    town.pool.give_back(town.made[0])
    lost(town.made[0])
    assert town.counts == (0, 0, 0)
    town.borrow("a")
    await town.settle()
    assert a.links == town.made


@pytest.mark.parametrize(
    ("said", "is_lent"),
    [
        (encode(m.ParameterStatus(b"TimeZone", b"UTC")), True),
        (encode(m.NoticeResponse({"M": b"hear"})), True),
        (encode(m.ParameterStatus(b"TimeZone", b"UTC"))[:-2], False),  # half of it
        (encode(m.DataRow((b"1",))), False),
        (encode(m.ReadyForQuery(b"I")), False),
        (b"\0\0\0\0\0\0", False),
    ],
)
async def test_what_an_idle_link_says(monkeypatch: pytest.MonkeyPatch, said: bytes, is_lent: bool) -> None:
    town = Town(monkeypatch, size=2)
    town.borrow("a")
    await town.settle()
    link = town.made[0]
    town.pool.give_back(link)
    link.server.data_received(said)
    b = town.borrow("b")
    await town.settle()
    assert (b.links == [link]) is is_lent
    assert link.shared.reported.get(b"TimeZone") == (b"UTC" if is_lent and b"UTC" in said else None)


async def test_the_other_kind_takes_an_idle_links_place(monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(monkeypatch)
    town.borrow("a")
    await town.settle()
    town.pool.give_back(town.made[0])
    b = town.borrow("b", OPEN)
    await town.settle()
    assert [link.shared.kind for link in b.links] == [OPEN]
    assert cast(Any, town.made[0].server.transport).is_closed
    c = town.borrow("c", GUARDED)
    d = town.borrow("d", OPEN)
    town.pool.give_back(town.made[1])  # passed over for a moment, as another one can use it
    assert d.links == [town.made[1]]
    town.pool._waiters[c].since_s -= 1.0
    town.borrow("e", OPEN)
    town.pool.give_back(town.made[1])
    await town.settle()
    assert [link.shared.kind for link in c.links] == [GUARDED]


async def test_the_wait_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """One timer for all: the first to come is the first to be told, and who came later waits on."""
    town = Town(monkeypatch, wait_s=0.05)
    town.borrow("a")
    await town.settle()
    b = town.borrow("b")
    await asyncio.sleep(0.03)
    c = town.borrow("c")
    while not b.told:
        await asyncio.sleep(0.002)
    assert b.told == [("53300", "none of the 1 server connections of this database came free within 0.05 s")]
    assert c.told == []
    while not c.told:
        await asyncio.sleep(0.002)
    town.pool.give_back(town.made[0])
    assert town.served == ["a"]
    assert town.counts == (0, 1, 0)


async def test_a_server_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who logs in is told at once, who has a session waits for it to come back."""
    town = Town(monkeypatch)
    town.problem = "connection refused"
    a, b = town.borrow("a"), town.borrow("b", is_first=True)
    await town.settle()
    assert b.told == [("08006", "could not connect to the database server: connection refused")]
    assert a.told == []
    town.problem = ""
    town.pool._try_again()
    await town.settle()
    assert a.links == town.made
    town.pool.close()


async def test_the_wait_for_a_server_that_is_away_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(monkeypatch, wait_s=0.02)
    town.problem = "connection refused"
    a = town.borrow("a")
    await town.settle()
    while not a.told:
        await asyncio.sleep(0.002)
    assert a.told == [("08006", "could not connect to the database server: connection refused (within 0.02 s)")]
    town.pool.close()


async def test_old_and_unused_links_end(monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(monkeypatch, size=2, idle_s=0.03)
    town.borrow("a")
    town.borrow("b")
    await town.settle()
    town.pool.give_back(town.made[0])
    while not cast(Any, town.made[0].server.transport).is_closed:
        await asyncio.sleep(0.005)
    assert town.counts == (1, 0, 0)


async def test_a_pool_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(monkeypatch, size=2)
    town.borrow("a")
    town.borrow("b")
    await town.settle()
    town.pool.give_back(town.made[0])
    c = town.client("c")
    town.pool.close()
    town.pool.borrow(c, GUARDED, None, False)
    town.pool.give_back(town.made[1])
    assert [cast(Any, link.server.transport).is_closed for link in town.made] == [True, True]
    assert c.links == []
    assert town.counts[:2] == (0, 0)


async def test_a_link_whose_borrower_ends_it_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(monkeypatch)
    town.borrow("a")
    await town.settle()
    b = town.borrow("b")
    town.pool.discard(town.made[0])
    town.pool.give_back(town.made[0])  # too late: it isn't the pool's any more
    await town.settle()
    assert b.links == [town.made[1]]
    assert town.counts == (1, 0, 0)
