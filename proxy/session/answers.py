"""What an open session does with each server message: it belongs to the first expected reply.

Rows without masks pass as slices of the buffer; rows with masks are rewritten in one pass. What isn't due
raises Unexpected, and nothing of it is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Final

from policies.decision import Refusal
from proxy.session.caps import CUT_SHORT
from proxy.session.conversation import Conversation, Unexpected
from proxy.session.endings import Endings
from proxy.session.held import EMPTY_PLAN, Account, Portal, Prepared
from proxy.session.hidden import description, plain_fields, shown_fields
from proxy.session.lending import PARSE_COMPLETE
from proxy.session.masked_copy import place_copy_masks
from proxy.session.queue import Item, Kind, MaskMismatch, place_masks
from proxy.session.refusals import changed_result
from proxy.session.rows import Rows, needs_masks, require_copy, require_held
from proxy.wire import messages as m
from proxy.wire.codec import decode_backend, encode

_ROW, _COPY_DATA = ord("D"), ord("d")


class Answers:
    def __init__(self, conversation: Conversation) -> None:
        self._c = conversation
        self.rows = Rows(conversation)
        self._caps = self.rows.caps
        self._endings = Endings(conversation, self._caps)

    def receive(self, type_byte: int, buffer: bytes, start: int, end: int, count: int) -> None:
        """A run of `count` whole frames of one type. Raises Unexpected or ProtocolViolation."""
        if type_byte == _ROW:
            self.rows.receive(buffer, start, end, count)
        elif type_byte == _COPY_DATA:
            self.rows.receive_copy_data(buffer, start, end, count)
        else:
            handle = self._handler(type_byte)
            while start < end and not self._c.is_ended:
                frame_end = start + 1 + int.from_bytes(buffer[start + 1 : start + 5], "big")
                handle(buffer, start, frame_end)
                start = frame_end

    def _handler(self, type_byte: int) -> Callable[[bytes, int, int], None]:
        """Bound when it is needed: thousands of idle sessions would hold tables of nothing else."""
        own, ending = _OWN.get(type_byte), _ENDINGS.get(type_byte)
        if own is not None:
            return MethodType(own, self)
        if ending is not None:
            return MethodType(ending, self._endings)
        if type_byte == _NOTIFICATION:
            return self._c.forward
        raise Unexpected("unknown message type")

    # descriptions

    def _row_description(self, buffer: bytes, start: int, end: int) -> None:
        head = self._c.head_of(Kind.QUERY, Kind.EXECUTE, Kind.DESCRIBE)
        if head.kind is not Kind.DESCRIBE and not needs_masks(head):
            # Nobody needs the columns.
            self._pass_description(head, buffer, start, end)
            return
        message = decode_backend(ord("T"), buffer[start + 5 : end])
        assert isinstance(message, m.RowDescription)
        if head.kind is Kind.DESCRIBE:
            self._describe_columns(head, message.fields, buffer, start, end)
            return
        if head.kind is Kind.EXECUTE or head.plan is None or self._c.is_late:
            self._pass_description(head, buffer, start, end)
            return
        require_held(self._c, head)
        try:
            head.masks = place_masks(head.plan, message.fields, None)
            fields = shown_fields(message.fields, head.plan)
        except MaskMismatch:
            self.rows.refuse_masks()
            return
        if not head.plan.hidden_columns:
            self._show(head, buffer, start, end)
        elif not head.plan.is_all_hidden:
            self._c.send_client(encode(m.RowDescription(fields)))

    def _pass_description(self, head: Item, buffer: bytes, start: int, end: int) -> None:
        if head.kind is Kind.EXECUTE:
            raise Unexpected("a row description that nobody asked for")
        require_held(self._c, head)
        self._show(head, buffer, start, end)

    def _describe_columns(self, head: Item, fields: tuple[m.Field, ...], buffer: bytes, start: int, end: int) -> None:
        """A Describe's RowDescription."""
        plan = EMPTY_PLAN if head.statement is None else head.statement.plan
        try:
            shown = shown_fields(fields, plan)
        except MaskMismatch:
            raise Unexpected("other columns than those that were decided") from None
        self._described(head, fields, shown)
        if not plan.hidden_columns:
            self._show(head, buffer, start, end)
        elif not head.is_swallowed and not self._c.is_late:
            self._c.send_client(description(shown, plan))

    def _described(self, head: Item, fields: tuple[m.Field, ...], shown: tuple[m.Field, ...]) -> None:
        """A Describe's answer is complete: remember the columns, compare them with what the client was told."""
        self._c.pop()
        prepared = head.statement
        if prepared is None:
            return
        if head.is_described:
            prepared.server.fields = fields
        elif prepared.server.fields is None and prepared.declared is None:
            # The client asked for the portal's columns before anybody asked for the statement's.
            prepared.server.fields = plain_fields(fields)
            prepared.server.is_described = True
        if not head.is_swallowed:
            prepared.told.fields = shown
        elif head.compares_told and prepared.told.fields is not None and _differ(prepared.told.fields, shown):
            refusal = Refusal("0A000", "pgwarden/prepared", "cached plan must not change result type")
            self._c.fail_late(refusal, changed_result())

    def _parameter_description(self, buffer: bytes, start: int, end: int) -> None:
        self._show(self._c.head_of(Kind.DESCRIBE), buffer, start, end)

    def _no_data(self, buffer: bytes, start: int, end: int) -> None:
        head = self._c.head_of(Kind.DESCRIBE)
        self._described(head, (), ())
        self._show(head, buffer, start, end)

    # completions

    def _parse_complete(self, buffer: bytes, start: int, end: int) -> None:
        head = self._c.head_of(Kind.PARSE)
        if head.is_spared:
            raise Unexpected("a statement was prepared that wasn't sent")
        if head.shared is not None:
            head.shared.is_confirmed = True
        self._confirm(Kind.PARSE, buffer, start, end)

    def _bind_complete(self, buffer: bytes, start: int, end: int) -> None:
        head = self._c.head_of(Kind.BIND)
        assert head.portal is not None
        if not self._is_bound_to(head.portal) and not head.portal.statement.is_open:
            raise Unexpected("a portal of another statement than the one that was decided")
        self._confirm(Kind.BIND, buffer, start, end)

    def _is_bound_to(self, portal: Portal) -> bool:
        """Whether the server has taken the statement that was decided."""
        statement = portal.statement
        known = self._c.confirmed.names.statement(statement.name)
        if statement.declared is not None:
            return known is statement.declared
        return isinstance(known, Prepared) and known.server is statement.server

    def _close_complete(self, buffer: bytes, start: int, end: int) -> None:
        if self._c.head_of(Kind.CLOSE, Kind.PARSE).kind is Kind.CLOSE:
            self._confirm(Kind.CLOSE, buffer, start, end)
            return
        if not self._c.queue[0].is_spared:
            raise Unexpected("a Parse was answered as a Close")
        self._confirm(Kind.PARSE, PARSE_COMPLETE, 0, len(PARSE_COMPLETE))

    def _confirm(self, kind: Kind, buffer: bytes, start: int, end: int) -> None:
        head = self._c.head_of(kind)
        self._c.pop()
        self._c.close_portal(self._c.confirmed.confirm(head))
        self._show(head, buffer, start, end)

    def _command_complete(self, buffer: bytes, start: int, end: int) -> None:
        head = self._c.head_of(Kind.QUERY, Kind.EXECUTE)
        self._c.is_copying_in = False
        require_held(self._c, head, is_rows=False)
        self._complete(head, buffer, start, end, tag=buffer[start + 5 : end - 1])

    def _empty(self, buffer: bytes, start: int, end: int) -> None:
        self._complete(self._c.head_of(Kind.QUERY, Kind.EXECUTE), buffer, start, end)

    def _complete(self, head: Item, buffer: bytes, start: int, end: int, tag: bytes = b"") -> None:
        c = self._c
        account = head.account
        if account is None and not head.is_open and head.decision is not None and head.decision.plans:
            raise Unexpected("more results than statements")
        is_cut = account is not None and account.cut_at is not None and not c.is_late
        if account is not None:
            if is_cut:
                tag = self._caps.complete(head, account, tag) or tag
            self._finish(account, head.sqlstate if c.is_late else CUT_SHORT if is_cut else "", tag, end - start)
        if head.kind is Kind.EXECUTE:
            c.has_run = True
            if head.portal is not None:
                head.portal.account = None
                head.portal.awaited -= 1
            c.pop()
        elif head.at + 1 < len(head.accounts) or not head.is_open:
            head.at += 1
            head.masks = None
            head.copy_rows = None
            head.is_copy_done = False
        if not is_cut:
            self._show(head, buffer, start, end)

    def _finish(self, account: Account, sqlstate: str, tag: bytes, size: int) -> None:
        c = self._c
        plan = account.plan
        account.bytes_out += 0 if c.is_late else size
        c.ledger.close(account, sqlstate, tag)
        account.count_read()
        c.has_ddl = c.has_ddl or plan.is_ddl
        for portal in c.confirmed.run(account, tag):
            c.close_portal(portal)
        if plan.command == "commit" and tag.startswith(b"ROLLBACK"):
            c.forget_sent()

    def _suspended(self, buffer: bytes, start: int, end: int) -> None:
        c = self._c
        head = c.head_of(Kind.EXECUTE)
        require_held(c, head)
        account = head.account
        if account is not None and account.cut_at is not None:
            self._complete(head, buffer, start, end)
            return
        c.has_run = True
        c.pop()
        if head.portal is not None:
            head.portal.awaited -= 1
        if account is not None:
            account.rows_suspended = account.rows
        if account is not None and account.run.reads is not None:
            # A cursor of DECLARE: each Execute is a statement of its own, as each FETCH is.
            c.ledger.close(account)
            account.count_read()
        elif head.portal is not None:
            self._suspend(head.portal, account)
        self._show(head, buffer, start, end)

    def _suspend(self, portal: Portal, account: Account | None) -> None:
        """The next Execute goes on with the account. One that came before it could know counts by itself."""
        if account is not None and portal.account is not account and portal.awaited:
            self._c.ledger.close(account)
            portal.count(account.rows, account.bytes_out)
        else:
            portal.account = account

    def _function_result(self, buffer: bytes, start: int, end: int) -> None:
        self._show(self._c.head_of(Kind.FUNCTION), buffer, start, end)

    # COPY: the plan allowed it, or the allow-everything policy

    def _copy_in(self, buffer: bytes, start: int, end: int) -> None:
        head = require_copy(self._c)
        c = self._c
        c.is_copying_in = not c.is_late and not head.is_copy_done
        # The server ignores the Syncs that came before the data: they'll never be answered.
        while not head.is_copy_done and head.kind is Kind.EXECUTE and len(c.queue) > 1 and c.queue[1].kind is Kind.SYNC:
            del c.queue[1]
        self._show(head, buffer, start, end)

    def _copy_out(self, buffer: bytes, start: int, end: int) -> None:
        message = decode_backend(ord("H"), buffer[start + 5 : end])
        assert isinstance(message, m.CopyOutResponse)
        head = require_copy(self._c)
        head.copy_format = message.format
        if head.plan is not None and head.plan.copy_masks is not None and not self._c.is_late:
            try:
                head.copy_rows = place_copy_masks(head.plan.copy_masks, message)
            except MaskMismatch:
                self.rows.refuse_masks()
                return
        self._show(head, buffer, start, end)

    def _copy_done(self, buffer: bytes, start: int, end: int) -> None:
        head = require_copy(self._c)
        if head.account is None or head.account.cut_at is None:
            self._show(head, buffer, start, end)

    def _show(self, head: Item, buffer: bytes, start: int, end: int) -> None:
        if head.answer is not None:
            raise Unexpected("a refused statement ran")
        if not head.is_swallowed and not self._c.is_late:
            self._c.forward(buffer, start, end)


def _differ(told: tuple[m.Field, ...], now: tuple[m.Field, ...]) -> bool:
    return [_identity(f) for f in told] != [_identity(f) for f in now]


def _identity(field: m.Field) -> tuple[bytes, int, int]:
    return field.name, field.type_oid, field.type_modifier


_NOTIFICATION: Final = ord("A")
_OWN: Final = {
    ord("T"): Answers._row_description,
    ord("t"): Answers._parameter_description,
    ord("n"): Answers._no_data,
    ord("C"): Answers._command_complete,
    ord("I"): Answers._empty,
    ord("s"): Answers._suspended,
    ord("1"): Answers._parse_complete,
    ord("2"): Answers._bind_complete,
    ord("3"): Answers._close_complete,
    ord("G"): Answers._copy_in,
    ord("H"): Answers._copy_out,
    ord("W"): Answers._copy_in,
    ord("c"): Answers._copy_done,
    ord("V"): Answers._function_result,
}
_ENDINGS: Final = {
    ord("Z"): Endings.ready,
    ord("E"): Endings.error,
    ord("N"): Endings.notice,
    ord("S"): Endings.parameter_status,
}
