"""The client's side of COPY FROM STDIN: data, its end, and messages that have no place in between.

Data may come before the server has asked for it. Whether a COPY is still open is the server's to say: until its
answer is here, no other message may be taken for one that it would run.
"""

from __future__ import annotations

from typing import Final

from proxy.session.conversation import Conversation, Wait
from proxy.session.queue import Item, Kind
from proxy.wire import messages as m
from proxy.wire.codec import encode

INTRUSION: Final = b"pgwarden: a message that is no part of COPY data"
_COPY_FAIL: Final = encode(m.CopyFail(INTRUSION))


class Copying:
    def __init__(self, conversation: Conversation) -> None:
        self._c = conversation

    @property
    def is_taking(self) -> bool:
        """Whether CopyData belongs to a COPY, be it one that the server hasn't begun yet."""
        c = self._c
        return c.intruder is None and (c.is_copying_in or self._early() is not None)

    def _early(self) -> Item | None:
        return None if self._c.is_copying_in else next((item for item in self._c.queue if item.may_copy_in), None)

    def receive(self, type_byte: int, frame: memoryview) -> None:
        """CopyData, CopyDone or CopyFail. Outside of a COPY that a plan allowed, the server would ignore them; it
        needn't see them."""
        c = self._c
        early = self._early()
        if (early is None and not c.is_copying_in) or c.intruder is not None:
            return
        c.send_server(frame)
        if type_byte == ord("d"):
            return
        c.is_copying_in = False
        if early is not None:
            self._end_early(early)
        elif c.queue:
            c.queue[0].is_copy_done = True

    def _end_early(self, item: Item) -> None:
        """All data was sent before the server asked for it. Syncs sent before its end are never answered."""
        c = self._c
        item.is_copy_done = True
        after = c.queue.index(item) + 1
        while item.kind is Kind.EXECUTE and after < len(c.queue) and c.queue[after].kind is Kind.SYNC:
            del c.queue[after]

    def require_no_copy(self, type_byte: int) -> None:
        """For a message of another kind while COPY is open. Raises Wait.

        The COPY may have failed already, by its own data: then the message counts. So the server is asked to fail
        it, and its error tells which of the two it was.
        """
        c = self._c
        if not c.is_copying_in:
            return
        if c.intruder is None:
            c.intruder = type_byte
            c.send_server(_COPY_FAIL)
        raise Wait
