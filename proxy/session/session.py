"""One conversation as a synchronous state machine: bytes and events in, bytes and commands out.

It owns the phases from the first packet to the end. An exception of our own ends the session with a FATAL
answer and nothing else: what was to be sent in that step is thrown away.
After each call of `client_data` and the like, `take_outbox` says what to send and to do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from policies.decision import Refusal
from proxy.session import ports
from proxy.session.borrowing import Borrowing, pooling_for
from proxy.session.client_login import Claim, ClientLogin, begin_login
from proxy.session.conversation import Conversation, SessionEnds, Unexpected
from proxy.session.greeting import Greeting, GreetingFailed, enter
from proxy.session.lane import Lane
from proxy.session.ledger import Identity, Ledger
from proxy.session.opened import OpenSession, with_large
from proxy.session.phase import Phase
from proxy.session.queueing import CANCELLED
from proxy.session.reports import fatal_bytes
from proxy.session.server_greeting import ServerGreeting, ServerUnfit
from proxy.session.settings import Admitted, Startup
from proxy.session.shared_link import SharedLink
from proxy.session.walsender import Walsender
from proxy.wire.codec import decode_backend
from proxy.wire.errors import ProtocolViolation
from proxy.wire.frames import FrameCutter, FrameLimits
from proxy.work_lanes import WorkLane

log = logging.getLogger("pgwarden.session")

_READ_AHEAD_BYTES: Final = 1 << 18
GREETING_LIMITS: Final = FrameLimits(message_bytes=65_536 + 8)


class Session:
    def __init__(
        self,
        services: ports.Services,
        rules: ports.Rules,
        client_address: str = "",
        limits: FrameLimits | None = None,
        *,
        has_lane: bool = True,
    ) -> None:
        """Without a lane all goes the long way."""
        self._has_lane = has_lane
        self._lane: Lane | None = None
        self._services = services
        self._rules = rules
        self._limits = limits or FrameLimits()
        self._phase = Phase.STARTUP
        self._outbox = ports.Outbox()
        self._client = FrameCutter(GREETING_LIMITS, startup=True)
        self._server = FrameCutter(with_large(self._limits, b"Dd"))
        self._identity = Identity(services.new_id(), client_address)
        self._ledger = Ledger(services, self._identity)
        self._greeting = Greeting(rules)
        self._startup: Startup | None = None
        self._login: ClientLogin | None = None
        self._admitted = Admitted({})
        self._is_client_finished = False
        self._is_last_server = True
        self._server_greeting: ServerGreeting | None = None
        self._open_session: OpenSession | Walsender | None = None
        self._borrowing: Borrowing | None = None

    # what net looks at

    @property
    def channel(self) -> ports.Channel | None:
        """The client's TLS, once it stands."""
        return self._greeting.channel

    @property
    def database(self) -> str:
        """As the client named it."""
        return self._identity.database

    @property
    def phase(self) -> Phase:
        return self._phase

    @property
    def is_ended(self) -> bool:
        return self._phase is Phase.ENDED

    @property
    def wants_client_data(self) -> bool:
        """False while client bytes would only pile up. Of one that is leaving only its end is of interest.

        Of one that waits, a little is read ahead: its end would go unnoticed otherwise.
        """
        if self._c is not None and self._c.is_leaving:
            return True
        opened = self._open_session
        if opened is None:
            return not self._is_held()
        is_reading = not opened.is_waiting and not opened.is_held
        return is_reading or self._client.unread_bytes < _READ_AHEAD_BYTES

    @property
    def is_catalog_awaited(self) -> bool:
        """Whether the client waits for a RefreshCatalog to be carried out."""
        return self._c is not None and self._c.is_catalog_awaited

    @property
    def _c(self) -> Conversation | None:
        return None if self._open_session is None else self._open_session.conversation

    @property
    def is_between_transactions(self) -> bool:
        """Whether ending now would cut nothing off: for draining."""
        c = self._c
        if self._lane is not None and self._lane.is_running:
            return False
        if c is not None and c.queueing is not None and c.queueing.is_waiting:
            return False
        return c is None or (not c.queue and c.status == b"I" and (c.lending is None or not c.lending.is_asking))

    @property
    def is_waiting_for_money(self) -> bool:
        """Whether a statement waits until a budget lets it begin."""
        return self._c is not None and self._c.budgeting.is_waiting

    @property
    def is_asking(self) -> bool:
        """Whether the link that a BorrowServer asked for is still wanted: a cancel may have come between."""
        c = self._c
        return c is None or c.lending is None or c.lending.is_asking

    @property
    def journal_position(self) -> int:
        """What must be synced before server bytes leave, under strict durability."""
        return max(self._ledger.position, self._services.journal_position())

    @property
    def lane(self) -> Lane | None:
        """Once the session is open: to be asked before `client_data` and `server_data`. What it raises is `failed`."""
        return self._lane

    def take_outbox(self) -> ports.Outbox:
        c = self._c
        if c is not None:
            c.flush()
        taken, self._outbox = self._outbox, ports.Outbox()
        if c is not None:
            c.outbox = self._outbox
        return taken

    # events

    def failed(self) -> None:
        """An exception of our own came out of the lane. To be called while it is handled."""
        if self._phase is not Phase.ENDED:
            log.exception("session failed", extra={"fields": {"session": self._identity.session}})
            self._collapse(is_server_fault=False)

    def client_data(self, chunk: bytes) -> None:
        self._guarded(lambda: self._client_data(chunk))

    def server_data(self, chunk: bytes) -> None:
        self._guarded(lambda: self._server_data(chunk))

    def tls_started(self, channel: ports.Channel | None = None) -> None:
        """The client link is encrypted now; the startup packet comes again, or, with direct TLS, at last."""
        self._greeting.channel = channel or ports.Channel()

    def upstream_connected(self, channel: ports.Channel | None = None, is_last: bool = True) -> None:
        """`channel` is there when the link to the server is encrypted; `is_last`: no other one can be had."""
        self._guarded(lambda: self._upstream_connected(channel, is_last))

    def server_lent(self, link: SharedLink) -> None:
        """The answer to a BorrowServer, or to a chunk that the lane keeps."""
        kept = b"" if self._lane is None else self._lane.take_kept()
        self._guarded(lambda: self._server_lent(link, kept))

    def lend_failed(self, sqlstate: str, message: str) -> None:
        """No link could be lent. The text is shown to the client: no secrets in it."""
        self._guarded(lambda: self._fail(sqlstate, message))

    def lend_again(self) -> None:
        """The link that was asked for elsewhere can't be had: the session is to ask anew."""
        self._awaited(lambda opened: opened.lend_again() if isinstance(opened, OpenSession) else None)

    def upstream_failed(self, reason: str) -> None:
        """The server can't be reached. `reason` is shown to the client: no secrets in it."""
        self._guarded(lambda: self._fail("08006", f"could not connect to the database server: {reason}"))

    def upstream_lost(self) -> None:
        c = self._c
        if c is not None and c.is_leaving:
            self._guarded(lambda: self._finish(c.last_words, "08006"))
        else:
            self._guarded(lambda: self._fail("08006", "the connection to the database server was lost"))

    def client_finished(self) -> None:
        """The client says no more, and may still read: what is owed to it comes first."""
        self._is_client_finished = True
        self._guarded(self._end_if_finished)

    def client_lost(self) -> None:
        """The client went away without a word, or after its Terminate."""
        self._guarded(lambda: self._finish(b"", "08006"))

    def timer_fired(self, token: int) -> None:
        if self._open_session is not None:
            opened = self._open_session
            self._guarded(lambda: opened.timer_fired(token))

    def cancel_done(self) -> None:
        self._awaited(lambda opened: opened.cancel_done())

    def wait_cancelled(self) -> None:
        """The client cancels what waits for a link; nobody will lend one for it."""
        self._awaited(lambda opened: opened.cancel_wait() if isinstance(opened, OpenSession) else None)

    def turn_came(self, lane: WorkLane) -> None:
        """The answer to a QueueForLane; the place is this session's, until it leaves it."""
        self._awaited(lambda opened: opened.turn_came(lane) if isinstance(opened, OpenSession) else None)

    def turn_refused(self, refusal: Refusal | None) -> None:
        """The other answer to it; None: the client cancels what waits."""
        told = refusal or CANCELLED
        self._awaited(lambda opened: opened.turn_refused(told) if isinstance(opened, OpenSession) else None)

    def hold_for_catalog(self, database: str) -> bool:
        """Whether it waits from now on until `catalog_refreshed`."""
        opened = self._open_session
        if self._lane is not None:
            self._guarded(self._lane.leave)
        return opened is not None and self._identity.database == database and opened.hold_for_catalog()

    def catalog_refreshed(self) -> None:
        """The snapshot holds what was committed before a RefreshCatalog, or it took too long to read."""
        self._awaited(lambda opened: opened.catalog_refreshed())

    def cost_estimated(self, query: ports.CostQuery, estimate: ports.Estimate) -> None:
        """The answer to an EstimateCost."""
        self._awaited(lambda opened: opened.cost_estimated(query, estimate))

    def purse_looked_at(self) -> None:
        """The answer to an AwaitPurse: what waited is tried again."""
        self._awaited(lambda opened: opened.purse_looked_at() if isinstance(opened, OpenSession) else None)

    def _awaited(self, tell: Callable[[OpenSession | Walsender], None]) -> None:
        """What the client's messages waited for is there."""
        opened = self._open_session
        if opened is not None:
            self._guarded(lambda: tell(opened))
            self._guarded(self._read_client)

    def handshake_timed_out(self) -> None:
        if self._phase is not Phase.OPEN:
            self._guarded(lambda: self._fail("08006", "the handshake took too long"))

    def drain(self) -> None:
        """Ends the session if nothing is under way; called again until it has ended."""
        if self.is_between_transactions:
            self.end_by_operator()

    def end_by_operator(self) -> None:
        message = "terminating connection: the gateway is shutting down"
        self._guarded(lambda: self._fail("57P01", message))

    def end_without_key(self, flaw_of: Callable[[str, str], str]) -> bool:
        """Whether it has ended now, as the API key of its login is no good any more."""
        identity = self._identity
        flaw = flaw_of(identity.key, identity.user) if identity.key and not self.is_ended else ""
        if flaw:
            self._ledger.key_lost(identity.key, flaw)
            message = f"terminating connection: API key {identity.key} {flaw}"
            self._guarded(lambda: self._fail("57P01", message))
        return bool(flaw)

    # the guard around everything

    def _guarded(self, step: Callable[[], None]) -> None:
        if self._phase is Phase.ENDED:
            return
        try:
            if self._lane is not None:
                is_kept = self._lane.is_waiting
                self._lane.leave()
                if is_kept:
                    self._read_client()  # it asks for a link on the long way, and the one that was asked for will do
            step()
            if self._open_session is not None:
                self._open_session.watch_idleness()
                self._give_back()
        except SessionEnds as ends:
            self._finish(ends.answer, ends.sqlstate)
        except GreetingFailed as failed:
            if failed.record:
                self._ledger.login(False, failed.record, failed.sqlstate)
            self._finish(failed.answer, failed.sqlstate)
        except ProtocolViolation as violation:
            if self._open_session is not None:
                self._open_session.violated(violation)
            else:
                self._finish(fatal_bytes(violation.sqlstate, violation.message), violation.sqlstate)
        except Exception as error:
            log.exception("session failed", extra={"fields": {"session": self._identity.session}})
            self._collapse(isinstance(error, Unexpected))
        if self._c is not None and self._c.is_ended:
            self._phase = Phase.ENDED

    def _collapse(self, is_server_fault: bool) -> None:
        """Nothing of this step may leave: only the FATAL answer."""
        self._outbox.to_client.clear()
        self._outbox.to_server.clear()
        if self._c is not None:
            self._c.discard()
        text = "the database server's answer could not be followed" if is_server_fault else "internal error"
        self._finish(fatal_bytes("XX000", f"pgwarden: {text}; the session ends"), "XX000")

    def _fail(self, sqlstate: str, message: str) -> None:
        self._finish(fatal_bytes(sqlstate, message), sqlstate)

    def _finish(self, answer: bytes, sqlstate: str) -> None:
        if self._c is not None:
            self._c.end(answer, sqlstate)
        else:
            if answer:
                self._outbox.to_client.append(answer)
            self._outbox.commands.append(ports.CloseLinks())
        self._phase = Phase.ENDED

    # client side

    def _client_data(self, chunk: bytes) -> None:
        if self._c is not None and self._c.is_leaving:
            return
        self._client.feed(chunk)
        self._read_client()

    def _read_client(self) -> None:
        if self._open_session is not None:
            self._open_session.read_client(self._client)
            return
        cutter = self._client
        while not self._is_held() and self._phase is not Phase.ENDED:
            frame = cutter.next_frame()
            if frame is None:
                return
            type_byte, start, end = frame
            view = memoryview(cutter.buffer)[start:end]
            match self._phase:
                case Phase.STARTUP:
                    self._packet(view[4:])
                case Phase.LOGIN:
                    self._login_step(type_byte, view[5:])

    def _is_held(self) -> bool:
        if self._open_session is not None:
            return self._open_session.is_held
        return self._phase not in (Phase.STARTUP, Phase.LOGIN)

    def _packet(self, body: memoryview) -> None:
        greeted = self._greeting.read(body, self._client.unread_bytes)
        if greeted.answer:
            self._outbox.to_client.append(greeted.answer)
        if greeted.command is not None:
            self._outbox.commands.append(greeted.command)
            if not isinstance(greeted.command, ports.StartTls):
                self._finish(b"", "")
        if greeted.startup is not None:
            self._begin_login(greeted.startup)

    def _begin_login(self, startup: Startup) -> None:
        self._startup = startup
        self._client.end_startup()
        self._identity.user = startup.user
        self._identity.database = startup.database
        self._identity.application = startup.application
        principal = self._services.principal(startup.user)
        claim = Claim(startup.user, principal, self._greeting.channel, self._services.usual_iterations())
        services = self._services
        self._login = begin_login(claim, self._rules, services.random_bytes(18), services.today(), services.stored_key)
        self._phase = Phase.LOGIN
        if self._login.request:
            self._outbox.to_client.append(self._login.request)
        if self._login.is_ok:
            self._enter(startup)

    def _login_step(self, type_byte: int, body: memoryview) -> None:
        assert self._login is not None
        assert self._startup is not None
        answer = self._login.respond(type_byte, body)
        if answer:
            self._outbox.to_client.append(answer)
        if self._login.is_ok:
            self._enter(self._startup)

    def _enter(self, startup: Startup) -> None:
        self._identity.key = "" if self._login is None else self._login.key
        self._admitted = enter(startup, self._services, self._identity)
        self._client.set_limits(with_large(self._limits, b"d"))
        self._phase = Phase.CONNECTING
        pooling = pooling_for(self._services, startup, self._admitted)
        if pooling is None:
            self._outbox.commands.append(ports.ConnectUpstream(startup.database))
            return
        self._borrowing = Borrowing(self._services, pooling, self._identity, self._ledger, startup, self._admitted)
        self._borrowing.begin(self._outbox)
        self._open_borrowing(self._borrowing)

    # a server link that others use, too

    def _open_borrowing(self, borrowing: Borrowing) -> None:
        if self._open_session is None and borrowing.conversation is not None:
            self._open(borrowing.conversation)

    def _server_lent(self, link: SharedLink, kept: bytes) -> None:
        assert self._borrowing is not None, "links are lent to those that ask"
        if self._borrowing.lending.link is not link:  # the lane may have taken it already
            self._borrowing.lent(link, self._outbox)
            self._open_borrowing(self._borrowing)
        if kept:
            self._client.feed(kept)
        self._read_client()

    def _give_back(self) -> None:
        c = self._c
        if c is not None and c.lending is not None and c.lending.may_return(c):
            # A server that says more than it was asked for may say it to the next one.
            c.lending.give_back(c, is_clean=not self._server.unread_bytes)

    # server side

    def _upstream_connected(self, channel: ports.Channel | None, is_last: bool) -> None:
        assert self._startup is not None
        self._is_last_server = is_last
        gateway = self._services.gateway(self._identity.database)
        self._server_greeting = ServerGreeting(
            self._services, self._identity, self._ledger, self._startup, self._admitted, gateway, channel
        )
        self._outbox.to_server.append(self._server_greeting.startup_packet())
        self._phase = Phase.UPSTREAM_LOGIN

    def _server_data(self, chunk: bytes) -> None:
        if self._borrowing is not None and self._borrowing.lending.setup is not None:
            chunk = self._borrowing.receive(chunk, self._outbox)
            self._open_borrowing(self._borrowing)
        try:
            self._read_server(chunk)
        except ProtocolViolation as violation:
            raise Unexpected("the server's bytes can't be read") from violation
        if self._c is not None and self._c.is_ended:
            return
        self._read_client()
        self._end_if_finished()

    def _end_if_finished(self) -> None:
        if not self._is_client_finished or self._phase is Phase.ENDED:
            return
        opened = self._open_session
        if opened is None or not opened.is_owed:
            self._finish(b"", "08006")
        elif opened.is_server_owed and not opened.conversation.is_leaving:
            opened.conversation.is_leaving = True
            self._outbox.commands.append(ports.FinishServer())

    def _read_server(self, chunk: bytes) -> None:
        cutter = self._server
        cutter.feed(chunk)
        if cutter.is_passing:
            self._require_open().server_part(cutter.buffer, *cutter.take_part())
        while (run := cutter.next_run()) is not None:
            type_byte, start, end, count = run
            if self._open_session is None:
                self._greet(type_byte, cutter.buffer, start, end)
            else:
                self._open_session.server_run(type_byte, cutter.buffer, start, end, count)
            if self._phase is Phase.ENDED or (self._c is not None and self._c.is_ended):
                return
        if self._open_session is not None:
            self._open_session.pass_large(cutter)

    def _require_open(self) -> OpenSession | Walsender:
        if self._open_session is None:
            raise Unexpected("rows before the login was over")
        return self._open_session

    def _greet(self, type_byte: int, buffer: bytes, start: int, end: int) -> None:
        """A run of frames before the first ReadyForQuery."""
        greeting = self._server_greeting
        if greeting is None:
            raise Unexpected("the server speaks before it was spoken to")
        while start < end:
            frame_end = start + 1 + int.from_bytes(buffer[start + 1 : start + 5], "big")
            try:
                greeting.receive(decode_backend(type_byte, buffer[start + 5 : frame_end]), self._outbox)
            except ServerUnfit:
                if self._is_last_server:
                    raise
                self._try_next_server()
                return
            start = frame_end
        if greeting.is_ready and greeting.conversation is not None:
            self._open(greeting.conversation)

    def _try_next_server(self) -> None:
        """Nothing of this one's greeting was shown, so the next one can begin anew."""
        self._server_greeting = None
        self._server = FrameCutter(with_large(self._limits, b"Dd"))
        self._outbox.to_server.clear()
        self._phase = Phase.CONNECTING
        self._outbox.commands.append(ports.ConnectUpstream(self._identity.database))

    def _open(self, conversation: Conversation) -> None:
        conversation.outbox = self._outbox
        is_replication = self._startup is not None and self._startup.replication
        self._open_session = (
            Walsender(conversation) if is_replication else OpenSession(conversation, self._rules, self._limits)
        )
        conversation.policy()
        self._phase = Phase.OPEN
        if self._has_lane and isinstance(self._open_session, OpenSession):
            most_bytes = self._limits.message_bytes
            self._lane = Lane(self._open_session, self._client, self._server, self._services.epoch, most_bytes)
        self._ledger.login(True, self._login.record if self._login is not None else "")
        # A session may rest for days: what only its beginning needed would rest with it.
        self._server_greeting = self._login = self._startup = None
