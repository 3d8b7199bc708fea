"""What a worker tells and asks the other workers of its sidecar, and how it goes about where there are none."""

from __future__ import annotations

from typing import Protocol


class Neighbours(Protocol):
    """All other workers. What is awaited takes a bounded time and doesn't raise."""

    def lead(self) -> int:
        """How many links this worker has more than the one with the fewest."""

    def has_links(self, count: int) -> None:
        """This worker has so many now, and takes more."""

    def is_away(self) -> None:
        """This worker takes no connections from now on."""

    async def cancel(self, process_id: int, secret_key: bytes) -> None:
        """Returns when whoever has a link with this key has carried the request out."""

    async def catalog_changed(self, database: str) -> None:
        """Returns when the others' sessions know what was committed before the call, or when that takes too long."""


class Nobody:
    """A worker that is alone."""

    def lead(self) -> int:
        return 0

    def has_links(self, count: int) -> None:
        """Nobody compares."""

    def is_away(self) -> None:
        """Nobody takes its place."""

    async def cancel(self, process_id: int, secret_key: bytes) -> None:
        """The key is nobody's."""

    async def catalog_changed(self, database: str) -> None:
        """Nobody else has a session."""
