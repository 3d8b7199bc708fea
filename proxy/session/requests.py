"""What an open session does with each client message: asks for a decision, records it, sends it or a poison.

Nothing reaches the server without a Decision, but messages that carry no text of the client's. It must not
know replies: it only queues what is due.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from audit.errors import JournalError
from policies.decision import Decision, Refusal
from proxy.session.conversation import Conversation, Wait
from proxy.session.copying import Copying
from proxy.session.deciding import Decider, Denied
from proxy.session.extended import Extended
from proxy.session.poison import poison_query
from proxy.session.queue import Item, Kind
from proxy.session.refusals import journal_refusal, undecided
from proxy.session.reports import refusal_bytes
from proxy.wire import messages as m
from proxy.wire.codec import decode_frontend, encode
from proxy.wire.errors import ProtocolViolation, error_response

_SYNC, _TERMINATE, _QUERY, _FLUSH, _CALL = ord("S"), ord("X"), ord("Q"), ord("H"), ord("F")
_COPY = frozenset(b"dcf")
_DECIDED = frozenset(b"PBEQF")
_EXTENDED: Final[Mapping[int, Callable[[Extended, memoryview], None]]] = {
    ord("P"): Extended.parse,
    ord("B"): Extended.bind,
    ord("D"): Extended.describe,
    ord("E"): Extended.execute,
    ord("C"): Extended.close,
}
# So many replies may be due before client messages wait, and so few when they go on. Each reply takes 5 bytes at
# least, so a server that keeps 8 KiB of them to itself, waiting for Sync, holds back fewer than the second number.
_LONG_QUEUE: Final = 4096
_SHORT_QUEUE: Final = 2048


class Requests:
    def __init__(self, conversation: Conversation) -> None:
        self._c = conversation
        self._decider = Decider(conversation)
        self._copying = Copying(conversation)
        self._added_us = 0
        self._waiting: tuple[int, memoryview] | None = None
        self._is_queue_long = False
        self._extended = Extended(conversation, self._decider)

    @property
    def is_held(self) -> bool:
        """Whether client messages wait: for a cancel, a new catalog, an estimate or a shorter queue."""
        c = self._c
        if self._is_queue_long:
            self._is_queue_long = len(c.queue) > _SHORT_QUEUE
        is_asking = c.wanted_estimate is not None or c.is_catalog_awaited
        return c.cancels > 0 or c.is_leaving or is_asking or self._is_queue_long

    @property
    def is_waiting(self) -> bool:
        """Whether a message is kept back until replies have come."""
        return self._waiting is not None

    @property
    def takes_copy_data(self) -> bool:
        """Whether CopyData goes to the server now."""
        return not self.is_waiting and self._copying.is_taking

    def resume(self) -> bool:
        """Tries the message that was kept back; whether none is kept back now."""
        if self._waiting is not None:
            type_byte, frame = self._waiting
            self._waiting = None
            self.receive(type_byte, frame)
        return self._waiting is None

    def receive(self, type_byte: int, frame: memoryview) -> None:
        """One whole frame; of CopyData, any number of them. Raises ProtocolViolation or SessionEnds."""
        self._c.is_idle = False
        services = self._c.services
        begun = services.now_us() if type_byte in _DECIDED else 0
        try:
            self._receive(type_byte, frame)
        except Wait:
            self._waiting = (type_byte, frame)
        if begun:
            self._added_us += services.now_us() - begun
            if type_byte not in b"PB" and self._waiting is None:
                services.count_added(self._added_us)
                self._added_us = 0

    def _receive(self, type_byte: int, frame: memoryview) -> None:
        c = self._c
        if c.lending is not None and c.lending.link is None and type_byte != _TERMINATE:
            if c.is_skipping:
                self._skip_unlent(type_byte)
                return
            c.lending.ask(c)
            raise Wait
        if type_byte in _COPY:
            self._copying.receive(type_byte, frame)
        elif type_byte == _TERMINATE:
            self._terminate(frame)
        elif type_byte == _SYNC:
            self._sync(frame)
        elif type_byte == _FLUSH:
            if not c.is_skipping:
                c.send_server(frame)
        elif type_byte not in _DECIDED and type_byte not in _EXTENDED:
            raise ProtocolViolation(f"invalid frontend message type {type_byte}")
        else:
            self._copying.require_no_copy(type_byte)
            if not c.is_skipping:
                self._decide(type_byte, frame)
                self._watch_queue()

    def cancel_wait(self) -> None:
        """The client cancels what waits for a server link. The server knows nothing of it, so it is answered here."""
        c = self._c
        if self._waiting is None or c.lending is None or c.lending.link is not None:
            return
        type_byte, _ = self._waiting
        self._waiting = None
        c.lending.is_asking = False
        c.send_client(error_response("ERROR", "57014", "canceling statement due to user request"))
        if type_byte in (_QUERY, _SYNC, _CALL):
            self._end_unlent()
        else:
            c.is_skipping = True

    def _skip_unlent(self, type_byte: int) -> None:
        """Behind such an error, up to Sync."""
        if type_byte == _SYNC:
            self._end_unlent()

    def _end_unlent(self) -> None:
        c = self._c
        c.is_skipping = False
        c.is_idle = True
        c.group += 1
        c.send_client(encode(m.ReadyForQuery(c.status)))

    def _decide(self, type_byte: int, frame: memoryview) -> None:
        if type_byte == _QUERY:
            self._query(frame)
        elif type_byte == _CALL:
            self._function_call(frame)
        else:
            _EXTENDED[type_byte](self._extended, frame)

    def _terminate(self, frame: memoryview) -> None:
        """The server answers what came before it, and so do we."""
        c = self._c
        if c.lending is None:
            c.send_server(frame)
        c.is_leaving = True
        if not c.queue or c.is_copying_in:
            c.end()

    def _watch_queue(self) -> None:
        if len(self._c.queue) > _LONG_QUEUE:
            self._is_queue_long = True

    def _sync(self, frame: memoryview) -> None:
        c = self._c
        if c.is_copying_in:
            return  # the server ignores it inside COPY, and answers nothing
        c.is_skipping = False
        c.send_server(frame)
        c.expect(Item(Kind.SYNC, is_open=c.policy().is_everything))
        self._watch_queue()

    def _function_call(self, frame: memoryview) -> None:
        c = self._c
        decode_frontend(_CALL, frame[5:])
        if c.policy().is_everything:
            c.is_tainted = True
            if c.lending is not None:
                c.lending.pin_down(c, "function")
            c.send_server(frame)
            c.expect(Item(Kind.FUNCTION, is_open=True))
            return
        refusal = Refusal("0A000", "pgwarden/function_call", "fast-path function calls can't be guarded")
        self._refuse("", None, refusal)

    def _query(self, frame: memoryview) -> None:
        c = self._c
        decode_frontend(_QUERY, frame[5:])  # one String: a NUL inside would hide what the server doesn't read
        raw = bytes(frame[5:-1])
        sql = raw.decode("utf-8", "replace")
        decided = self._decider.decide(raw)
        if decided.refusal is not None or decided.decision is None:
            self._refuse(sql, decided.decision, decided.refusal or undecided())
            return
        if c.lending is not None:
            c.lending.admit(c, decided.decision)
        try:
            decision, accounts = self._decider.open(sql, decided)
        except Denied as denied:
            self._refuse(sql, decided.decision, denied.refusal, denied.answer, denied.plan_units)
            return
        except JournalError:
            self._refuse(sql, decided.decision, journal_refusal())
            return
        if c.lending is not None:
            c.lending.run(c, decision)
        c.send_server(frame if decision.text == sql else encode(m.Query(decision.text.encode())))
        c.expect(Item(Kind.QUERY, decision=decision, is_open=decided.policy.is_everything, accounts=accounts))

    def _refuse(
        self,
        sql: str,
        decision: Decision | None,
        refusal: Refusal,
        answer: bytes = b"",
        plan_units: int | None = None,
    ) -> None:
        self._c.ledger.deny(sql, decision, refusal, self._decider.shadow.of_text(sql), plan_units)
        poison_query(self._c, answer or refusal_bytes(refusal), yields_to_abort=bool(answer))
