"""SCRAM-SHA-256 and -PLUS (RFC 5802, RFC 7677) at both ends, and the old MD5 answer.

Bytes in, bytes out: what goes between the SASL messages' headers. Randomness is passed in, and so is the channel's
own mark (tls-server-end-point, RFC 5929). It must not know who the principals are: it gets a stored verifier, or
None for a user there is none of.
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from proxy.wire.errors import AuthenticationFailed, LocalProtocolError, ProtocolViolation
from proxy.wire.saslprep import prepare_password

SCRAM_SHA_256: Final = b"SCRAM-SHA-256"
SCRAM_SHA_256_PLUS: Final = b"SCRAM-SHA-256-PLUS"
DEFAULT_ITERATIONS: Final = 4096
MAX_ITERATIONS: Final = 1_000_000
"""What ScramClient computes at most: about half a second. A hostile server could ask for hours."""

MAX_MESSAGE_BYTES: Final = 65_535  # PG_MAX_SASL_MESSAGE_LENGTH
_KEY_BYTES: Final = 32
_SALT_BYTES: Final = 16

# RFC 5802, section 7. A nonce is printable ASCII but the comma; extensions are read and ignored, as PostgreSQL does.
_NONCE: Final = rb"[!-+\--~]+"
_VERIFIER: Final = re.compile(r"SCRAM-SHA-256\$([0-9]{1,9}):([^$:]+)\$([^$:]+):([^$:]+)", re.ASCII)
_BINDING_FAILED: Final = "28000"  # as PostgreSQL: an attack, or a proxy that opens TLS on the way
_PLAIN_HEADER: Final = b"n,,"  # this end can't bind, or won't
_UNOFFERED_HEADER: Final = b"y,,"  # this end can, and saw no offer: wrong where there was one
_BOUND_HEADER: Final = b"p=tls-server-end-point,,"
_CLIENT_FIRST: Final = re.compile(
    rb"([ny],,|p=tls-server-end-point,,)(n=[^,\0]*,r=(" + _NONCE + rb")(?:,[A-Za-z]=[^,\0]+)*)"
)
_CLIENT_FINAL: Final = re.compile(
    rb"(c=([A-Za-z0-9+/=]+),r=(" + _NONCE + rb")(?:,[A-Za-oq-z]=[^,\0]+)*),p=([A-Za-z0-9+/]{43}=)"
)
_SERVER_FIRST: Final = re.compile(
    rb"r=(" + _NONCE + rb"),s=([A-Za-z0-9+/=]+),i=([1-9][0-9]{0,9})(?:,[A-Za-z]=[^,\0]+)*"
)
_SERVER_FINAL: Final = re.compile(rb"v=([A-Za-z0-9+/]{43}=)(?:,[A-Za-z]=[^,\0]+)*")


@dataclass(frozen=True, slots=True)
class Verifier:
    """What is stored of a password: enough to check a proof, not enough to make one."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    @classmethod
    def parse(cls, text: str) -> "Verifier":
        """Reads "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey", as in pg_authid.rolpassword.

        Raises LocalProtocolError for anything else.
        """
        match = _VERIFIER.fullmatch(text)
        if match is None:
            raise LocalProtocolError("not a SCRAM-SHA-256 verifier")
        salt, stored_key, server_key = (_unbase64(part.encode()) for part in match.groups()[1:])
        if int(match[1]) < 1 or not salt or {len(stored_key), len(server_key)} != {_KEY_BYTES}:
            raise LocalProtocolError("not a SCRAM-SHA-256 verifier")
        return cls(int(match[1]), salt, stored_key, server_key)

    def __str__(self) -> str:
        salt, stored, server = (_base64(part).decode() for part in (self.salt, self.stored_key, self.server_key))
        return f"SCRAM-SHA-256${self.iterations}:{salt}${stored}:{server}"


