"""Holds the records of the store against their seals, on one walk through the chains. Knows no SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from audit.findings import Findings
from audit.merkle import root_of
from audit.seal import Seal, is_seal_true
from audit.store_rows import ChainedRecord
from audit.store_seals import Link, leaves_of
from audit.trust import KeysInTurn, Trust

_LATE_US = 7 * 86_400_000_000


class SealWalk:
    """Takes records in the order of their chains: `record` for each, `end` behind the last.

    Seals must bear a signature of the keys that count for their chain; where none does, roots alone are looked at, and
    a note says so. `dropped_us`: the end of the last month that retention has dropped, None if it has none: seals whose
    records were in it can't be held against anything.
    """

    def __init__(
        self, seals: Sequence[Seal], trust: Trust, dropped_us: int | None, findings: Findings, where: str = "store"
    ) -> None:
        self._where = where
        self._has_dropped = dropped_us is not None
        self._dropped_us = dropped_us or 0
        self._findings = findings
        self._seals: dict[str, list[Seal]] = defaultdict(list)
        for seal in sorted(seals, key=lambda one: one.first):
            self._seals[seal.chain].append(seal)
        self._chain = ""
        self._links: list[Link] = []
        for chain, own in self._seals.items():
            self._check_seals(chain, own, trust)

    def record(self, chained: ChainedRecord) -> None:
        if chained.chain != self._chain:
            self._leave_chain()
            self._chain = chained.chain
        pending = self._seals.get(chained.chain, [])
        while pending and pending[0].last < chained.sequence:
            self._close(pending.pop(0))
        if pending and chained.sequence >= pending[0].first:
            record = chained.record
            self._links.append(Link(chained.sequence, bytes.fromhex(record.prev_hash), bytes.fromhex(record.hash)))
        if pending and pending[0].last == chained.sequence:
            self._close(pending.pop(0))

    def end(self) -> None:
        self._leave_chain()
        for own in self._seals.values():
            if not self._has_dropped:
                self._add(own[0], f"to {own[-1].last} are missing: they were sealed")
            for seal in own if self._has_dropped else ():
                self._judge_dropped(seal, seal.last)

    def _leave_chain(self) -> None:
        for seal in self._seals.pop(self._chain, []):
            self._close(seal)

    def _close(self, seal: Seal) -> None:
        links, self._links = self._links, []
        if self._has_dropped and (not links or links[0].number > seal.first):
            self._judge_dropped(seal, links[0].number - 1 if links else seal.last)
            return
        behind = links[-1].number + 1 if links else seal.first
        if behind <= seal.last:
            self._findings.add(
                f"{self._where} {seal.chain}", behind, "", f"to {seal.last} are missing: they were sealed"
            )
        elif root_of(leaves_of(links, seal.first, seal.last)).hex() != seal.root:
            self._add(seal, f"to {seal.last} are not those that were sealed")

    def _judge_dropped(self, seal: Seal, last: int) -> None:
        """What was sealed long after the months that are gone wasn't in them, unless a store of old was sealed late."""
        if seal.at > self._dropped_us + _LATE_US:
            place = f"{self._where} {seal.chain}: records {seal.first} to {last}"
            late = "were sealed long after the months that retention dropped: late, or somebody has deleted them"
            self._findings.notes.append(f"{place} {late}")

    def _check_seals(self, chain: str, own: Sequence[Seal], trust: Trust) -> None:
        keys = trust.keys_of(chain)
        if keys is None:
            self._findings.notes.append(
                f"{self._where} {chain}: the seals are of another key, their signatures weren't checked"
            )
        in_turn = KeysInTurn(keys or ())
        behind = own[0].first if self._has_dropped else 1
        for seal in own:
            if keys is not None and not in_turn.is_true(lambda key, seal=seal: is_seal_true(seal, key)):  # type: ignore[misc]
                self._add(seal, f"to {seal.last} have a seal with a false signature")
            if seal.first > behind:
                self._add(seal, f"to {seal.last} are sealed, and {behind} to {seal.first - 1} before them are not")
            behind = seal.last + 1

    def _add(self, seal: Seal, message: str) -> None:
        self._findings.add(f"{self._where} {seal.chain}", seal.first, "", message)
