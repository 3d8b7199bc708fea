"""Which segments of a worker's journal may go when their records have been carried off. Knows neither store nor bus."""

from __future__ import annotations

from pathlib import Path

from audit.batches import Batch
from audit.errors import CorruptJournalError
from audit.segment import SegmentReader, segment_path, sequences_in

DAMAGED = ".damaged"

_HOLD_US = 86_400_000_000  # an intent without an outcome keeps its segment for a day, not for ever


class HeldSegments:
    """Recovery after a crash needs the intents of statements that hadn't ended."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open_intents: dict[bytes, tuple[int, int]] = {}
        self._damaged: set[int] = set()
        self._sequence = 0  # where the last batch ended

    def follow(self, batch: Batch) -> None:
        """Remembers which segments hold intents whose outcome is still to come."""
        if batch.damaged:
            self._damaged.update(range(self._sequence or batch.position.sequence, batch.position.sequence + 1))
        self._sequence = batch.position.sequence
        for statement_id, at in batch.opened.items():
            self._open_intents[statement_id] = (batch.position.sequence, at)
        for statement_id in batch.closed:
            self._open_intents.pop(statement_id, None)

    def delete_before(self, sequence: int) -> None:
        """Deletes the segments before this one, which exists, that nobody needs any more.

        Damaged ones stay as evidence, under another name: somebody may read in them what no program can.
        """
        oldest = self._oldest_needed(sequence)
        for one in sequences_in(self._directory):
            if one < oldest:
                self._let_go(segment_path(self._directory, one), one in self._damaged)

    def _let_go(self, path: Path, is_damaged: bool) -> None:
        try:
            SegmentReader(path).close()
        except CorruptJournalError:
            is_damaged = True
        except FileNotFoundError:
            return
        if is_damaged:
            path.rename(path.with_suffix(DAMAGED))
        else:
            path.unlink(missing_ok=True)

    def _oldest_needed(self, sequence: int) -> int:
        newest_at = max((at for _, at in self._open_intents.values()), default=0)
        held = [one for one, at in self._open_intents.values() if at > newest_at - _HOLD_US]
        return min([sequence, *held])
