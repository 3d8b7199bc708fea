"""`pgwarden verifier`: what a policy file keeps of a password, so that the password itself stands nowhere."""

from __future__ import annotations

import os
import sys

import typer

from proxy.commands.outcome import print_out
from proxy.wire.scram import make_verifier

_SALT_BYTES = 16


def verifier() -> None:
    """Asks for a password, twice, and prints its SCRAM-SHA-256 verifier for `auth: {scram: ...}` of a principal.

    From a pipe it reads one line instead. PostgreSQL keeps the same form in pg_authid.rolpassword.

    \b
    Examples:
      pgwarden verifier
      printf '%s' "$PASSWORD" | pgwarden verifier
    """
    if sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise typer.BadParameter("the password is empty")
    print_out(make_verifier(password, salt=os.urandom(_SALT_BYTES)))
