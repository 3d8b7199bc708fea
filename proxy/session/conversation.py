"""The state that both directions of an open session share, and the few verbs on it. No decoding, no deciding."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from policies.catalog import Namespace
from policies.decision import Plan, Refusal
from policies.errors import PoliciesError
from policies.limits import Load
from policies.model import EffectivePolicy
from proxy.session.budgeting import Budgeting
from proxy.session.held import Basis, Declared, Origin, Portal
from proxy.session.ledger import Identity, Ledger
from proxy.session.named import named_in
from proxy.session.ports import (
    Allowance,
    CancelUpstream,
    Chunk,
    CloseLinks,
    CostQuery,
    Estimate,
    Outbox,
    Services,
    StartTimer,
    StopTimer,
)
from proxy.session.queue import ENDED_BY_READY, Item, Kind
from proxy.session.reports import fatal_bytes, refusal_bytes
from proxy.session.track import Track
from proxy.session.view import View

if TYPE_CHECKING:
    from proxy.session.lending import Lending
    from proxy.session.queueing import Queueing

_NO_NAMESPACE = Namespace(())

Buffer = bytes | bytearray  # nobody writes to it any more


class SessionEnds(Exception):
    """The session can't go on; the client reads why in a FATAL ErrorResponse."""

    def __init__(self, sqlstate: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.answer = fatal_bytes(sqlstate, message, hint)
        self.sqlstate = sqlstate


class Wait(Exception):
    """This message of the client can't be judged before replies that are on their way are here. Nothing was done."""


class Unexpected(Exception):
    """The server's reply isn't the one that was due: our own mistake or the server's; nothing may be shown."""


class Conversation:
    """One open session. Both directions write to `outbox`."""

    def __init__(
        self,
        services: Services,
        identity: Identity,
        ledger: Ledger,
        outbox: Outbox,
        search_path: tuple[str, ...],
        gateway_user: str,
    ) -> None:
        self.services = services
        self.identity = identity
        self.ledger = ledger
        self.outbox = outbox
        self.gateway_user = gateway_user
        self.queue: deque[Item] = deque()
        self.group = 0  # rises with each message that ends in ReadyForQuery
        self.confirmed = View(Track(search_path, gateway_user))
        self._sent: View | None = self.confirmed.copy()
        self._moving: deque[Item] = deque()
        self._made_under = ""  # the policy under which the transaction made relations
        self._filled_under = ""  # the policy under which temporary relations were filled
        self.status = b"I"
        self.is_tainted = False
        self.is_pin_broken = False
        self.is_skipping = False  # the server drops what comes until Sync, and so do we
        self.has_ddl = False
        self.catalog_waits = 0  # commits of DDL whose catalog isn't read again yet
        self.is_late = False  # the client has read an error that the server doesn't know of
        self.is_copying_in = False
        self.intruder: int | None = None  # type of a message that came in the middle of COPY data
        self.active_us = 0  # when the lane ended its last statement, by `now_us`
        self.is_idle = True  # ReadyForQuery was the last word of either side
        self.is_leaving = False  # the client has said Terminate, or what nobody understands
        self.last_words = b""  # for a client that leaves
        self.is_ended = False
        self.shadow: EffectivePolicy | None = None  # of the policy that held when it was last asked for
        self.wanted_estimate: CostQuery | None = None  # the client waits for it
        self.estimates: dict[CostQuery, Estimate] = {}  # for the message that waited
        self.is_counted = False  # in `load`, as a session that waits for a statement's end
        self.has_run = False  # since ReadyForQuery a portal has run: one transaction with what comes behind it
        self.cancels = 0
        self.budgeting = Budgeting(self)
        self.lending: Lending | None = None  # where the server link is shared
        self.queueing: Queueing | None = None  # where the database has workload lanes
        self._timed: Item | None = None
        self._timer_token = 0
        self._allowed_in = -1  # the epoch that the allowance was looked up in
        self._span: tuple[Buffer, int, int] | None = None

    # sending

    def forward(self, buffer: Buffer, start: int, end: int) -> None:
        """Hands a part of the server's buffer to the client untouched; neighbours become one slice."""
        span = self._span
        if span is not None and span[0] is buffer and span[2] == start:
            self._span = (buffer, span[1], end)
            return
        self.flush()
        self._span = (buffer, start, end)

    def flush(self) -> None:
        span = self._span
        if span is not None:
            self.outbox.to_client.append(memoryview(span[0])[span[1] : span[2]])
            self._span = None

    def discard(self) -> None:
        """Throws away what was about to be handed on."""
        self._span = None

    def send_client(self, data: Chunk) -> None:
        self.flush()
        self.outbox.to_client.append(data)

    def send_server(self, data: Chunk) -> None:
        self.outbox.to_server.append(data)

    # the queue

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is owed or awaited by anybody, and nothing has gone wrong: the next message decides alone."""
        is_busy = self.queue or self._moving or self.is_skipping or self.is_late or self.is_copying_in
        is_odd = self.is_tainted or self.is_pin_broken or self.has_ddl or self.intruder is not None or self.has_run
        is_over = self.is_leaving or self.is_ended
        if is_busy or is_odd or is_over or self.cancels or self.wanted_estimate is not None or self.estimates:
            return False
        if self.budgeting.is_waiting or self.budgeting.notices:
            return False
        names = self.confirmed.names
        portal = names.portal(b"")
        is_suspended = isinstance(portal, Portal) and portal.account is not None
        is_full = names.is_full or names.has_many_portals
        return self.status in (b"I", b"T") and not self.is_catalog_awaited and not is_suspended and not is_full

    def views(self) -> tuple[View, ...]:
        """As confirmed and, where it is known, as sent."""
        return (self.confirmed,) if self._sent is None else (self.confirmed, self._sent)

    @property
    def sent(self) -> View:
        """What will hold once all that is on its way has succeeded."""
        if self._sent is None:
            self._sent = self.confirmed.copy()
            for item in self.queue:
                self._sent.expect(item)
        return self._sent

    def origin_of_statement(self, name: bytes) -> Origin:
        """For what is about to be prepared under this name."""
        held = self.sent.names.statement(name) or self.confirmed.names.statement(name)
        return Origin(self.group, held is not None)

    def origin_of_portal(self, name: bytes) -> Origin:
        """For what is about to be opened under this name."""
        held = self.sent.names.portal(name) or self.confirmed.names.portal(name)
        return Origin(self.group, held is not None)

    def forget_sent(self) -> None:
        """After an error: what the client may count on is what is confirmed plus what is still on its way."""
        self._sent = None

    def expect(self, item: Item) -> None:
        sent = self.sent
        item.group = self.group
        for account in item.accounts:
            if sent.track.moves(account.plan):
                self._moving.append(item)
                self._note_made(item)
                break
        if item.accounts and not self.is_counted:
            self.count_running(account.plan for account in item.accounts)
        if item.kind is Kind.QUERY and self.lending is not None:
            self.lending.queried()
        self.queue.append(item)
        sent.expect(item)
        if item.kind in ENDED_BY_READY:
            self.group += 1
        self.watch_time()

    @property
    def load(self) -> Load:
        """What this session's user has under way on its database."""
        return self.services.load(self.identity.user, self.identity.database)

    @property
    def allowance(self) -> Allowance | None:
        """What its principal and API key may begin, once `policy` has been asked for."""
        identity, epoch = self.identity, self.services.epoch.number
        if self._allowed_in != epoch:
            self._allowed_in = epoch
            principal = identity.principal
            identity.allowance = None if principal is None else self.services.allowance(principal, identity.key)
        return identity.allowance

    def count_running(self, plans: Iterable[Plan]) -> None:
        """From here on this session counts among those that have a statement under way, where that is limited."""
        if not self.is_counted and any(plan.limits.concurrent is not None for plan in plans):
            self.is_counted = True
            self.load.enter()

    def rest(self) -> None:
        """It counts no longer, unless something is still under way."""
        if not self.queue:
            self._stop_counting()

    def _stop_counting(self) -> None:
        if self.is_counted:
            self.is_counted = False
            self.load.leave()
        if self.queueing is not None:
            self.queueing.leave()

    def _note_made(self, item: Item) -> None:
        effects = [account.plan.effect for account in item.accounts]
        if item.decision is None:
            return
        fingerprint = item.decision.policy_fingerprint
        if any(effect.makes_relations for effect in effects):
            is_first = not self.sent.track.namespace.made
            self._made_under = fingerprint if is_first or fingerprint == self._made_under else ""
        if any(effect.makes_temporary for effect in effects):
            self._filled_under = fingerprint

    def pop(self) -> Item:
        item = self.take()
        self.watch_time()
        return item

    def take(self) -> Item:
        """The first item leaves the queue; `watch_time` comes when no more are taken."""
        item = self.queue.popleft()
        if not self.queue and (self.is_counted or self.queueing is not None):
            self._stop_counting()
        if self._moving and self._moving[0] is item:
            self._moving.popleft()
        return item

    @property
    def is_behind_ready(self) -> bool:
        """Whether an earlier stretch is still unanswered: its errors would not skip what comes next."""
        return bool(self.queue) and self.queue[0].group < self.group

    @property
    def is_namespace_certain(self) -> bool:
        """Whether names mean the same for the next message, whatever becomes of those on their way.

        Within a stretch up to ReadyForQuery an error skips the rest, so only what came before it matters.
        """
        return not self._moving or self._moving[0].group >= self.group

    def head_of(self, *kinds: Kind) -> Item:
        """The item whose reply is due. Raises Unexpected if it is of another kind."""
        if not self.queue:
            raise Unexpected("a reply that belongs to nothing")
        head = self.queue[0]
        if head.kind not in kinds:
            raise Unexpected("a reply to another message than the one that is due")
        return head

    @property
    def has_sync(self) -> bool:
        """Whether a message that ends in ReadyForQuery is on its way."""
        return any(item.kind in ENDED_BY_READY for item in self.queue)

    def watch_time(self) -> None:
        head = self.queue[0] if self.queue else None
        if head is self._timed:
            return
        if self._timed is not None:
            self.outbox.commands.append(StopTimer(self._timer_token))
            self._timed = None
        seconds = _runtime_limit(head)
        if head is not None and seconds is not None:
            self._timed = head
            self._timer_token += 1
            self.outbox.commands.append(StartTimer(self._timer_token, seconds))

    def is_timer(self, token: int) -> bool:
        """Whether this timer is still meant: it may fire while the answer arrives."""
        return self._timed is not None and token == self._timer_token

    # policy

    def policy(self) -> EffectivePolicy:
        """The effective policy of now. Raises SessionEnds when this session can't live under it."""
        identity = self.identity
        try:
            policy = self.services.effective(identity.user, identity.database, identity.client_address)
        except PoliciesError as error:
            # Names the rule, its place and the attribute; no value of anybody's.
            raise SessionEnds("42501", f"no policy can be made for this user: {error}") from None
        if policy is None:
            raise SessionEnds("57P01", "policies changed; connect again", "This user is no longer known.")
        self.identity.principal = policy.principal
        self.shadow = policy.shadow
        if (self.is_tainted or self.is_pin_broken) and not policy.is_everything:
            raise SessionEnds("57P01", "policies changed; connect again")
        if self._filled_under not in ("", policy.fingerprint):
            self._require_no_old_data(policy)
        return policy

    def _require_no_old_data(self, policy: EffectivePolicy) -> None:
        """Temporary relations hold what another policy let through."""
        if not self.sent.track.namespace.temporary:
            self._filled_under = ""
        elif not policy.is_everything:
            raise SessionEnds("57P01", "policies changed; connect again", "Temporary tables were made under old ones.")

    def policy_is_open(self) -> bool:
        """Whether texts of the server that belong to no statement may be shown as they are."""
        try:
            return self.policy().is_everything
        except SessionEnds:
            return False

    @property
    def is_catalog_awaited(self) -> bool:
        """Under a policy that reads names, DDL counts from the next message on."""
        return self.catalog_waits > 0 and not self.policy_is_open()

    def basis(self, policy: EffectivePolicy, sql: str) -> Basis:
        """What this text is decided under now. Raises Wait while that isn't certain."""
        catalog = self.services.catalog(self.identity.database)
        version = catalog.version if catalog else 0
        if policy.is_everything:
            return Basis(policy.fingerprint, version, _NO_NAMESPACE)
        if not self.is_namespace_certain:
            raise Wait
        namespace = self.sent.track.namespace
        if namespace.made and self._made_under != policy.fingerprint:
            namespace = replace(namespace, made=frozenset())
        return Basis(policy.fingerprint, version, named_in(namespace, sql))

    # failing

    def fail_late(self, refusal: Refusal, answer: bytes = b"") -> None:
        """Tells the client of an error in the statement that is being answered, whatever the server thinks of it.

        The rest of the answers up to ReadyForQuery isn't shown, as after any error.
        """
        if self.is_late:
            return
        self.send_client(answer or refusal_bytes(refusal))
        self.is_late = True
        head = self.queue[0] if self.queue else None
        if head is not None:
            head.sqlstate = refusal.sqlstate
        if not self.has_sync:
            self.is_skipping = True

    def cancel(self) -> None:
        """Cancels at the server. The client waits: a late cancel must not hit its next statement."""
        self.cancels += 1
        self.outbox.commands.append(CancelUpstream())

    def end(self, answer: bytes = b"", sqlstate: str = "08006") -> None:
        """Closes the accounts and both links."""
        if self.is_ended:
            return
        self.is_ended = True
        self._stop_counting()
        if answer:
            self.send_client(answer)
        self.close_accounts(sqlstate)
        self.outbox.commands.append(CloseLinks())

    def close_accounts(self, sqlstate: str) -> None:
        for item in self.queue:
            for account in item.accounts:
                self.ledger.close(account, sqlstate)
        for portal in self.confirmed.names.portals.values():
            self.close_portal(portal, sqlstate)

    def close_portal(self, portal: Portal | Declared | None, sqlstate: str = "") -> None:
        """A suspended portal that goes away ends its statement."""
        if isinstance(portal, Portal) and portal.account is not None:
            self.ledger.close(portal.account, sqlstate)
            portal.account = None


def _runtime_limit(item: Item | None) -> float | None:
    if item is None or item.kind not in (Kind.QUERY, Kind.EXECUTE):
        return None
    return next((a.plan.limits.runtime_s for a in item.accounts if a.plan.limits.runtime_s is not None), None)
