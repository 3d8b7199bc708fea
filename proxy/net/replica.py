"""The bulk lane's own server: whether it can be used now, and links to it beside those of the database's pool.

It is used only while its catalog is the primary's, object by object: a decision is made by the primary's, and a server
that lags behind could know other tables by the same names. It must not know what is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final
from weakref import WeakSet

from policies.catalog import Catalog
from proxy.net.pool import Borrower, Pool
from proxy.net.pooled_link import PooledLink
from proxy.session.shared_link import LinkKind
from proxy.session.track import Settings
from proxy.tallies import Tallies
from proxy.work_lanes import BulkWay

_REST_S: Final = 2.0  # after a link couldn't be had, it isn't tried again for so long
_IN_RECOVERY: Final = b"in_hot_standby"


class Replica:
    """`primary` and `own`: the catalogs as the two servers gave them; None where one is away. `falls_back`: the
    primary does the work meanwhile."""

    def __init__(
        self,
        primary: Callable[[], Catalog | None],
        own: Callable[[], Catalog | None],
        now_s: Callable[[], float],
        *,
        falls_back: bool,
    ) -> None:
        self._primary = primary
        self._own = own
        self._now_s = now_s
        self._falls_back = falls_back
        self._rests_until_s = 0.0
        self._compared: tuple[Catalog, Catalog] | None = None
        self._is_same = False

    def bulk_way(self) -> BulkWay:
        if self._now_s() >= self._rests_until_s and self._knows_the_same():
            return BulkWay.REPLICA
        return BulkWay.PRIMARY if self._falls_back else BulkWay.NOWHERE

    def note_failure(self) -> None:
        """No link to it could be had."""
        self._rests_until_s = self._now_s() + _REST_S

    def _knows_the_same(self) -> bool:
        primary, own = self._primary(), self._own()
        if primary is None or own is None:
            return False
        before = self._compared
        if before is None or before[0] is not primary or before[1] is not own:
            self._compared = primary, own
            self._is_same = _without_names(primary) == _without_names(own)
        return self._is_same


def _without_names(catalog: Catalog) -> Catalog:
    """Without what we call it and count of it ourselves."""
    return replace(catalog, version=0, database="")


class _Elsewhere:
    """Somebody who waits for a link to the replica; without one, it is asked again where to go."""

    def __init__(self, pool: PoolWithReplica, borrower: Borrower) -> None:
        self._pool = pool
        self._borrower = borrower

    def server_lent(self, link: PooledLink) -> None:
        self._pool.lent(self._borrower, link)
        self._borrower.server_lent(link)  # the session looks once more whether the replica will do

    def lend_failed(self, sqlstate: str, message: str) -> None:
        self._pool.not_lent(self._borrower)
        self._borrower.lend_again()

    def lend_again(self) -> None:
        """Nobody tells it so."""


class PoolWithReplica:
    """Implements `AnyPool`: the primary's links, and the replica's for those who ask for one elsewhere."""

    def __init__(self, primary: Pool, elsewhere: Pool, replica: Replica, tallies: Tallies) -> None:
        self._primary = primary
        self._elsewhere = elsewhere
        self._replica = replica
        self._tallies = tallies
        self._own: WeakSet[PooledLink] = WeakSet()  # the replica's links that were lent at least once
        self._waiting: dict[Borrower, _Elsewhere] = {}

    # what sessions know of it is what the primary says

    def reported(self, kind: LinkKind, base: Settings) -> Mapping[bytes, bytes] | None:
        return self._primary.reported(kind, base)

    def note_reported(self, kind: LinkKind, base: Settings, values: Mapping[bytes, bytes]) -> None:
        self._primary.note_reported(kind, base, values)

    def count_pin(self, reason: str) -> None:
        self._primary.count_pin(reason)

    # borrowing

    def borrow(
        self, borrower: Borrower, kind: LinkKind, last: PooledLink | None, is_first: bool, is_elsewhere: bool = False
    ) -> None:
        if not is_elsewhere:
            self._primary.borrow(borrower, kind, last, is_first)
        elif borrower not in self._waiting:
            waiting = self._waiting[borrower] = _Elsewhere(self, borrower)
            self._elsewhere.borrow(waiting, kind, last, is_first=True)

    def lent(self, borrower: Borrower, link: PooledLink) -> None:
        """To one who asked for a link elsewhere."""
        self._waiting.pop(borrower, None)
        self._own.add(link)
        link.shared.is_elsewhere = True
        self._tallies.count_elsewhere()
        # To the client nothing has moved.
        if _IN_RECOVERY in link.shared.reported:
            link.shared.reported[_IN_RECOVERY] = b"off"

    def not_lent(self, borrower: Borrower) -> None:
        self._waiting.pop(borrower, None)
        self._replica.note_failure()

    def forget(self, borrower: Borrower) -> bool:
        waiting = self._waiting.pop(borrower, None)
        if waiting is not None:
            return self._elsewhere.forget(waiting)
        return self._primary.forget(borrower)

    def give_back(self, link: PooledLink) -> None:
        self._owner(link).give_back(link)

    def cancel_done(self, link: PooledLink) -> None:
        self._owner(link).cancel_done(link)

    def discard(self, link: PooledLink) -> None:
        self._owner(link).discard(link)

    def _owner(self, link: PooledLink) -> Pool:
        return self._elsewhere if link in self._own else self._primary

    def close(self) -> None:
        self._primary.close()
        self._elsewhere.close()
