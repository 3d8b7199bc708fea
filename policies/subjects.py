"""Whom a policy is for. Pure comparison of names as written; these names are never folded."""

from __future__ import annotations

from policies.model import Policy, Principal, Subjects

ANY_DATABASE = "*"


def is_subject(subjects: Subjects, principal: Principal) -> bool:
    """True when any one part matches."""
    return (
        subjects.any
        or principal.user in subjects.users
        or (principal.team is not None and principal.team in subjects.teams)
        or (principal.tenant is not None and principal.tenant in subjects.tenants)
        or not set(principal.roles).isdisjoint(subjects.roles)
    )


def is_for_principal(subjects: Subjects, except_: Subjects | None, principal: Principal) -> bool:
    return is_subject(subjects, principal) and not (except_ and is_subject(except_, principal))


def is_for(policy: Policy, principal: Principal, database: str) -> bool:
    """Whether `policy` speaks about this principal on this database."""
    is_here = policy.database in (ANY_DATABASE, database)
    return is_here and is_for_principal(policy.subjects, policy.except_, principal)
