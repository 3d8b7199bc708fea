"""Carries a worker's records from its journal to the store, each at least once, and lets go of what the store
has.

Knows no SQL. The store takes every record once however often it is sent, so a crash between sending and
noting the position only repeats work.
"""

from __future__ import annotations

import asyncio
import logging
import random as random_module
from collections.abc import Callable
from pathlib import Path

from audit.backoff import LONGEST_S, Backoff
from audit.batches import Batch, BatchReader
from audit.errors import AuditError, SealError, StoreUnreachableError
from audit.heads import Heads
from audit.held_segments import HeldSegments
from audit.ids import system_clock_us
from audit.journal import worker_directory
from audit.sealer import Sealer
from audit.shipped import ShippedPosition, read_shipped, write_shipped
from audit.signing_key import SigningKey
from audit.store import Store
from audit.store_heads import StoreHeads
from audit.store_seals import StoreSeals

BATCH_BYTES = 1 << 20
_PAUSE_S = 0.25  # so long may a record wait for others to go with: a batch has costs of its own
_NOTE_S = 1.0  # so old may the noted position be while records go out: each note is an fsync
_PING_S = 5.0
_SEAL_S = 2.5  # so often is it looked whether there is enough for a seal

log = logging.getLogger("pgwarden.audit")


class Shipper:
    """Ships one worker's journal. `run` until cancelled; `ship_available` does one round by hand.

    `written_position` gives the journal's position, from which the lag is counted. The journal must be open
    (its recovery has run) before the shipper starts.
    """

    def __init__(
        self,
        directory: Path,
        worker: int,
        store: Store,
        *,
        written_position: Callable[[], int],
        pause_s: float = _PAUSE_S,
        longest_backoff_s: float = LONGEST_S,
        random: Callable[[], float] = random_module.random,
        clock: Callable[[], int] = system_clock_us,
        signing_key: bytes | None = None,
    ) -> None:
        self._directory = worker_directory(directory, worker)
        key = SigningKey(directory, signing_key)
        self._chain = key.signer().chain(worker)
        self._sealer = Sealer(self._chain, StoreSeals(store), key.signer, clock)
        self._heads = Heads(self._chain, directory, worker, StoreHeads(store), clock)
        self._reader = BatchReader(self._directory, self._chain)
        self._store = store
        self._written_position = written_position
        self._pause_s = pause_s
        self._backoff = Backoff(longest_backoff_s, random)
        self._position = self._noted = read_shipped(self._directory)
        self._unnoted_s = 0.0
        self._held = HeldSegments(self._directory)
        self._idle_s = 0.0
        self.shipped_records = 0
        self.damaged_records = 0
        self.last_error: str | None = None
        self.seal_problem: str | None = None

    def close(self) -> None:
        """Closes the journal's files; shipping again opens them again."""
        self._reader.close()

    @property
    def is_reachable(self) -> bool:
        """Whether the last attempt to reach the store worked (False before the first)."""
        return self._store.is_reachable

    @property
    def lag_bytes(self) -> int:
        """Bytes of the journal that the store hasn't got yet."""
        return max(0, self._written_position() - self._position.position)

    async def run(self) -> None:
        """Ships for ever. A store that is away or refuses is tried again, ever less often, with jitter."""
        sealing = asyncio.create_task(self._keep_sealing(), name=f"the seals of {self._chain}")
        sealing.add_done_callback(_tell_failure)
        try:
            await self._keep_shipping()
        finally:
            sealing.cancel()
            await asyncio.wait({sealing})

    async def _keep_shipping(self) -> None:
        while True:
            try:
                shipped = await self._ship_all()
                await self._note_now_and_then(shipped)
                await self._keep_in_touch(shipped)
            except (AuditError, OSError) as error:
                self.last_error = str(error)
                await asyncio.sleep(self._backoff.after_failure())
                continue
            self._backoff.succeeded()
            self.last_error = None
            await asyncio.sleep(self._pause_s)

    async def ship_available(self) -> int:
        """Sends everything that is in the journal now; gives how many records that were.

        Raises StoreUnreachableError or StoreError; what was sent before stays noted.
        """
        try:
            shipped = await self._ship_all()
        finally:
            await self._note()
        await self._seal(is_rest=True)
        return shipped

    async def _ship_all(self) -> int:
        """While the store takes one batch, the next one is read."""
        if not self._reader.has_more(self._position):
            return 0
        count = 0
        reading: asyncio.Task[Batch] | None = self._read_behind(self._position)
        try:
            while reading is not None:
                batch = await reading
                reading = self._read_behind(batch.position) if batch.is_more else None
                await self._ship(batch)
                count += batch.count
        finally:
            if reading is not None:
                reading.cancel()
        return count

    def _read_behind(self, position: ShippedPosition) -> asyncio.Task[Batch]:
        return asyncio.create_task(asyncio.to_thread(self._reader.read, position, BATCH_BYTES))

    async def _ship(self, batch: Batch) -> None:
        await self._store.copy_stream(batch.stream, batch.count, batch.days)
        self._held.follow(batch)
        if batch.damaged:
            self._tell_damage(batch)
        is_segment_over = batch.position.sequence != self._position.sequence
        self._position = batch.position
        self.shipped_records += batch.count
        if is_segment_over:
            await self._note()

    def _tell_damage(self, batch: Batch) -> None:
        self.damaged_records += batch.damaged
        between = f"{self._position.records + 1} to {batch.position.records}"
        where = {"chain": self._chain, "damaged": batch.damaged, "records": between}
        log.error("damaged records aren't shipped, `pgwarden audit verify` names them", extra={"fields": where})

    async def _note_now_and_then(self, shipped: int) -> None:
        self._unnoted_s += self._pause_s
        if self._unnoted_s >= _NOTE_S or not shipped:
            await self._note()

    async def _keep_sealing(self) -> None:
        """Beside shipping, which needn't wait: a store of long ago may have months that are to be sealed."""
        while True:
            await asyncio.sleep(_SEAL_S)
            try:
                if self._store.is_reachable:
                    await self._seal()
            except StoreUnreachableError:
                continue  # shipping says so
            except (AuditError, OSError) as error:
                self.seal_problem = str(error)

    async def _note(self) -> None:
        """Notes the position, durably, and only then lets go of what lies before it."""
        self._unnoted_s = 0.0
        if self._position != self._noted:
            await asyncio.to_thread(write_shipped, self._directory, self._position)
            self._noted = self._position
            await asyncio.to_thread(self._held.delete_before, self._position.sequence)

    async def _seal(self, is_rest: bool = False) -> None:
        """What was shipped and noted; what isn't as it was shipped is told once, and stays without a seal."""
        await self._heads.put_due(self._noted, is_last=is_rest)
        try:
            await (self._sealer.seal_rest(self._noted) if is_rest else self._sealer.seal_due(self._noted))
        except SealError as error:
            if self.seal_problem is None:
                log.error("records can't be sealed: %s", error, extra={"fields": {"chain": self._chain}})
            self.seal_problem = str(error)
        else:
            self.seal_problem = self._sealer.missing or None

    async def _keep_in_touch(self, shipped: int) -> None:
        """Without records to send, a lost store would go unnoticed: ask for a sign of life now and then."""
        self._idle_s = 0.0 if shipped else self._idle_s + self._pause_s
        if self._idle_s >= _PING_S or not self._store.is_reachable:
            self._idle_s = 0.0
            await self._store.ping()


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("%s have failed", task.get_name(), exc_info=task.exception())
