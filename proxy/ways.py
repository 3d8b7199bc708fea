"""Where journals are carried to: straight to the audit store, or to a bus from which shippers carry them there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from audit.bus_settings import EXTRA, BusSettings
from audit.shipper import Shipper
from audit.store import Store
from proxy.config import ConfigError

Written = Callable[[], int]  # the position up to which a journal has been written


class Carrier(Protocol):
    """Carries one worker's journal: `audit.shipper.Shipper` or `audit.publisher.Publisher`."""

    shipped_records: int
    damaged_records: int
    last_error: str | None
    seal_problem: str | None

    @property
    def is_reachable(self) -> bool: ...

    @property
    def lag_bytes(self) -> int: ...

    async def run(self) -> None: ...

    async def ship_available(self) -> int: ...

    def close(self) -> None: ...


class Connection(Protocol):
    """What a carrier sends over: `audit.store.Store` or `audit.bus.Bus`."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Load:
    """A carrier, its connection, which is nobody else's, and how far the journal has been written."""

    carrier: Carrier
    connection: Connection
    written: Written


class StoreWay:
    """Straight to the store."""

    name: Final = "store"

    def __init__(self, dsn: str, signing_key: bytes | None = None) -> None:
        """`signing_key`: the PEM of a key that doesn't stand in the journal's folder."""
        self._dsn = dsn
        self.signing_key = signing_key

    def load(self, directory: Path, worker: int, written: Written) -> Load:
        """Raises AuditError or OSError."""
        store = Store(self._dsn)
        shipper = Shipper(directory, worker, store, written_position=written, signing_key=self.signing_key)
        return Load(shipper, store, written)


class BusWay:
    """To the bus. Raises ConfigError where its client isn't installed."""

    name: Final = "bus"

    def __init__(
        self, settings: BusSettings, signing_key: bytes | None = None, journal_limit: int | None = None
    ) -> None:
        """`signing_key`: as of StoreWay. `journal_limit`: of one worker's journal."""
        self.signing_key = signing_key
        try:
            from audit.bus import Bus
            from audit.publisher import Publisher
        except ModuleNotFoundError as error:
            if error.name != "nats":
                raise
            raise ConfigError([EXTRA]) from None
        self._bus, self._publisher = Bus, Publisher
        self._settings = settings
        # What the bus has already mustn't be what fills the journal.
        self._most_held_bytes = None if journal_limit is None else journal_limit // 4

    def load(self, directory: Path, worker: int, written: Written) -> Load:
        """Raises AuditError or OSError."""
        bus = self._bus(self._settings)
        publisher = self._publisher(
            directory,
            worker,
            bus,
            written_position=written,
            signing_key=self.signing_key,
            most_held_bytes=self._most_held_bytes,
        )
        return Load(publisher, bus, written)


Way = StoreWay | BusWay
