"""Carries records from the bus to the store: what `Shipper` does with a journal, for a whole fleet.

Several may share one bus. A message is acknowledged when its records are committed; one that dies before that has
another shipper get the message, and the store takes every record once.
"""

from __future__ import annotations

import asyncio
import logging
import random as random_module
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from audit.backoff import LONGEST_S, Backoff
from audit.bus import Bus
from audit.bus_inbox import Delivery, Inbox
from audit.copy_fields import COPY_END, COPY_START
from audit.copy_rows import RowWriter
from audit.errors import AuditError, CorruptJournalError, ForeignRunError, NewerRunError, StoreError
from audit.merkle import root_of
from audit.ring import Ring
from audit.run import Head, Kind, Pieces, Run, joined, opened_head, opened_pieces, opened_run, opened_seal
from audit.seal import Seal
from audit.store import Store
from audit.store_heads import StoreHeads
from audit.store_seals import StoreSeals, leaves_of

_MESSAGES: Final = 32  # at once, of 256 KiB at most
_WAIT_S: Final = 0.5
_AGAIN_S: Final = 5.0  # a seal waits so long for its records, and a message that can't be stored for a better time
_MOST_DELIVERIES: Final = 120  # then a seal goes in without its records, and verification tells which are missing
_CHAINS: Final = 256  # whose translations are kept

log = logging.getLogger("pgwarden.audit")


@dataclass(slots=True)
class _Parcel:
    """One delivery, opened."""

    delivery: Delivery
    run: Run | None = None
    seal: Seal | None = None
    head: Head | None = None
    pieces: Pieces | None = None


