"""The command line: names the commands and hands over to them.

Only the command that was asked for is loaded: `serve` decides nothing itself, and its workers load what it doesn't.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version as installed_version
from typing import Annotated, Final

import typer

from proxy.commands.outcome import print_out

# By name: the module and what in it is the command, in the order of the help.
_COMMANDS: Final = {
    "serve": ("proxy.commands.serve", "serve"),
    "shipper": ("proxy.commands.shipper", "shipper"),
    "demo": ("proxy.commands.demo", "demo"),
    "check": ("proxy.commands.check", "check"),
    "test": ("proxy.commands.policy_tests", "run_tests"),
    "explain": ("proxy.commands.explain", "explain"),
    "diff": ("proxy.commands.diff", "diff"),
    "schema": ("proxy.commands.schema", "schema"),
    "verifier": ("proxy.commands.verifier", "verifier"),
    "api-key": ("proxy.commands.api_key", "api_key"),
    "key": ("proxy.commands.key", "app"),
    "budget": ("proxy.commands.budget", "app"),
    "audit": ("proxy.commands.audit", "app"),
    "cost": ("proxy.commands.cost", "app"),
}
_HELP: Final = """A PostgreSQL sidecar: filters rows, blocks and masks columns, caps and records every statement, by
    policies that you keep as YAML in git.

    \b
    Start here:
      pgwarden demo                                     see it at work; needs nothing prepared
      pgwarden check policies/                          is this policy folder good?
      pgwarden test tests/ -c FILE                      does it do what its authors say?
      pgwarden verifier                                 a principal's password, as policies keep it
      pgwarden api-key --id ci                          a key for a program, and its hash for the policies
      pgwarden key create -c FILE --user ci --tier pro  a key in the store, with quotas, that can be revoked at once
      pgwarden serve --config pgwarden.yaml             stand before your databases
      pgwarden shipper --config pgwarden.yaml           carry a fleet's records from the bus to the store
      pgwarden explain -c FILE --user ada --sql '...'   what would ada get, and by which rules?
      pgwarden diff -c FILE policies/ next/             what would these policies change for what was asked?
      pgwarden schema > policies.schema.json            lets your editor check policies as you type
      pgwarden budget list -c FILE                      what may still be spent today and this month
      pgwarden audit query -c FILE --since 1h           who asked what, what was decided, what it cost
      pgwarden audit export -c FILE --follow            records as they come, for other programs
      pgwarden audit reconcile -c FILE                  did anything reach the database past pgwarden?
      pgwarden cost top -c FILE --by team               what was spent, by whom and on what

    \b
    Exit codes: 0 all is well, 1 it failed, 2 wrong arguments or configuration, 3 it found problems.
    """


def make_app(only: str | None = None) -> typer.Typer:
    """With all commands, or with one of them."""
    app = typer.Typer(
        name="pgwarden",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help=_HELP,
        callback=_root,
    )
    for name, (module, attribute) in _COMMANDS.items():
        if only not in (None, name):
            continue
        command = getattr(import_module(module), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        print_out(f"pgwarden {installed_version('pgwarden')}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Only `--version` belongs to no command."""


def main() -> None:
    """The entry point of the console script."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else None
    make_app(wanted if wanted in _COMMANDS else None)()
