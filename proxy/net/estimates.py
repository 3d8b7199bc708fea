"""What statements would cost, by the planners of all databases: asked over few connections, remembered for a while."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from typing import Final

from policies.compile.costed import costed_statement
from policies.compile.parse import ParseError
from proxy.dsn import Upstream
from proxy.net.planner import Planner, PlannerRefused, PlannerUnreachable
from proxy.session.ports import CostQuery, Estimate

CONNECTIONS: Final = 2  # to each database
_TURNS: Final = CONNECTIONS - 1  # of them one user's at a time
PATIENCE_S: Final = 10.0  # how long a session waits, for a connection and for the answer
_REMEMBERED_S: Final = 300.0
_REMEMBERED: Final = 1000
_LONG_TEXT: Final = 32_768  # longer ones are asked for again
_OF_NAMES: Final = frozenset({"42P01", "42P02", "42703", "42704", "42883", "3F000"})
_TOO_SLOW: Final = frozenset({"57014", "55P03"})
_SLOW: Final = Estimate(None, "the planner took too long", "Try again, or write the statement in another way.")
_AWAY: Final = Estimate(None, "the planner can't be reached", "Try again later.")

log = logging.getLogger("pgwarden.net")


class Estimates:
    """`count` hears "known", "made" or "failed" of each question; `now_s` is monotonic."""

    def __init__(
        self,
        upstreams: Mapping[str, Callable[[], Upstream]],
        count: Callable[[str], None],
        now_s: Callable[[], float],
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._upstreams = upstreams
        self._count = count
        self._now_s = now_s
        self._patience_s = patience_s
        self._known: OrderedDict[CostQuery, tuple[float, Estimate]] = OrderedDict()
        self._slots = {name: asyncio.Semaphore(CONNECTIONS) for name in upstreams}
        self._turns: defaultdict[tuple[str, str], asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_TURNS))
        self._idle: dict[str, list[Planner]] = {name: [] for name in upstreams}

    def known(self, query: CostQuery) -> Estimate | None:
        """What was found out a while ago."""
        found = self._known.get(query)
        if found is None or found[0] < self._now_s():
            return None
        self._count("known")
        return found[1]

    async def make(self, query: CostQuery, user: str = "") -> Estimate:
        """Asks. It takes at most about `patience_s` and never raises but when cancelled.

        A user's questions wait for each other: planning may take long, and one user must not hold up all others.
        """
        try:
            async with asyncio.timeout(self._patience_s), self._turns[query.database, user]:
                estimate = await self._ask(query)
        except TimeoutError:
            estimate = _SLOW
        except Exception:
            log.exception("an estimate failed", extra={"fields": {"database": query.database}})
            estimate = _AWAY
        self._count("made" if estimate.units is not None else "failed")
        self._remember(query, estimate)
        return estimate

    async def _ask(self, query: CostQuery) -> Estimate:
        try:
            costed = costed_statement(query.text, query.index)
        except (ParseError, ValueError, IndexError):
            return Estimate(None, "the statement can't be read")
        if costed is None:
            return Estimate(0.0)
        async with self._slots[query.database]:
            for _ in range(CONNECTIONS + 1):
                planner = await self._planner(query.database)
                if planner is None:
                    return _AWAY
                try:
                    units, rows = await planner.estimate(costed, query.search_path, query.types)
                except PlannerRefused as refused:
                    return _refused(refused.sqlstate)
                except PlannerUnreachable:
                    continue  # one that was idle may have been lost meanwhile
                finally:
                    self._give_back(query.database, planner)
                return Estimate(units, rows=rows)
        return _AWAY

    async def _planner(self, database: str) -> Planner | None:
        idle = self._idle[database]
        while idle:
            planner = idle.pop()
            if planner.is_usable:
                return planner
        try:
            upstream = await asyncio.to_thread(self._upstreams[database])
            return await Planner.connect(upstream.url())
        except (PlannerUnreachable, OSError, ValueError):
            log.warning("the planner can't be reached", extra={"fields": {"database": database}})
            return None

    def _give_back(self, database: str, planner: Planner) -> None:
        if planner.is_usable:
            self._idle[database].append(planner)

    def _remember(self, query: CostQuery, estimate: Estimate) -> None:
        if estimate.units is None or len(query.text) > _LONG_TEXT:
            return
        self._known[query] = (self._now_s() + _REMEMBERED_S, estimate)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    async def close(self) -> None:
        for idle in self._idle.values():
            while idle:
                await idle.pop().close()


def _refused(sqlstate: str) -> Estimate:
    if sqlstate in _TOO_SLOW:
        return _SLOW
    hint = "Temporary tables and what this transaction has made can't be estimated." if sqlstate in _OF_NAMES else ""
    return Estimate(None, f"the planner refuses it ({sqlstate})", hint)
