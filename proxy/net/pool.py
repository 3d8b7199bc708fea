"""The server links of one database that sessions share: who gets one, in which order, and when links end.

First come, first served; a session gets the link it had last, where that is idle. It must not know what is sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from proxy.dsn import Upstream
from proxy.net.pooled_link import PooledLink, log_in
from proxy.net.sockets import Keepalive
from proxy.net.upstream import Route, UpstreamUnreachable
from proxy.session.conversation import SessionEnds
from proxy.session.ports import Gateway
from proxy.session.server_greeting import ServerUnfit
from proxy.session.shared_link import LinkKind
from proxy.session.track import Settings
from proxy.tallies import Tallies

_RETRY_S: Final = 0.5
_MOST_GREETINGS: Final = 1000
_LOOK_BACK: Final = 32  # so many idle links are searched for the one that a session had last
_PATIENT_S: Final = 0.1  # a waiter for the other kind of link is passed over for so long
_SHORTEST_SWEEP_S: Final = 0.02

log = logging.getLogger("pgwarden.pool")


class Borrower(Protocol):
    """Who asked for a link: one of both is called, once, perhaps before `borrow` returns."""

    def server_lent(self, link: PooledLink) -> None: ...

    def lend_failed(self, sqlstate: str, message: str) -> None: ...

    def lend_again(self) -> None:
        """Instead, where it asked for a link elsewhere: there is none, and it is to ask anew."""


class AnyPool(Protocol):
    """What sessions and their links ask of a Pool, or of several that stand for one."""

    def reported(self, kind: LinkKind, base: Settings) -> Mapping[bytes, bytes] | None: ...

    def note_reported(self, kind: LinkKind, base: Settings, values: Mapping[bytes, bytes]) -> None: ...

    def count_pin(self, reason: str) -> None: ...

    def borrow(
        self, borrower: Borrower, kind: LinkKind, last: PooledLink | None, is_first: bool, is_elsewhere: bool = False
    ) -> None: ...

    def forget(self, borrower: Borrower) -> bool: ...

    def give_back(self, link: PooledLink) -> None: ...

    def cancel_done(self, link: PooledLink) -> None: ...

    def discard(self, link: PooledLink) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """Of one worker. Seconds, but `size`."""

    size: int
    wait_s: float
    idle_s: float
    lifetime_s: float
    login_s: float = 10.0
    keepalive: Keepalive = field(default_factory=Keepalive)


@dataclass(frozen=True, slots=True)
class Way:
    """How a pool's links are made: where to, as whom, and when the database's catalog is known."""

    upstream: Callable[[], Upstream]
    gateway: Callable[[], Gateway]
    catalog_ready: Callable[[], Awaitable[None]]
    random_bytes: Callable[[int], bytes]


@dataclass(slots=True)
class _Waiter:
    kind: LinkKind
    since_s: float
    is_first: bool


class Pool:
    """Implements `session.ports.Pooling`, too: what all sessions of the database know of its servers."""

    def __init__(
        self,
        database: str,
        settings: PoolSettings,
        way: Way,
        tallies: Tallies,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._database = database
        self._settings = settings
        self._way = way
        self._tallies = tallies
        self._spawn = spawn
        self._idle: list[PooledLink] = []  # the one that was used last stands last
        self._lent: set[PooledLink] = set()
        self._opening = 0
        self._waiters: OrderedDict[Borrower, _Waiter] = OrderedDict()
        self._greetings: OrderedDict[tuple[LinkKind, Settings], Mapping[bytes, bytes]] = OrderedDict()
        self._overdue: asyncio.TimerHandle | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._problem = ""
        self._counted = 0, 0
        self._is_closed = False

    # what sessions know together

    def reported(self, kind: LinkKind, base: Settings) -> Mapping[bytes, bytes] | None:
        return self._greetings.get((kind, base))

    def note_reported(self, kind: LinkKind, base: Settings, values: Mapping[bytes, bytes]) -> None:
        self._greetings[kind, base] = values
        if len(self._greetings) > _MOST_GREETINGS:
            self._greetings.popitem(last=False)

    def count_pin(self, reason: str) -> None:
        self._tallies.count_pin(reason)

    # borrowing

    @property
    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()

    def borrow(
        self,
        borrower: Borrower,
        kind: LinkKind,
        last: PooledLink | None,
        is_first: bool,
        is_elsewhere: bool = False,
    ) -> None:
        """`last`: the link that the borrower had last. `is_first`: who can't wait for a server that is away.

        Who waits already keeps its turn. `is_elsewhere` makes no difference: there is one server.
        """
        if borrower in self._waiters:
            return
        link = None if self._waiters else self._take(kind, last)
        if link is not None:
            self._lend(link, borrower, 0.0)
            return
        self._waiters[borrower] = _Waiter(kind, self._now_s, is_first)
        self._tallies.pool_waiting += 1
        if self._overdue is None:
            self._overdue = asyncio.get_running_loop().call_later(self._settings.wait_s, self._end_overdue)
        if self._idle or self._total < self._settings.size:
            self._grow()

    def forget(self, borrower: Borrower) -> bool:
        """It doesn't wait any more. Whether it did."""
        if self._waiters.pop(borrower, None) is None:
            return False
        self._tallies.pool_waiting -= 1
        return True

    def _take(self, kind: LinkKind, last: PooledLink | None) -> PooledLink | None:
        idle = self._idle
        if last is not None and last.shared.kind is kind and last.is_quiet and last in idle[-_LOOK_BACK:]:
            idle.remove(last)
            return last
        for at in range(len(idle) - 1, -1, -1):
            if idle[at].shared.kind is kind and idle[at].is_quiet:
                return idle.pop(at)
        return None

    def _lend(self, link: PooledLink, borrower: Borrower, waited_s: float) -> None:
        self._lent.add(link)
        self._tallies.count_lent(waited_s)
        self._count_links()
        borrower.server_lent(link)

    def give_back(self, link: PooledLink) -> None:
        """Its borrower is done with it. Where a cancel is under way to it, it rests until that is there."""
        if link not in self._lent:
            return
        if self._waiters and self._hand_on(link):
            return
        if link.cancels:
            link.is_waiting_for_cancels = True
            link.rest()  # what it says is no longer its borrower's
            return
        self._lent.discard(link)
        link.is_waiting_for_cancels = False
        link.rest()
        if link.is_over or link.shared.is_spent or self._is_closed or self._now_s >= link.until_s:
            link.close()
            self._grow()
        elif not self._serve(link):
            link.idle_since_s = self._now_s
            self._idle.append(link)
            self._watch_idle()
        self._count_links()

    def _hand_on(self, link: PooledLink) -> bool:
        """To who has waited longest, without a rest. False: the link isn't fit for it, or that one needs another."""
        shared = link.shared
        if link.cancels or link.is_waiting_for_cancels or shared.is_spent or self._is_closed or link.is_over:
            return False
        borrower, waiter = next(iter(self._waiters.items()))
        now = self._now_s
        if waiter.kind is not shared.kind or now >= link.until_s:
            return False
        del self._waiters[borrower]
        self._tallies.pool_waiting -= 1
        self._tallies.count_lent(now - waiter.since_s)
        borrower.server_lent(link)
        return True

    def cancel_done(self, link: PooledLink) -> None:
        """A cancel request has reached the server, or never will."""
        if link.is_waiting_for_cancels and not link.cancels:
            self.give_back(link)

    def discard(self, link: PooledLink) -> None:
        """Its borrower ends it: it was lost, or pinned, or something on it wasn't finished."""
        if link in self._lent:
            self._lent.discard(link)
            self._count_links()
            self._grow()

    def _serve(self, link: PooledLink) -> bool:
        """Lends it to who has waited longest, or closes it for who needs the other kind. False: nobody waits."""
        if not self._waiters:
            return False
        kind = link.shared.kind
        borrower, waiter = next(iter(self._waiters.items()))
        if waiter.kind is not kind:
            if self._now_s - waiter.since_s < _PATIENT_S:
                found = next((b for b, w in self._waiters.items() if w.kind is kind), None)
                if found is not None:
                    self._lend_waiting(link, found)
                    return True
            link.close()
            self._grow()
            return True
        self._lend_waiting(link, borrower)
        return True

    def _lend_waiting(self, link: PooledLink, borrower: Borrower) -> None:
        waiter = self._waiters.pop(borrower)
        self._tallies.pool_waiting -= 1
        self._lend(link, borrower, self._now_s - waiter.since_s)

    # making links

    @property
    def _total(self) -> int:
        return len(self._idle) + len(self._lent) + self._opening

    def _grow(self) -> None:
        """Opens links for those that wait, as far as there is room."""
        if self._is_closed or self._retry is not None:
            return
        wanted = [waiter.kind for waiter in self._first_waiters()]
        for kind in wanted[self._opening :]:
            if self._total >= self._settings.size and not self._make_room(kind):
                return
            self._opening += 1
            self._spawn(self._open(kind))

    def _first_waiters(self) -> list[_Waiter]:
        found: list[_Waiter] = []
        for waiter in self._waiters.values():
            if len(found) >= self._settings.size:
                break
            found.append(waiter)
        return found

    def _make_room(self, kind: LinkKind) -> bool:
        """Closes an idle link of the other kind."""
        for at, link in enumerate(self._idle):
            if link.shared.kind is not kind:
                del self._idle[at]
                link.close()
                return True
        return False

    async def _open(self, kind: LinkKind) -> None:
        try:
            link = await self._connect(kind)
        except UpstreamUnreachable as error:
            self._failed("08006", f"could not connect to the database server: {error}")
            return
        except SessionEnds as error:
            self._failed(error.sqlstate, error.message)
            return
        except Exception:
            log.exception("the way to the server is not configured well")
            self._failed("08006", "could not connect to the database server: the gateway's configuration is incomplete")
            return
        self._opening -= 1
        self._problem = ""
        self._lent.add(link)  # as if somebody had had it
        self._count_links()
        self.give_back(link)

    async def _connect(self, kind: LinkKind) -> PooledLink:
        upstream = await asyncio.to_thread(self._way.upstream)
        await self._way.catalog_ready()
        gateway = await asyncio.to_thread(self._way.gateway)
        route = Route(upstream, self._settings.keepalive)
        while True:
            server, attempt = await route.next()
            try:
                shared = await log_in(server, gateway, kind, self._way.random_bytes, self._settings.login_s)
            except ServerUnfit:
                if route.is_at_end:
                    raise
                continue
            return PooledLink(server, attempt, shared, self._now_s + self._settings.lifetime_s, self._lost)

    def _failed(self, sqlstate: str, message: str) -> None:
        """Who has a session waits for the server to come back; who is about to get one is told at once."""
        self._opening -= 1
        log.warning("no link to the server: %s", message, extra={"fields": {"database": self._database}})
        self._problem = message
        if not self._lent and not self._idle:
            for borrower in [b for b, waiter in self._waiters.items() if waiter.is_first]:
                self.forget(borrower)
                borrower.lend_failed(sqlstate, message)
        if self._waiters and self._retry is None and not self._is_closed:
            self._retry = asyncio.get_running_loop().call_later(_RETRY_S, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._grow()

    # ends

    def _lost(self, link: PooledLink) -> None:
        if link in self._idle:
            self._idle.remove(link)
            link.close()
            self._count_links()
            self._grow()

    def _end_overdue(self) -> None:
        """Who has waited too long; all wait equally long, so the first ones are due first."""
        self._overdue = None
        now = self._now_s
        while self._waiters:
            borrower, waiter = next(iter(self._waiters.items()))
            due_s = waiter.since_s + self._settings.wait_s
            if due_s > now:
                self._overdue = asyncio.get_running_loop().call_at(due_s, self._end_overdue)
                return
            self.forget(borrower)
            borrower.lend_failed(*self._reason())

    def _reason(self) -> tuple[str, str]:
        waited = f"within {self._settings.wait_s:g} s"
        if self._problem:
            return "08006", f"{self._problem} ({waited})"
        size = self._settings.size
        return "53300", f"none of the {size} server connections of this database came free {waited}"

    def _watch_idle(self) -> None:
        if self._sweep is None and not self._is_closed:
            shortest = min(self._settings.idle_s, self._settings.lifetime_s)
            wait_s = max(min(shortest / 4, 30.0), _SHORTEST_SWEEP_S)
            self._sweep = asyncio.get_running_loop().call_later(wait_s, self._close_old)

    def _close_old(self) -> None:
        self._sweep = None
        now = self._now_s
        old = [x for x in self._idle if now >= x.until_s or now - x.idle_since_s >= self._settings.idle_s]
        for link in old:
            self._idle.remove(link)
            link.close()
        self._count_links()
        if self._idle:
            self._watch_idle()

    def close(self) -> None:
        """Ends the idle links; those that are lent end when they come back."""
        self._is_closed = True
        for timer in (self._overdue, self._sweep, self._retry):
            if timer is not None:
                timer.cancel()
        for link in self._idle:
            link.close()
        self._idle.clear()
        self._count_links()

    def _count_links(self) -> None:
        busy, idle = len(self._lent), len(self._idle)
        self._tallies.pool_busy += busy - self._counted[0]
        self._tallies.pool_idle += idle - self._counted[1]
        self._counted = busy, idle
