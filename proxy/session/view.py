"""What the server's session holds, as far as decisions depend on it: its names and its namespace.

Kept twice: as `sent`, assuming that all that is on its way succeeds, and as `confirmed` by the replies.
"""

from __future__ import annotations

from proxy.session.held import Account, Portal
from proxy.session.names import Names
from proxy.session.queue import ENDED_BY_READY, Item, Kind
from proxy.session.track import Track


class View:
    def __init__(self, track: Track, names: Names | None = None) -> None:
        self.track = track
        self.names = names or Names()

    def copy(self) -> View:
        return View(self.track.copy(), self.names.copy())

    def expect(self, item: Item) -> None:
        """The item was sent and will succeed, as far as is known; a poison will fail.

        Its beginning may be confirmed already, or that it has failed.
        """
        if item.sqlstate:
            pass
        elif item.answer is not None or item.is_abort:
            self.track.fail()
        else:
            self.confirm(item)
            for account in item.accounts[item.at :]:
                self.run(account)
        self.end_query(item)
        if item.kind in ENDED_BY_READY:
            self.track.ready()
            if not self.track.is_block:
                self.names.end_transaction()

    def confirm(self, item: Item) -> Portal | None:
        """The message has done what it says; the portal whose place it took."""
        names = self.names
        match item.kind:
            case Kind.PARSE if item.statement is not None:
                names.prepare(item.name, item.statement)
                self._keep_small(item.is_open)
            case Kind.BIND if item.portal is not None:
                old = names.portal(item.name)
                names.bind(item.portal)
                return old if isinstance(old, Portal) else None
            case Kind.CLOSE if not item.is_swallowed:
                return names.close(item.name, item.is_described)
        return None

    def end_query(self, item: Item) -> Portal | None:
        """A Query takes the unnamed statement and the unnamed portal for its own; the portal that was open there."""
        return self.names.drop_unnamed(with_portal=bool(item.accounts)) if item.kind is Kind.QUERY else None

    def _keep_small(self, is_open: bool) -> None:
        # Under the allow-everything policy a session may use names that nobody knows; elsewhere it is refused.
        while is_open and self.names.is_full and len(self.names.statements) > 1:
            self.names.drop_oldest()

    def run(self, account: Account, tag: bytes = b"") -> list[Portal]:
        """A statement has run; the portals that it closed."""
        self.track.run(account.plan, tag)
        makes = account.run.makes
        closed = self.names.run(account.plan.effect, makes)
        if makes is not None:
            self._keep_small(makes.is_open)
        return closed
