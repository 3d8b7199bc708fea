"""`pgwarden budget list`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from audit.store import Store
from audit.store_budgets import BudgetStanding, StoreBudgets
from policies.budgets import money
from proxy.commands.options import ConfigOption, read_config
from proxy.commands.outcome import PIPE_COLUMNS, clear_errors, print_out
from proxy.places import store_dsn

app = typer.Typer(help="What may be spent, what is, and when there is more.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """What may be spent, what is, and when there is more."""


@app.command("list")
def list_budgets(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """How the budgets stand that somebody has drawn on today or this month, by the store.

    Spent is what sidecars have said, a second ago at most; leased is what they have in hand beyond it.

    \b
    Examples:
      pgwarden budget list --config pgwarden.yaml
      pgwarden budget list --config pgwarden.yaml --json | jq 'select(.left == "0.00")'
    """
    with clear_errors(), store_dsn(read_config(config)) as dsn:
        standings = asyncio.run(_ask(dsn))
    if as_json:
        print_out("\n".join(json.dumps(_values(one)) for one in standings))
    else:
        _print_table(standings)


async def _ask(dsn: str) -> list[BudgetStanding]:
    store = Store(dsn)
    try:
        return await StoreBudgets(store).standings()
    finally:
        await store.close()


def _values(one: BudgetStanding) -> dict[str, object]:
    return {
        "budget": one.budget,
        "period": one.period,
        "amount": money(one.amount),
        "currency": one.currency,
        "spent": money(one.spent),
        "leased": money(one.granted - one.spent),
        "left": money(max(0, one.amount - one.granted)),
        "sidecars": one.holders,
        "frees_up_at": one.ends_at.astimezone(UTC).isoformat(),
    }


def _print_table(standings: Sequence[BudgetStanding]) -> None:
    table = Table()
    for name in ("budget", "period", "amount", "spent", "leased", "left"):
        table.add_column(name, justify="left" if name in ("budget", "period") else "right")
    table.add_column("frees up at (UTC)")
    for one in standings:
        values = _values(one)
        cells = [str(values[name]) for name in ("budget", "period", "amount", "spent", "leased", "left")]
        cells[2] = f"{cells[2]} {one.currency}".rstrip()
        table.add_row(*cells, _moment(one.ends_at), style="red" if one.spent >= one.amount else None)
    Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS, markup=False).print(table)


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
