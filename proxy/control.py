"""What the supervisor and its workers say to each other over a socket pair, and how it travels.

Orders go to a worker, reports come from it. Both ends are the same program of the same user: what comes is trusted, and
a peer that is gone is told by the end of the stream.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar, cast

import msgspec

from audit.api_keys import StoredKey
from policies.budgets import Budget
from policies.errors import Problem

_LENGTH_BYTES: Final = 4


class _Message(msgspec.Struct, tag=True, frozen=True):
    pass


# both ways: a worker asks all others, by way of the supervisor


class CancelKnown(_Message, frozen=True):
    """Whoever has a link with this key cancels what it runs."""

    process_id: int
    secret_key: bytes


class CatalogChanged(_Message, frozen=True):
    """DDL went through on this database; who has sessions there reads its catalog again."""

    database: str


class Question(_Message, frozen=True):
    number: int
    about: CancelKnown | CatalogChanged


class Answer(_Message, frozen=True):
    """All who were asked have done what was wanted, or can't be waited for."""

    number: int


# orders


class Begin(_Message, frozen=True):
    """The first order. `config` is pickled; `shop_dsn`: the embedded database, if it is used."""

    config: bytes
    shop_dsn: str


class Listen(_Message, frozen=True):
    """Takes clients from now on."""


class Report(_Message, frozen=True):
    """Wants a State now."""


class Reload(_Message, frozen=True):
    """Reads policies, catalogs and certificates again."""


class Drain(_Message, frozen=True):
    """No new links; ends when the last one has come to rest, and after `limit_s` at the latest."""

    limit_s: float


class Stop(_Message, frozen=True):
    """Ends at once."""


class Keys(_Message, frozen=True):
    """All API keys of the store."""

    keys: list[StoredKey]


class KeysSeen(_Message, frozen=True):
    """The keys were true so long ago (None: never). `elsewhere`: what other sidecars have counted in the month that
    begins on this day: statements and cost in 10^-9, by key.
    """

    age_s: float | None
    month: str
    elsewhere: Mapping[str, tuple[int, int]] = {}


# reports


class Ready(_Message, frozen=True):
    """Policies, catalogs and journal are in order: it could take clients."""


class Failed(_Message, frozen=True):
    """It can't start. `kind`: configuration, policies, journal or system. `problems`: those of policies."""

    kind: str
    texts: list[str]
    problems: list[Problem] = []


class Budgets(_Message, frozen=True):
    """Those of the policies that it has taken up."""

    budgets: list[Budget]


class State(_Message, frozen=True):
    """How a worker is, once a second. `position`: of its journal."""

    tallies: dict[str, Any] = {}
    unreachable: dict[str, str] = {}
    policy_problem: str = ""
    fingerprint: str = ""
    position: int = 0
    is_journal_failed: bool = False
    wants_keys: bool = False  # a principal may log in by API keys of the store
    signing_problem: str = ""


Order = Begin | Listen | Report | Reload | Drain | Stop | Keys | KeysSeen | Question | Answer
Reply = Ready | Failed | Budgets | State | Question | Answer

Sent = TypeVar("Sent")
Received = TypeVar("Received")


class Channel(asyncio.Protocol, Generic[Sent, Received]):
    """One end. `hear` is given each message; `lost` resolves when the other end is gone."""

    def __init__(self, received: Any, hear: Callable[[Received], None]) -> None:
        self._decoder = msgspec.msgpack.Decoder(received)
        self._encoder = msgspec.msgpack.Encoder()
        self._hear = hear
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self.lost = asyncio.get_running_loop().create_future()

    async def open(self, own_end: socket.socket) -> None:
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=own_end)

    def send(self, message: Sent) -> None:
        """What can't arrive any more is dropped."""
        if self._transport is not None and not self._transport.is_closing():
            data = self._encoder.encode(message)
            self._transport.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while len(self._rest) >= _LENGTH_BYTES:
            end = _LENGTH_BYTES + int.from_bytes(self._rest[:_LENGTH_BYTES], "big")
            if len(self._rest) < end:
                return
            message, self._rest = self._rest[_LENGTH_BYTES:end], self._rest[end:]
            self._hear(self._decoder.decode(message))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)
