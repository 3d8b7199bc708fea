"""The limits of several policies together: of each the least, and the rule that sets it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from policies.model import AtCap, Limits, RuleId

T = TypeVar("T", int, float)


def least(limits: Sequence[Limits]) -> Limits:
    """Where anybody who limits rows or bytes wants an error at the cap, it is an error."""
    rows, rows_rule = _minimum((one.rows, one.rows_rule) for one in limits)
    runtime_s, runtime_rule = _minimum((one.runtime_s, one.runtime_rule) for one in limits)
    count, bytes_rule = _minimum((one.bytes, one.bytes_rule) for one in limits)
    concurrent, concurrent_rule = _minimum((one.concurrent, one.concurrent_rule) for one in limits)
    per_minute, per_minute_rule = _minimum((o.statements_per_minute, o.statements_per_minute_rule) for o in limits)
    cost, cost_rule = _minimum((one.cost, one.cost_rule) for one in limits)
    return Limits(
        rows=rows,
        runtime_s=runtime_s,
        bytes=count,
        concurrent=concurrent,
        statements_per_minute=per_minute,
        cost=cost,
        at_cap=_at_cap(limits),
        rows_rule=rows_rule,
        runtime_rule=runtime_rule,
        bytes_rule=bytes_rule,
        concurrent_rule=concurrent_rule,
        statements_per_minute_rule=per_minute_rule,
        cost_rule=cost_rule,
    )


def is_limited(limits: Limits) -> bool:
    amounts = (limits.rows, limits.runtime_s, limits.bytes, limits.concurrent, limits.cost)
    return limits.statements_per_minute is not None or any(amount is not None for amount in amounts)


def _at_cap(limits: Sequence[Limits]) -> AtCap:
    wishes = {one.at_cap for one in limits if one.rows is not None or one.bytes is not None}
    return AtCap.TRUNCATE if wishes == {AtCap.TRUNCATE} else AtCap.ERROR


def _minimum(limits: Iterable[tuple[T | None, RuleId | None]]) -> tuple[T | None, RuleId | None]:
    smallest: T | None = None
    smallest_rule: RuleId | None = None
    for value, rule in limits:
        if value is not None and (smallest is None or value < smallest):
            smallest, smallest_rule = value, rule
    return smallest, smallest_rule
