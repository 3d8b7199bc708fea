"""When a worker's newest checkpoint is to go over the bus, with the keys of its folder. Knows neither bus nor store."""

from __future__ import annotations

from pathlib import Path

from audit.checkpoints import read_checkpoints
from audit.heads import PAUSE_US
from audit.journal import worker_directory
from audit.ring import read_ring
from audit.run import Head

_PAUSE_S = PAUSE_US / 1e6


class RunHeads:
    """One chain's. `sent` what `due` gave: else it is due again."""

    def __init__(self, chain: str, directory: Path, worker: int) -> None:
        self._chain = chain
        self._directory = directory
        self._worker = worker
        self._records = 0
        self._sent_s: float | None = None

    def due(self, now_s: float, records: int, *, is_last: bool = False) -> Head | None:
        """A head about no more than so many records, when there is a newer one and the last one is old enough, or
        `is_last`. Raises CorruptJournalError or OSError.
        """
        is_due = is_last or self._sent_s is None or now_s - self._sent_s >= _PAUSE_S
        if not is_due or records <= self._records:
            return None
        checkpoints, _ = read_checkpoints(worker_directory(self._directory, self._worker))
        newest = next((one for one in reversed(checkpoints) if one.records <= records), None)
        if newest is None or newest.records <= self._records:
            return None
        return Head(chain=self._chain, checkpoint=newest, keys=read_ring(self._directory).entries)

    def sent(self, now_s: float, head: Head) -> None:
        """It has been acknowledged."""
        self._records, self._sent_s = head.checkpoint.records, now_s
