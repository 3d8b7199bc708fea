"""The event loop that both supervisor and workers run on."""

from __future__ import annotations

from typing import Any


def loop_factory() -> Any:
    """uvloop's, where there is one; else None, which means asyncio's own."""
    try:
        import uvloop
    except ImportError:  # no build for this system
        return None
    return uvloop.new_event_loop
