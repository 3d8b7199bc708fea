"""Whether statements may begin now: a principal's limits over all its sessions. It refuses; it sends nothing."""

from __future__ import annotations

from collections.abc import Sequence

from policies.decision import RawColumn, Refusal
from policies.limits import Limit, too_many_a_minute, too_many_at_once, too_many_probes
from policies.model import Limits
from proxy.session.conversation import Conversation
from proxy.session.held import Run
from proxy.session.shared_link import RUN_NOTHING


class Admission:
    def __init__(self, conversation: Conversation) -> None:
        self._c = conversation
        self._harmless: Limits | None = None  # seen last: nothing in them is for here

    def concerns(self, runs: Sequence[Run]) -> bool:
        """Whether any of these has something to be asked about before it begins. Cheap: it is asked of every one."""
        if self._c.allowance is not None:
            return True
        for run in runs:
            plan = run.plan
            if plan.raw_columns:
                return True
            if plan.limits is not self._harmless:
                if _is_limited(plan.limits) or plan.limits.cost is not None:
                    return True
                self._harmless = plan.limits
        return False

    def refusal(self, runs: Sequence[Run]) -> Refusal | None:
        """Why these, one text, may not begin; None when they may, as it looks now. Nothing is counted."""
        limits, raw = _limits_of(runs), _probes(runs)
        if limits is None and not raw:
            return None
        with self._c.load.alone():
            found = self._found(runs, limits, raw, self._c.services.now_us())
        return self._counted(found)

    def begin(self, runs: Sequence[Run]) -> Refusal | None:
        """They begin now, and count from now on; or why not: sessions elsewhere may have been quicker."""
        allowance, count = self._c.allowance, _counted_in(runs)
        if allowance is None or not count:
            return self._begin(runs)
        refused = allowance.take(count)
        if refused is not None:
            return self._counted(refused)
        refusal = self._begin(runs)
        if refusal is not None:
            allowance.give_back(count)
        return refusal

    def _begin(self, runs: Sequence[Run]) -> Refusal | None:
        limits, raw = _limits_of(runs), _probes(runs)
        if limits is None and not raw:
            return None
        load, now_us = self._c.load, self._c.services.now_us()
        with load.alone():
            found = self._found(runs, limits, raw, now_us)
            if found is None:
                self._count(runs, raw, now_us)
                self._c.count_running(run.plan for run in runs)
        self._c.services.count_raw_uses(sum(column.probes for column in raw) if found is None else 0)
        return self._counted(found)

    def _found(
        self, runs: Sequence[Run], limits: Limits | None, raw: Sequence[RawColumn], now_us: int
    ) -> tuple[Limit, Refusal] | None:
        c = self._c
        if limits is not None:
            statements = sum(_is_limited(run.plan.limits) for run in runs)
            if not c.is_counted and (refusal := too_many_at_once(limits, c.load)):
                return Limit.CONCURRENT, refusal
            if refusal := too_many_a_minute(limits, c.load, statements, now_us):
                return Limit.STATEMENTS_PER_MINUTE, refusal
        if refusal := too_many_probes(raw, c.load, now_us):
            return Limit.PROBES, refusal
        return None

    def undo(self, runs: Sequence[Run]) -> None:
        """They could not be recorded, so they don't run."""
        allowance, count = self._c.allowance, _counted_in(runs)
        if allowance is not None and count:
            allowance.give_back(count)
        raw = _probes(runs)
        with self._c.load.alone():
            self._count(runs, raw, self._c.services.now_us(), -1)
        self._c.rest()

    def _count(self, runs: Sequence[Run], raw: Sequence[RawColumn], now_us: int, sign: int = +1) -> None:
        load = self._c.load
        limited = sum(run.plan.limits.statements_per_minute is not None for run in runs)
        if limited:
            load.minute.add(now_us, sign * limited)
        for column in raw:
            load.probes(column.column).add(now_us, sign * column.probes)

    def _counted(self, found: tuple[Limit, Refusal] | None) -> Refusal | None:
        if found is None:
            return None
        self._c.services.count_limit(found[0])
        return found[1]


def _limits_of(runs: Sequence[Run]) -> Limits | None:
    return next((run.plan.limits for run in runs if _is_limited(run.plan.limits)), None)


def _is_limited(limits: Limits) -> bool:
    return limits.concurrent is not None or limits.statements_per_minute is not None


def _counted_in(runs: Sequence[Run]) -> int:
    """Those that rates and quotas count: nobody is kept from ending a transaction."""
    return sum(run.plan.command not in RUN_NOTHING for run in runs)


def _probes(runs: Sequence[Run]) -> list[RawColumn]:
    """What these executions compare: neither PREPARE, which runs nothing, nor FETCH, whose DECLARE has counted."""
    found: list[RawColumn] = []
    for run in runs:
        if run.plan.raw_columns and not run.plan.effect.prepares and not (run.reads and run.reads.is_portal):
            found += run.plan.raw_columns
    return found
