"""A session's way to links that sessions share: its login, which mostly needs none, and each link that is lent to it.

The client is greeted with what servers behind the pool have said of their settings; process id and key are ours. It
must not know what a message of an open session means: `lending` follows the state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from policies.compile.leaving import is_kept, setting_text
from proxy.session.conversation import Conversation, SessionEnds, Unexpected
from proxy.session.ledger import Identity, Ledger
from proxy.session.lending import Lending
from proxy.session.parameters import note_parameter
from proxy.session.ports import BorrowServer, Outbox, Pooling, RegisterKey, Services
from proxy.session.settings import Admitted, Startup, read_search_path
from proxy.session.setup import SetupFailed
from proxy.session.shared_link import LinkKind, SharedLink
from proxy.session.track import Settings
from proxy.wire import messages as m
from proxy.wire.codec import encode
from proxy.wire.errors import ProtocolViolation

_SECRET_BYTES: Final = 4
_LONG_SECRET_BYTES: Final = 32  # as PostgreSQL 18 under protocol 3.2
_APPLICATION: Final = "application_name"
_NAME_BYTES: Final = 63  # the server cuts longer ones off


def pooling_for(services: Services, startup: Startup, admitted: Admitted) -> Pooling | None:
    """None where this session needs a link of its own: its startup packet says what no SET can."""
    if startup.replication or admitted.is_untracked:
        return None
    if not all(is_kept(name, value) for name, value in admitted.listed.items()):
        return None
    return services.pooling(startup.database)


class Borrowing:
    """Of one session whose login the client has done. `conversation` is there once the client was greeted."""

    def __init__(
        self,
        services: Services,
        pooling: Pooling,
        identity: Identity,
        ledger: Ledger,
        startup: Startup,
        admitted: Admitted,
    ) -> None:
        self._services = services
        self._pooling = pooling
        self._identity = identity
        self._ledger = ledger
        self._is_long_keyed = startup.is_long_keyed
        self._admitted = admitted
        kind = LinkKind.OPEN if admitted.is_open else LinkKind.GUARDED
        self.lending = Lending(kind, _base(admitted, kind), pooling.count_pin)
        self.conversation: Conversation | None = None
        self._coming: Conversation | None = None  # until its settings are in place

    def begin(self, outbox: Outbox) -> None:
        """Greets the client, or asks for a link where nobody knows yet what to say."""
        values = self._known()
        if values is not None and self._services.catalog(self._identity.database) is not None:
            self._greet(values, outbox)
        else:
            outbox.commands.append(BorrowServer(self.lending.kind, is_first=True))

    def _known(self) -> Mapping[bytes, bytes] | None:
        name = self._admitted.listed.get(_APPLICATION)
        if name is not None and not (name.isascii() and name.isprintable() and len(name) <= _NAME_BYTES):
            return None
        values = self._pooling.reported(self.lending.kind, self._nameless)
        if values is None or name is None:
            return values
        return {**values, _APPLICATION.encode(): name.encode()}

    @property
    def _nameless(self) -> Settings:
        return tuple(pair for pair in self.lending.base if pair[0] != _APPLICATION)

    # a link

    def lent(self, link: SharedLink, outbox: Outbox) -> None:
        """Raises SessionEnds."""
        c = self.conversation
        if c is None:
            c = self._converse(outbox)
            self.lending.begin(c, link)
            self._coming = c
            if self.lending.setup is None:
                self._greet_from(link, c, outbox)
        else:
            self.lending.begin(c, link)
            if self.lending.setup is None:
                self.lending.report(c)

    def receive(self, chunk: bytes, outbox: Outbox) -> bytes:
        """What isn't an answer to ours. Raises SessionEnds, Unexpected."""
        setup, link = self.lending.setup, self.lending.link
        if setup is None or link is None:
            return chunk
        try:
            rest = setup.receive(chunk)
        except SetupFailed as failed:
            link.is_spent = True
            text = "this session's settings could not be put in place on another server connection"
            raise SessionEnds("57P01", f"{text} (SQLSTATE {failed})") from None
        except ProtocolViolation as violation:
            raise Unexpected("the server's bytes can't be read") from violation
        if setup.is_done:
            self.lending.setup = None
            if self.conversation is not None:
                self.lending.report(self.conversation)
            elif self._coming is not None:
                self._greet_from(link, self._coming, outbox)
        return rest

    # the greeting

    def _greet_from(self, link: SharedLink, c: Conversation, outbox: Outbox) -> None:
        values = {name: value for name, value in link.reported.items() if name != _APPLICATION.encode()}
        self._pooling.note_reported(self.lending.kind, self._nameless, values)
        self._welcome(c, link.reported, outbox)

    def _greet(self, values: Mapping[bytes, bytes], outbox: Outbox) -> None:
        self._welcome(self._converse(outbox), values, outbox)

    def _welcome(self, c: Conversation, values: Mapping[bytes, bytes], outbox: Outbox) -> None:
        outbox.to_client.append(encode(m.AuthenticationOk()))
        for name, value in values.items():
            status = m.ParameterStatus(name, value)
            note_parameter(c, status)
            outbox.to_client.append(encode(status))
        self.lending.told = dict(values)
        process_id = int.from_bytes(self._services.random_bytes(4), "big") & 0x7FFFFFFF
        secret = self._services.random_bytes(_LONG_SECRET_BYTES if self._is_long_keyed else _SECRET_BYTES)
        outbox.commands.append(RegisterKey(process_id, secret, b""))
        outbox.to_client += [encode(m.BackendKeyData(process_id, secret)), encode(m.ReadyForQuery(b"I"))]
        self.conversation = c

    def _converse(self, outbox: Outbox) -> Conversation:
        catalog = self._services.catalog(self._identity.database)
        if catalog is None:
            raise SessionEnds("57P03", "the catalog of this database isn't known yet; try again")
        user = self._services.gateway(self._identity.database).user
        given = self._admitted.search_path
        path = catalog.search_path if given is None else read_search_path(given, user, catalog.schemas)
        c = Conversation(self._services, self._identity, self._ledger, outbox, path, user)
        c.confirmed.track.begin_with(self.lending.base)
        c.forget_sent()
        c.lending = self.lending
        return c


def _base(admitted: Admitted, kind: LinkKind) -> Settings:
    asked = {
        name: value for name, value in admitted.listed.items() if kind.startup.get(name.encode()) != value.encode()
    }
    return tuple(sorted((name, setting_text(name, value)) for name, value in asked.items()))
