"""How a client proves who it is: SCRAM by a verifier, a certificate, an API key in place of a password.

It must not tell which users there are: one that doesn't exist, or can't log in this way, goes through SCRAM as any
other and fails alike. (An API key has to be asked for in clear, so that such a principal exists is no secret.)
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from policies.model import ApiKey, Principal
from proxy.session.greeting import GreetingFailed
from proxy.session.ports import Channel, KeyFound, Rules
from proxy.wire import messages as m
from proxy.wire.codec import ResponseKind, decode_frontend, encode
from proxy.wire.errors import AuthenticationFailed, ProtocolViolation
from proxy.wire.scram import DEFAULT_ITERATIONS, ScramServer, make_nonce, offered_mechanisms


class ClientLogin(Protocol):
    """`request` first, unless it is empty; then `respond` to each message until `is_ok`."""

    @property
    def request(self) -> bytes: ...

    @property
    def is_ok(self) -> bool: ...

    @property
    def record(self) -> str:
        """What the audit keeps of a login that went well."""

    @property
    def key(self) -> str:
        """The id of the store's key that was used; "" for all other ways."""

    def respond(self, type_byte: int, body: memoryview | bytes) -> bytes:
        """The next Authentication message, perhaps none. Raises GreetingFailed."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who a client says it is, over which channel, and the principal of that name if there is one."""

    user: str
    principal: Principal | None
    channel: Channel | None
    usual_iterations: int = DEFAULT_ITERATIONS


def begin_login(
    claim: Claim,
    rules: Rules,
    random_bytes: bytes,
    today: datetime.date,
    stored: Callable[[str, str], KeyFound | None] = lambda user, sha256: None,
) -> ClientLogin:
    """The login that the principal's entry asks for. `stored` finds keys of the store. Raises GreetingFailed."""
    principal = claim.principal
    if principal is None:
        return ScramLogin(claim, rules, random_bytes)
    shown = "" if not principal.certificate else _checked_certificate(claim, principal)
    if principal.certificate and not shown:
        return ScramLogin(claim, rules, random_bytes, flaw="no client certificate")
    if principal.api_keys or principal.has_stored_keys:
        _require_secrecy(claim, rules)
        return KeyLogin(claim.user, principal.api_keys, today, stored if principal.has_stored_keys else None)
    if shown and principal.scram is None:
        return CertificateLogin(shown)
    return ScramLogin(claim, rules, random_bytes)


def _checked_certificate(claim: Claim, principal: Principal) -> str:
    """The subject as shown, "" where none was. Raises GreetingFailed for another's certificate."""
    subject = None if claim.channel is None else claim.channel.subject
    if subject is None:
        return ""
    wanted = principal.certificate
    kinds = {kind for kind, _ in wanted}
    # All values of a kind that the policy names, not any: a second CN would let one certificate be two users.
    if sorted(pair for pair in subject if pair[0] in kinds) != sorted(wanted):
        message = f'certificate authentication failed for user "{claim.user}"'
        hint = "The subject of the client's certificate isn't the one that this user's entry names."
        raise GreetingFailed("28000", message, hint, f"login failed: certificate {_shown(subject)}")
    return _shown(subject)


def _shown(subject: tuple[tuple[str, str], ...]) -> str:
    return ",".join(f"{kind}={value}" for kind, value in subject)[:_SHOWN_CHARACTERS]


def _require_secrecy(claim: Claim, rules: Rules) -> None:
    if claim.channel is None and not rules.is_local:
        message = f'user "{claim.user}" logs in with an API key, which is taken over TLS only'
        raise GreetingFailed("28000", message, "Connect with sslmode=require or stricter.", "login failed: no TLS")


