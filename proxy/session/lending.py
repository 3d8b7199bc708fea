"""A session that borrows its server link from transaction to transaction: what must follow it, what must not stay.

Where the link leaves: at ReadyForQuery "I" with nothing under way (`may_return`), unless the session has pinned it.
Where one comes: before the first message that the server must see (`ask`, then `begin`). What follows the session:

- **settings**: the confirmed `track` holds them with the SQL that sets them; `begin` sends what differs from what the
  link's last borrower left, as one Query ahead of the client's message, and the answers are swallowed. What the startup
  packet asked for (`base`) is part of it. The client hears of reported settings as if nothing had moved.
- **prepared statements** of the protocol: the session knows them by the client's names; at the server they have names
  of ours, and sessions whose text, types and settings are the same share them. They are prepared where they are
  missing. The unnamed statement follows in the same way.
- **what stored code left**: triggers, defaults and views may run functions of the database's users, which may do
  anything. Behind a statement that may have called one, DISCARD ALL goes ahead of the next borrower's.
- **transactions, portals, cursors** end before a link leaves, or the link doesn't.

All else that may stay at the server **pins** the link (`Plan.leaves`): from then on it is the session's alone, with the
client's own names, and it is closed when the session ends. It must not know sockets, nor who else borrows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from policies.decision import ALL_NAMES, NO_EFFECT, NOTHING_LEFT, Decision, Plan
from proxy.session.conversation import Conversation, Wait
from proxy.session.held import Prepared
from proxy.session.parameters import note_parameter
from proxy.session.ports import BorrowServer, ReturnServer
from proxy.session.queue import Item, Kind
from proxy.session.setup import FORGET_ALL, FORGET_SEQUENCES, Setup, changes, setup_bytes
from proxy.session.shared_link import RUN_NOTHING, STATEMENTS_PER_LINK, LinkKind, SharedLink, SharedStatement
from proxy.session.track import Settings
from proxy.wire import messages as m
from proxy.wire.codec import encode

_FLUSH: Final = encode(m.Flush())
# No statement has ever this name: CloseComplete comes for it, too, and costs the server next to nothing.
_NOWHERE: Final = encode(m.Close(b"S", b"pgwarden_nowhere"))
_ENDINGS: Final = frozenset({"commit", "rollback", "rollback to"})
PARSE_COMPLETE: Final = encode(m.ParseComplete())


class Lending:
    """Of one session. `base`: settings of the startup packet. `told`: what the client knows of reported settings."""

    def __init__(self, kind: LinkKind, base: Settings, count_pin: Callable[[str], None]) -> None:
        self.kind = kind
        self.base = base
        self.told: dict[bytes, bytes] = {}
        self._count_pin = count_pin
        self.link: SharedLink | None = None
        self.pin = ""
        self.setup: Setup | None = None
        self.is_asking = False
        self._before_pin: set[bytes] = set()
        self._is_forgetting = False
        self._is_private = False
        self._is_moving = False  # settings that a failure of what is under way would leave as they were
        self._complete: Settings | None = None  # settings that were found to lack nothing of `base`

    # coming and going

    def ask(self, c: Conversation, *, is_elsewhere: bool = False) -> bool:
        """Whether there is a link; asks for one if not. `is_elsewhere`: the bulk lane's own server will do."""
        if self.link is not None:
            return True
        if not self.is_asking:
            self.is_asking = True
            c.outbox.commands.append(BorrowServer(self.kind, is_elsewhere=is_elsewhere))
        return False

    def begin(self, c: Conversation, link: SharedLink) -> None:
        """The link is this session's now."""
        self.is_asking = False
        self.link = link
        self._is_forgetting = self._is_private = self._is_moving = False
        self._note_catalog(c, link)
        count = 0
        if link.is_unclean and link.last is not self:
            _clean(link)
            c.send_server(FORGET_ALL)
            count = 1
        wanted = self._wanted(c.confirmed.track.settings)
        statements = changes(link.settings, wanted)
        if link.has_sequences and link.last is not self:
            statements.append(FORGET_SEQUENCES)
            link.has_sequences = False
        link.last = self
        link.settings = wanted
        if c.confirmed.track.settings is not wanted:
            c.confirmed.track.begin_with(wanted)
            c.forget_sent()
        if statements:
            c.send_server(setup_bytes(statements))
            count += 1
        if count:
            self.queried()
            self.setup = Setup(link.reported, count)

    def queried(self) -> None:
        """A Query goes to the server, which takes the unnamed statement for its own: whosever it was, it is gone."""
        if self.link is not None:
            self.link.unnamed = None

    def begin_quietly(self, c: Conversation, link: SharedLink) -> bool:
        """As `begin` and `report` where nothing has to be sent or told; else False, and nothing was done."""
        if link.last is not self and (link.is_unclean or link.has_sequences):
            return False
        wanted = c.confirmed.track.settings
        if wanted is not self._complete:
            if self._wanted(wanted) is not wanted:
                return False
            self._complete = wanted
        if link.settings != wanted or self.told != link.reported:
            return False
        epoch = c.services.epoch.number
        if link.epoch != epoch:  # nothing else tells of another catalog
            self._note_catalog(c, link)
            link.epoch = epoch
        self.link, link.last, link.settings = link, self, wanted
        self._is_forgetting = self._is_private = self._is_moving = False
        return True

    @property
    def is_plain(self) -> bool:
        """Whether statements that leave nothing need no more of it than a link: what the lane asks."""
        return not self.pin and self.setup is None and not self.is_asking

    def _note_catalog(self, c: Conversation, link: SharedLink) -> None:
        """Behind a change of the catalog, what is known of the database's own code may be wrong."""
        catalog = c.services.catalog(c.identity.database)
        version = 0 if catalog is None else catalog.version
        if not link.catalog_version:
            link.catalog_version = version
        elif link.catalog_version != version:
            link.reads_run_code = link.writes_run_code = link.is_spent = True

    def _wanted(self, settings: Settings) -> Settings:
        """What the startup packet asked for is what RESET goes back to."""
        known = {name for name, _ in settings}
        missing = [pair for pair in self.base if pair[0] not in known]
        return tuple(sorted([*settings, *missing])) if missing else settings

    def report(self, c: Conversation) -> None:
        """Tells the client what it doesn't know of this server's settings."""
        assert self.link is not None
        if self.told == self.link.reported:
            return
        for name, value in self.link.reported.items():
            if self.told.get(name) != value:
                self.told[name] = value
                status = m.ParameterStatus(name, value)
                note_parameter(c, status)
                c.send_client(encode(status))

    def note_report(self, message: m.ParameterStatus) -> None:
        """The server says so in the middle of the session's own work, and the client hears it."""
        self.told[message.name] = message.value
        if self.link is not None:
            self.link.reported[message.name] = message.value

    def may_return(self, c: Conversation) -> bool:
        is_at_rest = c.is_idle and not c.queue and c.status == b"I" and not c.is_ended
        return is_at_rest and self.link is not None and not self.pin and not c.cancels and self.setup is None

    def give_back(self, c: Conversation, *, is_clean: bool) -> None:
        link, self.link = self.link, None
        assert link is not None
        link.is_spent = link.is_spent or not is_clean
        link.settings = c.confirmed.track.settings
        c.outbox.commands.append(ReturnServer())

    # what statements leave

    def admit(self, c: Conversation, decision: Decision) -> None:
        """Before anything of it is sent or recorded: pins the link where it must be. Raises Wait."""
        for plan in decision.plans:
            if plan.leaves is not NOTHING_LEFT and plan.leaves.pins and not self.pin:
                self.pin_down(c, plan.leaves.pins)

    def run(self, c: Conversation, decision: Decision) -> None:
        """Directly before it is sent to be run."""
        assert self.link is not None
        for plan in decision.plans:
            if self.link.reads_run_code and plan.command not in RUN_NOTHING:
                self.link.is_unclean = True
            if plan.leaves is not NOTHING_LEFT or plan.effect is not NO_EFFECT:
                self._run(c, plan)

    def _run(self, c: Conversation, plan: Plan) -> None:
        leaves, effect = plan.leaves, plan.effect
        assert self.link is not None
        self._is_private = self._is_private or leaves.is_local
        self._is_moving = self._is_moving or bool(leaves.settings) or plan.command in _ENDINGS
        if leaves.has_sequences:
            self.link.has_sequences = True
            self.link.is_unclean = self.link.is_unclean or self.link.writes_run_code
        if effect.forgets_prepared == ALL_NAMES:
            self._forget_all()
        elif effect.forgets_prepared:
            self._forget_one(c, effect.forgets_prepared.encode())
        for name in (effect.prepares, effect.executes):
            if name:
                self._restore_own(c, name.encode())

    def pin_down(self, c: Conversation, reason: str) -> None:
        """The link is this client's alone from now on, and holds nothing of others. Raises Wait."""
        if self.pin:
            return
        if c.queue:
            c.send_server(_FLUSH)
            raise Wait
        assert self.link is not None
        for shared in self.link.statements.values():
            self._close(c, shared.name)
        self.link.statements.clear()
        unnamed = c.sent.names.statement(b"")
        if not isinstance(unnamed, Prepared) or self.link.unnamed is not unnamed.server:
            self._close(c, b"")  # another client's may be there
        self.link.is_spent = True
        held = c.sent.names.statements
        self._before_pin = {name for name, one in held.items() if name and isinstance(one, Prepared)}
        self.pin = reason
        self._count_pin(reason)

    def _close(self, c: Conversation, name: bytes) -> None:
        c.send_server(encode(m.Close(b"S", name)))
        c.expect(Item(Kind.CLOSE, name, is_swallowed=True, is_described=True))

    def _forget_all(self) -> None:
        assert self.link is not None
        self.link.statements.clear()
        self._before_pin.clear()
        self._is_forgetting = True

    def _forget_one(self, c: Conversation, name: bytes) -> None:
        """DEALLOCATE in SQL names what the server knows by another name: so it gets an empty one to forget."""
        held = c.sent.names.statement(name)
        if not isinstance(held, Prepared) or held.declared is not None or (self.pin and name not in self._before_pin):
            return
        self._before_pin.discard(name)
        self._is_forgetting = True
        c.send_server(encode(m.Parse(name, b"")))
        c.expect(Item(Kind.PARSE, name, is_swallowed=True))

    def _restore_own(self, c: Conversation, name: bytes) -> None:
        held = c.sent.names.statement(name)
        if isinstance(held, Prepared) and name in self._before_pin:
            self._prepare_own(c, held)

    # prepared statements of the protocol

    def parse(self, c: Conversation, prepared: Prepared, frame: memoryview | None) -> Item:
        """Sends what makes the server know the statement; `frame`: the client's Parse where it can go as it is.

        The Item is to be expected.
        """
        assert self.link is not None
        item = Item(Kind.PARSE, prepared.name, prepared.decision, is_open=prepared.is_open, statement=prepared)
        if self.pin or not prepared.name:
            if prepared.name:
                self._restore_own(c, prepared.name)  # so that the server finds the name taken
            else:
                self.link.unnamed = prepared.server
            c.send_server(frame if frame is not None else _parse_bytes(prepared.name, prepared))
            return item
        key = prepared.server.key = self._key(c, prepared)
        if self._find(c, key) is not None and not self._is_doubtful(c):
            c.send_server(_NOWHERE)
            item.is_spared = True
        else:
            item.shared = self._send_shared(c, key, prepared)
        return item

    def takes_anew(self, name: bytes) -> bool:
        """Whether `parse` may be asked for another statement under a name that is in use."""
        self._before_pin.discard(name)
        return not self.pin or not name

    def _is_doubtful(self, c: Conversation) -> bool:
        """Whether the transaction has failed, or may: a Parse says so, a Close doesn't."""
        track = c.confirmed.track
        return track.is_failed or (track.is_block and bool(c.queue))

    def statement_name(self, c: Conversation, prepared: Prepared) -> bytes:
        """The statement's name at the server, which has it from now on."""
        assert self.link is not None
        if prepared.declared is not None:
            return prepared.name
        if not prepared.name:
            if self.link.unnamed is not prepared.server:
                self.link.unnamed = prepared.server
                self._inject(c, b"", prepared, None)
            return b""
        if self.pin:
            self._restore_own(c, prepared.name)
            return prepared.name
        found = self._find(c, prepared.server.key)
        if found is None:
            # The server itself reads a statement anew under the settings of the day, whenever it must plan it again.
            key = prepared.server.key = self._key(c, prepared)
            found = self._find(c, key)
        if found is None:
            found = self._send_shared(c, prepared.server.key, prepared)
            self._expect_injected(c, prepared, found)
        return found.name

    def close_bytes(self, c: Conversation, name: bytes, frame: memoryview) -> memoryview | bytes:
        """For a Close of a statement: what others may use stays."""
        if not name or self.pin:
            self._before_pin.discard(name)
            return frame
        held = c.sent.names.statement(name)
        is_ours = held is None or (isinstance(held, Prepared) and held.declared is None)
        return _NOWHERE if is_ours else frame

    def _key(self, c: Conversation, prepared: Prepared) -> object:
        self._is_moving = self._is_moving and bool(c.queue)
        if self._is_private or self._is_moving or c.has_ddl or c.sent.track.namespace.made:
            return object()  # what it means ends with the transaction, or isn't sure yet
        basis, settings = prepared.basis, c.sent.track.settings
        return prepared.decision.text, prepared.types, settings, basis.catalog_version

    def _find(self, c: Conversation, key: object) -> SharedStatement | None:
        assert self.link is not None
        found = self.link.statements.get(key)
        # An error could still skip what was sent in an earlier stretch.
        return found if found is not None and (found.is_confirmed or found.group == c.group) else None

    def _send_shared(self, c: Conversation, key: object, prepared: Prepared) -> SharedStatement:
        link = self.link
        assert link is not None
        while len(link.statements) >= STATEMENTS_PER_LINK:
            self._close(c, link.statements.pop(next(iter(link.statements))).name)
        shared = SharedStatement(link.next_name(), key, c.group)
        if link.statements.pop(key, None) is not None:
            link.is_spent = True  # the older one, if it ever came to be, stays under a name that nobody knows
        link.statements[key] = shared
        c.send_server(_parse_bytes(shared.name, prepared))
        return shared

    def _prepare_own(self, c: Conversation, prepared: Prepared) -> None:
        self._before_pin.discard(prepared.name)
        self._inject(c, prepared.name, prepared, SharedStatement(prepared.name, None, c.group, is_own=True))

    def _inject(self, c: Conversation, name: bytes, prepared: Prepared, shared: SharedStatement | None) -> None:
        c.send_server(_parse_bytes(name, prepared))
        self._expect_injected(c, prepared, shared)

    def _expect_injected(self, c: Conversation, prepared: Prepared, shared: SharedStatement | None) -> None:
        c.expect(
            Item(
                Kind.PARSE,
                prepared.name,
                prepared.decision,
                is_swallowed=True,
                is_open=prepared.is_open,
                statement=prepared,
                shared=shared,
            )
        )

    # what went wrong

    def dropped(self, shared: SharedStatement) -> None:
        """The server hasn't prepared it, after all."""
        if shared.is_own:
            self._before_pin.add(shared.name)
        elif self.link is not None and self.link.statements.get(shared.key) is shared:
            del self.link.statements[shared.key]

    def failed(self) -> None:
        """A statement failed: what it was to forget may still be there."""
        if self._is_forgetting and self.link is not None:
            self.link.is_spent = True


def _clean(link: SharedLink) -> None:
    """What is known of it behind a DISCARD ALL."""
    link.is_unclean = link.has_sequences = False
    link.settings = ()
    link.statements.clear()
    link.unnamed = None


def _parse_bytes(name: bytes, prepared: Prepared) -> bytes:
    return encode(m.Parse(name, prepared.decision.text.encode(), prepared.types))
