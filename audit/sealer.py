"""Seals what has been shipped, run by run, once it is in the store. Knows no SQL and no clock.

The records' hashes are read back from the store and must be the chain that the journal wrote: where they aren't,
somebody has changed the store, and nothing is sealed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Final

from audit.errors import SealError
from audit.merkle import root_of
from audit.seal import Seal, sealed
from audit.shipped import ShippedPosition
from audit.signing import Signer
from audit.store_seals import Link, StoreSeals, leaves_of

MOST_RECORDS: Final = 1 << 15
LONGEST_US: Final = 3_600_000_000


class Sealer:
    """One chain's. A run is sealed when it has `most_records`, or `longest_us` after its first record was seen."""

    def __init__(
        self,
        chain: str,
        seals: StoreSeals,
        signer: Callable[[], Signer],
        clock: Callable[[], int],
        *,
        most_records: int = MOST_RECORDS,
        longest_us: int = LONGEST_US,
    ) -> None:
        self._chain = chain
        self._seals = seals
        self._signer = signer
        self._clock = clock
        self._most_records = most_records
        self._longest_us = longest_us
        self._is_begun = False
        self._last: Seal | None = None
        self._next = 1  # the first record that isn't sealed
        self._waiting_since: int | None = None
        self.missing = ""  # which shipped records weren't there to be sealed, first and last of one run

    async def seal_due(self, shipped: ShippedPosition) -> None:
        """Raises SealError where the store doesn't hold what was shipped, StoreError or StoreUnreachableError."""
        await self._begin()
        while shipped.records - self._next + 1 >= self._most_records:
            await self._seal(self._next + self._most_records - 1, shipped)
        if shipped.records < self._next:
            self._waiting_since = None
            return
        now = self._clock()
        if self._waiting_since is None or self._waiting_since > now:  # a clock may go back
            self._waiting_since = now
        if now - self._waiting_since >= self._longest_us:
            await self._seal(shipped.records, shipped)

    async def seal_rest(self, shipped: ShippedPosition) -> None:
        """Everything that was shipped, however little; raises as `seal_due`."""
        await self.seal_due(shipped)
        if shipped.records >= self._next:
            await self._seal(shipped.records, shipped)

    async def _begin(self) -> None:
        if self._is_begun:
            return
        self._last = await self._seals.last(self._chain)
        behind = 0 if self._last is None else self._last.last
        self._next = behind + 1
        if await self._seals.has_dropped():  # months that went before there were seals took their records along
            self._next = max(self._next, await self._seals.first_behind(self._chain, behind) or 1)
        self._is_begun = True

    async def _seal(self, last: int, shipped: ShippedPosition) -> None:
        first = self._next
        links = await self._seals.links(self._chain, first, last)
        self._look_for_missing({link.number for link in links}, first, last)
        end = bytes.fromhex(shipped.hash) if last == shipped.records else None
        seal = await asyncio.to_thread(self._sealed, links, first, last, end)
        if not await self._seals.put(seal):
            self._is_begun = False
            raise SealError(f"records from {first} on of {self._chain} were sealed by somebody else meanwhile")
        self._last, self._next, self._waiting_since = seal, last + 1, None

    def _look_for_missing(self, numbers: set[int], first: int, last: int) -> None:
        """Damaged in the journal or deleted in the store: the others are sealed all the same, and these are told."""
        lacking = [number for number in range(first, last + 1) if number not in numbers]
        if lacking:
            self.missing = f"the store lacks {len(lacking)} records of {self._chain}, the first is {lacking[0]}"

    def _sealed(self, links: list[Link], first: int, last: int, end: bytes | None) -> Seal:
        """In a thread, as tens of thousands of hashes take their time."""
        before = bytes.fromhex(self._last.hash) if self._last is not None and self._last.last == first - 1 else None
        _require_chain(self._chain, links, first, last, before, end)
        leaves = leaves_of(links, first, last)
        plain = Seal(
            chain=self._chain,
            first=first,
            records=len(leaves),
            root=root_of(leaves).hex(),
            hash=leaves[-1].hex(),
            at=self._clock(),
        )
        return sealed(plain, self._signer())


def _require_chain(
    chain: str, links: list[Link], first: int, last: int, before: bytes | None, end: bytes | None
) -> None:
    """`before`: the hash that the first record follows; `end`: that of the last one; None where it isn't known."""
    for one, other in pairwise(links):
        if other.number == one.number:
            raise SealError(f"record {one.number} of {chain} is there twice: a copy of its journal folder is in use")
        if other.number == one.number + 1 and other.prev_hash != one.hash:
            raise SealError(f"record {other.number} of {chain} does not follow the record before it in the store")
    if not links:
        raise SealError(f"the store holds none of records {first} to {last} of {chain}, which were shipped")
    if before is not None and links[0].number == first and links[0].prev_hash != before:
        raise SealError(f"record {first} of {chain} does not follow what was sealed before")
    if end is not None and links[-1].number == last and links[-1].hash != end:
        raise SealError(f"record {last} of {chain} in the store is not the one that was shipped")
