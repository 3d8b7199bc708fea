"""What a worker's publisher must not forget: how far its journal was sealed, and seals that the bus may yet lose.

Beside it stands `shipped.json` with the position up to which the bus has everything for certain. Knows no bus.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import msgspec

from audit.seal import Seal
from audit.shipped import ShippedPosition

FILE_NAME = "bus.json"


class BusNotes(msgspec.Struct, frozen=True, kw_only=True):
    """`sealed`: everything before it is in a seal that was made; `seals`: the newest ones, to be sent again."""

    sealed: ShippedPosition
    seals: tuple[Seal, ...] = ()


def read_notes(directory: Path) -> BusNotes | None:
    """None if there are none, or unreadable ones: then sealing begins where shipping has come to."""
    try:
        return msgspec.json.decode((directory / FILE_NAME).read_bytes(), type=BusNotes)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def write_notes(directory: Path, notes: BusNotes) -> None:
    """Replaces them, whole and durably. Raises OSError."""
    own = directory / f"{FILE_NAME}.{threading.get_native_id()}.tmp"  # recovery clears away what a kill leaves
    with open(own, "wb") as stream:
        stream.write(msgspec.json.encode(notes))
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(own, directory / FILE_NAME)
