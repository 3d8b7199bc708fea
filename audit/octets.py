"""Copying, hashing and checking bytes inside of buffers, and clocks: no object is made for it. Knows no format.

This is what runs interpreted. Compiled modules take the same functions out of octets.pxd, in C: by `octets.put`, never
by names of their own. `into` is a writable buffer of bytes; offsets and sizes are the caller's to get right: in C a
wrong one raises IndexError, or ValueError for a function that isn't there.
"""

from __future__ import annotations

import hashlib
import time
import zlib

from audit.libraries import Functions

View = memoryview


def clock_us() -> int:
    """Microseconds since 1970-01-01 UTC by the machine's clock."""
    return time.time_ns() // 1000


def monotonic_us() -> int:
    """Microseconds since some moment; it never goes back."""
    return time.monotonic_ns() // 1000


def put(into: View, at: int, data: bytes) -> int:
    """Copies `data` and gives the offset behind it."""
    into[at : at + len(data)] = data
    return at + len(data)


def take(data: View, at: int, size: int) -> bytes:
    return bytes(data[at : at + size])


def put_sha256(functions: Functions, into: View, at: int, before: bytes, start: int, size: int) -> None:
    """The digest of `before` and of `size` bytes from `start` on, written to `at`: 32 bytes."""
    into[at : at + 32] = hashlib.sha256(before + into[start : start + size]).digest()


def crc32(functions: Functions, data: View, start: int, size: int, before: int) -> int:
    """The CRC-32 of these bytes, going on from `before`."""
    return zlib.crc32(data[start : start + size], before)


def publish(into: View, at: int, data: View, size: int) -> None:
    """Copies the first `size` bytes of `data` (at least 4), the first four of them last: they say that it is there."""
    into[at + 4 : at + size] = data[4:size]
    into[at : at + 4] = data[:4]
