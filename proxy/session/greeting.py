"""The client's first words: startup packets, and what they may ask for. Bytes in, bytes out; `client_login` follows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from policies.errors import PoliciesError
from policies.model import EffectivePolicy, Statement
from proxy.session.ledger import Identity
from proxy.session.ports import CancelOther, Channel, Command, Rules, Services, StartTls
from proxy.session.reports import fatal_bytes
from proxy.session.settings import Admitted, SettingRefused, Startup, admit, read_startup
from proxy.wire import messages as m
from proxy.wire.codec import decode_startup, encode
from proxy.wire.errors import ProtocolViolation

NEWEST_PROTOCOL = m.PROTOCOL_3_2


class GreetingFailed(Exception):
    """The conversation ends before it began. `answer` is the FATAL ErrorResponse.

    `record` is what the audit keeps of it, when it counts as a failed login.
    """

    def __init__(self, sqlstate: str, message: str, hint: str = "", record: str = "") -> None:
        super().__init__(message)
        self.answer = fatal_bytes(sqlstate, message, hint)
        self.record = record
        self.sqlstate = sqlstate


@dataclass(frozen=True, slots=True)
class Greeted:
    """One step's result. `startup` is there once the StartupMessage was read."""

    answer: bytes = b""
    command: Command | None = None
    startup: Startup | None = None


class Greeting:
    """Reads startup packets until one is a StartupMessage or a CancelRequest. `channel`: set once TLS stands."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._asked: set[type] = set()
        self.channel: Channel | None = None

    def read(self, body: memoryview | bytes, unread_bytes: int) -> Greeted:
        """Answers one packet; `unread_bytes` came behind it. Raises GreetingFailed."""
        packet = _decoded(body)
        match packet:
            case m.SSLRequest() | m.GSSENCRequest():
                return self._encryption(packet, unread_bytes)
            case m.CancelRequest(process_id, secret_key):
                return Greeted(b"", CancelOther(process_id, secret_key))
            case m.StartupMessage():
                return self._started(packet)
        assert_never(packet)

    def _encryption(self, packet: m.SSLRequest | m.GSSENCRequest, unread_bytes: int) -> Greeted:
        # As the server: one request of each kind, and none through an encrypted link.
        if type(packet) in self._asked or self.channel is not None:
            raise GreetingFailed("0A000", "unsupported frontend protocol")
        self._asked.add(type(packet))
        if isinstance(packet, m.GSSENCRequest) or not self._rules.is_tls_offered:
            return Greeted(b"N")
        if unread_bytes:
            # Sent in the clear, it would be taken for something that came through TLS (CVE-2021-23214).
            raise GreetingFailed("08P01", "received unencrypted data after SSL request")
        return Greeted(b"S", StartTls())

    def _started(self, packet: m.StartupMessage) -> Greeted:
        if self._rules.is_tls_required and self.channel is None:
            raise GreetingFailed("28000", "this gateway takes TLS connections only", "Connect with sslmode=require.")
        try:
            startup = read_startup(packet.parameters)
        except SettingRefused as refused:
            raise GreetingFailed(refused.sqlstate, refused.message, refused.hint) from refused
        answer = b""
        spoken = min(packet.protocol, NEWEST_PROTOCOL)
        if packet.protocol > NEWEST_PROTOCOL or startup.unknown_options:
            answer = encode(m.NegotiateProtocolVersion(spoken, startup.unknown_options))
        return Greeted(answer, None, replace(startup, is_long_keyed=spoken >= m.PROTOCOL_3_2))


def _decoded(body: memoryview | bytes) -> m.StartupPacket:
    try:
        return decode_startup(body)
    except ProtocolViolation as error:
        raise GreetingFailed(error.sqlstate, error.message) from error


def enter(startup: Startup, services: Services, identity: Identity) -> Admitted:
    """What one who has proved who it is may bring along. Raises GreetingFailed.

    Only now, so that strangers learn nothing of databases, policies and settings.
    """
    database = startup.database
    if not services.has_database(database):
        hint = _WALSENDERS_DATABASE if startup.replication == "true" else ""
        raise GreetingFailed("3D000", f'database "{database}" does not exist', hint, _FAILED)
    policy = _policy(services, identity)
    identity.principal = policy.principal
    if startup.replication and not may_replicate(policy):
        message = "replication connections need a policy that allows everything and grants replication by name"
        hint = "A stream of changes can't be filtered: statements: [all, replication] makes it pass."
        raise GreetingFailed("42501", f"{message} (rule pgwarden/replication)", hint, _FAILED)
    try:
        return admit(startup, policy.is_everything)
    except SettingRefused as refused:
        raise GreetingFailed(refused.sqlstate, refused.message, refused.hint, _FAILED) from refused


def may_replicate(policy: EffectivePolicy) -> bool:
    """Nothing may be hidden, and somebody must have meant it."""
    return policy.is_everything and Statement.REPLICATION in policy.statements


def _policy(services: Services, identity: Identity) -> EffectivePolicy:
    try:
        policy = services.effective(identity.user, identity.database, identity.client_address)
    except PoliciesError as error:
        # Names the rule, its place and the attribute; no value of anybody's.
        message = f"no policy can be made for this user: {error}"
        raise GreetingFailed("42501", message, record=_FAILED) from None
    if policy is None:
        raise GreetingFailed("57P01", "policies changed; connect again", "This user is no longer known.", _FAILED)
    return policy


_FAILED = "login failed"
_WALSENDERS_DATABASE = 'Physical replication names its database "replication": give that name to one of `databases`.'

__all__ = ["Greeted", "Greeting", "GreetingFailed", "enter", "may_replicate"]
