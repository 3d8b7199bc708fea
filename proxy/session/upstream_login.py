"""Logs in at the server on behalf of the gateway: trust, cleartext, MD5, SCRAM-SHA-256 and -PLUS. Bytes in, bytes out.

Channel binding as in libpq: used where TLS and the server offer it, demanded by ``channel_binding=require``.
"""

from __future__ import annotations

from proxy.session.ports import Channel, Gateway
from proxy.wire import messages as m
from proxy.wire.codec import encode
from proxy.wire.errors import ProtocolViolation, WireError
from proxy.wire.scram import SCRAM_SHA_256_PLUS, ScramClient, make_nonce, md5_password


class LoginImpossible(Exception):
    """The server asks for something that the gateway can't give. The text is for the client and holds no secret."""


class UpstreamLogin:
    """`answer` to each Authentication message until `is_ok`."""

    def __init__(self, gateway: Gateway, channel: Channel | None, random_bytes: bytes) -> None:
        self._gateway = gateway
        is_bindable = channel is not None and gateway.channel_binding != "disable"
        self._binding = channel.binding if channel is not None and is_bindable else b""
        self._nonce = make_nonce(random_bytes)
        self._scram: ScramClient | None = None
        self.is_ok = False

    def answer(self, message: m.BackendMessage) -> bytes:
        """What goes back to the server, perhaps nothing. Raises LoginImpossible."""
        try:
            return self._answer(message)
        except WireError as error:
            raise LoginImpossible("the database server could not be authenticated") from error

    def _answer(self, message: m.BackendMessage) -> bytes:
        match message:
            case m.AuthenticationOk():
                self._finish()
                return b""
            case m.AuthenticationCleartextPassword():
                self._require_unbound()
                return encode(m.PasswordMessage(self._password().encode()))
            case m.AuthenticationMD5Password(salt):
                self._require_unbound()
                return encode(m.PasswordMessage(md5_password(self._gateway.user, self._password(), salt)))
            case m.AuthenticationSASL(mechanisms):
                return self._start_scram(mechanisms)
            case m.AuthenticationSASLContinue(data):
                return encode(m.SASLResponse(self._exchange().final(data)))
            case m.AuthenticationSASLFinal(data):
                self._exchange().verify(data)
                return b""
        raise LoginImpossible("the database server asks for a login that pgwarden doesn't know")

    def _finish(self) -> None:
        # A server that skips its own proof may be anyone.
        if self._scram is not None and not self._scram.is_authenticated:
            raise ProtocolViolation("the server ended the SCRAM exchange early")
        if self._scram is None or self._scram.mechanism != SCRAM_SHA_256_PLUS:
            self._require_unbound()
        self.is_ok = True

    def _require_unbound(self) -> None:
        """Before anything of the password leaves: who asks for less than a bound exchange may be anyone."""
        if self._gateway.channel_binding == "require":
            raise LoginImpossible("channel binding is required, and the database server's login can't be bound")

    def _start_scram(self, mechanisms: tuple[bytes, ...]) -> bytes:
        if self._scram is not None:
            raise ProtocolViolation("a second SASL exchange")
        is_offered = SCRAM_SHA_256_PLUS in mechanisms
        known = self._gateway.known_keys
        scram = ScramClient(self._password(), self._nonce, "", self._binding, is_offered, known)
        if scram.mechanism not in mechanisms:
            raise LoginImpossible("the database server offers no SCRAM-SHA-256")
        if scram.mechanism != SCRAM_SHA_256_PLUS:
            self._require_unbound()
        self._scram = scram
        return encode(m.SASLInitialResponse(scram.mechanism, scram.first()))

    def _exchange(self) -> ScramClient:
        if self._scram is None:
            raise ProtocolViolation("SASL message without a beginning")
        return self._scram

    def _password(self) -> str:
        if self._gateway.password is None:
            raise LoginImpossible("the database server wants a password and the configuration has none")
        return self._gateway.password