class ScramLogin:
    """SCRAM-SHA-256, bound to the TLS channel where both ends can. With a `flaw` no proof helps."""

    record = "login"
    key = ""

    def __init__(self, claim: Claim, rules: Rules, random_bytes: bytes, flaw: str = "") -> None:
        self._user = claim.user
        self._verifier = None if claim.principal is None or flaw else claim.principal.scram
        self._secret = rules.mock_secret
        self._fake_iterations = claim.usual_iterations
        self._binding = b"" if claim.channel is None else claim.channel.binding
        self._nonce = make_nonce(random_bytes)
        self._failed = f"login failed: {flaw}" if flaw else "login failed"
        self._scram: ScramServer | None = None
        self.request = encode(m.AuthenticationSASL(offered_mechanisms(self._binding)))

    @property
    def is_ok(self) -> bool:
        return self._scram is not None and self._scram.is_authenticated

    def respond(self, type_byte: int, body: memoryview | bytes) -> bytes:
        if type_byte != ord("p"):
            raise GreetingFailed("08P01", "expected a SASL response", record=self._failed)
        try:
            return self._respond(body)
        except AuthenticationFailed:
            raise GreetingFailed("28P01", _WRONG.format(self._user), record=self._failed) from None
        except ProtocolViolation as error:
            raise GreetingFailed(error.sqlstate, error.message, record=self._failed) from error

    def _respond(self, body: memoryview | bytes) -> bytes:
        if self._scram is None:
            first = decode_frontend(ord("p"), body, ResponseKind.SASL_INITIAL)
            assert isinstance(first, m.SASLInitialResponse)
            self._scram = self._begin(first.mechanism)
            return encode(m.AuthenticationSASLContinue(self._scram.respond(first.data)))
        response = decode_frontend(ord("p"), body, ResponseKind.SASL)
        assert isinstance(response, m.SASLResponse)
        is_final = self._scram.is_final_next
        answer = self._scram.respond(response.data)
        return encode(m.AuthenticationSASLFinal(answer) if is_final else m.AuthenticationSASLContinue(answer))

    def _begin(self, mechanism: bytes) -> ScramServer:
        return ScramServer(
            self._verifier,
            self._user,
            self._secret,
            self._nonce,
            self._fake_iterations,
            self._binding,
            mechanism,
        )


class CertificateLogin:
    """The TLS handshake was the proof: nothing is left to ask."""

    request = b""
    is_ok = True
    key = ""

    def __init__(self, subject: str) -> None:
        self.record = f"login by certificate {subject}"

    def respond(self, type_byte: int, body: memoryview | bytes) -> bytes:
        raise AssertionError("nothing was asked")


class KeyLogin:
    """An API key in place of a password. A hash is all that is kept of it, so it has to come in clear."""

    request = encode(m.AuthenticationCleartextPassword())

    def __init__(
        self,
        user: str,
        keys: tuple[ApiKey, ...],
        today: datetime.date,
        stored: Callable[[str, str], KeyFound | None] | None = None,
    ) -> None:
        """`stored` None: keys of the store are not for this user."""
        self._user = user
        self._keys = keys
        self._today = today
        self._stored = stored
        self._used = ""
        self.key = ""

    @property
    def is_ok(self) -> bool:
        return self._used != ""

    @property
    def record(self) -> str:
        return f"login by API key {self._used}" if self._used else ""

    def respond(self, type_byte: int, body: memoryview | bytes) -> bytes:
        if type_byte != ord("p"):
            raise GreetingFailed("08P01", "expected a password response", record="login failed")
        try:
            message = decode_frontend(ord("p"), body, ResponseKind.PASSWORD)
        except ProtocolViolation as error:
            raise GreetingFailed(error.sqlstate, error.message, record="login failed") from error
        assert isinstance(message, m.PasswordMessage)
        digest = hashlib.sha256(message.password).hexdigest()
        key = _matching(self._keys, digest)
        if key is None and self._stored is not None:
            self._used = self.key = self._checked_stored(self._stored(self._user, digest))
        else:
            self._used = self._checked(key).id
        return b""

    def _checked_stored(self, found: KeyFound | None) -> str:
        if found is None:
            raise GreetingFailed("28P01", _WRONG.format(self._user), record="login failed: unknown API key")
        if found.flaw:
            name = f"API key {found.id}" if found.id else "the API key"
            message = f'{name} of user "{self._user}" {found.flaw}'
            raise GreetingFailed("28P01", message, record=f"login failed: {name} {found.flaw}")
        return found.id

    def _checked(self, key: ApiKey | None) -> ApiKey:
        if key is None:
            raise GreetingFailed("28P01", _WRONG.format(self._user), record="login failed: unknown API key")
        if key.expires is not None and self._today >= key.expires:
            # Only who holds the key gets to read this.
            message = f'API key "{key.id}" of user "{self._user}" has expired'
            raise GreetingFailed("28P01", message, record=f"login failed: expired API key {key.id}")
        return key


def _matching(keys: tuple[ApiKey, ...], digest: str) -> ApiKey | None:
    """Compares with all of them, whichever fits: time tells nothing."""
    found = None
    for key in keys:
        if hmac.compare_digest(digest.encode(), key.sha256.encode()):
            found = key
    return found


_SHOWN_CHARACTERS: Final = 300  # an authority may sign subjects of any length; records needn't keep them
_WRONG: Final = 'password authentication failed for user "{}"'

__all__ = ["Claim", "ClientLogin", "begin_login"]
