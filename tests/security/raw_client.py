"""A client of the protocol on a bare socket that keeps every byte it receives. Its own reading of the manual: it
shares no code with the proxy but SCRAM, so a fault there can't hide here.
"""

from __future__ import annotations

import os
import socket
import struct
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from proxy.wire.scram import ScramClient

TIMEOUT_S = 60.0
TEXT, BINARY = 0, 1
_NULL = -1
Frame = tuple[bytes, bytes]
Value = bytes | None


class LoginError(Exception):
    """The other end didn't let us in; the text is its SQLSTATE and message."""


@dataclass
class Answer:
    """All that came between two ReadyForQuery, sorted. `error` is the first ErrorResponse's fields."""

    columns: list[str] = field(default_factory=list)
    type_oids: list[int] = field(default_factory=list)
    fields: list[tuple[int, int]] = field(default_factory=list)  # (table OID, attnum)
    formats: list[int] = field(default_factory=list)
    rows: list[tuple[Value, ...]] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    error: dict[str, str] = field(default_factory=dict)
    notices: list[dict[str, str]] = field(default_factory=list)
    copied: list[bytes] = field(default_factory=list)  # CopyData
    kinds: list[bytes] = field(default_factory=list)

    @property
    def sqlstate(self) -> str:
        return self.error.get("C", "")


def frame(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return kind + struct.pack("!i", len(body) + 4) + body


def string(text: str | bytes) -> bytes:
    return (text.encode() if isinstance(text, str) else text) + b"\0"


def query(sql: str | bytes) -> bytes:
    return frame(b"Q", string(sql))


def parse(sql: str | bytes, name: str = "", types: tuple[int, ...] = ()) -> bytes:
    return frame(b"P", string(name), string(sql), struct.pack(f"!h{len(types)}I", len(types), *types))


def bind(
    parameters: tuple[Value, ...] = (), result: int | tuple[int, ...] = TEXT, name: str = "", portal: str = ""
) -> bytes:
    formats = (result,) if isinstance(result, int) else result
    values = b"".join(
        struct.pack("!i", _NULL if value is None else len(value)) + (value or b"") for value in parameters
    )
    ends = struct.pack(f"!h{len(formats)}h", len(formats), *formats)
    return frame(b"B", string(portal), string(name), struct.pack("!hh", 0, len(parameters)), values, ends)


def describe(kind: bytes = b"P", name: str = "") -> bytes:
    return frame(b"D", kind, string(name))


def execute(portal: str = "", limit: int = 0) -> bytes:
    return frame(b"E", string(portal), struct.pack("!i", limit))


def close(kind: bytes, name: str) -> bytes:
    return frame(b"C", kind, string(name))


SYNC = frame(b"S")
FLUSH = frame(b"H")


class RawClient:
    """One connection; a context manager. `seen` holds every byte received since the login."""

    def __init__(
        self,
        host: str,
        port: int,
        user: str,
        password: str,
        database: str,
        options: dict[str, str] | None = None,
    ) -> None:
        self.socket = socket.create_connection((host, port), TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.seen = bytearray()
        try:
            self._log_in(user, password, {"user": user, "database": database, **(options or {})})
        except BaseException:
            self.socket.close()
            raise
        self.login_bytes = bytes(self.seen)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with suppress(OSError):  # the other end may have gone
            self.socket.sendall(frame(b"X"))
        self.socket.close()

    def simple(self, sql: str | bytes) -> Answer:
        return self.roundtrip(query(sql))

    def extended(self, sql: str | bytes, parameters: tuple[Value, ...] = (), result: int = TEXT) -> Answer:
        return self.roundtrip(parse(sql), bind(parameters, result), describe(), execute(), SYNC)

    def roundtrip(self, *frames: bytes) -> Answer:
        """Sends and reads to the next ReadyForQuery."""
        self.send(*frames)
        return self.receive()

    def send(self, *frames: bytes) -> None:
        self.socket.sendall(b"".join(frames))

    def receive(self, until: bytes = b"Z") -> Answer:
        """Reads to a message of one of the kinds in `until`. A closed connection ends it, too."""
        answer = Answer()
        while True:
            kind, body = self._frame()
            _take(answer, kind, body)
            if kind == b"G":
                self.send(frame(b"f", string("nothing to copy")))
            if not kind or kind in [until[i : i + 1] for i in range(len(until))]:
                return answer

    def _frame(self) -> Frame:
        head = self._read(5)
        if len(head) < 5:
            return b"", b""
        return head[:1], self._read(struct.unpack("!i", head[1:])[0] - 4)

    def _read(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            try:
                chunk = self.socket.recv(size - len(parts))
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                break
            parts += chunk
        self.seen += parts
        return bytes(parts)

    def _log_in(self, user: str, password: str, parameters: dict[str, str]) -> None:
        pairs = b"".join(string(part) for pair in parameters.items() for part in pair)
        body = struct.pack("!i", 196608) + pairs + b"\0"
        self.send(struct.pack("!i", len(body) + 4) + body)
        scram = ScramClient(password, b64encode(os.urandom(18)))
        while True:
            kind, body = self._frame()
            if kind in (b"E", b""):
                fields = _fields(body)
                raise LoginError(f"{fields.get('C', '')} {fields.get('M', 'closed')}")
            if kind == b"Z":
                return
            if kind == b"R":
                self._authenticate(struct.unpack("!i", body[:4])[0], body[4:], scram)

    def _authenticate(self, code: int, body: bytes, scram: ScramClient) -> None:
        match code:
            case 10:
                first = scram.first()
                self.send(frame(b"p", string("SCRAM-SHA-256"), struct.pack("!i", len(first)), first))
            case 11:
                self.send(frame(b"p", scram.final(body)))
            case 12:
                scram.verify(body)
            case 0:
                return
            case _:
                raise LoginError(f"authentication request {code} wasn't expected")


def _take(answer: Answer, kind: bytes, body: bytes) -> None:
    answer.kinds.append(kind)
    match kind:
        case b"T":
            _take_description(answer, body)
        case b"D":
            answer.rows.append(_values(body))
        case b"C":
            answer.tags.append(body[:-1].decode())
        case b"E":
            answer.error = answer.error or _fields(body)
        case b"d":
            answer.copied.append(body)
        case b"N":
            answer.notices.append(_fields(body))


def _take_description(answer: Answer, body: bytes) -> None:
    at = 2
    answer.columns, answer.type_oids, answer.fields, answer.formats = [], [], [], []
    for _ in range(struct.unpack("!h", body[:2])[0]):
        end = body.index(b"\0", at)
        answer.columns.append(body[at:end].decode())
        table, attnum, type_oid, _, _, format_code = struct.unpack("!IhIhih", body[end + 1 : end + 19])
        answer.fields.append((table, attnum))
        answer.type_oids.append(type_oid)
        answer.formats.append(format_code)
        at = end + 19


def _values(body: bytes) -> tuple[Value, ...]:
    values: list[Value] = []
    at = 2
    for _ in range(struct.unpack("!h", body[:2])[0]):
        (length,) = struct.unpack("!i", body[at : at + 4])
        at += 4
        values.append(None if length == _NULL else body[at : at + length])
        at += max(length, 0)
    return tuple(values)


def _fields(body: bytes) -> dict[str, str]:
    return {part[:1].decode(): part[1:].decode("utf-8", "replace") for part in body.split(b"\0") if part}
