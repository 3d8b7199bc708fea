"""Follows the store: gives each record once, however late it comes. Knows no files and no SQL.

A record's time says nothing of when it reaches the store: a sidecar whose store was away sends yesterday's. So it is
the place in every chain that is followed, and a gap in a chain is waited for: shippers may commit out of order, and a
damaged record never comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from audit.store_rows import ChainedRecord

GAP_S: Final = 60.0
LIMIT: Final = 2_000


class Source(Protocol):
    async def behind(self, positions: dict[str, int], limit: int) -> dict[str, list[ChainedRecord]]: ...


class Follower:
    """`positions`: the number of the last record that was given, by chain. `clock` gives seconds, monotonic."""

    def __init__(
        self, source: Source, positions: dict[str, int], clock: Callable[[], float], gap_s: float = GAP_S
    ) -> None:
        self._source = source
        self._clock = clock
        self._gap_s = gap_s
        self._gaps: dict[str, tuple[int, float]] = {}  # by chain: behind which record, since when
        self.positions = dict(positions)

    async def next(self, limit: int = LIMIT) -> list[ChainedRecord]:
        """What is new, in order of time as far as it goes; [] when nothing is. Raises what the source raises."""
        found: list[ChainedRecord] = []
        for chain, records in (await self._source.behind(self.positions, limit)).items():
            taken = self._passed(chain, records)
            if taken:
                self.positions[chain] = taken[-1].sequence
                found += taken
        return sorted(found, key=lambda one: (one.record.at, one.chain, one.sequence))

    def _passed(self, chain: str, records: Sequence[ChainedRecord]) -> Sequence[ChainedRecord]:
        """Those before the first gap, and those behind one that has been waited for."""
        position = self.positions.get(chain, 0)
        for index, one in enumerate(records):
            if one.sequence != position + 1 and not self._is_over(chain, position):
                return records[:index]
            position = one.sequence
        return records

    def _is_over(self, chain: str, position: int) -> bool:
        now = self._clock()
        where, since = self._gaps.get(chain, (-1, now))
        if where != position:
            self._gaps[chain] = position, now
            return self._gap_s <= 0
        return now - since >= self._gap_s
