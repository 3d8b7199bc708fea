"""`pgwarden audit verify`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.errors import CorruptJournalError
from audit.findings import Report
from audit.heads_file import Witnesses, joined, read_witnesses
from audit.signing import load_public_key
from audit.store import Store
from audit.verify import verify as verify_records
from audit.verify_file import verify_files
from proxy.commands.options import ConfigOption, read_config
from proxy.commands.outcome import CommandError, ExitCode, clear_errors, print_out
from proxy.places import store_dsn

_Files = Annotated[
    list[Path] | None,
    typer.Option("--file", help="Exported JSON lines instead of journal and store; several count together."),
]
_Keys = Annotated[
    list[Path] | None,
    typer.Option("--public-key", help="A public key to believe (PEM), instead of the journal folder's own."),
]
_Heads = Annotated[
    list[Path] | None,
    typer.Option("--heads", help="What `audit heads` printed: the records must still reach that far."),
]


def verify(
    config: ConfigOption = None,
    journal_only: Annotated[bool, typer.Option("--journal-only", help="Leave the store out.")] = False,
    store_only: Annotated[bool, typer.Option("--store-only", help="Leave the journal out.")] = False,
    file: _Files = None,
    complete: Annotated[bool, typer.Option("--complete", help="The files must hold all records.")] = False,
    public_key: _Keys = None,
    heads: _Heads = None,
) -> None:
    """Checks every record's hash, chain and signature, in the journal and in the store, each against the other.

    Ends with 0 only when everything holds, with 3 when a record was edited, removed, moved or cut off.

    \b
    Examples:
      pgwarden audit verify --config pgwarden.yaml
      pgwarden audit verify --config pgwarden.yaml --store-only --public-key signing.pub --heads heads.jsonl
      pgwarden audit verify --file export.jsonl --file heads.jsonl --public-key signing.pub
    """
    if sum((journal_only, store_only, bool(file))) > 1:
        raise typer.BadParameter("choose one of --journal-only, --store-only and --file")
    if store_only and not public_key:
        raise typer.BadParameter("--store-only needs --public-key: without the journal nobody says who may sign")
    if complete and not file:
        raise typer.BadParameter("--complete is about --file")
    with clear_errors():
        keys, kept = _keys(public_key or ()), _kept(heads or ())
        report = (
            _of_files(file, keys, kept, complete) if file else _of_config(config, journal_only, store_only, keys, kept)
        )
    print_out("\n".join(report.lines()))
    sys.stdout.flush()
    raise typer.Exit(ExitCode.OK if report.ok else ExitCode.FINDINGS)


def _of_files(files: Sequence[Path], keys: Sequence[Ed25519PublicKey], kept: Witnesses, is_complete: bool) -> Report:
    try:
        return verify_files(files, keys, kept, is_complete=is_complete)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from None


def _of_config(
    config: Path | None, is_journal_only: bool, is_store_only: bool, keys: Sequence[Ed25519PublicKey], kept: Witnesses
) -> Report:
    read = read_config(config)
    if is_journal_only:
        return asyncio.run(_verify(read.audit.directory, None, keys, kept))
    with store_dsn(read) as dsn:
        return asyncio.run(_verify(None if is_store_only else read.audit.directory, dsn, keys, kept))


async def _verify(journal: Path | None, dsn: str | None, keys: Sequence[Ed25519PublicKey], kept: Witnesses) -> Report:
    store = Store(dsn) if dsn is not None else None
    try:
        return await verify_records(journal, store, keys, kept)
    finally:
        if store is not None:
            await store.close()


def _keys(files: Sequence[Path]) -> list[Ed25519PublicKey]:
    try:
        return [load_public_key(file) for file in files]
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from None


def _kept(files: Sequence[Path]) -> Witnesses:
    try:
        return joined([read_witnesses(file.read_bytes(), file.name) for file in files])
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from None
    except CorruptJournalError as error:
        raise CommandError(str(error)) from None
