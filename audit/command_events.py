"""Events of commands: what somebody did with the memory from a terminal stands in it, too.

Commands have a journal of their own beside the workers', with a chain that is signed and sealed as theirs are. Knows no
command.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from audit.errors import AuditError, JournalError, JournalInUseError
from audit.journal import Journal
from audit.record import Record
from audit.shipper import Shipper
from audit.store import Store

COMMANDS: Final = 900  # behind any worker's number: a supervisor ships what a command couldn't
_SEGMENT_BYTES: Final = 1 << 16
_WAIT_S: Final = 10.0
_PAUSE_S: Final = 0.05


def record_event(directory: Path, event: Record, wait_s: float = _WAIT_S) -> None:
    """Writes the event to the commands' journal in the sidecar's folder; when it returns, it is on the disk.

    Raises JournalError if it can't be written, also when another command keeps the journal for long.
    """
    journal = _opened(directory, time.monotonic() + wait_s)
    try:
        journal.append([event])
    finally:
        journal.close()


async def ship_events(directory: Path, store: Store) -> None:
    """Sends what is there. A store that is away gets it from the next command, or the next start of the sidecar."""
    with suppress(AuditError, OSError):
        shipper = Shipper(directory, COMMANDS, store, written_position=lambda: 0)
        with closing(shipper):
            await shipper.ship_available()


async def note_event(directory: Path, store: Store, event: Record) -> None:
    """Both. Raises JournalError."""
    await asyncio.to_thread(record_event, directory, event)
    await ship_events(directory, store)


def _opened(directory: Path, until: float) -> Journal:
    while True:
        try:
            return Journal.open(directory, COMMANDS, segment_bytes=_SEGMENT_BYTES)
        except JournalInUseError:
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE_S)
        except OSError as error:
            raise JournalError(f"the journal folder can't be used: {error.strerror}") from error
