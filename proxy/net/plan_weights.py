"""What the planner thinks of statements, for their price: asked once per shape while nobody waits, and remembered.

The first runs of a shape are over before the answer is there: they are priced without it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from policies.decision import Decision, Plan
from proxy.session.epoch import Epoch
from proxy.session.ports import CostQuery, Estimate

MOST_KNOWN: Final = 10_000
MOST_WAITING: Final = 200  # more are asked for when they run again
_TOLD_EVERY_S: Final = 1.0  # sessions look everything up again when they are told
_PLANNED: Final = frozenset({"select", "insert", "update", "delete", "merge", "copy", "create table as"})
_MOST_UNITS: Final = (1 << 63) - 1  # what a record holds


@dataclass(frozen=True, slots=True)
class _Question:
    """All that an estimate depends on, but the statement's literals and the tables' sizes."""

    database: str
    policy_fingerprint: str
    catalog_version: int
    search_path: tuple[str, ...]
    shape: str


class PlanWeights:
    """`ask` never raises. `epoch` advances when answers have come: what was looked up without them is stale."""

    def __init__(
        self, ask: Callable[[CostQuery], Awaitable[Estimate]], epoch: Epoch, told_every_s: float = _TOLD_EVERY_S
    ) -> None:
        self._ask = ask
        self._epoch = epoch
        self._told_every_s = told_every_s
        self._known: OrderedDict[_Question, int | None] = OrderedDict()  # None: asked, or there is no answer
        self._waiting: asyncio.Queue[tuple[_Question, CostQuery]] = asyncio.Queue(MOST_WAITING)

    def of(self, database: str, decision: Decision, plan: Plan) -> int | None:
        """In the planner's units; None while they aren't known, and for what the planner can't plan."""
        if plan.command not in _PLANNED or not plan.shape or not decision.text:
            return None
        question = _Question(
            database, decision.policy_fingerprint, decision.catalog_version, decision.search_path, plan.shape
        )
        if question in self._known:
            return self._known[question]
        self._note(question, decision, plan)
        return None

    def _note(self, question: _Question, decision: Decision, plan: Plan) -> None:
        index = next((i for i, one in enumerate(decision.plans) if one is plan), None)
        if index is None or self._waiting.full():
            return
        q = question
        self._waiting.put_nowait((q, CostQuery(q.database, q.catalog_version, q.search_path, decision.text, index)))
        self._known[q] = None
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    async def run(self) -> None:
        """Until cancelled: asks one question after the other."""
        while True:
            if await self._answer(*await self._waiting.get()):
                await self._answer_for(self._told_every_s)
                self._epoch.advance()

    async def _answer_for(self, time_s: float) -> None:
        """What else comes within so many seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + time_s
        while (left := until - loop.time()) > 0:
            try:
                question, query = await asyncio.wait_for(self._waiting.get(), left)
            except TimeoutError:
                return
            await self._answer(question, query)

    async def _answer(self, question: _Question, query: CostQuery) -> bool:
        estimate = await self._ask(query)
        if estimate.units is None or question not in self._known:
            return False
        self._known[question] = min(round(min(estimate.units, float(_MOST_UNITS))), _MOST_UNITS)
        return True
