"""Verifies the whole memory, journals and store together. Changes nothing; a running sidecar may go on."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.errors import CorruptJournalError, StoreError, StoreUnreachableError
from audit.findings import Findings, Report
from audit.signing import PUBLIC_KEY_FILE, chain_name, load_public_key
from audit.store import Store
from audit.verify_journal import JournalWitnesses, take_witnesses, verify_journal
from audit.verify_store import StoredTail, verify_store


async def verify(directory: Path, store: Store | None = None, public_key: Ed25519PublicKey | None = None) -> Report:
    """Checks every worker's journal in `directory`, and the store if given, each by itself and against the other.

    `public_key` verifies the checkpoints (default: the one in the folder, which whoever can write there could have
    replaced). A store that can't be read is a problem, not an error.
    """
    findings = Findings()
    key = public_key or _own_key(directory, findings)
    workers = _workers_in(directory) if key is not None else {}
    witnesses: dict[int, JournalWitnesses] = {}
    tails: dict[str, StoredTail] = {}
    if key is not None:
        for worker, folder in workers.items():
            witnesses[worker] = take_witnesses(folder, folder.name, key, findings)
            # one record earlier than the journal's first, to check that the journal goes on from there
            tails[chain_name(key, worker)] = StoredTail(max(1, witnesses[worker].first_record - 1))
    is_store_checked = store is not None and await _is_store_readable(store, tails, findings, key)
    for worker, folder in workers.items():
        tail = tails[chain_name(key, worker)] if key is not None and is_store_checked else None
        verify_journal(folder, folder.name, witnesses[worker], tail, findings)
    return Report(
        tuple(findings.problems),
        tuple(findings.notes),
        findings.journal_records,
        findings.store_records,
        is_store_checked,
    )


def _own_key(directory: Path, findings: Findings) -> Ed25519PublicKey | None:
    try:
        return load_public_key(directory / PUBLIC_KEY_FILE)
    except FileNotFoundError:
        findings.add("journal", 0, "", f"there is no {PUBLIC_KEY_FILE} in the journal folder")
    except CorruptJournalError as error:
        findings.add("journal", 0, "", str(error))
    return None


def _workers_in(directory: Path) -> dict[int, Path]:
    folders = sorted(folder for folder in directory.glob("worker-*") if folder.is_dir())
    return {int(folder.name.removeprefix("worker-")): folder for folder in folders}


async def _is_store_readable(
    store: Store, tails: dict[str, StoredTail], findings: Findings, key: Ed25519PublicKey | None
) -> bool:
    try:
        await verify_store(store, tails, findings, key)
    except (StoreError, StoreUnreachableError) as error:
        findings.add("store", 0, "", str(error))
        return False
    return True
