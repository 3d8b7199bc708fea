"""A fleet's shipper: takes records from the bus and stores them, sees to the store and to daily files, and answers an
admin port.

It needs neither journal nor policies and serves no clients. Several may run, on one machine or on many.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from admin.app import Check, Version, make_app
from admin.server import AdminServer
from audit.bus_settings import EXTRA
from audit.store import Store
from proxy.build import build_kind, commit, package_version
from proxy.config import Address, Config, ConfigError
from proxy.metrics import count_metric, gauge_metric
from proxy.store_keeping import StoreKeeping
from proxy.ways_out import WaysOut

if TYPE_CHECKING:
    from audit.bus_shipper import BusShipper

_NOT_ASKED: Final = "not asked yet"
_LAST_ROUND_S: Final = 5.0

log = logging.getLogger("pgwarden.shipper")


class FleetShipper:
    """`start`, then `run` until a signal or `request_stop`. Raises ConfigError for a configuration without bus or
    store, or where NATS's client isn't installed.
    """

    def __init__(self, config: Config) -> None:
        audit = config.audit
        if audit.bus is None:
            raise ConfigError(["audit.bus: name the bus that the records come from"])
        if audit.store is None:
            raise ConfigError(["audit.store: name the store that the records go to"])
        self._config = config
        self._store_dsn = audit.store
        self._settings = audit.bus.settings
        self._keeping = StoreKeeping(audit.store, audit.retention_days)
        self._shipper: BusShipper | None = None
        self._ways_out: WaysOut | None = None
        self._stack = AsyncExitStack()
        self._end = asyncio.Event()

    async def start(self) -> Address:
        """Where the admin port is. Raises OSError; what had started is ended."""
        try:
            return await self._start()
        except BaseException:
            await self._stack.aclose()
            raise

    async def run(self) -> None:
        """Returns after a signal, when what was taken has been stored or given back."""
        await self._end.wait()
        await self._stack.aclose()

    def request_stop(self) -> None:
        self._end.set()

    def listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.request_stop)

    async def _start(self) -> Address:
        try:
            from audit.bus import Bus
            from audit.bus_shipper import BusShipper
        except ModuleNotFoundError as error:
            if error.name != "nats":
                raise
            raise ConfigError([EXTRA]) from None
        bus, store = Bus(self._settings, name="pgwarden shipper"), Store(self._store_dsn)
        self._shipper = BusShipper(bus, store)
        self._stack.push_async_callback(store.close)
        self._stack.push_async_callback(bus.close)
        self._keeping.start()
        self._stack.push_async_callback(self._keeping.stop)
        self._ways_out = WaysOut(self._config.audit.directory, self._store_dsn, self._config.audit.export, ())
        self._stack.push_async_callback(self._ways_out.stop)
        shipping = asyncio.create_task(self._ship(self._shipper), name="the shipper")
        shipping.add_done_callback(self._tell_end)
        self._stack.push_async_callback(_ended, shipping, self._shipper)
        admin = await self._start_admin()
        log.info("ready", extra={"fields": {"admin": str(admin), "stream": self._settings.stream}})
        return admin

    async def _ship(self, shipper: BusShipper) -> None:
        await self._keeping.ready()
        if self._ways_out is not None:
            self._ways_out.start()
        await shipper.run()

    def _tell_end(self, shipping: asyncio.Task[None]) -> None:
        if not shipping.cancelled() and shipping.exception() is not None:
            log.error("shipping has failed", exc_info=shipping.exception())
            self._end.set()  # whoever started this process starts it anew

    async def _start_admin(self) -> Address:
        wanted = self._config.admin.listen
        registry = CollectorRegistry()
        assert self._shipper is not None
        registry.register(_Numbers(self._shipper, self._ways_out))
        server = AdminServer(make_app(registry, self._checks, _version))
        port = await server.start(wanted.host, wanted.port)
        self._stack.push_async_callback(server.stop)
        return Address(wanted.host, port)

    async def _checks(self) -> Sequence[Check]:
        shipper = self._shipper
        if shipper is None:
            return ()
        told = shipper.last_error or _NOT_ASKED
        is_kept = self._keeping.is_ready
        return [
            Check("store", is_kept and shipper.is_store_reachable, self._keeping.problem or told),
            Check("bus", shipper.is_bus_reachable, told),
            Check("shipping", shipper.last_error is None, shipper.last_error or ""),
            Check("seals", shipper.seal_problem is None, shipper.seal_problem or ""),
        ]


class _Numbers(Collector):
    """What a shipper counts, under its Prometheus names."""

    def __init__(self, shipper: BusShipper, ways_out: WaysOut | None) -> None:
        self._shipper = shipper
        self._ways_out = ways_out

    def collect(self) -> Iterable[Metric]:
        shipper = self._shipper
        yield count_metric("shipped_records", "Records that the store has taken", shipper.shipped_records)
        yield count_metric("new_records", "Those of them that it hadn't had before", shipper.new_records)
        yield count_metric("damaged_records", "Records that no store can hold", shipper.damaged_records)
        text = "Messages on the bus that no sidecar had sent"
        yield count_metric("refused_messages", text, shipper.refused_messages)
        text = "Messages on the bus that are not stored yet"
        yield gauge_metric("bus_waiting_messages", text, shipper.waiting_messages)
        yield gauge_metric("bus_reachable", "1 while the bus answers", shipper.is_bus_reachable)
        yield gauge_metric("store_reachable", "1 while the audit store answers", shipper.is_store_reachable)
        if self._ways_out is not None:
            yield from self._ways_out.metrics()


async def _ended(shipping: asyncio.Task[None], shipper: BusShipper) -> None:
    """The round under way is finished: what it stored is acknowledged."""
    shipper.request_stop()
    await asyncio.wait({shipping}, timeout=_LAST_ROUND_S)
    shipping.cancel()
    await asyncio.gather(shipping, return_exceptions=True)


def _version() -> Version:
    return Version(package_version(), commit(), build_kind(), "")
