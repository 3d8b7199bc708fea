"""A session after both logins: frames of either side go to `Requests` and `Answers`, large ones in parts.

It must not know how a session begins; `session` holds the phases and the guard around everything.
"""

from __future__ import annotations

from typing import Final

from policies.decision import Refusal
from proxy.session.answers import Answers
from proxy.session.conversation import Conversation
from proxy.session.idleness import Idleness
from proxy.session.ports import CostQuery, Estimate, Rules
from proxy.session.queueing import Queueing
from proxy.session.reports import fatal_bytes
from proxy.session.requests import Requests
from proxy.wire import messages as m
from proxy.wire.codec import encode
from proxy.wire.errors import ProtocolViolation
from proxy.wire.frames import MAX_FRAME_BYTES, FrameCutter, FrameLimits
from proxy.work_lanes import WorkLane

_PART_BYTES: Final = 262_144  # incomplete frames above this go on in parts
_COPY_DATA: Final = ord("d")
_PASSING: Final = b"Dd"
_FLUSH: Final = encode(m.Flush())


class OpenSession:
    def __init__(self, conversation: Conversation, rules: Rules, limits: FrameLimits) -> None:
        self.conversation = conversation
        lanes = conversation.services.work_lanes(conversation.identity.database)
        if lanes is not None:
            conversation.queueing = Queueing(conversation, lanes)
        self._limits = limits
        self._requests = Requests(conversation)
        self._answers = Answers(conversation)
        self._idleness = Idleness(conversation, rules)
        self._is_part_wanted = False  # of the client's message that is passed in parts

    # the client's side

    @property
    def is_held(self) -> bool:
        return self._requests.is_held

    @property
    def is_waiting(self) -> bool:
        return self._requests.is_waiting

    @property
    def is_owed(self) -> bool:
        """Whether a client that says no more is still owed replies."""
        return bool(self.conversation.queue) or self.is_held or self.is_waiting

    @property
    def is_server_owed(self) -> bool:
        """Whether the server waits for data, so that its client's end is news to it."""
        return self.conversation.is_copying_in

    def read_client(self, cutter: FrameCutter) -> None:
        """All messages that can be judged now."""
        c = self.conversation
        self._requests.types_ahead = cutter.types_ahead
        if cutter.is_passing:
            self._client_part(cutter, *cutter.take_part())
        if self.is_waiting and (self.is_held or not self._requests.resume()):
            return
        while not self.is_held and not c.is_ended:
            frame = cutter.next_frame()
            if frame is None:
                self._pass_large_copy(cutter)
                return
            type_byte, start, end = frame
            if type_byte == _COPY_DATA:
                # A client may send a message for each row. None of them changes what becomes of the next.
                end = cutter.take_alike(_COPY_DATA)
            self._requests.receive(type_byte, memoryview(cutter.buffer)[start:end])
            if self.is_waiting:
                return

    def violated(self, violation: ProtocolViolation) -> None:
        """The client's bytes make no sense. It is told after the answers to what came before."""
        c = self.conversation
        c.last_words = fatal_bytes(violation.sqlstate, violation.message)
        c.is_leaving = True
        if not c.queue or c.is_copying_in:
            c.end(c.last_words, violation.sqlstate)
        else:
            c.send_server(_FLUSH)

    def _pass_large_copy(self, cutter: FrameCutter) -> None:
        pending = cutter.pending()
        if pending is None or pending[0] != _COPY_DATA or pending[1] < _PART_BYTES:
            return
        self._is_part_wanted = self._requests.takes_copy_data
        self._client_part(cutter, *cutter.pass_pending())

    def _client_part(self, cutter: FrameCutter, start: int, end: int) -> None:
        if self._is_part_wanted:
            self.conversation.send_server(memoryview(cutter.buffer)[start:end])

    # the server's side

    def server_part(self, buffer: bytes, start: int, end: int) -> None:
        self._answers.rows.pass_part(buffer, start, end)

    def server_run(self, type_byte: int, buffer: bytes, start: int, end: int, count: int) -> None:
        self._answers.receive(type_byte, buffer, start, end, count)
        if self.conversation.is_leaving and not self.conversation.queue:
            self.conversation.end(self.conversation.last_words)

    def pass_large(self, cutter: FrameCutter) -> None:
        """What there is of a large row or a large piece of COPY data. Raises Unexpected."""
        pending = cutter.pending()
        if pending is None or pending[1] < _PART_BYTES or pending[0] not in _PASSING:
            return
        rows = self._answers.rows
        if not rows.may_pass_part(pending[0]):
            if pending[1] <= self._limits.message_bytes:
                return
            rows.refuse_large()
        start, end = cutter.pass_pending()
        rows.begin_part(cutter.buffer, start, end)

    # timers and what was asked for

    @property
    def watches_idleness(self) -> bool:
        """Whether a session that does nothing is ended after a while."""
        return self._idleness.is_wanted

    def watch_idleness(self) -> None:
        self._idleness.watch()

    def timer_fired(self, token: int) -> None:
        """Raises SessionEnds."""
        c = self.conversation
        if token < 0:
            self._idleness.fired(token)
        elif c.is_timer(token) and not c.is_late:
            self._answers.rows.cut_by_time()

    def cancel_done(self) -> None:
        self.conversation.cancels = max(0, self.conversation.cancels - 1)

    def cancel_wait(self) -> None:
        """What waits for a server link is cancelled."""
        self._requests.cancel_wait()

    def lend_again(self) -> None:
        """What waits for a server link asks for one again."""
        lending = self.conversation.lending
        if lending is not None:
            lending.is_asking = False

    def turn_came(self, lane: WorkLane) -> None:
        queueing = self.conversation.queueing
        assert queueing is not None
        queueing.turn_came(lane)

    def turn_refused(self, refusal: Refusal) -> None:
        queueing = self.conversation.queueing
        assert queueing is not None
        queueing.turn_refused(refusal)

    def hold_for_catalog(self) -> bool:
        """Has the client's messages wait, as another session has changed the catalog.

        False while they do already, and under the allow-everything policy, which needs no catalog.
        """
        c = self.conversation
        if c.catalog_waits > 0 or c.policy_is_open():
            return False
        c.catalog_waits = 1
        return True

    def cost_estimated(self, query: CostQuery, estimate: Estimate) -> None:
        c = self.conversation
        if c.wanted_estimate == query:
            c.wanted_estimate = None
            c.estimates[query] = estimate

    def purse_looked_at(self) -> None:
        self.conversation.budgeting.is_waiting = False

    def catalog_refreshed(self) -> None:
        self.conversation.catalog_waits = max(0, self.conversation.catalog_waits - 1)


def with_large(limits: FrameLimits, types: bytes) -> FrameLimits:
    """Frames of these types pass in parts, so they may be as long as PostgreSQL lets any be."""
    return FrameLimits(message_bytes=limits.message_bytes, by_type=dict.fromkeys(types, MAX_FRAME_BYTES))
