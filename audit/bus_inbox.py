"""What shippers take from the bus: each message until it is acknowledged, by one shipper at a time. Knows no store."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError

from audit.bus import Bus
from audit.run import Letter, Pieces

CONSUMER: Final = "pgwarden-shippers"
_ACK_WAIT_S: Final = 30.0  # behind that, another shipper gets what a dead one had; the store takes each record once
_MOST_PENDING: Final = 4096
_ANSWER_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message, and how often it was delivered so far, this time included."""

    letter: Letter
    deliveries: int
    message: Msg


class Inbox:
    """A durable consumer that all shippers share. Raises what Bus raises."""

    def __init__(self, bus: Bus, *, ack_wait_s: float = _ACK_WAIT_S) -> None:
        self._bus = bus
        self._ack_wait_s = ack_wait_s
        self._subscription: JetStreamContext.PullSubscription | None = None

    async def connect(self) -> None:
        if not await self._bus.connect() and self._subscription is not None:
            return
        settings, stream = self._bus.settings, self._bus.stream
        self._subscription = None
        async with self._bus.answered():
            await stream.add_consumer(settings.stream, _consumer(f"{settings.subject}.run.>", self._ack_wait_s))
            self._subscription = await stream.pull_subscribe_bind(CONSUMER, settings.stream)

    async def take(self, count: int, wait_s: float) -> list[Delivery]:
        """Up to so many messages; none if none came in time."""
        assert self._subscription is not None, "connect comes first"
        try:
            async with self._bus.answered():
                messages = await self._fetched(self._subscription, count, wait_s)
        except BaseException:
            self._subscription = None
            raise
        return [_delivery(message) for message in messages]

    async def _fetched(self, subscription: JetStreamContext.PullSubscription, count: int, wait_s: float) -> list[Msg]:
        try:
            return await subscription.fetch(count, timeout=wait_s)
        except nats.errors.TimeoutError:
            await self._bus.stream.consumer_info(self._bus.settings.stream, CONSUMER)  # or is the bus away?
            return []
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise nats.errors.ConnectionClosedError from None  # so a lost connection is told to who waits for messages

    async def waiting(self) -> int:
        """How many messages nobody has acknowledged yet."""
        async with self._bus.answered():
            info = await self._bus.stream.consumer_info(self._bus.settings.stream, CONSUMER)
        return (info.num_pending or 0) + (info.num_ack_pending or 0)

    async def acknowledge(self, delivery: Delivery) -> None:
        """The bus may forget it, and says that it has."""
        async with self._bus.answered():
            await delivery.message.ack_sync(_ANSWER_S)

    async def give_back(self, delivery: Delivery, after_s: float) -> None:
        """It is delivered again, to whoever asks, when so much time has passed; unless it was acknowledged."""
        if delivery.message.is_acked:
            return
        async with self._bus.answered():
            await delivery.message.nak(delay=after_s)

    async def parts(self, pieces: Pieces) -> list[bytes]:
        """What the pieces hold, in order. Raises BusError for one that isn't there."""
        settings, parts = self._bus.settings, []
        async with self._bus.answered():
            for sequence in pieces.sequences:
                message = await self._bus.stream.get_msg(settings.stream, sequence)
                parts.append(message.data or b"")
        return parts

    async def forget(self, pieces: Pieces) -> None:
        """The pieces of what was acknowledged; one that isn't there was forgotten before."""
        for sequence in pieces.sequences:
            async with self._bus.answered():
                with suppress(APIError):
                    await self._bus.stream.delete_msg(self._bus.settings.stream, sequence)


def _consumer(subject: str, ack_wait_s: float) -> ConsumerConfig:
    return ConsumerConfig(
        durable_name=CONSUMER,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ack_wait_s,
        filter_subject=subject,
        max_ack_pending=_MOST_PENDING,
    )


def _delivery(message: Msg) -> Delivery:
    headers = message.headers or {}
    version = headers.get("Pgwarden-Version", "")
    letter = Letter(
        kind=headers.get("Pgwarden-Kind", ""),
        version=int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0,
        key=headers.get("Pgwarden-Key", ""),
        signature=headers.get("Pgwarden-Signature", ""),
        keys=headers.get("Pgwarden-Keys", ""),
        content=message.data,
    )
    return Delivery(letter, message.metadata.num_delivered or 1, message)
