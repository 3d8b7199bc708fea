"""Logs in at the server on behalf of the gateway: trust, cleartext, MD5 and SCRAM-SHA-256. Bytes in, bytes out."""

from __future__ import annotations

from proxy.session.ports import Gateway
from proxy.wire import messages as m
from proxy.wire.codec import encode
from proxy.wire.errors import ProtocolViolation, WireError
from proxy.wire.scram import SCRAM_SHA_256, ScramClient, make_nonce, md5_password


class LoginImpossible(Exception):
    """The server asks for something that the gateway can't give. The text is for the client and holds no secret."""


class UpstreamLogin:
    """`answer` to each Authentication message until `is_ok`."""

    def __init__(self, gateway: Gateway, random_bytes: bytes) -> None:
        self._gateway = gateway
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
                return encode(m.PasswordMessage(self._password().encode()))
            case m.AuthenticationMD5Password(salt):
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
        self.is_ok = True

    def _start_scram(self, mechanisms: tuple[bytes, ...]) -> bytes:
        if SCRAM_SHA_256 not in mechanisms or self._scram is not None:
            raise LoginImpossible("the database server offers no SCRAM-SHA-256")
        self._scram = ScramClient(self._password(), self._nonce)
        return encode(m.SASLInitialResponse(SCRAM_SHA_256, self._scram.first()))

    def _exchange(self) -> ScramClient:
        if self._scram is None:
            raise ProtocolViolation("SASL message without a beginning")
        return self._scram

    def _password(self) -> str:
        if self._gateway.password is None:
            raise LoginImpossible("the database server wants a password and the configuration has none")
        return self._gateway.password
