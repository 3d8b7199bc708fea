"""Sends many statements at once and gives back what came for each: the proxy's harness has no time for round trips."""

from __future__ import annotations

import select
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from tests.security.raw_client import BINARY, SYNC, TEXT, RawClient, bind, describe, execute, parse, query

_PIECE = 1 << 16
_PATIENCE_S = 60.0
_LENGTH = struct.Struct("!i")
_READY = ord("Z")


class Path(Enum):
    """How a statement is sent and its rows come back."""

    SIMPLE = "simple"
    TEXT = "text"
    BINARY = "binary"

    def frames(self, sql: str, parameters: tuple[bytes, ...] = ()) -> bytes:
        match self:
            case Path.SIMPLE:
                return query(sql)
            case Path.TEXT | Path.BINARY:
                result = BINARY if self is Path.BINARY else TEXT
                return b"".join((parse(sql), bind(parameters, result), describe(), execute(), SYNC))


@dataclass(frozen=True, slots=True)
class Statement:
    number: int
    sql: str
    path: Path
    parameters: tuple[bytes, ...] = ()  # as text
    is_ordered: bool = False  # its rows come in one order only
    is_loose: bool = False  # its rows may depend on their order, as with LIMIT and no ORDER BY

    def frames(self) -> bytes:
        return self.path.frames(self.sql, self.parameters)


class Lost(Exception):
    """A connection ended before all answers were there."""


@dataclass
class Pipe:
    """One connection's exchange: what is still to be sent, and the answers so far, each up to its ReadyForQuery."""

    client: RawClient
    answers: list[bytes] = field(default_factory=list)
    _out: memoryview = field(default_factory=lambda: memoryview(b""))
    _buffer: bytearray = field(default_factory=bytearray)
    _at: int = 0
    _wanted: int = 0

    def begin(self, statements: Sequence[Statement]) -> None:
        self.client.socket.setblocking(False)
        self._out = memoryview(b"".join(statement.frames() for statement in statements))
        self.answers, self._buffer, self._at, self._wanted = [], bytearray(), 0, len(statements)

    @property
    def is_done(self) -> bool:
        return len(self.answers) == self._wanted

    @property
    def has_output(self) -> bool:
        return bool(self._out)

    def write(self) -> None:
        self._out = self._out[self.client.socket.send(self._out[:_PIECE]) :]

    def read(self) -> None:
        piece = self.client.socket.recv(_PIECE)
        if not piece:
            raise Lost
        self._buffer += piece
        self._cut()

    def _cut(self) -> None:
        """Moves whole answers out of the buffer."""
        buffer, at, size = self._buffer, self._at, len(self._buffer)
        while at + 5 <= size:
            end = at + 1 + _LENGTH.unpack_from(buffer, at + 1)[0]
            if end > size:
                break
            if buffer[at] == _READY:
                self.answers.append(bytes(buffer[:end]))
                del buffer[:end]
                at, size = 0, len(buffer)
            else:
                at = end
        self._at = at


def exchange(pipes: Iterable[Pipe]) -> None:
    """Until all pipes have all their answers. Raises Lost, also when nothing moves for a minute."""
    waiting = {pipe.client.socket.fileno(): pipe for pipe in pipes if not pipe.is_done}
    while waiting:
        writing = [number for number, pipe in waiting.items() if pipe.has_output]
        readable, writable, _ = select.select(list(waiting), writing, [], _PATIENCE_S)
        if not readable and not writable:
            raise Lost("nothing moves")
        try:
            for number in writable:
                waiting[number].write()
            for number in readable:
                waiting[number].read()
        except ConnectionError as error:
            raise Lost from error
        waiting = {number: pipe for number, pipe in waiting.items() if not pipe.is_done}
