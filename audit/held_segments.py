"""Which segments of a worker's journal may go when their records have been carried off. Knows neither store nor bus."""

from __future__ import annotations

from pathlib import Path

from audit.batches import Batch
from audit.segment import segment_path, sequences_in

_HOLD_US = 86_400_000_000  # an intent without an outcome keeps its segment for a day, not for ever


class HeldSegments:
    """Recovery after a crash needs the intents of statements that hadn't ended."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open_intents: dict[bytes, tuple[int, int]] = {}

    def follow(self, batch: Batch) -> None:
        """Remembers which segments hold intents whose outcome is still to come."""
        for statement_id, at in batch.opened.items():
            self._open_intents[statement_id] = (batch.position.sequence, at)
        for statement_id in batch.closed:
            self._open_intents.pop(statement_id, None)

    def delete_before(self, sequence: int) -> None:
        """Deletes the segments before this one, which exists, that nobody needs any more."""
        oldest = self._oldest_needed(sequence)
        for one in sequences_in(self._directory):
            if one < oldest:
                segment_path(self._directory, one).unlink(missing_ok=True)

    def _oldest_needed(self, sequence: int) -> int:
        newest_at = max((at for _, at in self._open_intents.values()), default=0)
        held = [one for one, at in self._open_intents.values() if at > newest_at - _HOLD_US]
        return min([sequence, *held])
