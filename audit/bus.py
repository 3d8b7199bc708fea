"""The bus: a stream of NATS JetStream that keeps what it has acknowledged until a shipper has taken it.

One connection, without NATS's own reconnecting: whoever uses it must know when one was lost, as a server may then have
lost what it had acknowledged last (it syncs its files every two minutes unless told otherwise). Knows no records.
"""

from __future__ import annotations

import asyncio
import random as random_module
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from audit.bus_settings import BusSettings
from audit.errors import BusError, BusUnreachableError

_CONNECT_S: Final = 5
_ANSWER_S: Final = 10.0
_PING_S: Final = 10
_HEADERS_BYTES: Final = 4096  # of a message's most bytes, for its headers and subject
_LONGEST_BYTES: Final = 256 << 10  # of a message's content: a message has costs of its own, and memory must hold many
_LEAST_BYTES: Final = 64 << 10  # of a message: a long record's list of pieces must fit into one
_DUPLICATES_S: Final = 600.0  # so long the stream knows what it was sent; behind that the store does

_LOST = (OSError, TimeoutError, nats.errors.Error, NoStreamResponseError)


@dataclass(frozen=True, slots=True)
class Message:
    """What is published: `headers` are printable ASCII."""

    subject: str
    content: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipts:
    """The stream's numbers of the first messages that were acknowledged one behind the other, and what kept the next
    one out.
    """

    sequences: tuple[int, ...]
    failure: BusError | BusUnreachableError | None