def make_verifier(password: str, iterations: int = DEFAULT_ITERATIONS, salt: bytes = b"") -> str:
    """The verifier to store for `password`. `salt` is random, 16 bytes as PostgreSQL's; leaving it out is an error."""
    if not salt or iterations < 1:
        raise LocalProtocolError("a verifier needs a salt and at least one iteration")
    keys = _derived(password, salt, iterations)
    return str(Verifier(iterations, salt, hashlib.sha256(keys.client_key).digest(), keys.server_key))


def make_nonce(random_bytes: bytes) -> bytes:
    """A nonce as either end needs it, of `random_bytes` (18 of them, as in PostgreSQL)."""
    return _base64(random_bytes)


def md5_password(user: str, password: str, salt: bytes) -> bytes:
    """The answer to AuthenticationMD5Password: "md5" and md5(md5(password + user) + salt) in hexadecimal."""
    inner = hashlib.md5(password.encode() + user.encode(), usedforsecurity=False).hexdigest()
    return b"md5" + hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest().encode()


def offered_mechanisms(binding: bytes) -> tuple[bytes, ...]:
    """What a server end offers on a channel with this mark; b"" for a channel that has none."""
    return (SCRAM_SHA_256_PLUS, SCRAM_SHA_256) if binding else (SCRAM_SHA_256,)


class ScramServer:
    """One exchange with a client: `respond` to its first message, then to its final one.

    `binding` is the mark of the channel, and `mechanism` which of `offered_mechanisms(binding)` the client took.

    With `verifier` None (no such user, or a user without a password) the exchange is doomed: it goes as any other
    and fails at the proof, so that answers and work don't tell which users there are. For that, `secret` must be the
    same in every process that answers for one database: the user's salt comes of it, and real salts don't change.
    `fake_iterations` is what the real verifiers have.
    """

    def __init__(
        self,
        verifier: str | None,
        user: str,
        secret: bytes,
        nonce: bytes,
        fake_iterations: int = DEFAULT_ITERATIONS,
        binding: bytes = b"",
        mechanism: bytes = SCRAM_SHA_256,
    ) -> None:
        if mechanism not in offered_mechanisms(binding):
            raise ProtocolViolation("client selected an invalid SASL authentication mechanism")
        self._binding = binding
        self._is_bound = mechanism == SCRAM_SHA_256_PLUS
        self._nonce = _checked_nonce(nonce)
        self._is_doomed = verifier is None
        fake = _fake_verifier(user, secret, fake_iterations)
        self._verifier = fake if verifier is None else Verifier.parse(verifier)
        self._header = b""
        self._full_nonce = b""
        self._auth_start = b""
        self._is_over = False
        self._is_authenticated = False

    @property
    def is_authenticated(self) -> bool:
        """Whether the client has proved that it knows the password."""
        return self._is_authenticated

    @property
    def is_final_next(self) -> bool:
        """Whether the next answer of `respond` is the last: AuthenticationSASLFinal rather than SASLContinue."""
        return bool(self._auth_start)

    def respond(self, message: bytes | None) -> bytes:
        """The answer to the client's message; None is a SASLInitialResponse without data, answered by b"".

        Raises ProtocolViolation for a malformed message, AuthenticationFailed (28P01) for a wrong proof.
        """
        if self._is_over:
            raise LocalProtocolError("the SCRAM exchange is over")
        if message is None:
            return self._challenge_empty()
        if len(message) > MAX_MESSAGE_BYTES:
            raise ProtocolViolation("SCRAM message is too long")
        return self._respond_final(message) if self._auth_start else self._respond_first(message)

    def _challenge_empty(self) -> bytes:
        if self._auth_start:
            raise ProtocolViolation("malformed SCRAM message: empty")
        return b""

    def _respond_first(self, message: bytes) -> bytes:
        match = _CLIENT_FIRST.fullmatch(message)
        if match is None:
            raise ProtocolViolation("malformed SCRAM message: client-first-message")
        self._check_header(match[1])
        self._header = match[1]
        self._full_nonce = match[3] + self._nonce
        answer = b"r=%b,s=%b,i=%d" % (self._full_nonce, _base64(self._verifier.salt), self._verifier.iterations)
        self._auth_start = match[2] + b"," + answer + b","
        return answer

    def _check_header(self, header: bytes) -> None:
        """RFC 5802, section 6: what the client says of channel binding must fit what it took and was offered."""
        if (header == _BOUND_HEADER) != self._is_bound:
            raise ProtocolViolation("SCRAM channel binding does not fit the mechanism that the client selected")
        if header == _UNOFFERED_HEADER and self._binding:
            # Somebody on the way took our offer out of the list.
            message = "SCRAM channel binding negotiation error: it was offered, and the client saw no offer"
            raise ProtocolViolation(message, _BINDING_FAILED)

    def _respond_final(self, message: bytes) -> bytes:
        self._is_over = True  # one guess for one nonce, however it ends
        match = _CLIENT_FINAL.fullmatch(message)
        if match is None:
            raise ProtocolViolation("malformed SCRAM message: client-final-message")
        # The header comes again under the proof: a man in the middle who changed "y,," to "n,," is found here, and
        # behind it the mark of the client's channel: one who holds two channels together is, too.
        bound = self._header + (self._binding if self._is_bound else b"")
        if not hmac.compare_digest(match[3], self._full_nonce):
            raise ProtocolViolation("SCRAM nonce does not match")
        if not hmac.compare_digest(match[2], _base64(bound)):
            raise ProtocolViolation("SCRAM channel binding check failed", _BINDING_FAILED if self._is_bound else None)
        auth = self._auth_start + match[1]
        is_proved = self._is_proved(auth, _unbase64(match[4]))
        if self._is_doomed or not is_proved:
            raise AuthenticationFailed("password authentication failed")
        self._is_authenticated = True
        return b"v=" + _base64(_hmac(self._verifier.server_key, auth))

    def _is_proved(self, auth: bytes, proof: bytes) -> bool:
        client_key = _xor(proof, _hmac(self._verifier.stored_key, auth))
        return hmac.compare_digest(hashlib.sha256(client_key).digest(), self._verifier.stored_key)


