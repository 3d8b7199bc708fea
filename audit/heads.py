"""Puts a worker's newest checkpoint into the store once the records that it is about are there. Knows no SQL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from audit.checkpoints import read_checkpoints
from audit.journal import worker_directory
from audit.ring import Ring, read_ring
from audit.shipped import ShippedPosition
from audit.signing import Checkpoint
from audit.store_heads import StoreHeads

PAUSE_US: Final = 300_000_000  # each is a row that stays


class Heads:
    """One chain's. What stands between two of them is vouched for by the journal's own checkpoints and by seals."""

    def __init__(self, chain: str, directory: Path, worker: int, heads: StoreHeads, clock: Callable[[], int]) -> None:
        self._chain = chain
        self._directory = directory
        self._worker = worker
        self._heads = heads
        self._clock = clock
        self._ring = Ring()
        self._records = 0
        self._put_us: int | None = None

    async def put_due(self, shipped: ShippedPosition, *, is_last: bool = False) -> None:
        """A head when there are new records and the last one is old enough, or `is_last`. Raises as StoreHeads, OSError
        or CorruptJournalError.
        """
        now, before = self._clock(), self._put_us
        is_due = before is None or not 0 <= now - before < PAUSE_US  # a clock may go back
        if shipped.records <= self._records or not (is_due or is_last):
            return
        newest = self._newest(shipped.records)
        if newest is None or newest.records <= self._records:
            return
        await self._put_keys()
        await self._heads.put(self._chain, newest)
        self._records, self._put_us = newest.records, now

    async def _put_keys(self) -> None:
        ring = read_ring(self._directory)
        if ring != self._ring:
            await self._heads.put_keys(ring)
            self._ring = ring

    def _newest(self, records: int) -> Checkpoint | None:
        """The last one that is about no more than these."""
        checkpoints, _ = read_checkpoints(worker_directory(self._directory, self._worker))
        own = (checkpoint for checkpoint in reversed(checkpoints) if checkpoint.records <= records)
        return next(own, None)