class Bus:
    """One stream over one connection at a time. `connect` before each use; methods raise BusError or
    BusUnreachableError, behind which the connection is gone.
    """

    def __init__(
        self, settings: BusSettings, *, name: str = "pgwarden", shuffle: Callable[[list[str]], None] | None = None
    ) -> None:
        self.settings = settings
        self._name = name
        self._shuffle = shuffle or random_module.shuffle
        self._client: Client | None = None
        self._stream: JetStreamContext | None = None
        self._lost = asyncio.Event()
        self._stream_message_bytes = 0
        self._is_reachable = False
        self.duplicates = 0

    @property
    def is_reachable(self) -> bool:
        """Whether the last thing asked of the bus was answered."""
        return self._is_reachable

    @property
    def server(self) -> str:
        """Which server it is, by a name that each start of one makes anew; empty where that can't be known."""
        # NATS's client gives the server's greeting to nobody. Should its place change, every server is a new one.
        greeting = getattr(self._client, "_server_info", None)
        return str(greeting.get("server_id", "")) if isinstance(greeting, dict) else ""

    @property
    def content_bytes(self) -> int:
        """How long a message's content may be."""
        assert self._client is not None, "connect comes first"
        longest = [self._client.max_payload, self._stream_message_bytes or self._client.max_payload]
        return max(1, min(_LONGEST_BYTES, min(longest) - _HEADERS_BYTES))

    @property
    def stream(self) -> JetStreamContext:
        """The connection's stream, for those who take from it."""
        assert self._stream is not None, "connect comes first"
        return self._stream

    async def connect(self) -> bool:
        """Sees to it that there are a connection and a stream that loses nothing; whether the connection is new."""
        if self._client is not None and self._client.is_connected and not self._lost.is_set():
            return False
        await self.close()
        async with self.answered():
            client = await self._connected()
            self._client = client
            self._stream = client.jetstream(timeout=_ANSWER_S)
            if client.max_payload < _LEAST_BYTES:
                raise BusError(f"the bus takes messages of {client.max_payload} bytes only (max_payload)")
            self._stream_message_bytes = await _stream_message_bytes(self._stream, self.settings)
        return True

    async def publish(self, messages: Sequence[Message]) -> Receipts:
        """Sends all; what was acknowledged has been stored by the bus."""
        if not messages:
            return Receipts((), None)
        sending = [asyncio.create_task(self._publish(message)) for message in messages]
        everything = asyncio.create_task(_all(sending))
        lost = asyncio.create_task(self._lost.wait())
        try:
            await asyncio.wait({everything, lost}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost.cancel()
            for task in sending:
                task.cancel()
        return self._receipts(await everything)

    async def ping(self) -> None:
        """Asks for a sign of life."""
        async with self.answered():
            assert self._client is not None, "connect comes first"
            await self._client.flush(_PING_S)

    async def close(self) -> None:
        client, self._client, self._stream = self._client, None, None
        self._lost = asyncio.Event()
        if client is not None:
            with suppress(*_LOST):
                await client.close()

    @asynccontextmanager
    async def answered(self) -> AsyncIterator[None]:
        """Whatever NATS says inside is told in our words. A refusal keeps the connection, anything else ends it."""
        try:
            yield
        except APIError as error:
            self._is_reachable = True
            raise BusError(f"the bus refuses: {error.description or type(error).__name__}") from error
        except BusError:
            self._is_reachable = True
            raise
        except _LOST as error:
            self._is_reachable = False
            self._lost.set()
            raise BusUnreachableError(_reason(error, self.settings)) from error
        self._is_reachable = True

    async def _publish(self, message: Message) -> int:
        async with self.answered():
            receipt = await self.stream.publish(
                message.subject,
                message.content,
                timeout=_ANSWER_S,
                stream=self.settings.stream,
                headers=dict(message.headers),
            )
        self.duplicates += bool(receipt.duplicate)
        return receipt.seq

    def _receipts(self, results: Sequence[int | BaseException]) -> Receipts:
        sequences: list[int] = []
        for result in results:
            if isinstance(result, int):
                sequences.append(result)
                continue
            if isinstance(result, (BusError, BusUnreachableError)):
                return Receipts(tuple(sequences), result)
            self._is_reachable = False
            if isinstance(result, asyncio.CancelledError):
                return Receipts(tuple(sequences), BusUnreachableError("the connection to the bus was lost"))
            raise result
        return Receipts(tuple(sequences), None)

    async def _connected(self) -> Client:
        """The first server that answers, in any order: many sidecars spread over them."""
        servers = list(self.settings.servers)
        self._shuffle(servers)
        for left, server in zip(range(len(servers) - 1, -1, -1), servers, strict=True):
            try:
                return await self._connect_to(server)
            except _LOST:
                if not left:
                    raise
        raise BusUnreachableError("no server of the bus is named")

    async def _connect_to(self, server: str) -> Client:
        lost = self._lost
        told: list[Exception] = []  # what went wrong reaches whoever asked; left out, NATS would log it

        async def closed() -> None:
            lost.set()

        async def failed(error: Exception) -> None:
            told[:] = [error]

        client = Client()
        try:
            async with asyncio.timeout(2 * _CONNECT_S):
                await client.connect(
                    servers=[server],
                    name=self._name,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,  # left out, NATS tries for minutes before it says anything
                    reconnect_time_wait=0,
                    connect_timeout=_CONNECT_S,
                    ping_interval=_PING_S,
                    error_cb=failed,
                    closed_cb=closed,
                    disconnected_cb=closed,
                    tls=_tls(self.settings, server),
                    user=self.settings.user,
                    password=_password(self.settings),
                )
        except BaseException as error:
            with suppress(*_LOST):
                await client.close()  # a server that was reached and has refused us
            if isinstance(error, nats.errors.NoServersError) and told:
                raise told[0] from None
            raise
        return client


async def _all(tasks: Sequence[asyncio.Task[int]]) -> list[int | BaseException]:
    return await asyncio.gather(*tasks, return_exceptions=True)


def _tls(settings: BusSettings, server: str) -> ssl.SSLContext | None:
    if not server.startswith("tls://") and settings.ca is None and settings.certificate is None:
        return None
    context = ssl.create_default_context(cafile=settings.ca)
    if settings.certificate is not None:
        context.load_cert_chain(settings.certificate, settings.key)
    return context


def _password(settings: BusSettings) -> str | None:
    """Read anew for each connection: it may have been rotated."""
    if settings.password_file is None:
        return None
    return settings.password_file.read_text("utf-8").rstrip("\r\n")


async def _stream_message_bytes(stream: JetStreamContext, settings: BusSettings) -> int:
    """Makes the stream if there is none. The most bytes that a message of it may have, 0 for any."""
    try:
        info = await stream.stream_info(settings.stream)
    except NotFoundError:
        info = await stream.add_stream(_wanted(settings))
    _require_keeping(info.config, settings)
    return max(0, info.config.max_msg_size or 0)


def _wanted(settings: BusSettings) -> StreamConfig:
    return StreamConfig(
        name=settings.stream,
        description="pgwarden's records on their way to the audit store",
        subjects=[f"{settings.subject}.>"],
        retention=RetentionPolicy.WORK_QUEUE,
        discard=DiscardPolicy.NEW,
        storage=StorageType.FILE,
        max_bytes=settings.stream_bytes,
        num_replicas=settings.replicas,
        duplicate_window=_DUPLICATES_S,
    )


def _require_keeping(config: StreamConfig, settings: BusSettings) -> None:
    """A stream that somebody else has made mustn't throw away what no shipper has taken."""
    faults = {
        "retention isn't workqueue": config.retention != RetentionPolicy.WORK_QUEUE,
        "discard isn't new": config.discard != DiscardPolicy.NEW,
        "storage isn't file": config.storage != StorageType.FILE,
        "max_age is set": bool(config.max_age),
        "max_msgs_per_subject is set": config.max_msgs_per_subject > 0,
        "no_ack is set": bool(config.no_ack),
        f"max_msg_size is below {_LEAST_BYTES}": 0 < (config.max_msg_size or 0) < _LEAST_BYTES,
        f"its subjects don't include {settings.subject}.>": f"{settings.subject}.>" not in (config.subjects or ()),
    }
    found = [fault for fault, is_there in faults.items() if is_there]
    if found:
        raise BusError(f"the stream {settings.stream} on the bus can't be used: {', '.join(found)}")


def _reason(error: BaseException, settings: BusSettings) -> str:
    if isinstance(error, NoStreamResponseError):
        return f"no stream on the bus takes {settings.subject}"
    return f"the bus can't be reached ({type(error).__name__})"
