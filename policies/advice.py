"""What is allowed in policies, but rarely meant: warnings for whoever checks them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from policies.errors import Problem, Severity
from policies.least_limits import is_limited
from policies.model import Mode, Policy, PolicySet


def advise(policies: PolicySet) -> list[Problem]:
    """Warnings in order of file and line."""
    return sorted(problem for policy in policies.policies for problem in _of(policy))


def _of(policy: Policy) -> Iterator[Problem]:
    if policy.when is not None and policy.mode is Mode.ENFORCE and _only_narrows(policy):
        message = (
            f"policy {policy.name!r} only takes away, and only within its 'when': outside it, what it hides is open to"
            " whomever another policy lets in; put the 'when' on the policy that allows"
        )
        yield Problem(policy.source, message, Severity.WARNING)


def _only_narrows(policy: Policy) -> bool:
    """Nothing is lost with it that a client needs to get at a table, but something is that hides or holds back."""
    hides = (policy.tables_block, policy.columns_block, policy.rows, policy.masks, policy.statements_deny)
    return policy.tables_allow is None and (any(hides) or is_limited(policy.limits))
