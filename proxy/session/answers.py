"""What an open session does with each server message: it belongs to the first expected reply.

Rows without masks pass as slices of the buffer; rows with masks are rewritten in one pass. What isn't due
raises Unexpected, and nothing of it is shown.
"""

from __future__ import annotations

from collections.abc import Callable

from policies.decision import Refusal
from proxy.session.conversation import POISON_QUERY, Conversation, Unexpected
from proxy.session.hidden import description, failed_check, shown_fields
from proxy.session.ports import RefreshCatalog
from proxy.session.queue import EMPTY_PLAN, ENDED_BY_READY, Account, Item, Kind, MaskMismatch, place_masks
from proxy.session.refusals import changed_result
from proxy.session.reports import client_fields, is_fatal, refusal_bytes, sqlstate_of
from proxy.session.rows import Rows, needs_masks, require_copy
from proxy.session.settings import read_search_path
from proxy.wire import messages as m
from proxy.wire.codec import decode_backend, encode
from proxy.wire.errors import error_response

_ROW, _COPY_DATA = ord("D"), ord("d")


class Answers:
    def __init__(self, conversation: Conversation) -> None:
        self._c = conversation
        self.rows = Rows(conversation)
        self._handlers: dict[int, Callable[[bytes, int, int], None]] = {
            ord("T"): self._row_description,
            ord("t"): self._parameter_description,
            ord("n"): self._no_data,
            ord("C"): self._command_complete,
            ord("I"): self._empty,
            ord("s"): self._suspended,
            ord("1"): self._parse_complete,
            ord("2"): self._bind_complete,
            ord("3"): self._close_complete,
            ord("Z"): self._ready,
            ord("E"): self._error,
            ord("N"): self._notice,
            ord("S"): self._parameter_status,
            ord("A"): self._c.forward,
            ord("G"): self._copy_in,
            ord("H"): self._copy_out,
            ord("W"): self._copy_in,
            ord("c"): self._copy_done,
            ord("V"): self._function_result,
        }

    def receive(self, type_byte: int, buffer: bytes, start: int, end: int, count: int) -> None:
        """A run of `count` whole frames of one type. Raises Unexpected or ProtocolViolation."""
        if type_byte == _ROW:
            self.rows.receive(buffer, start, end, count)
        elif type_byte == _COPY_DATA:
            self.rows.receive_copy_data(buffer, start, end, count)
        else:
            handler = self._handlers.get(type_byte)
            if handler is None:
                raise Unexpected("unknown message type")
            while start < end and not self._c.is_ended:
                frame_end = start + 1 + int.from_bytes(buffer[start + 1 : start + 5], "big")
                handler(buffer, start, frame_end)
                start = frame_end

    # descriptions

    def _row_description(self, buffer: bytes, start: int, end: int) -> None:
        head = self._c.head_of(Kind.QUERY, Kind.EXECUTE, Kind.DESCRIBE)
        message = decode_backend(ord("T"), buffer[start + 5 : end])
        assert isinstance(message, m.RowDescription)
        if head.kind is Kind.DESCRIBE:
            self._describe_columns(head, message.fields, buffer, start, end)
            return
        if head.kind is Kind.EXECUTE:
            raise Unexpected("a row description that nobody asked for")
        if not needs_masks(head) or head.plan is None or self._c.is_late:
            self._show(head, buffer, start, end)
            return
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
        if prepared is None or not head.is_described:
            return
        prepared.server.fields = fields
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
        self._confirm(Kind.PARSE, buffer, start, end)

    def _bind_complete(self, buffer: bytes, start: int, end: int) -> None:
        head = self._c.head_of(Kind.BIND)
        assert head.portal is not None
        confirmed = self._c.confirmed
        known = confirmed.statements.get(head.portal.statement.name)
        is_same = known is not None and known.server is head.portal.statement.server
        if not is_same and not head.portal.statement.is_open:
            raise Unexpected("a portal of another statement than the one that was decided")
        self._c.close_portal(confirmed.portals.get(head.name))
        self._confirm(Kind.BIND, buffer, start, end)

    def _close_complete(self, buffer: bytes, start: int, end: int) -> None:
        head = self._c.head_of(Kind.CLOSE)
        if not head.is_described:
            self._c.close_portal(self._c.confirmed.portals.get(head.name))
        self._confirm(Kind.CLOSE, buffer, start, end)

    def _confirm(self, kind: Kind, buffer: bytes, start: int, end: int) -> None:
        head = self._c.head_of(kind)
        self._c.pop()
        self._c.confirmed.apply(head)
        self._show(head, buffer, start, end)

    def _command_complete(self, buffer: bytes, start: int, end: int) -> None:
        head = self._c.head_of(Kind.QUERY, Kind.EXECUTE)
        self._end_copy()
        self._complete(head, buffer, start, end, tag=buffer[start + 5 : end - 1])

    def _empty(self, buffer: bytes, start: int, end: int) -> None:
        self._complete(self._c.head_of(Kind.QUERY, Kind.EXECUTE), buffer, start, end)

    def _complete(self, head: Item, buffer: bytes, start: int, end: int, tag: bytes = b"") -> None:
        c = self._c
        account = head.account
        if account is None and not head.is_open and head.decision is not None and head.decision.plans:
            raise Unexpected("more results than statements")
        if account is not None:
            self._finish(account, head.sqlstate if c.is_late else "", tag, end - start)
        if head.kind is Kind.EXECUTE:
            if head.portal is not None:
                head.portal.account = None
            c.pop()
        elif head.at + 1 < len(head.accounts) or not head.is_open:
            head.at += 1
            head.masks = None
            head.is_copy_done = False
        self._show(head, buffer, start, end)

    def _finish(self, account: Account, sqlstate: str, tag: bytes, size: int) -> None:
        c = self._c
        plan = account.plan
        account.bytes_out += 0 if c.is_late else size
        c.ledger.close(account, sqlstate, tag)
        c.has_ddl = c.has_ddl or plan.is_ddl
        if plan.effect.resets_search_path:
            c.coming_path = c.initial_path
        elif plan.effect.search_path is not None:
            c.coming_path = plan.effect.search_path

    def _suspended(self, buffer: bytes, start: int, end: int) -> None:
        head = self._c.head_of(Kind.EXECUTE)
        self._c.pop()
        if head.portal is not None:
            head.portal.account = head.account
        self._show(head, buffer, start, end)

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
        self._show(require_copy(self._c), buffer, start, end)

    def _copy_done(self, buffer: bytes, start: int, end: int) -> None:
        self._show(require_copy(self._c), buffer, start, end)

    def _end_copy(self) -> None:
        self._c.is_copying_in = False

    # ReadyForQuery

    def _ready(self, buffer: bytes, start: int, end: int) -> None:
        c = self._c
        head = self._c.head_of(*ENDED_BY_READY)
        if head.answer is not None and not head.sqlstate:
            raise Unexpected("a refused statement ran")
        c.pop()
        for account in head.accounts:
            c.ledger.close(account, head.sqlstate)
        c.is_copying_in = False
        c.status = buffer[start + 5 : end]
        if c.is_late and not self._settle_late():
            return
        self._settle_group()
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
        c.send_server(POISON_QUERY)
        c.expect(Item(Kind.QUERY, is_swallowed=True, is_abort=True))
        return False

    def _settle_group(self) -> None:
        c = self._c
        if c.is_path_unsettled and not any(_moves_path(item) for item in c.queue):
            c.is_path_unsettled = False
            if c.coming_path is not None and c.status == b"I" and not c.is_group_failed:
                c.search_path = c.coming_path
        c.coming_path = None
        c.is_group_failed = False
        if c.has_ddl and c.status == b"I":
            # Not earlier: nobody else sees the change before its transaction has ended.
            c.has_ddl = False
            c.catalog_waits += 1
            c.outbox.commands.append(RefreshCatalog(c.identity.database))
        if c.status == b"I" and (c.confirmed.portals or c.sent.portals):
            self._drop_portals()

    def _drop_portals(self) -> None:
        """Portals end with their transaction."""
        c = self._c
        for portal in c.confirmed.portals.values():
            c.close_portal(portal)
        c.confirmed.portals.clear()
        c.resend_names()

    # errors, notices, parameters

    def _error(self, buffer: bytes, start: int, end: int) -> None:
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
        check = failed_check(message.fields, head.plan)
        if check is not None and head.account is not None:
            head.account.broken_rule = check.rule
            head.answer, sqlstate = refusal_bytes(check), check.sqlstate
        head.sqlstate = head.sqlstate or sqlstate
        self._end_copy()
        if not c.is_late and not head.is_abort:
            self._show_error(head, message, buffer, start, end)
        c.is_group_failed = True
        self._skip_to_sync(head)

    def _show_error(self, head: Item | None, message: m.ErrorResponse, buffer: bytes, start: int, end: int) -> None:
        c = self._c
        if head is not None and head.answer is not None and not is_fatal(message.fields):
            c.send_client(head.answer)
            return
        is_guarded = not c.policy_is_open() if head is None else head.is_guarded
        shown = client_fields(message.fields, head.decision if head is not None else None, is_guarded)
        if shown is message.fields:
            c.forward(buffer, start, end)
        else:
            c.send_client(encode(m.ErrorResponse(shown)))

    def _skip_to_sync(self, failed: Item) -> None:
        c = self._c
        if failed.kind in ENDED_BY_READY:
            for account in failed.accounts:
                c.ledger.close(account, failed.sqlstate)
            return
        while c.queue and c.queue[0].kind is not Kind.SYNC:
            self._drop(c.queue.popleft(), failed.sqlstate)
        c.is_skipping = c.is_skipping or not c.queue
        c.watch_time()
        c.resend_names()

    def _drop(self, item: Item, sqlstate: str) -> None:
        """The server won't answer this one any more."""
        for account in item.accounts:
            self._c.ledger.close(account, sqlstate)
        if item.portal is not None and item.kind is Kind.EXECUTE:
            item.portal.account = None
        if item.kind in (Kind.REFUSED, Kind.PARSE) and item.name == b"" and item.sqlstate:
            self._c.confirmed.statements.pop(b"", None)  # a failing Parse drops the unnamed statement

    def _notice(self, buffer: bytes, start: int, end: int) -> None:
        c = self._c
        if c.is_late:
            return
        message = decode_backend(ord("N"), buffer[start + 5 : end])
        assert isinstance(message, m.NoticeResponse)
        head = c.queue[0] if c.queue else None
        is_guarded = not c.policy_is_open() if head is None else head.is_guarded
        shown = client_fields(message.fields, head.decision if head else None, is_guarded)
        if shown is message.fields:
            c.forward(buffer, start, end)
        else:
            c.send_client(encode(m.NoticeResponse(shown)))

    def _parameter_status(self, buffer: bytes, start: int, end: int) -> None:
        message = decode_backend(ord("S"), buffer[start + 5 : end])
        assert isinstance(message, m.ParameterStatus)
        note_parameter(self._c, message)
        self._c.forward(buffer, start, end)

    def _show(self, head: Item, buffer: bytes, start: int, end: int) -> None:
        if head.answer is not None:
            raise Unexpected("a refused statement ran")
        if not head.is_swallowed and not self._c.is_late:
            self._c.forward(buffer, start, end)


def note_parameter(c: Conversation, message: m.ParameterStatus) -> None:
    """What the server reports about its settings, as far as decisions depend on it."""
    text = message.value.decode("utf-8", "replace")
    match message.name:
        case b"application_name":
            c.identity.application = text
        case b"client_encoding":
            c.is_pin_broken = c.is_pin_broken or text != "UTF8"
        case b"standard_conforming_strings":
            c.is_pin_broken = c.is_pin_broken or text != "on"
        case b"search_path":
            catalog = c.services.catalog(c.identity.database)
            if catalog is not None:
                c.search_path = read_search_path(text, c.gateway_user, catalog.schemas)


def _moves_path(item: Item) -> bool:
    return any(a.plan.effect.search_path is not None or a.plan.effect.resets_search_path for a in item.accounts)


def _differ(told: tuple[m.Field, ...], now: tuple[m.Field, ...]) -> bool:
    return [_identity(f) for f in told] != [_identity(f) for f in now]


def _identity(field: m.Field) -> tuple[bytes, int, int]:
    return field.name, field.type_oid, field.type_modifier
