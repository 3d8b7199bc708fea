"""A client that speaks the protocol over a blocking socket and keeps next to nothing: for counting in thousands.

It must not know pgwarden: it does as well directly before PostgreSQL or before PgBouncer.
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from proxy.wire.scram import KnownKeys, ScramClient, make_nonce

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_PROTOCOL = 196608
_CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Place:
    """Where to connect and as whom. `tls`: the context to encrypt with, None for a plain link.

    `keys`: of the password, derived once for all sessions.
    """

    host: str
    port: int
    user: str
    password: str
    database: str
    tls: ssl.SSLContext | None = None
    keys: KnownKeys = field(default_factory=KnownKeys, repr=False, compare=False)


class PlainClient:
    """One session. `login` returns at the first ReadyForQuery. Raises ServerSaid for an ErrorResponse."""

    def __init__(self, place: Place, timeout_s: float = 30.0) -> None:
        self._buffer = b""
        self.socket: socket.socket = socket.create_connection((place.host, place.port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if place.tls is not None:
            self.socket.sendall(_SSL_REQUEST)
            assert self.socket.recv(1) == b"S", "TLS isn't offered"
            self.socket = place.tls.wrap_socket(self.socket)
        self._login(place)

    def _login(self, place: Place) -> None:
        parameters = b"user\0%b\0database\0%b\0\0" % (place.user.encode(), place.database.encode())
        self.socket.sendall(struct.pack("!ii", len(parameters) + 8, _PROTOCOL) + parameters)
        scram = ScramClient(place.password, make_nonce(os.urandom(18)), known=place.keys)
        for kind, body in self.messages():
            if kind == b"R":
                self._prove(scram, body)
            if kind == b"Z":
                return

    def _prove(self, scram: ScramClient, body: bytes) -> None:
        match int.from_bytes(body[:4], "big"):
            case 10:
                first = scram.first()
                self.send(b"p", scram.mechanism + b"\0" + struct.pack("!i", len(first)) + first)
            case 11:
                self.send(b"p", scram.final(body[4:]))
            case 12:
                scram.verify(body[4:])

    def send(self, kind: bytes, body: bytes) -> None:
        self.socket.sendall(kind + struct.pack("!i", len(body) + 4) + body)

    def messages(self) -> Iterator[tuple[bytes, bytes]]:
        """Type and body of what comes, for ever. Raises ServerSaid."""
        while True:
            while len(self._buffer) >= 5 and len(self._buffer) > int.from_bytes(self._buffer[1:5], "big"):
                end = int.from_bytes(self._buffer[1:5], "big") + 1
                kind, body, self._buffer = self._buffer[:1], self._buffer[5:end], self._buffer[end:]
                if kind == b"E":
                    raise ServerSaid(body)
                yield kind, body
            chunk = self.socket.recv(_CHUNK_BYTES)
            if not chunk:
                raise ConnectionResetError("the server closed the link")
            self._buffer += chunk

    def query(self, sql: str) -> int:
        """Runs it; the number of rows."""
        self.send(b"Q", sql.encode() + b"\0")
        rows = 0
        for kind, _ in self.messages():
            rows += kind == b"D"
            if kind == b"Z":
                break
        return rows

    def close(self) -> None:
        """Terminate, as drivers do."""
        try:
            self.send(b"X", b"")
        finally:
            self.socket.close()


class ServerSaid(Exception):
    """An ErrorResponse; `sqlstate` and the whole of it."""

    def __init__(self, body: bytes) -> None:
        fields = {part[:1]: part[1:].decode("utf-8", "replace") for part in body.split(b"\0") if part}
        self.sqlstate = fields.get(b"C", "")
        super().__init__(f"{self.sqlstate} {fields.get(b'M', '')}")


@lru_cache(1)
def any_certificate() -> ssl.SSLContext:
    """A context that believes everybody: what is measured is the link, not the trust."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
