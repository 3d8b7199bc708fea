"""The client's first words: startup packets, then SCRAM by the principal's verifier. Bytes in, bytes out.

It must not tell which users there are: one without a verifier goes through the same exchange and fails alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from policies.model import Principal
from proxy.session.ports import CancelOther, CloseLinks, Command, Rules, StartTls
from proxy.session.reports import fatal_bytes
from proxy.session.settings import SettingRefused, Startup, read_startup
from proxy.wire import messages as m
from proxy.wire.codec import ResponseKind, decode_frontend, decode_startup, encode
from proxy.wire.errors import AuthenticationFailed, ProtocolViolation
from proxy.wire.scram import SCRAM_SHA_256, ScramServer, make_nonce


class GreetingFailed(Exception):
    """The conversation ends before it began. `answer` is the FATAL ErrorResponse; `is_login` counts as one."""

    def __init__(self, sqlstate: str, message: str, hint: str = "", is_login: bool = False) -> None:
        super().__init__(message)
        self.answer = fatal_bytes(sqlstate, message, hint)
        self.is_login = is_login
        self.sqlstate = sqlstate


@dataclass(frozen=True, slots=True)
class Greeted:
    """One step's result. `startup` is there once the StartupMessage was read."""

    answer: bytes = b""
    command: Command | None = None
    startup: Startup | None = None


def read_packet(body: memoryview | bytes, rules: Rules, is_tls: bool) -> Greeted:
    """Answers one startup packet. Raises GreetingFailed."""
    packet = _decoded(body)
    match packet:
        case m.SSLRequest():
            if is_tls or not rules.is_tls_offered:
                return Greeted(b"N")
            return Greeted(b"S", StartTls())
        case m.GSSENCRequest():
            return Greeted(b"N")
        case m.CancelRequest(process_id, secret_key):
            return Greeted(b"", CancelOther(process_id, secret_key))
        case m.StartupMessage():
            if rules.is_tls_required and not is_tls:
                raise GreetingFailed(
                    "28000", "this gateway takes TLS connections only", "Connect with sslmode=require."
                )
            return _started(packet)
    assert_never(packet)


def _decoded(body: memoryview | bytes) -> m.StartupPacket:
    try:
        return decode_startup(body)
    except ProtocolViolation as error:
        raise GreetingFailed(error.sqlstate, error.message) from error


def _started(packet: m.StartupMessage) -> Greeted:
    try:
        startup = read_startup(packet.parameters)
    except SettingRefused as refused:
        raise GreetingFailed("0A000", refused.message, refused.hint) from refused
    answer = b""
    if packet.protocol != m.PROTOCOL_3_0 or startup.unknown_options:
        answer = encode(m.NegotiateProtocolVersion(m.PROTOCOL_3_0, startup.unknown_options))
    return Greeted(answer, None, startup)


class ClientLogin:
    """SCRAM-SHA-256 with one client. `request` first, then `respond` to each message until `is_ok`."""

    request = encode(m.AuthenticationSASL((SCRAM_SHA_256,)))

    def __init__(self, user: str, principal: Principal | None, rules: Rules, random_bytes: bytes) -> None:
        verifier = None if principal is None else principal.scram
        self._user = user
        self._scram = ScramServer(verifier, user, rules.mock_secret, make_nonce(random_bytes))
        self._is_begun = False

    @property
    def is_ok(self) -> bool:
        return self._scram.is_authenticated

    def respond(self, type_byte: int, body: memoryview | bytes) -> bytes:
        """The next Authentication message. Raises GreetingFailed."""
        if type_byte != ord("p"):
            raise GreetingFailed("08P01", "expected a SASL response", is_login=True)
        try:
            return self._respond(self._data(body))
        except AuthenticationFailed:
            message = f'password authentication failed for user "{self._user}"'
            raise GreetingFailed("28P01", message, is_login=True) from None
        except ProtocolViolation as error:
            raise GreetingFailed(error.sqlstate, error.message, is_login=True) from error

    def _data(self, body: memoryview | bytes) -> bytes | None:
        kind = ResponseKind.SASL if self._is_begun else ResponseKind.SASL_INITIAL
        message = decode_frontend(ord("p"), body, kind)
        self._is_begun = True
        match message:
            case m.SASLInitialResponse(mechanism, data):
                if mechanism != SCRAM_SHA_256:
                    raise ProtocolViolation("client selected an invalid SASL authentication mechanism")
                return data
            case m.SASLResponse(data):
                return data
        raise ProtocolViolation("expected a SASL response")

    def _respond(self, data: bytes | None) -> bytes:
        is_final = self._scram.is_final_next
        answer = self._scram.respond(data)
        return encode(m.AuthenticationSASLFinal(answer) if is_final else m.AuthenticationSASLContinue(answer))


__all__ = ["ClientLogin", "CloseLinks", "Greeted", "GreetingFailed", "read_packet"]
