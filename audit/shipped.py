"""How far a worker's journal has been shipped, kept in a small file. Knows no store."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import msgspec

from audit.record import NO_HASH
from audit.segment import HEADER_BYTES

FILE_NAME = "shipped.json"


class ShippedPosition(msgspec.Struct, frozen=True, kw_only=True):
    """Everything before `offset` of segment `sequence` is in the store.

    `position` is the same place counted in bytes since the journal's first start, `records` the records
    before it, `hash` (hexadecimal) the last one's hash. `by_bus`: a bus took them, the store may still lack some.
    """

    sequence: int = 1
    offset: int = HEADER_BYTES
    position: int = HEADER_BYTES
    records: int = 0
    hash: str = NO_HASH.hex()
    by_bus: bool = False


def read_shipped(directory: Path) -> ShippedPosition:
    """The stored position; the very start if there is none or it can't be read: shipping again is harmless."""
    try:
        return msgspec.json.decode((directory / FILE_NAME).read_bytes(), type=ShippedPosition)
    except (FileNotFoundError, msgspec.MsgspecError):
        return ShippedPosition()


def write_shipped(directory: Path, shipped: ShippedPosition) -> None:
    """Replaces the stored position, whole and durably. Raises OSError."""
    own = directory / f"{FILE_NAME}.{threading.get_native_id()}.tmp"  # recovery clears away what a kill leaves
    with open(own, "wb") as stream:
        stream.write(msgspec.json.encode(shipped))
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(own, directory / FILE_NAME)
