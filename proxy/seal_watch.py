"""Tells, once each, what keeps records from being sealed: in the records, as somebody may have changed the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import Final

from admin.app import Check
from proxy.chronicle import Chronicle

_LOOK_S: Final = 2.0


class SealWatch:
    """`problems` gives those of now: of seals in the store, and of checkpoints that no key signs."""

    def __init__(self, problems: Callable[[], Iterable[str]], chronicle: Chronicle) -> None:
        self._problems = problems
        self._chronicle = chronicle
        self._told: Collection[str] = ()

    @property
    def check(self) -> Check:
        """Statements are recorded all the same, so clients may come."""
        problems = sorted(set(self._problems()))
        return Check("seals", not problems, "; ".join(problems), is_needed=False)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_S)

    def look(self) -> None:
        now = set(self._problems())
        for problem in sorted(now - set(self._told)):
            self._chronicle.note("seal_problem", problem)
        self._told = now
