"""How one worker's sessions get to their servers, as configured: pools, workload lanes, the bulk lane's server.

It wires; it decides nothing and moves no bytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from policies.catalog import Catalog
from proxy.board import monotonic_us
from proxy.config import BulkLane, Config, Database, Lane, PoolMode
from proxy.dsn import Upstream
from proxy.lane_board import LaneBoard, LanePlaces
from proxy.net.catalogs import Catalogs
from proxy.net.pool import AnyPool, Pool, PoolSettings, Way
from proxy.net.replica import PoolWithReplica, Replica
from proxy.net.services import gateway_of
from proxy.net.sockets import Keepalive
from proxy.net.work_queue import LaneLimits, WorkQueue
from proxy.tallies import Tallies
from proxy.wire.scram import KnownKeys
from proxy.work_lanes import BulkWay, Signs, WorkLane


@dataclass(frozen=True, slots=True)
class Ground:
    """What server links stand on. `worker`: its number, from 1 on; `lanes`: shared with the other workers."""

    config: Config
    upstreams: Mapping[str, Callable[[], Upstream]]
    catalogs: Catalogs
    known_keys: KnownKeys
    tallies: Tallies
    spawn: Callable[[Coroutine[Any, Any, None]], None]
    lanes: LaneBoard
    worker: int


def lanes_of(config: Config) -> list[str]:
    """Databases with workload lanes, in the order of their places on the board."""
    return [name for name, database in (config.databases or {}).items() if database.lanes is not None]


def lane_count(config: Config) -> int:
    """Workload lanes of all databases together."""
    return len(lanes_of(config)) * len(WorkLane)


class ServerLinks:
    """`pools` and `work_queues` by database, for those that have any. `elsewhere`: catalogs of the bulk lanes' servers,
    by the primary's name; they are to be kept up to date."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        databases = ground.config.databases or {}
        self._servers = {
            name: one.lanes.bulk for name, one in databases.items() if one.lanes and one.lanes.bulk.upstream
        }
        self.elsewhere = Catalogs({_called(name): bulk.read_server for name, bulk in self._servers.items()})
        self._replicas = {name: self._replica(name, bulk) for name, bulk in self._servers.items()}
        self.pools: dict[str, AnyPool] = {
            name: self._pool(name, one) for name, one in databases.items() if one.pool.mode is PoolMode.TRANSACTION
        }
        self.work_queues = {name: self._queue(number, name) for number, name in enumerate(lanes_of(ground.config))}

    # links

    def _pool(self, name: str, database: Database) -> AnyPool:
        ground, size = self._ground, self._share(database.pool.size)
        primary = self._pool_of(name, database, size, ground.upstreams[name], lambda: ground.catalogs.ready(name))
        if name not in self._servers:
            return primary
        bulk = self._servers[name]
        others = self._pool_of(name, database, bulk.concurrency or size, bulk.read_server, self._at_once)
        return PoolWithReplica(primary, others, self._replicas[name], ground.tallies)

    def _share(self, size: int) -> int:
        """Of what all workers open together."""
        return max(1, size // self._ground.config.workers)

    async def _at_once(self) -> None:
        """Nobody is sent there before its catalog is known."""

    def _pool_of(
        self,
        name: str,
        database: Database,
        size: int,
        upstream: Callable[[], Upstream],
        catalog_ready: Callable[[], Awaitable[None]],
    ) -> Pool:
        ground, wanted = self._ground, database.pool
        config = ground.config
        keepalive = Keepalive(config.keepalive.idle, config.keepalive.interval, config.keepalive.count)
        settings = PoolSettings(size, wanted.wait, wanted.idle, wanted.lifetime, config.handshake_timeout, keepalive)
        way = Way(upstream, lambda: gateway_of(upstream(), ground.known_keys), catalog_ready, os.urandom)
        return Pool(name, settings, way, ground.tallies, ground.spawn)

    # the bulk lane's server

    def _replica(self, name: str, bulk: BulkLane) -> Replica:
        catalogs, elsewhere = self._ground.catalogs, self.elsewhere

        def primary() -> Catalog | None:
            return catalogs.as_read(name)

        def own() -> Catalog | None:
            return elsewhere.as_read(_called(name))

        return Replica(primary, own, time.monotonic, falls_back=bulk.fall_back)

    @property
    def replicated(self) -> list[str]:
        """Databases whose bulk lane has a server of its own."""
        return list(self._servers)

    async def keep_reading(self, name: str) -> None:
        """Until cancelled: what the bulk lane's server knows by its names."""
        await self.elsewhere.read(_called(name))
        await self.elsewhere.keep_reading(_called(name))

    # lanes

    def _queue(self, number: int, name: str) -> WorkQueue:
        ground = self._ground
        lanes = (ground.config.databases or {})[name].lanes
        assert lanes is not None
        wanted: dict[WorkLane, Lane] = {WorkLane.INTERACTIVE: lanes.interactive, WorkLane.BULK: lanes.bulk}
        limits = {lane: LaneLimits(one.concurrency, one.queue, one.wait) for lane, one in wanted.items()}
        places = {
            lane: LanePlaces(ground.lanes, number * len(WorkLane) + at, ground.worker, limits[lane].concurrency)
            for at, lane in enumerate(WorkLane)
        }
        return WorkQueue(signs_of(lanes.bulk), limits, places, ground.tallies, monotonic_us, self._way(name))

    def _way(self, name: str) -> Callable[[], BulkWay]:
        replica = self._replicas.get(name)
        return (lambda: BulkWay.PRIMARY) if replica is None else replica.bulk_way

    def close(self) -> None:
        for queue in self.work_queues.values():
            queue.close()
        for pool in self.pools.values():
            pool.close()


def _called(name: str) -> str:
    """The bulk lane's server of a database, in logs."""
    return f"{name} (bulk lane)"


def signs_of(bulk: BulkLane) -> Signs:
    return Signs(bulk.users, bulk.applications, bulk.copies, bulk.plan_units, bulk.rows, bulk.workloads)
