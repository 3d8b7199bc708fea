"""Whether statements may begin now: a principal's limits over all its sessions. It refuses; it sends nothing."""

from __future__ import annotations

from collections.abc import Sequence

from policies.decision import RawColumn, Refusal
from policies.limits import Limit, Load, too_many_a_minute, too_many_at_once, too_many_probes
from policies.model import Limits
from proxy.session.conversation import Conversation
from proxy.session.held import Run


class Admission:
    def __init__(self, conversation: Conversation) -> None:
        self._c = conversation
        self._harmless: Limits | None = None  # seen last: nothing in them is for here

    def concerns(self, runs: Sequence[Run]) -> bool:
        """Whether any of these has something to be asked about before it begins. Cheap: it is asked of every one."""
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
        """Why these, one text, may not begin; None when they may. Nothing is counted yet."""
        limits = next((run.plan.limits for run in runs if _is_limited(run.plan.limits)), None)
        raw = _probes(runs)
        if limits is None and not raw:
            return None
        c = self._c
        load, now_us = c.load, c.services.now_us()
        found: list[tuple[Limit, Refusal | None]] = []
        if limits is not None:
            statements = sum(_is_limited(run.plan.limits) for run in runs)
            found.append((Limit.CONCURRENT, None if c.is_counted else too_many_at_once(limits, load)))
            found.append((Limit.STATEMENTS_PER_MINUTE, too_many_a_minute(limits, load, statements, now_us)))
        found.append((Limit.PROBES, too_many_probes(raw, load, now_us)))
        for limit, refusal in found:
            if refusal is not None:
                c.services.count_limit(limit)
                return refusal
        return None

    def begin(self, runs: Sequence[Run]) -> None:
        """They have their records and run now: they count. Those that run at once count in the conversation."""
        limited = sum(run.plan.limits.statements_per_minute is not None for run in runs)
        raw = _probes(runs)
        if not limited and not raw:
            return
        now_us = self._c.services.now_us()
        load: Load = self._c.load
        if limited:
            load.minute.add(now_us, limited)
        for column in raw:
            load.add_probe(column, now_us)
        self._c.services.count_raw_uses(sum(column.probes for column in raw))


def _is_limited(limits: Limits) -> bool:
    return limits.concurrent is not None or limits.statements_per_minute is not None


def _probes(runs: Sequence[Run]) -> list[RawColumn]:
    """What these executions compare: neither PREPARE, which runs nothing, nor FETCH, whose DECLARE has counted."""
    found: list[RawColumn] = []
    for run in runs:
        if run.plan.raw_columns and not run.plan.effect.prepares and not (run.reads and run.reads.is_portal):
            found += run.plan.raw_columns
    return found
