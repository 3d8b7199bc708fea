"""`pgwarden audit query` and `prove`; the other commands about the audit are put beside them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from audit.proof import Proof, encode_proof
from audit.prove import prove_record
from audit.query import DEFAULT_LIMIT, Filters, as_csv, as_json_lines, as_table
from audit.record import Record, Stage
from audit.store import Store
from audit.store_heads import StoreHeads
from audit.store_seals import StoreSeals
from proxy.commands.audit_export import export
from proxy.commands.audit_keys import heads, rotate_key
from proxy.commands.audit_reconcile import reconcile_command
from proxy.commands.audit_verify import verify
from proxy.commands.options import ConfigOption, read_config
from proxy.commands.outcome import clear_errors, print_out
from proxy.commands.record_filters import Column, Decision, Since, Table, Tenant, Until, User, Workload, read_filters
from proxy.places import store_dsn

app = typer.Typer(help="Ask the records, and check that nobody changed them.", no_args_is_help=True)
app.command()(export)
app.command()(verify)
app.command()(heads)
app.command(name="rotate-key")(rotate_key)
app.command("reconcile")(reconcile_command)


@app.command()
def query(
    config: ConfigOption = None,
    tenant: Tenant = None,
    user: User = None,
    decision: Decision = None,
    since: Since = None,
    until: Until = None,
    table: Table = None,
    column: Column = None,
    workload: Workload = None,
    statement: Annotated[str | None, typer.Option(help="Of this statement's id: its intent and its outcome.")] = None,
    stage: Annotated[Stage | None, typer.Option(help="intent, outcome or event.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = DEFAULT_LIMIT,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="CSV with a header.")] = False,
) -> None:
    """What was asked, by whom, what was decided, and what it cost; newest first.

    \b
    Examples:
      pgwarden audit query --config pgwarden.yaml --tenant acme --decision deny --since 1h
      pgwarden audit query --config pgwarden.yaml --column shop.customers.email --json | jq .user
    """
    if as_json and csv:
        raise typer.BadParameter("choose one of --json and --csv")
    with clear_errors():
        filters = read_filters(
            tenant=tenant,
            user=user,
            decision=decision,
            since=since,
            until=until,
            table=table,
            column=column,
            workload=workload,
            statement=statement,
            stage=stage,
            limit=limit,
        )
        with store_dsn(read_config(config)) as dsn:
            records = asyncio.run(_ask(dsn, filters))
    print_out(_formatted(records, as_json=as_json, as_csv_text=csv))


async def _ask(dsn: str, filters: Filters) -> list[Record]:
    store = Store(dsn)
    try:
        return await store.query(filters)
    finally:
        await store.close()


def _formatted(records: list[Record], *, as_json: bool, as_csv_text: bool) -> str:
    if as_json:
        return as_json_lines(records)
    return as_csv(records) if as_csv_text else as_table(records)


@app.command()
def prove(
    record: Annotated[str, typer.Argument(help="The record's id, as `audit query --json` shows it.")],
    config: ConfigOption = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; else the proof is printed.")] = None,
) -> None:
    """Proves to an outsider that a record stands in the memory as it was written.

    The proof is one JSON document. With the journal's public key (signing.pub) and deploy/check_proof.py anybody can
    check it, without pgwarden and without the store.

    \b
    Example:
      pgwarden audit prove 0193a4c2b7e87d2f9c8e6a1b2c3d4e5f --config pgwarden.yaml -o proof.json
    """
    with clear_errors():
        with store_dsn(read_config(config)) as dsn:
            document = encode_proof(asyncio.run(_prove(dsn, record)))
        if output is not None:
            output.write_bytes(document)
            return
    print_out(document.decode())


async def _prove(dsn: str, record_id: str) -> Proof:
    store = Store(dsn)
    try:
        return await prove_record(StoreSeals(store), record_id, await StoreHeads(store).rings())
    finally:
        await store.close()
