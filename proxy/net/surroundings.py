"""What one link needs of its worker: plain types, and a protocol that the listener implements."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from proxy.dsn import Upstream
from proxy.net.pool import AnyPool
from proxy.net.sockets import Keepalive
from proxy.net.work_queue import WorkQueue
from proxy.session.ports import CostQuery, Estimate

HANDSHAKE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class CancelKey:
    """Our key towards the client, and the server's for the same process."""

    process_id: int
    secret_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """How links of one listening place begin and live. `tls` None: not offered; `binding`: our certificate's mark."""

    tls: ssl.SSLContext | None = None
    binding: bytes = b""
    handshake_s: float = HANDSHAKE_S
    keepalive: Keepalive = field(default_factory=Keepalive)


class AnyLink(Protocol):
    """A link as its worker sees it."""

    @property
    def key(self) -> CancelKey | None: ...

    def drain(self) -> None: ...

    def end(self) -> None: ...

    def end_without_key(self, flaw_of: Callable[[str, str], str]) -> None:
        """If its session's API key has a flaw."""

    def hold_for_catalog(self, database: str) -> bool:
        """Whether its session waits from now on until `catalog_refreshed`."""

    def catalog_refreshed(self) -> None: ...

    async def cancel_at_server(self) -> None: ...


class Surroundings(Protocol):
    """What links share in one worker."""

    def upstream(self, database: str) -> Upstream:
        """Read anew for each connection. Raises what the configuration raises."""

    async def catalog_ready(self, database: str) -> None:
        """Returns when there is a snapshot, or one was tried for."""

    def hold_for_catalog(self, database: str) -> list[AnyLink]:
        """Has the other sessions wait, as the catalog has changed, until `catalog_refreshed` with them; which do."""

    async def catalog_refreshed(self, database: str, held: Sequence[AnyLink], *, is_awaited: bool) -> None:
        """Returns when the snapshot holds what was committed before the call, or when that takes too long.

        At once when neither the caller (`is_awaited`) nor any session that is held needs it: it is read a little later.
        """

    async def cost_estimated(self, query: CostQuery, user: str) -> Estimate:
        """Asks the planner; it takes a bounded time and doesn't raise."""

    def pool(self, database: str) -> AnyPool | None:
        """None where each session has a server link of its own."""

    def work_queue(self, database: str) -> WorkQueue | None:
        """None where no statement waits for others."""

    def register(self, link: AnyLink, key: CancelKey) -> None: ...

    async def cancel_by_key(self, process_id: int, secret_key: bytes) -> None: ...

    def opened(self, link: AnyLink) -> None: ...

    def closed(self, link: AnyLink) -> None: ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None: ...

    @property
    def cancel_slots(self) -> asyncio.Semaphore:
        """One for each connection that may be open for cancelling."""

    @property
    def wait_synced(self) -> Callable[[int], Awaitable[None]] | None:
        """Set under strict durability: awaited before server bytes leave."""
