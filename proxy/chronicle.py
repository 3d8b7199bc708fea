"""The supervisor's own journal: events that belong to no worker and no session. Knows no statements and no store.

It stands beside the workers' as number 0 and is shipped, chained and sealed as theirs are. Whoever holds it holds the
folder: a second sidecar on the same one doesn't start.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from audit.errors import JournalError, JournalInUseError
from audit.journal import Journal
from audit.record import Record, Stage, Verdict
from proxy.inheritance import FORMER_S

WORKER: Final = 0  # workers count from 1
COMMANDS: Final = 1000  # what commands leave while a supervisor may be running; workers never come that far
_SEGMENT_BYTES: Final = 1 << 20
_TRY_AGAIN_S: Final = 0.1

log = logging.getLogger("pgwarden.supervisor")


def event(shape: str, text: str, decision: Verdict | None = None, **fields: Any) -> Record:
    """An event's record. `shape`: its name in snake_case; `text`: one sentence; `fields`: others of a record."""
    return Record(stage=Stage.EVENT, shape=shape, sql_text=text, decision=decision, **fields)


class Chronicle:
    """`note` an event; `close` before the last records are shipped."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @classmethod
    async def open(cls, directory: Path, number: int = WORKER, signing_key: bytes | None = None) -> Chronicle:
        """Waits a moment for a former process to end. Raises JournalError, JournalInUseError when it doesn't,
        SigningKeyError or CorruptJournalError.
        """
        until = time.monotonic() + FORMER_S
        while True:
            try:
                return cls(await asyncio.to_thread(_opened, directory, number, signing_key))
            except JournalInUseError:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(_TRY_AGAIN_S)

    @property
    def position(self) -> int:
        """Bytes that were written since the journal's first start."""
        return self._journal.position

    def note(self, shape: str, text: str, decision: Verdict | None = None, **fields: Any) -> bool:
        """Records one event, as `event` takes it; whether that went well: it outlives this process then."""
        return self.append([event(shape, text, decision, **fields)])

    def append(self, records: Sequence[Record]) -> bool:
        """Records all of them or none; a journal that fails is logged, as no statement depends on these."""
        try:
            self._journal.append(records)
        except JournalError as error:
            names = ", ".join(sorted({record.shape for record in records}))
            log.error("an event could not be recorded: %s", error, extra={"fields": {"events": names}})
            return False
        return True

    async def close(self) -> None:
        await asyncio.to_thread(self._journal.close)


def _opened(directory: Path, number: int, signing_key: bytes | None) -> Journal:
    return Journal.open(directory, number, segment_bytes=_SEGMENT_BYTES, signing_key=signing_key)
