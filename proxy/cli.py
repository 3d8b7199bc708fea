"""The command line: names the commands and hands over to them."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from proxy.commands import audit
from proxy.commands.api_key import api_key
from proxy.commands.check import check
from proxy.commands.demo import demo
from proxy.commands.diff import diff
from proxy.commands.explain import explain
from proxy.commands.outcome import print_out
from proxy.commands.policy_tests import run_tests
from proxy.commands.schema import schema
from proxy.commands.serve import serve
from proxy.commands.verifier import verifier

app = typer.Typer(
    name="pgwarden",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="""A PostgreSQL sidecar: filters rows, blocks and masks columns, caps and records every statement, by
    policies that you keep as YAML in git.

    \b
    Start here:
      pgwarden demo                                     see it at work; needs nothing prepared
      pgwarden check policies/                          is this policy folder good?
      pgwarden test tests/ -c FILE                      does it do what its authors say?
      pgwarden verifier                                 a principal's password, as policies keep it
      pgwarden api-key --id ci                          a key for a program, and its hash for the policies
      pgwarden serve --config pgwarden.yaml             stand before your databases
      pgwarden explain -c FILE --user ada --sql '...'   what would ada get, and by which rules?
      pgwarden diff -c FILE policies/ next/             what would these policies change for what was asked?
      pgwarden schema > policies.schema.json            lets your editor check policies as you type
      pgwarden audit query -c FILE --since 1h           who asked what, what was decided, what it cost

    \b
    Exit codes: 0 all is well, 1 it failed, 2 wrong arguments or configuration, 3 it found problems.
    """,
)
app.command()(serve)
app.command()(demo)
app.command()(check)
app.command("test")(run_tests)
app.command()(explain)
app.command()(diff)
app.command()(schema)
app.command()(verifier)
app.command()(api_key)
app.add_typer(audit.app, name="audit")


def _print_version(wanted: bool) -> None:
    if wanted:
        print_out(f"pgwarden {installed_version('pgwarden')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Only `--version` belongs to no command."""


def main() -> None:
    """The entry point of the console script."""
    app()
