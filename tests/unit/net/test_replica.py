"""When the bulk lane's server is used, and whose links are whose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from policies.catalog import Catalog, Column, Relation
from proxy.net.pooled_link import PooledLink
from proxy.net.replica import PoolWithReplica, Replica
from proxy.session.shared_link import LinkKind, SharedLink
from proxy.tallies import Tallies
from proxy.work_lanes import BulkWay

GUARDED = LinkKind.GUARDED


def catalog(name: str = "customers", version: int = 1, database: str = "shop") -> Catalog:
    relation = Relation(16_400, "shop", name, "r", (Column("id", 1, 23, "integer"),))
    return Catalog(version, database, 150_000, (relation,), identity="7/16390")


class World:
    def __init__(self, *, falls_back: bool = True) -> None:
        self.primary: Catalog | None = catalog()
        self.own: Catalog | None = catalog(version=9, database="shop (bulk lane)")
        self.now_s = 100.0
        self.replica = Replica(lambda: self.primary, lambda: self.own, lambda: self.now_s, falls_back=falls_back)


def test_it_is_used_while_it_knows_the_same_relations() -> None:
    world = World()
    assert world.replica.bulk_way() is BulkWay.REPLICA
    world.primary = catalog("clients")
    assert world.replica.bulk_way() is BulkWay.PRIMARY
    world.own = catalog("clients", 10)
    assert world.replica.bulk_way() is BulkWay.REPLICA


@pytest.mark.parametrize("falls_back", [True, False])
def test_without_its_catalog_nobody_goes_there(falls_back: bool) -> None:
    world = World(falls_back=falls_back)
    world.own = None
    assert world.replica.bulk_way() is (BulkWay.PRIMARY if falls_back else BulkWay.NOWHERE)


def test_another_cluster_is_not_the_same() -> None:
    world = World()
    world.own = replace(catalog(), identity="8/16390")
    assert world.replica.bulk_way() is BulkWay.PRIMARY


def test_a_server_that_gives_no_link_rests() -> None:
    world = World()
    world.replica.note_failure()
    assert world.replica.bulk_way() is BulkWay.PRIMARY
    world.now_s += 2.0
    assert world.replica.bulk_way() is BulkWay.REPLICA


class FakePool:
    """What was asked of it."""

    def __init__(self) -> None:
        self.borrowers: list[Any] = []
        self.returned: list[PooledLink] = []

    def borrow(self, borrower: Any, kind: LinkKind, last: Any, is_first: bool) -> None:
        self.borrowers.append(borrower)

    def forget(self, borrower: Any) -> bool:
        if borrower in self.borrowers:
            self.borrowers.remove(borrower)
            return True
        return False

    def give_back(self, link: PooledLink) -> None:
        self.returned.append(link)


class Client:
    def __init__(self) -> None:
        self.links: list[PooledLink] = []
        self.again = 0

    def server_lent(self, link: PooledLink) -> None:
        self.links.append(link)

    def lend_failed(self, sqlstate: str, message: str) -> None:
        raise AssertionError("it is asked again where to go")

    def lend_again(self) -> None:
        self.again += 1


class Town:
    def __init__(self) -> None:
        self.primary, self.others, self.world = FakePool(), FakePool(), World()
        self.tallies = Tallies()
        pools = cast(Any, self.primary), cast(Any, self.others)
        self.pool = PoolWithReplica(*pools, self.world.replica, self.tallies)


def link_of() -> PooledLink:
    shared = SharedLink(GUARDED, 1, b"key", b"0001", {b"in_hot_standby": b"on"})
    link = PooledLink.__new__(PooledLink)
    link.shared = shared
    return link


def test_a_link_goes_back_to_whom_it_came_from() -> None:
    town, client = Town(), Client()
    town.pool.borrow(client, GUARDED, None, False, True)
    (waiting,) = town.others.borrowers
    link = link_of()
    waiting.server_lent(link)
    assert client.links == [link]
    assert (link.shared.is_elsewhere, link.shared.reported) == (True, {b"in_hot_standby": b"off"})
    assert town.tallies.bulk_elsewhere == 1
    town.pool.give_back(link)
    assert town.others.returned == [link]
    town.pool.borrow(client, GUARDED, link, False)
    assert town.primary.borrowers == [client]
    own = link_of()
    town.pool.give_back(own)
    assert town.primary.returned == [own]


def test_who_gets_none_is_asked_again_and_the_server_rests() -> None:
    town, client = Town(), Client()
    town.pool.borrow(client, GUARDED, None, False, True)
    town.others.borrowers[0].lend_failed("08006", "away")
    assert client.again == 1
    assert town.world.replica.bulk_way() is BulkWay.PRIMARY
    assert not town.pool.forget(client)


def test_who_goes_away_is_forgotten_wherever_it_waits() -> None:
    town, client = Town(), Client()
    town.pool.borrow(client, GUARDED, None, False, True)
    assert town.pool.forget(client)
    assert town.others.borrowers == []
    town.pool.borrow(client, GUARDED, None, False)
    assert town.pool.forget(client)