@dataclass(frozen=True, slots=True)
class Keys:
    """What a password comes to under one salt: all that an exchange needs of it (RFC 5802, section 3)."""

    client_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


class KnownKeys:
    """Keys that were derived already: thousands of rounds of HMAC make most of what a login costs.

    In memory alone, and no more than `limit` of them: it is the server that names the salts. A password stands in
    here as its digest, so that an old one goes with its keys.
    """

    def __init__(self, limit: int = 64) -> None:
        self._limit = limit
        self._keys: dict[tuple[bytes, bytes, int], Keys] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def derive(self, password: str, salt: bytes, iterations: int) -> Keys:
        """The keys, computed at most once while they are remembered."""
        place = hashlib.sha256(password.encode("utf-8", "surrogatepass")).digest(), salt, iterations
        found = self._keys.get(place)
        if found is None:
            found = _derived(password, salt, iterations)
            if len(self._keys) >= self._limit:
                self._keys.pop(next(iter(self._keys)))
            self._keys[place] = found
        return found


class ScramClient:
    """One exchange with a server: `first`, `final` (of its first answer), `verify` (its last): all three.

    PostgreSQL ignores `user` and takes the startup packet's. `binding` is the channel's mark: with `is_offered`
    (the server offers SCRAM-SHA-256-PLUS) it goes under the proof, without it the server is told that this end
    could. `mechanism` is what to name in SASLInitialResponse. `known`: keys of earlier exchanges.
    """

    def __init__(
        self,
        password: str,
        nonce: bytes,
        user: str = "",
        binding: bytes = b"",
        is_offered: bool = False,
        known: KnownKeys | None = None,
    ) -> None:
        self._password = password
        self._known = known if known is not None else KnownKeys()
        is_bound = bool(binding) and is_offered
        self.mechanism = SCRAM_SHA_256_PLUS if is_bound else SCRAM_SHA_256
        self._header = _BOUND_HEADER if is_bound else _UNOFFERED_HEADER if binding else _PLAIN_HEADER
        self._bound = self._header + (binding if is_bound else b"")
        self._nonce = _checked_nonce(nonce)
        self._first_bare = b"n=" + user.replace("=", "=3D").replace(",", "=2C").encode() + b",r=" + self._nonce
        self._server_signature = b""
        self._is_authenticated = False

    @property
    def is_authenticated(self) -> bool:
        """Whether the server has proved that it knows the verifier. Without it the other end may be anyone."""
        return self._is_authenticated

    def first(self) -> bytes:
        """client-first-message."""
        return self._header + self._first_bare

    def final(self, server_first: bytes) -> bytes:
        """client-final-message, the answer to server-first-message; ProtocolViolation if that is malformed."""
        match = _SERVER_FIRST.fullmatch(server_first)
        if match is None or len(server_first) > MAX_MESSAGE_BYTES:
            raise ProtocolViolation("malformed SCRAM message: server-first-message")
        nonce, iterations = match[1], int(match[3])
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise ProtocolViolation("SCRAM nonce does not match")
        if iterations > MAX_ITERATIONS:
            raise ProtocolViolation("SCRAM iteration count is above the limit")
        keys = self._known.derive(self._password, _salt_of(match[2]), iterations)
        without_proof = b"c=" + _base64(self._bound) + b",r=" + nonce
        auth = self._first_bare + b"," + server_first + b"," + without_proof
        self._server_signature = _hmac(keys.server_key, auth)
        return without_proof + b",p=" + _base64(_proof(keys.client_key, auth))

    def verify(self, server_final: bytes) -> None:
        """Checks server-final-message: AuthenticationFailed if the server doesn't know the verifier."""
        if not self._server_signature:
            raise LocalProtocolError("the SCRAM exchange has not come to its end")
        if server_final.startswith(b"e="):
            raise AuthenticationFailed("the server refused the SCRAM exchange")
        match = _SERVER_FINAL.fullmatch(server_final)
        if match is None:
            raise ProtocolViolation("malformed SCRAM message: server-final-message")
        if not hmac.compare_digest(_unbase64(match[1]) or b"", self._server_signature):
            raise AuthenticationFailed("the server does not know the SCRAM verifier")
        self._is_authenticated = True


