"""What refusals say of policies that would allow something, but whose `when` doesn't hold now. Pure.

Nothing is said where a policy that counts leaves the thing out: the most restrictive wins, so time alone wouldn't help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from policies.model import EffectivePolicy, Policy, Statement
from policies.resolve import function_denied_by, is_function_in, is_statement_in, resolve_table, statement_denied_by


def statement_waits(policy: EffectivePolicy, kinds: Iterable[Statement]) -> str:
    """One sentence about the first policy that lists one of `kinds`, or nothing."""
    open_kinds = [kind for kind in kinds if statement_denied_by(policy, kind) is None]
    return _sentence(policy, lambda part: any(is_statement_in(part, kind) for kind in open_kinds))


def table_waits(policy: EffectivePolicy, schema: str, table: str) -> str:
    if resolve_table(policy, schema, table).denied_by is not None:
        return ""
    return _sentence(policy, lambda part: any(p.matches(schema, table) for p in part.tables_allow or ()))


def function_waits(policy: EffectivePolicy, schema: str, name: str) -> str:
    if function_denied_by(policy, schema, name) is not None:
        return ""
    return _sentence(policy, lambda part: is_function_in(part, schema, name))


def _sentence(policy: EffectivePolicy, allows: Callable[[Policy], bool]) -> str:
    found = next((part for part in policy.waiting if allows(part)), None)
    return f"Policy {found.name} ({found.source}) would allow it, but only within its `when`." if found else ""
