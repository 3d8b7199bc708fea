"""The options by which commands choose records, and what they mean."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from audit.query import Filters, parse_decision, parse_moment

Tenant = Annotated[str | None, typer.Option(help="Only this tenant's records.")]
User = Annotated[str | None, typer.Option(help="Only this user's.")]
Decision = Annotated[str | None, typer.Option(help="allow, rewrite, deny or hold.")]
Since = Annotated[str | None, typer.Option(help="An age (90s, 1h, 2d) or an ISO 8601 time.")]
Until = Annotated[str | None, typer.Option(help="The same; records at that moment don't count.")]
Table = Annotated[str | None, typer.Option(help="Statements that used it: shop.customers.")]
Column = Annotated[str | None, typer.Option(help="Statements that had it masked: shop.customers.email.")]
Workload = Annotated[str | None, typer.Option(help="Only this workload's.")]


def read_filters(*, decision: str | None, since: str | None, until: str | None, **others: Any) -> Filters:
    """`others`: fields of Filters as they are. Raises FilterError."""
    now = datetime.now(UTC)
    return Filters(
        decision=parse_decision(decision) if decision else None,
        since=parse_moment(since, now) if since else None,
        until=parse_moment(until, now) if until else None,
        **others,
    )
