"""The extended protocol's messages: Parse, Bind, Describe, Execute, Close.

Each is decided when it comes, and again whenever what it uses was decided under another policy, catalog or
namespace. It must not know replies.
"""

from __future__ import annotations

from dataclasses import replace

from audit.errors import JournalError
from policies.decision import Decision, Plan, Refusal
from policies.model import EffectivePolicy
from proxy.session.bound_values import bound_values
from proxy.session.conversation import Conversation
from proxy.session.costs import ran_by
from proxy.session.deciding import Decider, Denied, is_same_to_server
from proxy.session.held import Account, Declared, Origin, Portal, Prepared, ServerCopy, Told
from proxy.session.hidden import bind_formats
from proxy.session.lending import Lending
from proxy.session.names import statement_of
from proxy.session.poison import poison
from proxy.session.queue import Item, Kind
from proxy.session.refusals import (
    cannot_run,
    changed_cursor,
    changed_result,
    journal_refusal,
    missing_for,
    statement_exists,
    too_many_names,
    undecided,
)
from proxy.session.reports import refusal_bytes
from proxy.session.rows import changes_rows
from proxy.wire import messages as m
from proxy.wire.binding import BindHead, read_bind, with_formats, with_statement
from proxy.wire.codec import decode_frontend, encode


class Extended:
    def __init__(self, conversation: Conversation, decider: Decider) -> None:
        self._c = conversation
        self._decider = decider

    def parse(self, frame: memoryview) -> None:
        c = self._c
        message = decode_frontend(ord("P"), frame[5:])
        assert isinstance(message, m.Parse)
        decided = self._decider.decide(message.query, types=message.parameter_types)
        sql = message.query.decode("utf-8", "replace")
        if decided.refusal is not None or decided.decision is None:
            self._refuse(sql, decided.decision, decided.refusal or undecided(), drops_unnamed=not message.name)
            return
        copy, is_open = ServerCopy(c.origin_of_statement(message.name)), decided.policy.is_everything
        if c.sent.names.is_full and not is_open:
            self._refuse(sql, decided.decision, too_many_names(), drops_unnamed=not message.name)
            return
        prepared = Prepared(
            message.name, sql, message.parameter_types, decided.decision, decided.basis, copy, Told(), is_open
        )
        own = frame if decided.decision.text == sql else None
        if c.lending is not None:
            if self._is_taken(c.lending, message.name):
                return
            c.lending.admit(c, decided.decision)
            c.expect(c.lending.parse(c, prepared, own))
        else:
            c.send_server(_parse_bytes(prepared) if own is None else own)
            c.expect(Item(Kind.PARSE, message.name, prepared.decision, is_open=is_open, statement=prepared))
        self._describe_rows(prepared)

    def _is_taken(self, lending: Lending, name: bytes) -> bool:
        """At a server that knows statements by names of ours, nobody else would say that the name is taken."""
        c = self._c
        held = c.sent.names.statement(name) if name and not lending.pin else None
        if held is None:
            return False
        self._decider.require_certain(held, c.confirmed.names.statement(name))
        poison(c, statement_exists(name))
        return True

    def _server_name(self, prepared: Prepared) -> bytes:
        lending = self._c.lending
        return prepared.name if lending is None else lending.statement_name(self._c, prepared)

    def _describe_rows(self, prepared: Prepared, compares_told: bool = False) -> None:
        """Asks the server for the columns, so that masks can be placed; the client doesn't see the answer."""
        needs_columns = changes_rows(prepared.plan) and not prepared.plan.is_all_hidden
        if not compares_told and (not needs_columns or prepared.server.is_described):
            return
        prepared.server.is_described = True
        self._c.send_server(encode(m.Describe(b"S", self._server_name(prepared))))
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

    # Bind

    def bind(self, frame: memoryview) -> None:
        c = self._c
        message = read_bind(frame)
        policy = c.policy()
        prepared = self._bindable(message, policy)
        if prepared is None:
            return
        if c.sent.names.has_many_portals and not policy.is_everything:
            self._refuse(prepared.sql, prepared.decision, too_many_names())
            return
        origin = c.origin_of_portal(message.portal)
        portal = Portal(message.portal, prepared, origin, message.result_formats)
        if c.services.keeps_parameters:
            portal.parameters = bound_values(frame, message, prepared.types)
        formats = bind_formats(message.result_formats, prepared.plan)
        is_same = formats == message.result_formats
        name = self._server_name(prepared)
        if name != message.statement:
            c.send_server(with_statement(frame, message, name, formats))
        else:
            c.send_server(frame if is_same else with_formats(frame, message, formats))
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

    def _bindable(self, message: BindHead, policy: EffectivePolicy) -> Prepared | None:
        """The statement under the rules of now; None when the client was told why there is none."""
        c = self._c
        held = c.sent.names.statement(message.statement)
        if held is None and policy.is_everything and self._is_alone:
            c.is_tainted = True
            return self._server_only(policy, message.statement)
        self._decider.require_certain(held, c.confirmed.names.statement(message.statement))
        if held is None:
            poison(c, missing_for(True, message.statement))
            return None
        if isinstance(held, Declared):
            if policy.is_everything or not self._is_changed(held, policy):
                return statement_of(held, message.statement)
            poison(c, changed_result())
            return None
        if held.basis != c.basis(policy, held.sql):
            return self._renew(held)
        self._describe_rows(held)  # where nobody has asked for its columns: what asked may have failed
        return held

    def _is_changed(self, held: Declared, policy: EffectivePolicy) -> bool:
        return self._decider.is_outdated(held, policy) or self._decider.is_renamed(held, policy)

    def _renew(self, old: Prepared) -> Prepared | None:
        """The statement under the policy and catalog of now; None when it was refused."""
        decided = self._decider.decide(old.sql.encode(), types=old.types)
        if decided.refusal is not None or decided.decision is None:
            self._refuse(old.sql, decided.decision, decided.refusal or undecided())
            return None
        decision, is_open = decided.decision, decided.policy.is_everything
        renewed = replace(old, decision=decision, basis=decided.basis, is_open=is_open)
        if is_same_to_server(old, decided, decision):
            self._describe_rows(renewed)
            return renewed
        renewed = replace(renewed, server=ServerCopy(self._c.origin_of_statement(old.name)))
        self._reparse(renewed)
        return renewed

    @property
    def _is_alone(self) -> bool:
        """Whether all that the server knows by name is this client's."""
        return self._c.lending is None or bool(self._c.lending.pin)

    def _reparse(self, prepared: Prepared) -> None:
        c = self._c
        if c.lending is not None:
            c.lending.admit(c, prepared.decision)
            if c.lending.takes_anew(prepared.name):
                item = c.lending.parse(c, prepared, None)
                item.is_swallowed = True
                c.expect(item)
                self._describe_rows(prepared, compares_told=True)
                return
        if prepared.name:
            c.send_server(encode(m.Close(b"S", prepared.name)))
            c.expect(Item(Kind.CLOSE, prepared.name, is_swallowed=True, is_described=True))
        c.send_server(_parse_bytes(prepared))
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
        self._describe_rows(prepared, compares_told=True)

    def _server_only(self, policy: EffectivePolicy, name: bytes) -> Prepared:
        """A statement that only the server knows by name: for the allow-everything policy alone."""
        if not policy.is_everything:
            raise RuntimeError("a statement without a decision")
        basis = self._c.basis(policy, "")
        plan = Plan("unknown", "", is_tainting=True, is_ddl=True)
        decision = Decision("", (plan,), None, (), basis.fingerprint, basis.catalog_version)
        declared = Declared("", plan, decision, basis, True, Origin(self._c.group))
        return statement_of(declared, name)

    # Describe, Close

    def describe(self, frame: memoryview) -> None:
        c = self._c
        message = decode_frontend(ord("D"), frame[5:])
        assert isinstance(message, m.Describe)
        is_statement = message.kind == b"S"
        policy = c.policy()
        portal = None if is_statement else self._portal(message.name)
        prepared = self._statement(message.name) if is_statement else None
        prepared = portal.statement if portal is not None else prepared
        if prepared is None and not (policy.is_everything and (self._is_alone or not is_statement)):
            poison(c, missing_for(is_statement, message.name))
            return
        name = message.name if prepared is None or not is_statement else self._server_name(prepared)
        c.send_server(frame if name == message.name else encode(m.Describe(b"S", name)))
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

    def close(self, frame: memoryview) -> None:
        message = decode_frontend(ord("C"), frame[5:])
        assert isinstance(message, m.Close)
        is_statement = message.kind == b"S"
        lending = self._c.lending if is_statement else None
        self._c.send_server(frame if lending is None else lending.close_bytes(self._c, message.name, frame))
        self._c.expect(Item(Kind.CLOSE, message.name, is_described=is_statement))

    def _statement(self, name: bytes) -> Prepared | None:
        held = self._c.sent.names.statement(name)
        self._decider.require_certain(held, self._c.confirmed.names.statement(name))
        if held is None:
            return None
        return statement_of(held, name) if isinstance(held, Declared) else held

    def _portal(self, name: bytes) -> Portal | None:
        held = self._c.sent.names.portal(name)
        self._decider.require_certain(held, self._c.confirmed.names.portal(name))
        if held is None:
            return None
        return Portal(name, statement_of(held, name), held.origin) if isinstance(held, Declared) else held

    # Execute

    def execute(self, frame: memoryview) -> None:
        c = self._c
        message = decode_frontend(ord("E"), frame[5:])
        assert isinstance(message, m.Execute)
        policy = c.policy()
        portal = self._portal(message.portal)
        if portal is None and not policy.is_everything:
            poison(c, missing_for(False, message.portal))
            return
        if portal is None:
            portal = Portal(message.portal, self._server_only(policy, b""), Origin(c.group))
        prepared = portal.statement
        if not policy.is_everything and self._decider.is_outdated(prepared, policy):
            poison(c, refusal_bytes(changed_cursor(message.portal)) if portal.is_executed else changed_result())
            return
        if portal.is_executed and (prepared.plan.is_all_hidden or prepared.plan.moves_settings):
            # The server would take ours for a portal with rows, and run it for the rest of them. set_config wouldn't
            # run again, and would be taken for done.
            poison(c, cannot_run(message.portal))
            return
        opened = self._open(portal, policy)
        if opened is None:
            return
        if c.lending is not None and not portal.is_executed:
            c.lending.run(c, prepared.decision)
        portal.is_executed = True
        portal.awaited += 1
        # A limit counts rows that the client sees; a statement without any isn't suspended. Nor is one of set_config:
        # only its end says that it has run.
        is_whole = prepared.plan.is_all_hidden or prepared.plan.moves_settings
        c.send_server(encode(m.Execute(message.portal)) if is_whole and message.max_rows else frame)
        decision, accounts = opened
        c.expect(
            Item(
                Kind.EXECUTE,
                message.portal,
                decision,
                is_open=prepared.is_open and policy.is_everything,
                statement=prepared,
                portal=portal,
                accounts=accounts,
            )
        )

    def _open(self, portal: Portal, policy: EffectivePolicy) -> tuple[Decision, list[Account]] | None:
        """The decision and the account of what the portal runs; None when the client was told why it doesn't."""
        prepared = portal.statement
        declared = self._c.sent.names.portal(portal.name)
        try:
            if portal.account is not None:
                if self._c.queueing is not None:
                    self._decider.require_turn([portal.account.run], [ran_by(prepared)])
                return prepared.decision, [portal.account]
            if isinstance(declared, Declared) and prepared.declared is declared:
                return self._decider.open_cursor(portal, declared)
            return self._decider.open_one(prepared, policy, portal.parameters)
        except Denied as denied:
            self._refuse(prepared.sql, prepared.decision, denied.refusal, denied.answer, plan_units=denied.plan_units)
        except JournalError:
            self._refuse(prepared.sql, prepared.decision, journal_refusal())
        return None

    def _refuse(
        self,
        sql: str,
        decision: Decision | None,
        refusal: Refusal,
        answer: bytes = b"",
        drops_unnamed: bool = False,
        plan_units: int | None = None,
    ) -> None:
        self._c.ledger.deny(sql, decision, refusal, self._decider.shadow.of_text(sql), plan_units)
        poison(self._c, answer or refusal_bytes(refusal), drops_unnamed)


def _parse_bytes(prepared: Prepared) -> bytes:
    return encode(m.Parse(prepared.name, prepared.decision.text.encode(), prepared.types))
