"""Seals what a sidecar has put on the bus, from its own journal. Knows neither bus nor store.

A sidecar of a fleet has the key and doesn't see the store; the shippers see the store and have no key. So the sidecar
makes the seals, of hashes that it wrote itself, and shippers put them into the store behind the records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from audit.merkle import root_of
from audit.run_writer import NumberedRecord
from audit.seal import Seal, sealed
from audit.sealer import LONGEST_US, MOST_RECORDS
from audit.shipped import ShippedPosition
from audit.signing import Signer
from audit.store_seals import Link, leaves_of


class RunSealer:
    """One chain's. A run is sealed when it has `most_records`, or `longest_us` after its first record was seen.

    `start`: everything before it is sealed. Each record behind it must be taken, in order, before it is sealed.
    """

    def __init__(
        self,
        chain: str,
        signer: Callable[[], Signer],
        clock: Callable[[], int],
        start: ShippedPosition,
        *,
        most_records: int = MOST_RECORDS,
        longest_us: int = LONGEST_US,
    ) -> None:
        self._chain = chain
        self._signer = signer
        self._clock = clock
        self._most_records = most_records
        self._longest_us = longest_us
        self._links: list[Link] = []
        self._waiting_since: int | None = None
        self.position = start

    def take(self, records: Sequence[NumberedRecord]) -> None:
        """What was sent, and perhaps sent before."""
        known = self._links[-1].number if self._links else self.position.records
        for number, record in records:
            if number > known:
                self._links.append(Link(number, record[:32], record[32:64]))

    def due(self, sent: ShippedPosition, is_rest: bool = False) -> Seal | None:
        """A seal of everything up to `sent`, if there is enough or it has waited long enough, or `is_rest`.

        It counts from now on: `position` is behind it.
        """
        count = sent.records - self.position.records
        if count <= 0:
            self._waiting_since = None
            return None
        if not (is_rest or count >= self._most_records or self._has_waited()):
            return None
        seal = self._sealed(self.position.records + 1, sent)
        self._links = [link for link in self._links if link.number > sent.records]
        self.position, self._waiting_since = sent, None
        return seal

    def _has_waited(self) -> bool:
        now = self._clock()
        if self._waiting_since is None or self._waiting_since > now:  # a clock may go back
            self._waiting_since = now
        return now - self._waiting_since >= self._longest_us

    def _sealed(self, first: int, sent: ShippedPosition) -> Seal:
        leaves = leaves_of(self._links, first, sent.records)
        plain = Seal(
            chain=self._chain,
            first=first,
            records=len(leaves),
            root=root_of(leaves).hex(),
            hash=leaves[-1].hex(),
            at=self._clock(),
        )
        return sealed(plain, self._signer())
