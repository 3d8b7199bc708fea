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
from proxy.session.costs import rans_of
from proxy.session.deciding import Decider, Denied
from proxy.session.extended import Extended
from proxy.session.held import Prepared, Run
from proxy.session.lending import Lending
from proxy.session.poison import poison_query
from proxy.session.queue import Item, Kind
from proxy.session.queueing import Queueing
from proxy.session.refusals import cancelled, journal_refusal, no_bulk_server, undecided
from proxy.session.reports import refusal_bytes
from proxy.wire import messages as m
from proxy.wire.binding import read_bind
from proxy.wire.codec import decode_frontend, encode
from proxy.wire.errors import ProtocolViolation
from proxy.work_lanes import BulkWay

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
_PARSE: Final = ord("P")
_ONE_EXECUTION: Final = 5  # messages behind a Parse: Bind, Describe, Execute, and Close or Flush, up to Sync


class Requests:
    def __init__(self, conversation: Conversation) -> None:
        self._c = conversation
        self._decider = Decider(conversation)
        self._copying = Copying(conversation)
        self._added_us = 0
        self._waiting: tuple[int, memoryview] | None = None
        self._began_idle = False  # the session was at rest when the message came that is kept back
        self._is_queue_long = False
        self.types_ahead: Callable[[int], bytes] = lambda most: b""  # of the client's messages behind this one
        self._extended = Extended(conversation, self._decider)

    @property
    def is_held(self) -> bool:
        """Whether client messages wait: for a cancel, a catalog, an estimate, a turn, money or a shorter queue."""
        c = self._c
        if self._is_queue_long:
            self._is_queue_long = len(c.queue) > _SHORT_QUEUE
        is_queueing = c.queueing is not None and c.queueing.is_waiting
        is_asking = c.wanted_estimate is not None or c.is_catalog_awaited or is_queueing
        is_asking = is_asking or c.budgeting.is_waiting
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
            self._c.is_idle = self._c.is_idle or self._began_idle
            self.receive(type_byte, frame)
        return self._waiting is None

    def receive(self, type_byte: int, frame: memoryview) -> None:
        """One whole frame; of CopyData, any number of them. Raises ProtocolViolation or SessionEnds."""
        c = self._c
        was_idle, c.is_idle = c.is_idle, False
        services = c.services
        begun = services.now_us() if type_byte in _DECIDED else 0
        try:
            self._receive(type_byte, frame)
        except Wait:
            self._waiting = (type_byte, frame)
            self._began_idle = was_idle
            # Who waits for money needs no link that sessions share meanwhile.
            c.is_idle = was_idle and c.budgeting.is_waiting and c.lending is not None
        if begun:
            self._added_us += services.now_us() - begun
            if type_byte not in b"PB" and self._waiting is None:
                services.count_added(self._added_us)
                self._added_us = 0

    def _receive(self, type_byte: int, frame: memoryview) -> None:
        c = self._c
        if c.lending is not None and type_byte != _TERMINATE:
            self._leave_misplaced(c.lending)
            if c.lending.link is None:
                self._receive_unlent(type_byte, frame, c.lending)
                return
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

    # without a link; the turn comes before it, so that who waits in a workload lane holds none up

    def _leave_misplaced(self, lending: Lending) -> None:
        """Raises Wait while the link that is to go back isn't free yet."""
        c = self._c
        if c.queueing is not None and c.queueing.is_misplaced():
            if lending.setup is not None:
                raise Wait
            lending.give_back(c, is_clean=True)

    def _receive_unlent(self, type_byte: int, frame: memoryview, lending: Lending) -> None:
        """Raises Wait, unless it is answered without a server."""
        if self._c.is_skipping:
            self._skip_unlent(type_byte)
        elif self._c.queueing is None:
            lending.ask(self._c)
            raise Wait
        else:
            self._queue_unlent(type_byte, frame, self._c.queueing, lending)

    def _queue_unlent(self, type_byte: int, frame: memoryview, queueing: Queueing, lending: Lending) -> None:
        """Raises Wait, unless the statement is refused."""
        foreseen = self._foreseen(type_byte, frame)
        if foreseen is None:
            lending.ask(self._c)
            raise Wait
        sql, decision, prepared = foreseen
        plans = decision.plans
        runs = [Run(plan) for plan in plans]
        try:
            self._decider.require_turn(runs, rans_of(decision, len(runs), prepared))
            way = queueing.bulk_way(plans)
            if way is BulkWay.NOWHERE:
                raise Denied(no_bulk_server())
        except Denied as denied:
            self._c.ledger.deny(sql, decision, denied.refusal, self._decider.shadow.of_text(sql))
            self._answer_unlent(type_byte, denied.answer)
            return
        lending.ask(self._c, is_elsewhere=way is BulkWay.REPLICA)
        raise Wait

    def _foreseen(self, type_byte: int, frame: memoryview) -> tuple[str, Decision, Prepared | None] | None:
        """What the client will have run before it waits for an answer; None where that isn't one text, or not sure."""
        if type_byte == _QUERY:
            raw = bytes(frame[5:-1])
            decided = self._decider.decide(raw)
            return _if_allowed(raw.decode("utf-8", "replace"), decided.decision, None)
        if type_byte not in b"PB" or not _is_one_execution(self.types_ahead(_ONE_EXECUTION)):
            return None
        if type_byte == _PARSE:
            message = decode_frontend(_PARSE, frame[5:])
            assert isinstance(message, m.Parse)
            decided = self._decider.decide(message.query, types=message.parameter_types)
            return _if_allowed(message.query.decode("utf-8", "replace"), decided.decision, None)
        held = self._c.sent.names.statement(read_bind(frame).statement)
        return _if_allowed(held.sql, held.decision, held) if isinstance(held, Prepared) else None

    def _answer_unlent(self, type_byte: int, answer: bytes) -> None:
        """An error, for a message that no server has seen."""
        self._c.send_client(answer)
        if type_byte in (_QUERY, _SYNC, _CALL):
            self._end_unlent()
        else:
            self._c.is_skipping = True

    def cancel_wait(self) -> None:
        """The client cancels what waits for a server link. The server knows nothing of it, so it is answered here."""
        c = self._c
        if c.budgeting.is_waiting:
            c.budgeting.is_cancelled, c.budgeting.is_waiting = True, False
            return
        if self._waiting is None or c.lending is None or c.lending.link is not None:
            return
        type_byte, _ = self._waiting
        self._waiting = None
        c.lending.is_asking = False
        c.rest()
        self._answer_unlent(type_byte, cancelled())

    def _skip_unlent(self, type_byte: int) -> None:
        """Behind such an error, up to Sync."""
        if type_byte == _SYNC:
            self._end_unlent()

    def _end_unlent(self) -> None:
        c = self._c
        c.is_skipping = False
        c.is_idle = True
        c.group += 1
        c.rest()
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


def _if_allowed(
    sql: str, decision: Decision | None, prepared: Prepared | None
) -> tuple[str, Decision, Prepared | None] | None:
    """None for what is refused: the server's transaction has to hear of that."""
    return None if decision is None or decision.refusal is not None else (sql, decision, prepared)


def _is_one_execution(types: bytes) -> bool:
    """Whether these messages have one statement run, and end their stretch."""
    stretch, sync, _ = types.partition(b"S")
    return bool(sync) and stretch.count(b"E") == 1 and b"P" not in stretch and stretch.count(b"B") <= 1
