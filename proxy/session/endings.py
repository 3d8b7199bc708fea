"""How statements, stretches and the session end: ReadyForQuery, errors, and what is said in between.

An error belongs to the first expected reply; what the server skips after it leaves the queue.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Final

from proxy.session.caps import CUT_SHORT, Caps
from proxy.session.conversation import Conversation, Unexpected
from proxy.session.copying import INTRUSION
from proxy.session.held import Account
from proxy.session.hidden import failed_check
from proxy.session.parameters import note_parameter
from proxy.session.poison import POISON_QUERY
from proxy.session.ports import RefreshCatalog
from proxy.session.queue import ENDED_BY_READY, Item, Kind
from proxy.session.refusals import aborted
from proxy.session.reports import (
    client_fields,
    fatal_bytes,
    has_foreign_context,
    is_fatal,
    refusal_bytes,
    sqlstate_of,
    taken_out,
)
from proxy.wire import messages as m
from proxy.wire.codec import decode_backend, encode
from proxy.wire.errors import PROTOCOL_VIOLATION, error_response

_BEFORE_EXECUTE: Final = frozenset({Kind.PARSE, Kind.BIND, Kind.DESCRIBE})

_FAILED_BLOCK: Final = "25P02"  # the server hasn't looked at the statement


class Endings:
    def __init__(self, conversation: Conversation, caps: Caps) -> None:
        self._c = conversation
        self._caps = caps

    # ReadyForQuery

    def ready(self, buffer: bytes, start: int, end: int) -> None:
        c = self._c
        head = c.head_of(*ENDED_BY_READY)
        if head.answer is not None and not head.sqlstate:
            raise Unexpected("a refused statement ran")
        c.pop()
        for account in head.accounts:
            c.ledger.close(account, head.sqlstate)
        c.close_portal(c.confirmed.end_query(head))
        c.is_copying_in = False
        c.has_run = False
        c.status = buffer[start + 5 : end]
        if c.is_late and not self._settle_late():
            return
        self._settle()
        c.is_idle = not c.queue
        for notice in c.budgeting.take_notices():
            c.send_client(notice)
        c.forward(buffer, start, end)

    def _settle_late(self) -> bool:
        """After an error that the server doesn't know of: an open transaction must fail there too.

        False: ReadyForQuery isn't shown yet, a poison goes first.
        """
        c = self._c
        c.is_late = False
        if c.status != b"T":
            return True
        if c.queue:
            answer = error_response("FATAL", "57014", "the transaction can't be undone in the middle of a pipeline")
            c.end(answer, "57014")
            return False
        self._follow_status()
        c.send_server(POISON_QUERY)
        c.expect(Item(Kind.QUERY, is_swallowed=True, is_abort=True))
        return False

    def _settle(self) -> None:
        c = self._c
        self._follow_status()
        if c.has_ddl and c.status == b"I":
            # Not earlier: nobody else sees the change before its transaction has ended.
            c.has_ddl = False
            c.catalog_waits += 1
            c.outbox.commands.append(RefreshCatalog(c.identity.database))

    def _follow_status(self) -> None:
        c = self._c
        if not c.confirmed.track.ready(c.status):
            c.forget_sent()
        if c.status == b"I":
            for portal in c.confirmed.names.end_transaction():
                c.close_portal(portal)

    # errors

    def error(self, buffer: bytes, start: int, end: int) -> None:
        c = self._c
        message = decode_backend(ord("E"), buffer[start + 5 : end])
        assert isinstance(message, m.ErrorResponse)
        sqlstate = sqlstate_of(message.fields)
        head = c.queue[0] if c.queue else None
        if is_fatal(message.fields):
            self._show_error(head, message, buffer, start, end)
            c.end(sqlstate=sqlstate)
            return
        if head is None:
            raise Unexpected("an error that belongs to nothing")
        if c.intruder is not None and self._end_intrusion(message):
            return
        if not c.is_late and head.account is not None and head.account.is_cancelled:
            self._end_cut(head, head.account)
            return
        check = failed_check(message.fields, head.plan)
        if check is not None and head.account is not None:
            head.account.broken_rule = check.rule
            head.answer, sqlstate = refusal_bytes(check), check.sqlstate
        elif sqlstate != _FAILED_BLOCK:
            self._record_early(head, sqlstate, message.fields)
        head.sqlstate = head.sqlstate or sqlstate
        c.is_copying_in = False
        if not c.is_late and not head.is_abort:
            self._show_error(head, message, buffer, start, end)
        if c.lending is not None:
            c.lending.failed()
        c.confirmed.track.fail()
        c.forget_sent()
        self._skip_to_sync(head)

    def _end_cut(self, head: Item, account: Account) -> None:
        """The server's statement was cancelled because the client has all that it may get; it reads of success."""
        self._caps.complete(head, account, b"")
        self._c.ledger.close(account, CUT_SHORT)
        self._skip_to_sync(head)

    def _record_early(self, head: Item, sqlstate: str, fields: Mapping[str, bytes]) -> None:
        """A statement that failed before anybody asked for its execution; one that was asked for has its records."""
        if head.kind not in _BEFORE_EXECUTE or head.decision is None or head.answer is not None:
            return
        behind = itertools.takewhile(lambda item: item.kind is not Kind.SYNC, self._c.queue)
        if not any(item.accounts and item.decision is head.decision for item in behind):
            said = taken_out(fields, self._client_fields(fields, head))
            self._c.ledger.failed(head.decision, sqlstate, said)

    def _end_intrusion(self, message: m.ErrorResponse) -> bool:
        """The COPY that was open when another message came has failed; whether that message was why.

        The server stops reading in the middle of such a message and ends the session.
        """
        c = self._c
        intruder, c.intruder = c.intruder, None
        if INTRUSION not in message.fields.get("M", b""):
            return False
        text = f"unexpected message type 0x{intruder:02X} during COPY from stdin"
        lost = "terminating connection because protocol synchronization was lost"
        answer = error_response("ERROR", PROTOCOL_VIOLATION, text) + fatal_bytes(PROTOCOL_VIOLATION, lost)
        c.end(answer, PROTOCOL_VIOLATION)
        return True

    def _show_error(self, head: Item | None, message: m.ErrorResponse, buffer: bytes, start: int, end: int) -> None:
        c = self._c
        if head is not None and head.answer is not None and not is_fatal(message.fields):
            is_aborted = head.yields_to_abort and c.confirmed.track.is_failed
            c.send_client(aborted() if is_aborted else head.answer)
            return
        self._show_report(message, head, buffer, start, end)

    def _skip_to_sync(self, failed: Item) -> None:
        c = self._c
        if failed.kind in ENDED_BY_READY:
            for account in failed.accounts:
                c.ledger.close(account, failed.sqlstate)
            return
        while c.queue and c.queue[0].kind is not Kind.SYNC:
            self._drop(c.take(), failed.sqlstate)
        c.is_skipping = c.is_skipping or not c.queue
        c.watch_time()

    def _drop(self, item: Item, sqlstate: str) -> None:
        """The server won't answer this one any more."""
        for account in item.accounts:
            self._c.ledger.close(account, sqlstate)
        if item.shared is not None and self._c.lending is not None:
            self._c.lending.dropped(item.shared)
        if item.portal is not None and item.kind is Kind.EXECUTE:
            item.portal.account = None
            item.portal.awaited -= 1
        if item.kind in (Kind.REFUSED, Kind.PARSE) and item.name == b"" and item.sqlstate:
            # A failing Parse drops the unnamed statement.
            self._c.confirmed.names.close(b"", is_statement=True)

    # what is said in between

    def notice(self, buffer: bytes, start: int, end: int) -> None:
        c = self._c
        if c.is_late:
            return
        message = decode_backend(ord("N"), buffer[start + 5 : end])
        assert isinstance(message, m.NoticeResponse)
        self._show_report(message, c.queue[0] if c.queue else None, buffer, start, end)

    def _show_report(
        self, message: m.ErrorResponse | m.NoticeResponse, head: Item | None, buffer: bytes, start: int, end: int
    ) -> None:
        shown = self._client_fields(message.fields, head)
        if shown is message.fields:
            self._c.forward(buffer, start, end)
            return
        self._c.send_client(encode(type(message)(shown)))
        said = taken_out(message.fields, shown)
        if said:
            self._keep(said, message, head)

    def _client_fields(self, fields: Mapping[str, bytes], head: Item | None) -> Mapping[str, bytes]:
        is_guarded = not self._c.policy_is_open() if head is None else head.is_guarded
        if not is_guarded and head is not None and not head.is_open:
            is_guarded = has_foreign_context(fields)
        return client_fields(fields, None if head is None else head.decision, is_guarded)

    def _keep(self, said: str, message: m.ErrorResponse | m.NoticeResponse, head: Item | None) -> None:
        """The original of what was shown goes into a record."""
        c = self._c
        account = None if head is None else self._account_for(head)
        if account is not None:
            account.note(said)
        elif head is None or head.kind not in _BEFORE_EXECUTE or head.decision is None:
            c.ledger.said(sqlstate_of(message.fields), said)
        elif isinstance(message, m.NoticeResponse):
            c.ledger.failed(head.decision, sqlstate_of(message.fields), said)

    def _account_for(self, head: Item) -> Account | None:
        """Whose record tells of it: the statement that runs, or the one that is being prepared and will be run."""
        if head.account is not None or head.kind not in _BEFORE_EXECUTE:
            return head.account
        behind = itertools.takewhile(lambda item: item.kind is not Kind.SYNC, self._c.queue)
        return next((item.account for item in behind if item.account and item.decision is head.decision), None)

    def parameter_status(self, buffer: bytes, start: int, end: int) -> None:
        message = decode_backend(ord("S"), buffer[start + 5 : end])
        assert isinstance(message, m.ParameterStatus)
        note_parameter(self._c, message)
        if self._c.lending is not None:
            self._c.lending.note_report(message)
        self._c.forward(buffer, start, end)
