"""`pgwarden api-key`: makes a key for a program, and the hash by which a policy file knows it."""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated

import typer

from policies.authentication import is_day, is_key_id
from proxy.commands.outcome import print_out

_KEY_BYTES = 32
_PREFIX = "pgw_"  # so that scanners for lost secrets can find it


def api_key(
    key_id: Annotated[str, typer.Option("--id", help="The key's name in records: letters, digits, . _ -")] = "key-1",
    expires: Annotated[
        str | None, typer.Option(help="The first day on which it is worth nothing, as 2027-01-01.")
    ] = None,
) -> None:
    """Makes an API key and prints it once, with the entry for `auth: {api_keys: [...]}` of a principal.

    The program sends the key as its password, over TLS or a unix socket. Only the hash is kept.

    \b
    Examples:
      pgwarden api-key --id ci
      pgwarden api-key --id ci-2027 --expires 2028-01-01
    """
    if not is_key_id(key_id):
        raise typer.BadParameter("--id must be letters, digits, dots, dashes and underscores, 63 at most")
    if expires is not None and not is_day(expires):
        raise typer.BadParameter("--expires must be a day, such as 2027-01-01")
    key = _PREFIX + secrets.token_urlsafe(_KEY_BYTES)
    digest = hashlib.sha256(key.encode()).hexdigest()
    tail = f", expires: {expires}" if expires else ""
    print_out(f"key:   {key}")
    print_out(f'entry: {{id: {key_id}, sha256: "{digest}"{tail}}}')
