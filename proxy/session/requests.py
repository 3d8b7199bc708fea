"""What an open session does with each client message: asks for a decision, records it, sends it or a poison.

Nothing reaches the server without a Decision, but messages that carry no text of the client's. It must not
know replies: it only queues what is due.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from audit.errors import JournalError
from policies.decision import Decision, Plan, Refusal
from policies.model import EffectivePolicy
from proxy.session.conversation import (
    POISON_PARSE,
    POISON_QUERY,
    POISON_UNNAMED_PARSE,
    Conversation,
)
from proxy.session.deciding import Decider, is_same_to_server
from proxy.session.hidden import bind_formats
from proxy.session.queue import Basis, Item, Kind, Portal, Prepared, ServerCopy, Told
from proxy.session.refusals import cannot_run, changed_result, journal_refusal, missing_for, path_refusal, undecided
from proxy.session.reports import refusal_bytes
from proxy.session.rows import changes_rows
from proxy.wire import messages as m
from proxy.wire.codec import decode_frontend, encode
from proxy.wire.errors import ProtocolViolation

_SYNC, _TERMINATE, _QUERY, _FLUSH = ord("S"), ord("X"), ord("Q"), ord("H")
_COPY = frozenset(b"dcf")
_DECIDED = frozenset(b"PBEQF")
# Never a name that a client can send: a statement that only the server knows (SQL's PREPARE).
_NAMELESS = b"\0"


class Requests:
    def __init__(self, conversation: Conversation) -> None:
        self._c = conversation
        self._decider = Decider(conversation)
        self._added_us = 0
        self._handlers: dict[int, Callable[[memoryview, bytes], None]] = {
            ord("P"): self._parse,
            ord("B"): self._bind,
            ord("D"): self._describe,
            ord("E"): self._execute,
            ord("C"): self._close,
        }

    @property
    def is_held(self) -> bool:
        """Whether client messages wait: for a cancel to be over, for a new search_path or a new catalog to be known."""
        c = self._c
        return c.cancels > 0 or c.is_catalog_awaited or (c.is_path_unsettled and c.has_sync)

    def receive(self, type_byte: int, frame: memoryview) -> None:
        """One whole frame. Raises ProtocolViolation or SessionEnds."""
        if type_byte not in _DECIDED:
            self._receive(type_byte, frame)
            return
        services = self._c.services
        begun = services.now_us()
        self._receive(type_byte, frame)
        self._added_us += services.now_us() - begun
        if type_byte not in b"PB":
            services.count_added(self._added_us)
            self._added_us = 0

    def _receive(self, type_byte: int, frame: memoryview) -> None:
        c = self._c
        if type_byte in _COPY:
            self._copy(type_byte, frame)
        elif type_byte == _TERMINATE:
            self._terminate(frame)
        elif type_byte == _SYNC:
            self._sync(frame)
        elif type_byte == ord("F"):
            self._function_call(frame)
        elif type_byte not in _DECIDED and type_byte not in self._handlers and type_byte != _FLUSH:
            raise ProtocolViolation(f"invalid frontend message type {type_byte}")
        elif c.is_skipping:
            return
        elif c.is_path_unsettled and type_byte in _DECIDED:
            self._refuse_message(path_refusal("nothing may follow it before the next Sync"))
        elif type_byte == _QUERY:
            self._query(frame)
        elif type_byte == _FLUSH:
            c.send_server(frame)
        else:
            self._handlers[type_byte](frame, bytes(frame[5:]))

    # messages without a text

    def _terminate(self, frame: memoryview) -> None:
        self._c.send_server(frame)
        self._c.end()

    def _sync(self, frame: memoryview) -> None:
        c = self._c
        if c.is_copying_in:
            return  # the server ignores it inside COPY, and answers nothing
        c.is_skipping = False
        c.send_server(frame)
        c.expect(Item(Kind.SYNC, is_open=c.policy().is_everything))

    def _copy(self, type_byte: int, frame: memoryview) -> None:
        # Outside of a COPY that a plan allowed, the server would ignore these; it needn't see them.
        c = self._c
        early = None if c.is_copying_in else next((item for item in c.queue if item.may_copy_in), None)
        if early is None and not c.is_copying_in:
            return
        c.send_server(frame)
        if type_byte == ord("d"):
            return
        c.is_copying_in = False
        if early is not None:
            self._end_early_copy(early)
        elif c.queue:
            c.queue[0].is_copy_done = True

    def _end_early_copy(self, item: Item) -> None:
        """All data was sent before the server asked for it. Syncs sent before its end are never answered."""
        c = self._c
        item.is_copy_done = True
        after = c.queue.index(item) + 1
        while item.kind is Kind.EXECUTE and after < len(c.queue) and c.queue[after].kind is Kind.SYNC:
            del c.queue[after]

    def _function_call(self, frame: memoryview) -> None:
        c = self._c
        if c.is_skipping:
            return
        policy = c.policy()
        if policy.is_everything:
            decode_frontend(ord("F"), frame[5:])
            c.is_tainted = True
            c.send_server(frame)
            c.expect(Item(Kind.FUNCTION, is_open=True))
            return
        refusal = Refusal("0A000", "pgwarden/function_call", "fast-path function calls can't be guarded")
        self._refuse_query("", None, refusal)

    def _close(self, frame: memoryview, body: bytes) -> None:
        message = decode_frontend(ord("C"), body)
        assert isinstance(message, m.Close)
        self._c.send_server(frame)
        is_statement = message.kind == b"S"
        self._c.expect(Item(Kind.CLOSE, message.name, is_described=is_statement))

    # simple query

    def _query(self, frame: memoryview) -> None:
        c = self._c
        raw = bytes(frame[5:-1])
        _require_string(frame)
        decided = self._decider.decide(raw)
        if decided.refusal is None and decided.decision is not None:
            decided = self._decider.checked_path(decided, decided.decision)
        if decided.refusal is not None or decided.decision is None:
            self._refuse_query(_text(raw), decided.decision, decided.refusal or undecided())
            return
        decision = decided.decision
        try:
            accounts = self._decider.open(decision, decision.plans, decided.policy)
        except JournalError:
            self._refuse_query(_text(raw), decision, journal_refusal())
            return
        text = decision.text.encode() if decision.text != _text(raw) else raw
        c.send_server(frame if text is raw else encode(m.Query(text)))
        item = Item(Kind.QUERY, decision=decision, is_open=decided.policy.is_everything, accounts=accounts)
        c.expect(item)

    def _refuse_query(self, sql: str, decision: Decision | None, refusal: Refusal) -> None:
        c = self._c
        c.ledger.deny(sql, decision, refusal)
        c.send_server(POISON_QUERY)
        c.expect(Item(Kind.QUERY, answer=refusal_bytes(refusal)))

    # extended query

    def _parse(self, frame: memoryview, body: bytes) -> None:
        c = self._c
        message = decode_frontend(ord("P"), body)
        assert isinstance(message, m.Parse)
        decided = self._decider.decide(message.query)
        sql = _text(message.query)
        if decided.refusal is not None or decided.decision is None:
            refusal = decided.refusal or undecided()
            c.ledger.deny(sql, decided.decision, refusal)
            self._poison(refusal_bytes(refusal), drops_unnamed=not message.name)
            return
        prepared = Prepared(
            message.name,
            sql,
            message.parameter_types,
            decided.decision,
            decided.basis,
            ServerCopy(),
            Told(),
            decided.policy.is_everything,
        )
        is_same = decided.decision.text == sql
        c.send_server(frame if is_same else self._parse_bytes(prepared))
        c.expect(Item(Kind.PARSE, message.name, prepared.decision, is_open=prepared.is_open, statement=prepared))
        self._describe_for_masks(prepared)

    def _parse_bytes(self, prepared: Prepared) -> bytes:
        return encode(m.Parse(prepared.name, prepared.decision.text.encode(), prepared.types))

    def _describe_for_masks(self, prepared: Prepared, compares_told: bool = False) -> None:
        """Asks the server for the columns, so that masks can be placed; the client doesn't see the answer."""
        needs_columns = changes_rows(prepared.plan) and not prepared.plan.is_all_hidden
        if not compares_told and (not needs_columns or prepared.server.is_described):
            return
        prepared.server.is_described = True
        self._c.send_server(encode(m.Describe(b"S", prepared.name)))
        self._c.expect(
            Item(
                Kind.DESCRIBE,
                prepared.name,
                prepared.decision,
                is_swallowed=True,
                is_open=prepared.is_open,
                statement=prepared,
                is_described=True,
                compares_told=compares_told,
            )
        )

    def _bind(self, frame: memoryview, body: bytes) -> None:
        c = self._c
        message = decode_frontend(ord("B"), body)
        assert isinstance(message, m.Bind)
        policy = c.policy()
        prepared = c.sent.statements.get(message.statement)
        if prepared is None and not policy.is_everything:
            self._poison(missing_for(True, message.statement))
            return
        if prepared is None:
            prepared = _server_only(policy, c.basis(policy))
        elif prepared.basis != c.basis(policy):
            renewed = self._renew(prepared)
            if renewed is None:
                return
            prepared = renewed
        portal = Portal(message.portal, prepared, message.result_formats)
        formats = bind_formats(message.result_formats, prepared.plan)
        is_same = formats == message.result_formats
        c.send_server(frame if is_same else encode(replace(message, result_formats=formats)))
        c.expect(
            Item(
                Kind.BIND,
                message.portal,
                prepared.decision,
                is_open=prepared.is_open,
                statement=prepared,
                portal=portal,
            )
        )

    def _renew(self, old: Prepared) -> Prepared | None:
        """The statement under the policy and catalog of now; None when it was refused."""
        c = self._c
        decided = self._decider.decide(old.sql.encode())
        if decided.refusal is not None or decided.decision is None:
            refusal = decided.refusal or undecided()
            c.ledger.deny(old.sql, decided.decision, refusal)
            self._poison(refusal_bytes(refusal))
            return None
        decision, is_open = decided.decision, decided.policy.is_everything
        if is_same_to_server(old, decided, decision):
            renewed = replace(old, decision=decision, basis=decided.basis, is_open=is_open)
            self._describe_for_masks(renewed)
            return renewed
        renewed = replace(old, decision=decision, basis=decided.basis, is_open=is_open, server=ServerCopy())
        self._reparse(renewed)
        return renewed

    def _reparse(self, prepared: Prepared) -> None:
        c = self._c
        if prepared.name:
            c.send_server(encode(m.Close(b"S", prepared.name)))
            c.expect(Item(Kind.CLOSE, prepared.name, is_swallowed=True, is_described=True))
        c.send_server(self._parse_bytes(prepared))
        c.expect(
            Item(
                Kind.PARSE,
                prepared.name,
                prepared.decision,
                is_swallowed=True,
                is_open=prepared.is_open,
                statement=prepared,
            )
        )
        self._describe_for_masks(prepared, compares_told=True)

    def _describe(self, frame: memoryview, body: bytes) -> None:
        c = self._c
        message = decode_frontend(ord("D"), body)
        assert isinstance(message, m.Describe)
        is_statement = message.kind == b"S"
        portal = None if is_statement else c.sent.portals.get(message.name)
        prepared = c.sent.statements.get(message.name) if is_statement else None
        prepared = portal.statement if portal is not None else prepared
        policy = c.policy()
        if prepared is None and not policy.is_everything:
            self._poison(missing_for(is_statement, message.name))
            return
        c.send_server(frame)
        c.expect(
            Item(
                Kind.DESCRIBE,
                message.name,
                None if prepared is None else prepared.decision,
                is_open=policy.is_everything and (prepared is None or prepared.is_open),
                statement=prepared,
                portal=portal,
                is_described=is_statement,
            )
        )

    def _execute(self, frame: memoryview, body: bytes) -> None:
        c = self._c
        message = decode_frontend(ord("E"), body)
        assert isinstance(message, m.Execute)
        policy = c.policy()
        portal = c.sent.portals.get(message.portal)
        if portal is None and not policy.is_everything:
            self._poison(missing_for(False, message.portal))
            return
        if portal is None:
            portal = Portal(message.portal, _server_only(policy, c.basis(policy)))
        prepared = portal.statement
        if not portal.is_executed and self._decider.is_outdated(prepared, policy):
            self._poison(changed_result())
            return
        if portal.is_executed and prepared.plan.is_all_hidden:
            # The server would take ours for a portal with rows, and run it for the rest of them.
            self._poison(cannot_run(message.portal))
            return
        refusal = self._decider.execution_refusal(prepared, policy)
        account = portal.account
        if refusal is None and account is None:
            try:
                account = self._decider.open_one(prepared, policy)
            except JournalError:
                refusal = journal_refusal()
        if refusal is not None:
            c.ledger.deny(prepared.sql, prepared.decision, refusal)
            self._poison(refusal_bytes(refusal))
            return
        portal.is_executed = True
        # A limit counts rows that the client sees; a statement without any isn't suspended.
        is_limited = prepared.plan.is_all_hidden and message.max_rows
        c.send_server(encode(m.Execute(message.portal)) if is_limited else frame)
        c.expect(
            Item(
                Kind.EXECUTE,
                message.portal,
                prepared.decision,
                is_open=prepared.is_open and policy.is_everything,
                statement=prepared,
                portal=portal,
                accounts=[] if account is None else [account],
            )
        )

    # refusing

    def _refuse_message(self, refusal: Refusal) -> None:
        self._c.ledger.deny("", None, refusal)
        self._poison(refusal_bytes(refusal))

    def _poison(self, answer: bytes, drops_unnamed: bool = False) -> None:
        c = self._c
        c.send_server(POISON_UNNAMED_PARSE if drops_unnamed else POISON_PARSE)
        c.expect(Item(Kind.REFUSED, b"" if drops_unnamed else _NAMELESS, answer=answer))
        c.is_skipping = True  # as the server will: what follows needs no decision and no record
        if drops_unnamed:
            c.sent.statements.pop(b"", None)


def _server_only(policy: EffectivePolicy, basis: Basis) -> Prepared:
    """A statement that only the server knows by name: for the allow-everything policy alone."""
    if not policy.is_everything:
        raise RuntimeError("a statement without a decision")
    plan = Plan("unknown", "", is_tainting=True, is_ddl=True)
    decision = Decision("", (plan,), None, (), basis.fingerprint, basis.catalog_version)
    return Prepared(_NAMELESS, "", (), decision, basis, ServerCopy(), Told(), True)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _require_string(frame: memoryview) -> None:
    """A Query's body is one String: a NUL inside would hide what the server doesn't read."""
    decode_frontend(_QUERY, frame[5:])
