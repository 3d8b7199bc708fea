"""`pgwarden audit heads` and `rotate-key`: what an auditor keeps, and the key that everything is signed with."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from audit.checkpoints import read_checkpoints
from audit.errors import AuditError
from audit.heads_file import encode_witnesses
from audit.ring import Ring, read_ring
from audit.seal import Seal
from audit.signing import Checkpoint
from audit.signing_key import rotate_key as put_new_key
from audit.store import Store
from audit.store_heads import StoreHeads
from audit.store_seals import StoreSeals
from proxy.chronicle import COMMANDS, Chronicle
from proxy.commands.options import ConfigOption, read_config
from proxy.commands.outcome import CommandError, clear_errors, print_error, print_out
from proxy.config import Config
from proxy.key_source import read_key
from proxy.places import store_dsn


def heads(
    config: ConfigOption = None,
    journal_only: Annotated[bool, typer.Option("--journal-only", help="Those of this sidecar's journals.")] = False,
    seals: Annotated[bool, typer.Option("--seals", help="The seals in the store, too, for checking exports.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; else they are printed.")] = None,
) -> None:
    """Prints how far every chain was when it was signed last, and the public keys, one JSON object a line.

    Keep it where neither the sidecars nor the store can change it, in print if need be: `audit verify --heads` then
    finds out when records were cut off, even by somebody who has the store, the journals and the key.

    \b
    Example:
      pgwarden audit heads --config pgwarden.yaml -o heads-2026-11-21.jsonl
    """
    if journal_only and seals:
        raise typer.BadParameter("seals are in the store: choose one of --journal-only and --seals")
    with clear_errors():
        read = read_config(config)
        own, ring = _of_journals(read)
        rings, stored, sealed = ({ring.origin: ring} if ring.entries else {}), dict[str, Checkpoint](), list[Seal]()
        if not journal_only:
            with store_dsn(read) as dsn:
                others, stored, sealed = asyncio.run(_of_store(dsn, with_seals=seals))
            rings = {**others, **rings}
        text = encode_witnesses(_furthest(own, stored), rings, sealed)
        if output is not None:
            output.write_bytes(text)
            return
    print_out(text.decode())


def rotate_key(
    config: ConfigOption = None,
    new_key: Annotated[
        str | None, typer.Option(help="env:NAME or file:PATH of the new key; needed where audit.signing_key names one.")
    ] = None,
    lost: Annotated[bool, typer.Option("--lost", help="The old key is gone and can't vouch for the new one.")] = False,
) -> None:
    """Puts a new signing key in the place of the journal's, and has the old one vouch for it.

    Records, seals and the names of chains stay. A sidecar that is running takes a key of the journal's folder by
    itself; a key from elsewhere it needs at its next start.

    \b
    Examples:
      pgwarden audit rotate-key --config pgwarden.yaml
      PGWARDEN_NEXT_KEY="$(cat next.pem)" pgwarden audit rotate-key -c pgwarden.yaml --new-key env:PGWARDEN_NEXT_KEY
    """
    with clear_errors():
        read = read_config(config)
        is_elsewhere = read.audit.signing_key is not None
        if is_elsewhere and new_key is None:
            raise CommandError("audit.signing_key names a key that isn't in the journal's folder: give --new-key")
        fresh = read_key(new_key, os.environ, "--new-key")
        former = None if lost else read_key(read.audit.signing_key, os.environ)
        ring = _rotated(read, former, fresh, is_lost=lost)
        asyncio.run(_record(read, ring, fresh, is_lost=lost))
    print_out(f"records are signed with {ring.last.fingerprint} from now on ({read.audit.directory / 'signing.pub'})")
    if new_key is not None:
        print_error(f"set audit.signing_key to {new_key} and start pgwarden again; until then nothing is sealed")


def _rotated(config: Config, former: bytes | None, fresh: bytes | None, *, is_lost: bool) -> Ring:
    try:
        return put_new_key(config.audit.directory, former, fresh, is_lost=is_lost)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from None


async def _record(config: Config, ring: Ring, key: bytes | None, *, is_lost: bool) -> None:
    """The records themselves say that and by whom."""
    how = "nobody vouches for it, the one before was lost" if is_lost else "the one before vouches for it"
    text = f"signing key {ring.last.fingerprint} takes the place of the one before; {how}"
    try:
        chronicle = await Chronicle.open(config.audit.directory, COMMANDS, key)
    except AuditError as error:
        raise CommandError(f"the key was replaced, which could not be recorded: {error}") from None
    chronicle.note("key_rotation", text, user=_login())
    await chronicle.close()


def _login() -> str:
    """Whoever typed it, as the system knows them."""
    return os.environ.get("SUDO_USER") or os.environ.get("USER") or f"uid {os.getuid()}"


def _of_journals(config: Config) -> tuple[dict[str, Checkpoint], Ring]:
    directory = config.audit.directory
    ring = read_ring(directory)
    found = {}
    for folder in sorted(directory.glob("worker-*")) if ring.entries else ():
        checkpoints, _ = read_checkpoints(folder)
        if checkpoints:
            found[f"{ring.origin}/{checkpoints[-1].worker}"] = checkpoints[-1]
    return found, ring


async def _of_store(dsn: str, *, with_seals: bool) -> tuple[dict[str, Ring], dict[str, Checkpoint], list[Seal]]:
    store = Store(dsn)
    try:
        rings, newest = await StoreHeads(store).rings(), await StoreHeads(store).newest()
        return rings, newest, await StoreSeals(store).all() if with_seals else []
    finally:
        await store.close()


def _furthest(one: Mapping[str, Checkpoint], other: Mapping[str, Checkpoint]) -> dict[str, Checkpoint]:
    """Of each chain the checkpoint behind the most records."""
    found = dict(other)
    for chain, checkpoint in one.items():
        if chain not in found or found[chain].records <= checkpoint.records:
            found[chain] = checkpoint
    return found
