"""What is allowed in policies, but rarely meant: warnings for whoever checks them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from policies.errors import PoliciesError, Problem, Severity
from policies.least_limits import is_limited
from policies.model import ColumnName, EffectivePolicy, Mode, Policy, PolicySet
from policies.resolve import resolve, resolve_table
from policies.subjects import is_for


def advise(policies: PolicySet) -> list[Problem]:
    """Warnings in order of file and line."""
    found = [problem for policy in policies.policies for problem in _of(policy, policies)]
    return sorted([*found, *_unprotected_tags(policies), *_keys_without_tiers(policies)])


def _keys_without_tiers(policies: PolicySet) -> Iterator[Problem]:
    """Keys are made of a tier; where none is defined, there can be none."""
    for principal in policies.principals.values():
        if principal.has_stored_keys and not policies.tiers:
            message = f"user {principal.user!r} logs in by stored keys, but no tier is defined under 'tiers'"
            yield Problem(principal.source, message, Severity.WARNING)


def _unprotected_tags(policies: PolicySet) -> Iterator[Problem]:
    """A tag says that a column matters; alone it hides nothing."""
    for tag, columns in policies.tags.items():
        bare = [str(column) for column in columns if not any(_hides(policy, column) for policy in policies.policies)]
        if bare and tag in policies.tag_sources:
            message = f"tag {tag!r}: no policy masks or blocks {', '.join(bare)}"
            yield Problem(policies.tag_sources[tag], message, Severity.WARNING)


def _hides(policy: Policy, column: ColumnName) -> bool:
    return (
        any(mask.column == column for mask in policy.masks)
        or any(blocked == column for blocked, _ in policy.columns_block)
        or any(pattern.matches(column.schema, column.table) for pattern, _ in policy.tables_block)
    )


def _of(policy: Policy, policies: PolicySet) -> Iterator[Problem]:
    if policy.when is None or policy.mode is Mode.SHADOW:
        return
    if _only_narrows(policy):
        message = (
            f"policy {policy.name!r} only takes away, and only within its 'when': outside it, what it hides is open to"
            " whomever another policy lets in; put the 'when' on the policy that allows"
        )
        yield Problem(policy.source, message, Severity.WARNING)
    elif opened := next(_opened(policy, policies), None):
        user, name = opened
        message = (
            f"outside the 'when' of policy {policy.name!r}, user {user!r} sees {name} as it is, because other policies"
            " allow it; hide it in a policy without a 'when', too"
        )
        yield Problem(policy.source, message, Severity.WARNING)


def _only_narrows(policy: Policy) -> bool:
    """Nothing is lost with it that a client needs to get at a table, but something is that hides or holds back."""
    hides = (policy.tables_block, policy.columns_block, policy.rows, policy.masks, policy.statements_deny)
    return policy.tables_allow is None and (any(hides) or is_limited(policy.limits))


def _opened(policy: Policy, policies: PolicySet) -> Iterator[tuple[str, str]]:
    """(user, what is hidden within the `when` alone). One user of those for whom the same policies count suffices."""
    seen: set[tuple[str, ...]] = set()
    for database in {other.database for other in policies.policies}:
        for principal in policies.principals.values():
            if not is_for(policy, principal, database):
                continue
            outside = _outside(policies, principal.user, database)
            key = (database, *(part.name for part in outside.policies)) if outside else ()
            if outside is not None and key not in seen:
                seen.add(key)
                yield from ((principal.user, name) for name in _open_names(policy, outside))


def _outside(policies: PolicySet, user: str, database: str) -> EffectivePolicy | None:
    """What counts while no `when` holds; a policy that can't be made allows nothing."""
    try:
        return resolve(policies, user, database)
    except PoliciesError:
        return None


def _open_names(policy: Policy, outside: EffectivePolicy) -> Iterator[str]:
    for row_filter in policy.rows:
        rule = resolve_table(outside, row_filter.schema, row_filter.table)
        if rule.is_allowed and not rule.filters:
            yield f"every row of {rule.schema}.{rule.table}"
    for column in (*(mask.column for mask in policy.masks), *(column for column, _ in policy.columns_block)):
        rule = resolve_table(outside, column.schema, column.table)
        if rule.is_allowed and column.column not in {*rule.masks, *rule.blocked_columns}:
            yield str(column)


def advise_on_prices(policies: PolicySet, now: datetime) -> list[Problem]:
    """A warning for each price list whose time is over and that goes on because none follows."""
    return [
        Problem(
            one.source,
            f"price list {one.name!r} has ended and goes on, because none follows it",
            Severity.WARNING,
        )
        for one in policies.prices.ended(now)
        if one.source is not None
    ]
