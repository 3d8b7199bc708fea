"""A replication connection after both logins: everything passes as it came, and every command is recorded.

A stream of changes can't be filtered, so this exists only where nothing is hidden and a policy names replication;
that is asked again with everything that passes. It stands in `OpenSession`'s place and must not read what it carries.
"""

from __future__ import annotations

from typing import Final

from audit.errors import JournalError
from policies.decision import Decision, Plan
from policies.model import EffectivePolicy
from proxy.session.conversation import Conversation, SessionEnds
from proxy.session.greeting import may_replicate
from proxy.session.held import Run
from proxy.session.ports import CostQuery, Estimate, RefreshCatalog
from proxy.session.queue import Item, Kind
from proxy.session.reports import fatal_bytes, sqlstate_of
from proxy.wire import messages as m
from proxy.wire.codec import decode_backend, decode_frontend
from proxy.wire.errors import ProtocolViolation
from proxy.wire.frames import FrameCutter

_QUERY, _SYNC, _TERMINATE = ord("Q"), ord("S"), ord("X")
_ERROR, _READY, _COPY_DATA = ord("E"), ord("Z"), ord("d")
_CHANGING_NOTHING: Final = frozenset(
    {
        "IDENTIFY_SYSTEM",
        "SHOW",
        "SELECT",
        "BASE_BACKUP",
        "START_REPLICATION",
        "CREATE_REPLICATION_SLOT",
        "ALTER_REPLICATION_SLOT",
        "READ_REPLICATION_SLOT",
        "DROP_REPLICATION_SLOT",
        "TIMELINE_HISTORY",
    }
)
_PART_BYTES: Final = 262_144


class Walsender:
    is_held = False
    is_waiting = False

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation

    is_server_owed = False

    @property
    def is_owed(self) -> bool:
        """As the server, a stream ends when its client says no more."""
        return False

    # the client's side

    def read_client(self, cutter: FrameCutter) -> None:
        """Raises ProtocolViolation or SessionEnds."""
        c = self.conversation
        while not c.is_ended and (frame := cutter.next_frame()) is not None:
            type_byte, start, end = frame
            self._receive(type_byte, memoryview(cutter.buffer)[start:end])

    def violated(self, violation: ProtocolViolation) -> None:
        """The client's bytes make no sense; a stream has no answers that would come first."""
        self.conversation.end(fatal_bytes(violation.sqlstate, violation.message), violation.sqlstate)

    def _receive(self, type_byte: int, frame: memoryview) -> None:
        c = self.conversation
        policy = self._policy()
        if type_byte == _QUERY:
            self._command(frame, policy)
        elif type_byte == _SYNC:
            c.expect(Item(Kind.SYNC, is_open=True))
        c.send_server(frame)
        if type_byte == _TERMINATE:
            c.end()

    def _command(self, frame: memoryview, policy: EffectivePolicy) -> None:
        message = decode_frontend(_QUERY, frame[5:])
        assert isinstance(message, m.Query)
        text = message.query.decode("utf-8", "replace")
        plan = Plan("replication", text, limits=policy.limits)
        decision = Decision(text, (plan,), policy_fingerprint=policy.fingerprint)
        self._require_allowance(text, decision)
        try:
            accounts = self.conversation.ledger.open(decision, (Run(plan),))
        except JournalError:
            raise SessionEnds("53100", "the audit journal can't take a record, so nothing may run") from None
        self.conversation.expect(Item(Kind.QUERY, decision=decision, is_open=True, accounts=accounts))

    def _require_allowance(self, text: str, decision: Decision) -> None:
        """Rates and quotas hold here, too. A stream has no place for a refusal: it ends. Raises SessionEnds."""
        c = self.conversation
        refused = None if c.allowance is None else c.allowance.take(1)
        if refused is not None:
            limit, refusal = refused
            c.services.count_limit(limit)
            c.ledger.deny(text, decision, refusal)
            raise SessionEnds(refusal.sqlstate, f"{refusal.message} (rule {refusal.rule})", refusal.hint)

    def _policy(self) -> EffectivePolicy:
        policy = self.conversation.policy()
        if not may_replicate(policy):
            raise SessionEnds("57P01", "policies changed; connect again")
        return policy

    # the server's side

    def server_run(self, type_byte: int, buffer: bytes, start: int, end: int, count: int) -> None:
        self.server_part(buffer, start, end)
        if type_byte == _ERROR:
            self._failed(buffer[start + 5 : end])
        elif type_byte == _READY:
            self._ready(count)

    def server_part(self, buffer: bytes, start: int, end: int) -> None:
        c = self.conversation
        self._policy()
        account = c.queue[0].account if c.queue else None
        if account is not None:
            account.bytes_out += end - start
        c.forward(buffer, start, end)

    def pass_large(self, cutter: FrameCutter) -> None:
        pending = cutter.pending()
        if pending is not None and pending[0] == _COPY_DATA and pending[1] >= _PART_BYTES:
            self.server_part(cutter.buffer, *cutter.pass_pending())

    def _failed(self, body: bytes) -> None:
        c = self.conversation
        message = decode_backend(_ERROR, body)
        assert isinstance(message, m.ErrorResponse)
        if c.queue:
            c.queue[0].sqlstate = sqlstate_of(message.fields)

    def _ready(self, count: int) -> None:
        c = self.conversation
        for _ in range(min(count, len(c.queue))):
            item = c.pop()
            for account in item.accounts:
                c.ledger.close(account, item.sqlstate)
                self._follow(account.run.plan.text)

    def _follow(self, text: str) -> None:
        """SQL may come this way, too, and may be DDL: nobody reads it."""
        word = text.lstrip().partition(" ")[0].upper()
        if word not in _CHANGING_NOTHING:
            self.conversation.outbox.commands.append(RefreshCatalog(self.conversation.identity.database))

    # timers and what was asked for

    def watch_idleness(self) -> None:
        """Standbys are silent for as long as nothing happens."""

    def timer_fired(self, token: int) -> None:
        """Limits narrow a policy, so none is set here."""

    def cancel_done(self) -> None:
        """Nothing waits for it."""

    def hold_for_catalog(self) -> bool:
        return False

    def cost_estimated(self, query: CostQuery, estimate: Estimate) -> None:
        """Nothing waits for it."""

    def catalog_refreshed(self) -> None:
        """Nothing waits for it."""