class BusShipper:
    """`run` until cancelled; `ship_once` does one round by hand."""

    def __init__(
        self,
        bus: Bus,
        store: Store,
        *,
        inbox: Inbox | None = None,
        wait_s: float = _WAIT_S,
        again_s: float = _AGAIN_S,
        longest_backoff_s: float = LONGEST_S,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._bus = bus
        self._inbox = inbox or Inbox(bus)
        self._store = store
        self._seals = StoreSeals(store)
        self._heads = StoreHeads(store)
        self._wait_s = wait_s
        self._again_s = again_s
        self._backoff = Backoff(longest_backoff_s, random)
        self._writers: dict[str, RowWriter] = {}
        self._is_stopping = False
        self.shipped_records = 0
        self.new_records = 0
        self.refused_messages = 0
        self.damaged_records = 0
        self.waiting_messages = 0
        self.last_error: str | None = None
        self.seal_problem: str | None = None

    @property
    def is_store_reachable(self) -> bool:
        """Whether the last thing asked of the store was answered."""
        return self._store.is_reachable

    @property
    def is_bus_reachable(self) -> bool:
        """Whether the last thing asked of the bus was answered."""
        return self._bus.is_reachable

    async def run(self) -> None:
        """Ships until it is to stop. A bus or store that is away or refuses is tried again, less and less often."""
        while not self._is_stopping:
            try:
                await self._store.ping()  # while it is away, nothing is taken that another shipper could store
                await self._ship_all()
            except (AuditError, OSError) as error:
                self.last_error = str(error)
                await asyncio.sleep(self._backoff.after_failure())
                continue
            self._backoff.succeeded()
            self.last_error = None

    def request_stop(self) -> None:
        """`run` returns after the round that is under way."""
        self._is_stopping = True

    async def ship_once(self) -> int:
        """Takes what is there, waiting a moment for it, and stores it; how many records that were."""
        await self._inbox.connect()
        deliveries = await self._inbox.take(_MESSAGES, self._wait_s)
        try:
            opened = [await self._open(delivery) for delivery in deliveries]
            return await self._store_all([parcel for parcel in opened if parcel is not None])
        except AuditError:
            await self._give_back(deliveries)
            raise

    async def look(self) -> None:
        """Asks how much is waiting on the bus, for metrics."""
        await self._inbox.connect()
        self.waiting_messages = await self._inbox.waiting()

    async def _ship_all(self) -> None:
        while not self._is_stopping and await self.ship_once():
            pass
        await self.look()

    async def _open(self, delivery: Delivery) -> _Parcel | None:
        """What no sidecar has sent is told and thrown away; what a newer one has sent waits for a newer shipper."""
        try:
            return await self._opened(delivery)
        except ForeignRunError as error:
            self.refused_messages += 1
            log.error("a message on the bus was refused: %s", error, extra={"fields": _place(delivery)})
            await self._inbox.acknowledge(delivery)
        except NewerRunError as error:
            log.error("a message on the bus has to wait: %s", error, extra={"fields": _place(delivery)})
            await self._inbox.give_back(delivery, self._again_s)
        return None

    async def _opened(self, delivery: Delivery) -> _Parcel:
        letter = delivery.letter
        if letter.kind == Kind.SEAL:
            return _Parcel(delivery, seal=opened_seal(letter))
        if letter.kind == Kind.HEAD:
            return _Parcel(delivery, head=opened_head(letter))
        if letter.kind == Kind.PIECES:
            pieces = opened_pieces(letter)
            whole = joined(pieces, await self._inbox.parts(pieces))
            return _Parcel(delivery, run=opened_run(letter, whole), pieces=pieces)
        return _Parcel(delivery, run=opened_run(letter))

    async def _store_all(self, parcels: Sequence[_Parcel]) -> int:
        with_runs = [parcel for parcel in parcels if parcel.run is not None]
        try:
            count = await self._store_runs(with_runs)
        except StoreError as error:
            count = await self._store_singly(with_runs, error)
        for parcel in parcels:
            if parcel.seal is not None:
                await self._store_seal(parcel.delivery, parcel.seal)
            if parcel.head is not None:
                await self._store_head(parcel.delivery, parcel.head)
        return count

    async def _store_runs(self, parcels: Sequence[_Parcel]) -> int:
        """In one commit; then the bus may forget them."""
        count = await self._copy([parcel.run for parcel in parcels if parcel.run is not None])
        await asyncio.gather(*(self._inbox.acknowledge(parcel.delivery) for parcel in parcels))
        for parcel in parcels:
            if parcel.pieces is not None:
                await self._inbox.forget(parcel.pieces)
        return count

    async def _copy(self, runs: Sequence[Run]) -> int:
        by_chain: dict[str, list[Run]] = {}
        for run in runs:
            by_chain.setdefault(run.chain, []).append(run)
        stream, count, days = bytearray(COPY_START), 0, set[int]()
        for chain, own in by_chain.items():
            writer = self._translated(chain, own)
            stream += writer.rows
            count += writer.count
            days |= writer.days
        stream += COPY_END
        self.new_records += await self._store.copy_stream(stream, count, days)
        self.shipped_records += count
        return count

    def _translated(self, chain: str, runs: Sequence[Run]) -> RowWriter:
        if len(self._writers) >= _CHAINS and chain not in self._writers:
            self._writers.clear()
        writer = self._writers.setdefault(chain, RowWriter(chain))
        writer.begin()
        numbered = {number: record for run in runs for number, record in run.records}
        for number in sorted(numbered):
            try:
                writer.add(number, numbered[number])
            except CorruptJournalError as error:
                self.damaged_records += 1
                log.error("a record can't be stored: %s", error, extra={"fields": {"chain": chain, "record": number}})
        return writer

    async def _store_singly(self, parcels: Sequence[_Parcel], error: StoreError) -> int:
        """One message that the store refuses mustn't hold up the others."""
        if len(parcels) <= 1:
            raise error
        count, refused = 0, None
        for parcel in parcels:
            try:
                count += await self._store_runs([parcel])
            except StoreError as own:
                refused = own
                await self._inbox.give_back(parcel.delivery, self._again_s)
        if refused is not None and not count:
            raise refused
        return count

    async def _store_seal(self, delivery: Delivery, seal: Seal) -> None:
        """Behind its records, unless they don't come: the seal is what tells that they are missing."""
        if await self._seals.overlaps(seal.chain, seal.first, seal.last):
            await self._inbox.acknowledge(delivery)
            return
        links = await self._seals.links(seal.chain, seal.first, seal.last)
        leaves = leaves_of(links, seal.first, seal.last)
        is_true = root_of(leaves).hex() == seal.root
        if not is_true and delivery.deliveries < _MOST_DELIVERIES:
            await self._inbox.give_back(delivery, self._again_s)
            return
        if not is_true:
            self.seal_problem = f"the store doesn't hold records {seal.first} to {seal.last} of {seal.chain} as sealed"
            log.error("%s; `pgwarden audit verify` names them", self.seal_problem)
        await self._seals.put(seal)
        await self._inbox.acknowledge(delivery)

    async def _store_head(self, delivery: Delivery, head: Head) -> None:
        """Behind the record that it names."""
        await self._heads.put_keys(Ring(head.keys))
        last = head.checkpoint.records
        links = await self._seals.links(head.chain, last, last)
        is_there = bool(links) and links[0].hash.hex() == head.checkpoint.hash
        if not is_there and delivery.deliveries < _MOST_DELIVERIES:
            await self._inbox.give_back(delivery, self._again_s)
            return
        await self._heads.put(head.chain, head.checkpoint)
        await self._inbox.acknowledge(delivery)

    async def _give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Soon, for whoever asks; where the bus is away too, it does so by itself after a while."""
        with suppress(AuditError):
            for delivery in deliveries:
                await self._inbox.give_back(delivery, self._again_s)


def _place(delivery: Delivery) -> dict[str, object]:
    metadata = delivery.message.metadata
    return {"subject": delivery.message.subject, "message": metadata.sequence.stream}
