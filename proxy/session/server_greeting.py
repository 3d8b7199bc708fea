"""The server's side until its first ReadyForQuery: the gateway's login, parameters, the cancel key.

What the server says about the gateway's own login isn't the client's business and stays here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from proxy.session.conversation import Conversation, SessionEnds, Unexpected
from proxy.session.ledger import Identity, Ledger
from proxy.session.parameters import note_parameter
from proxy.session.ports import Channel, Gateway, Outbox, RegisterKey, Services
from proxy.session.reports import is_fatal, sqlstate_of
from proxy.session.settings import Admitted, Startup, read_search_path
from proxy.session.upstream_login import LoginImpossible, UpstreamLogin
from proxy.wire import messages as m
from proxy.wire.codec import encode
from proxy.wire.errors import sqlstate_meaning

log = logging.getLogger("pgwarden.session")

_SECRET_BYTES: Final = 4
_LONG_SECRET_BYTES: Final = 32  # as PostgreSQL 18 under protocol 3.2
_LONG_KEYS_SINCE: Final = 180_000
# Too many connections, starting up, a bad value of the client's own setting: true for the client too.
_NOT_NOW: Final = "57P03"  # it starts, or follows another one and takes nobody: libpq goes on to the next host
_NOT_LIKE_THIS: Final = "28000"  # before any question: pg_hba.conf wants TLS, or none
_TOLD_CLASSES: Final = frozenset({"22", "53", "57"})


class ServerUnfit(SessionEnds):
    """This server won't do, another one may."""


class ServerGreeting:
    """`startup_packet` first, then `receive` until `is_ready`. `conversation` is there once the login is over."""

    def __init__(
        self,
        services: Services,
        identity: Identity,
        ledger: Ledger,
        startup: Startup,
        admitted: Admitted,
        gateway: Gateway,
        channel: Channel | None,
    ) -> None:
        self._services = services
        self._identity = identity
        self._ledger = ledger
        self._startup = startup
        self._admitted = admitted
        self._gateway = gateway
        self._protocol = self._newest_protocol()
        self._login = UpstreamLogin(gateway, channel, services.random_bytes(18))
        self._held = Outbox()  # until it is certain that this server will do
        self._parameters: dict[bytes, bytes] = {}
        self._has_asked = False
        self.conversation: Conversation | None = None
        self.is_ready = False

    def _newest_protocol(self) -> int:
        """Poolers that know no minor version stand before older servers, too: so only where it brings something."""
        catalog = self._services.catalog(self._identity.database)
        knows_long_keys = catalog is not None and catalog.server_version >= _LONG_KEYS_SINCE
        return m.PROTOCOL_3_2 if knows_long_keys and self._gateway.is_asked_long_keys else m.PROTOCOL_3_0

    def startup_packet(self) -> bytes:
        own = {b"user": self._gateway.user.encode(), b"database": self._gateway.database.encode()}
        if self._startup.replication:
            own[b"replication"] = self._startup.replication.encode()
        return encode(m.StartupMessage(self._protocol, own | dict(self._admitted.settings)))

    def receive(self, message: m.BackendMessage, outbox: Outbox) -> None:
        """Raises SessionEnds where the server won't have us, Unexpected where it makes no sense."""
        match message:
            case m.ErrorResponse():
                raise refusal_of(message, has_asked=self._has_asked)
            case m.NoticeResponse():
                return
            case m.NegotiateProtocolVersion():
                self._negotiated(message)
            case _ if not self._login.is_ok:
                self._answer(message, outbox)
            case m.ParameterStatus() if self.conversation is not None:
                note_parameter(self.conversation, message)
                self._parameters[message.name] = message.value
                self._held.to_client.append(encode(message))
            case m.BackendKeyData():
                self._give_key(message)
            case m.ReadyForQuery():
                check_attributes(self._gateway.target_session_attrs, self._parameters)
                outbox.to_client += [*self._held.to_client, encode(message)]
                outbox.commands += self._held.commands
                self.is_ready = True
            case _:
                raise Unexpected("an unknown message in the server's greeting")

    def _negotiated(self, message: m.NegotiateProtocolVersion) -> None:
        """An older server speaks an older version. We sent no options, so it can't miss one."""
        is_older = m.PROTOCOL_3_0 <= message.protocol < self._protocol
        if not is_older or message.unrecognized_options or self._login.is_ok:
            raise Unexpected("the server negotiates a protocol that wasn't asked for")
        self._protocol = message.protocol

    def _answer(self, message: m.BackendMessage, outbox: Outbox) -> None:
        try:
            answer = self._login.answer(message)
        except LoginImpossible as error:
            raise SessionEnds("08006", str(error)) from error
        self._has_asked = True
        if answer:
            outbox.to_server.append(answer)
        if self._login.is_ok:
            self._held.to_client.append(encode(m.AuthenticationOk()))
            path = self._search_path()
            user = self._gateway.user
            self.conversation = Conversation(self._services, self._identity, self._ledger, outbox, path, user)
            self.conversation.is_tainted = self._admitted.is_untracked

    def _give_key(self, message: m.BackendKeyData) -> None:
        """The process id stays the server's; the secret is ours, so that the server's never leaves."""
        if self._protocol < m.PROTOCOL_3_2 and len(message.secret_key) != _SECRET_BYTES:
            raise Unexpected("a cancel key of another length than the protocol's")
        secret = self._services.random_bytes(_LONG_SECRET_BYTES if self._startup.is_long_keyed else _SECRET_BYTES)
        self._held.commands.append(RegisterKey(message.process_id, secret, message.secret_key))
        self._held.to_client.append(encode(m.BackendKeyData(message.process_id, secret)))

    def _search_path(self) -> tuple[str, ...]:
        catalog = self._services.catalog(self._identity.database)
        if catalog is None:
            raise SessionEnds("57P03", "the catalog of this database isn't known yet; try again")
        given = self._admitted.search_path
        if given is None:
            return catalog.search_path
        return read_search_path(given, self._gateway.user, catalog.schemas)


def check_attributes(wanted: str, parameters: Mapping[bytes, bytes]) -> None:
    """target_session_attrs, by what PostgreSQL 14 and later report at login. Raises ServerUnfit."""
    is_standby = parameters.get(b"in_hot_standby") != b"off"
    is_read_only = is_standby or parameters.get(b"default_transaction_read_only") != b"off"
    is_fit = {
        "read-write": not is_read_only,
        "read-only": is_read_only,
        "primary": not is_standby,
        "standby": is_standby,
    }
    if not is_fit.get(wanted, True):
        raise ServerUnfit("08006", f"could not connect to the database server: no host is {wanted}")


def refusal_of(message: m.ErrorResponse, *, has_asked: bool) -> SessionEnds:
    """What a client is told of a login that the server refused. `has_asked`: for a password, before that.

    Raises Unexpected.
    """
    sqlstate = sqlstate_of(message.fields)
    log.warning("the server refused a login", extra={"fields": {"sqlstate": sqlstate}})
    if not is_fatal(message.fields):
        raise Unexpected("an error that isn't fatal in the server's greeting")
    text = message.fields.get("M", b"").decode("utf-8", "replace")
    told = text if sqlstate[:2] in _TOLD_CLASSES else sqlstate_meaning(sqlstate)
    is_login = sqlstate == _NOT_LIKE_THIS
    if sqlstate[:2] == "28":
        sqlstate, told = "08006", "the database server refused the gateway's login"
    is_curable = sqlstate == _NOT_NOW or (is_login and not has_asked)
    return (ServerUnfit if is_curable else SessionEnds)(sqlstate, told)