def _fake_verifier(user: str, secret: bytes, iterations: int) -> Verifier:
    salt = _hmac(secret, user.encode("utf-8", "surrogateescape"))[:_SALT_BYTES]
    return Verifier(iterations, salt, bytes(_KEY_BYTES), bytes(_KEY_BYTES))


def _checked_nonce(nonce: bytes) -> bytes:
    if re.fullmatch(_NONCE, nonce) is None:
        raise LocalProtocolError("a SCRAM nonce is printable ASCII without commas; see make_nonce")
    return nonce


def _salt_of(text: bytes) -> bytes:
    salt = _unbase64(text)
    if not salt:
        raise ProtocolViolation("malformed SCRAM message: salt")
    return salt


def _proof(client_key: bytes, auth: bytes) -> bytes:
    return _xor(client_key, _hmac(hashlib.sha256(client_key).digest(), auth))


def _derived(password: str, salt: bytes, iterations: int) -> Keys:
    salted = hashlib.pbkdf2_hmac("sha256", prepare_password(password), salt, iterations)
    return Keys(_hmac(salted, b"Client Key"), _hmac(salted, b"Server Key"))


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def _xor(left: bytes, right: bytes) -> bytes:
    if len(left) != len(right):
        raise LocalProtocolError("what is combined is of one length")
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")


def _base64(data: bytes) -> bytes:
    return base64.b64encode(data)


def _unbase64(text: bytes) -> bytes:
    # Empty for what isn't base64: every caller refuses empty.
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        return b""
