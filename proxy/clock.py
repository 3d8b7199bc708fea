"""The clock that durations are measured by, as a call without a frame of Python where it is compiled."""

from __future__ import annotations

from audit import octets


def monotonic_us() -> int:
    """Microseconds since some moment; it never goes back."""
    return octets.monotonic_us()
