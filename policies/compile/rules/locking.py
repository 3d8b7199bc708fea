"""FOR UPDATE and FOR SHARE take locks, which the server grants only to those who may update: so does the policy."""

from __future__ import annotations

from policies.compile.draft import Draft
from policies.model import Statement


def check_locking(draft: Draft) -> None:
    """Raises Refused when a locking clause stands in the statement and `update` isn't granted."""
    granted = draft.policy.statements
    if draft.facts.locking and not granted & {Statement.UPDATE, Statement.ALL}:
        raise draft.refuse(
            "42501",
            draft.policy.statements_rule or "pgwarden/locking",
            "row locks (FOR UPDATE, FOR SHARE) need the update grant",
            at=draft.statement.start,
            hint="List update under statements, or leave the locking clause out.",
        )
