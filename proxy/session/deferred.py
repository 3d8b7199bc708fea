"""What the lane has done to the session and hasn't told the long way yet: the unnamed statement, portal, and stretches.

Most of it is overwritten by the lane's next statement, so it is put into the session's names only when somebody looks.
"""

from __future__ import annotations

from typing import Final

from proxy.session.conversation import Conversation
from proxy.session.handover import Given, Handover

# What has become of the unnamed statement or portal since the long way knew of it.
_KEPT: Final = 0
_GONE: Final = 1
_MADE: Final = 2


class Deferred:
    """`count` after each statement, then one of the others."""

    def __init__(self, conversation: Conversation, handover: Handover) -> None:
        self._c = conversation
        self._handover = handover
        self._groups = 0
        self._unnamed = _KEPT
        self._portal = _KEPT
        self._made: Given | None = None
        self._bound: Given | None = None

    @property
    def is_unnamed_kept(self) -> bool:
        """Whether the session's names are right about the unnamed statement."""
        return self._unnamed == _KEPT

    def count(self) -> None:
        """A stretch up to ReadyForQuery is over."""
        self._groups += 1

    def queried(self) -> None:
        """A Query has taken the unnamed statement and portal for its own."""
        self._unnamed = self._portal = _GONE
        self._made = self._bound = None

    def parsed(self, made: Given, is_block: bool) -> None:
        """The unnamed statement is another one."""
        made.is_contested = self._has_unnamed()
        self._made = made
        self._unnamed = _MADE
        self.bound(made, is_block)

    def bound(self, given: Given | None, is_block: bool) -> None:
        """The unnamed portal has run; it ends with its transaction, and only inside of a block is `given` needed."""
        if is_block and given is not None:
            given.group = self._c.group + self._groups - 1
            given.is_portal_contested = self._has_portal()
            self._portal, self._bound = _MADE, given
        else:
            if given is not None:
                given.group = self._c.group + self._groups - 1
            self._portal, self._bound = _GONE, None

    def _has_unnamed(self) -> bool:
        if self._unnamed == _KEPT:
            return self._c.confirmed.names.statement(b"") is not None
        return self._unnamed == _MADE

    def _has_portal(self) -> bool:
        if self._portal == _KEPT:
            return self._c.confirmed.names.portal(b"") is not None
        return self._portal == _MADE

    def settle(self) -> None:
        """The session's names and counts are right from now on. Raises Unexpected."""
        if self._groups:
            self._c.group += self._groups
            self._groups = 0
        if self._unnamed == _GONE or self._portal == _GONE:
            self._handover.drop(self._unnamed == _GONE, self._portal == _GONE)
        if self._made is not None:
            self._handover.prepare(self._made)
        if self._bound is not None:
            self._handover.bind(self._bound)
        self._unnamed = self._portal = _KEPT
        self._made = self._bound = None
