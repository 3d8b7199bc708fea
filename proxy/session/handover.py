"""From the lane back to the long way: what the lane put off or had under way, as the long way would hold it.

It queues and names what was sent already; it sends nothing to anybody, and decides nothing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from policies.compile.shapes import Known
from policies.decision import Decision, Plan
from proxy.session.conversation import Conversation, Unexpected
from proxy.session.course import Placed
from proxy.session.held import Account, Basis, Origin, Portal, Prepared, Run, ServerCopy, Told
from proxy.session.hidden import plain_fields
from proxy.session.queue import Item, Kind, MaskMismatch, place_masks
from proxy.wire import messages as m

_IDLE = b"I"


@dataclass(slots=True, eq=False)
class Given:
    """One statement that the lane has taken: a text that the compiler knows, or what was prepared before.

    `types`, `formats` and `text` as the client's Parse and Bind have them; `placed`: the columns that the server has
    told; `group` and what is contested: for the origin of its names.
    """

    known: Known | None
    prepared: Prepared | None
    basis: Basis
    types: bytes
    formats: bytes
    text: bytes
    is_open: bool
    is_described: bool
    placed: Placed | None = None
    group: int = 0
    is_contested: bool = False
    is_portal_contested: bool = False

    @property
    def decision(self) -> Decision:
        """This very text's. Raises Unexpected when it isn't what was sent."""
        if self.prepared is not None:
            return self.prepared.decision
        assert self.known is not None
        decision = self.known.complete()
        if decision.text.encode() != self.known.text or len(decision.plans) != 1:
            raise Unexpected("a text that is known by its shape was sent as another one")
        return decision


class Handover:
    def __init__(self, conversation: Conversation) -> None:
        self._c = conversation

    # names

    def drop(self, statement: bool, portal: bool) -> None:
        """The unnamed ones are gone."""
        for view in self._c.views():
            if statement:
                view.names.close(b"", is_statement=True)
            if portal:
                view.names.close(b"", is_statement=False)

    def prepare(self, given: Given) -> None:
        """The unnamed statement is this one."""
        prepared = self._prepared(given, given.decision, Origin(given.group, given.is_contested))
        if given.is_described:
            self.told(prepared, given.placed)
        for view in self._c.views():
            view.names.prepare(b"", prepared)

    def told(self, prepared: Prepared, placed: Placed | None) -> None:
        """The client has described a portal of this statement; `placed` None: it gives no rows."""
        fields = () if placed is None else placed.fields
        prepared.told.fields = fields
        if prepared.server.fields is None:
            prepared.server.fields = plain_fields(fields)
            prepared.server.is_described = True

    def bind(self, given: Given) -> None:
        """The unnamed portal has run to its end, and its transaction is open."""
        assert given.prepared is not None
        origin = Origin(given.group, given.is_portal_contested)
        portal = Portal(b"", given.prepared, origin, formats_of(given.formats), is_executed=True)
        for view in self._c.views():
            view.names.bind(portal)

    def _prepared(self, given: Given, decision: Decision, origin: Origin) -> Prepared:
        if given.prepared is None:
            assert given.known is not None
            types, copy = oids_of(given.types), ServerCopy(origin)
            sql = given.text.decode()
            given.prepared = Prepared(b"", sql, types, decision, given.basis, copy, Told(), given.is_open)
        return given.prepared

    # transactions

    def control(self, plan: Plan, tag: bytes, status: bytes) -> None:
        """BEGIN, COMMIT or ROLLBACK went through, as `View.expect` and `Endings.ready` take it."""
        c = self._c
        for view in c.views():
            view.track.run(plan, tag if view is c.confirmed else b"")
            view.names.drop_unnamed(with_portal=True)
            if not view.track.ready(status):
                c.forget_sent()
            if status == _IDLE:
                for portal in view.names.end_transaction():
                    c.close_portal(portal)
        c.status = status

    # what is under way

    def account(self, given: Given, lines: Any, statement_id: str, started_us: int) -> Account:
        """The account whose intent is recorded already. Raises Unexpected."""
        plan = given.decision.plans[0]
        return self._c.ledger.reopen(Run(plan), lines, statement_id, started_us)

    def query(self, given: Given, account: Account) -> None:
        c = self._c
        c.is_idle = False
        c.expect(Item(Kind.QUERY, decision=given.decision, is_open=given.is_open, accounts=[account]))

    def extended(self, given: Given, account: Account) -> None:
        """Parse unless it was prepared before, Bind, Describe if asked, Execute, Sync."""
        c = self._c
        c.is_idle = False
        prepared = given.prepared
        if prepared is None:
            prepared = self._prepared(given, given.decision, c.origin_of_statement(b""))
            c.expect(Item(Kind.PARSE, b"", prepared.decision, is_open=prepared.is_open, statement=prepared))
        decision = prepared.decision
        portal = Portal(b"", prepared, c.origin_of_portal(b""), formats_of(given.formats))
        bound: dict[str, Any] = {
            "decision": decision,
            "is_open": prepared.is_open,
            "statement": prepared,
            "portal": portal,
        }
        c.expect(Item(Kind.BIND, b"", **bound))
        if given.is_described:
            c.expect(Item(Kind.DESCRIBE, b"", **bound))
        portal.is_executed = True
        portal.awaited += 1
        c.expect(Item(Kind.EXECUTE, b"", accounts=[account], **bound))
        c.expect(Item(Kind.SYNC, is_open=given.is_open))


def foreseen(fields: tuple[m.Field, ...], formats: bytes, plan: Plan) -> Placed | None:
    """Where the masks go by a statement's own columns; None when they can't be placed."""
    try:
        masks = place_masks(plan, fields, formats_of(formats))
        return Placed(b"", fields, masks)
    except MaskMismatch:
        return None


def formats_of(raw: bytes) -> tuple[int, ...]:
    """Bind's result formats, their number before them."""
    count = int.from_bytes(raw[:2], "big")
    return struct.unpack_from(f"!{count}h", raw, 2)


def oids_of(raw: bytes) -> tuple[int, ...]:
    """Parse's parameter types, without their number."""
    return struct.unpack(f"!{len(raw) // 4}I", raw)
