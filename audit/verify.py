"""Verifies the whole memory: journals, the store, or both against each other. Changes nothing; a sidecar may go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.errors import CorruptJournalError, StoreError, StoreUnreachableError
from audit.findings import Findings, Report
from audit.heads_file import Witnesses
from audit.ring import Ring, fingerprint_of, read_ring
from audit.signing import PUBLIC_KEY_FILE, load_public_key
from audit.store import Store
from audit.store_heads import StoreHeads
from audit.trust import KeysInTurn, Trust
from audit.verify_heads import Head, HeadWalk
from audit.verify_journal import JournalWitnesses, take_witnesses, verify_journal
from audit.verify_store import StoredTail, verify_store

NOTHING_KEPT = Witnesses()


async def verify(
    directory: Path | None,
    store: Store | None = None,
    public_keys: Sequence[Ed25519PublicKey] = (),
    kept: Witnesses = NOTHING_KEPT,
) -> Report:
    """Checks every worker's journal in `directory`, and the store if given, each by itself and against the other.

    `public_keys` are believed, and those that they lead to (default: the one in the folder, which whoever can write
    there could have replaced). `kept`: heads and keys that were kept elsewhere. A store that can't be read is a
    problem, not an error.
    """
    findings = Findings()
    roots = list(public_keys) or _own_keys(directory, findings)
    ring = _own_ring(directory, findings)
    stored = await _stored_rings(store, findings)
    trust = Trust(roots, {**kept.rings, **(stored or {}), **({ring.origin: ring} if ring.entries else {})})
    trust.tell_gaps(findings)
    _compare_rings({**kept.rings, **(stored or {})}, ring, findings)
    journals = _Journals(directory, ring, trust, findings) if directory is not None else None
    ends = None
    if store is not None and stored is not None:
        ends = await _ends_in_store(store, journals.tails if journals is not None else {}, findings, trust, kept.heads)
    if journals is not None:
        journals.verify(ends, kept.heads)
    return Report(
        tuple(findings.problems),
        tuple(findings.notes),
        findings.journal_records,
        findings.store_records,
        ends is not None,
    )


class _Journals:
    """All workers' of one folder. Their witnesses are taken before the store is read: it grows meanwhile."""

    def __init__(self, directory: Path, ring: Ring, trust: Trust, findings: Findings) -> None:
        self._findings = findings
        self._trust = trust
        self._folders: dict[str, Path] = {}
        self._witnesses: dict[str, JournalWitnesses] = {}
        self.tails: dict[str, StoredTail] = {}
        origin = _origin_of(ring, trust)
        keys = trust.keys_of(origin)
        if keys is None:
            if trust.roots:
                findings.add("journal", 0, "", "the given keys don't lead to the one that this journal is signed with")
            return
        for worker, folder in _workers_in(directory).items():
            chain = f"{origin}/{worker}"
            self._folders[chain] = folder
            witnesses = self._witnesses[chain] = take_witnesses(folder, folder.name, KeysInTurn(keys), findings)
            # one record earlier than the journal's first, to check that the journal goes on from there
            self.tails[chain] = StoredTail(max(1, witnesses.first_record - 1))

    def verify(self, ends: Mapping[str, int] | None, heads: Sequence[Head]) -> None:
        """`ends`: the last record of each chain in the store, None if that wasn't read."""
        for chain, folder in self._folders.items():
            tail = self.tails[chain] if ends is not None else None
            number = verify_journal(folder, folder.name, self._witnesses[chain], tail, self._findings)
            self._check_heads(chain, folder.name, number, heads)
            if ends is not None:
                self._check_shipped(chain, folder.name, ends.get(chain, 0))

    def _check_heads(self, chain: str, name: str, number: int, heads: Sequence[Head]) -> None:
        """The end must be behind what was signed; its own checkpoints say which record it was."""
        own = [head for head in heads if head.chain == chain]
        walk = HeadWalk(own, self._trust, self._findings, "journal")
        walk.ends[chain] = number
        walk.end()

    def _check_shipped(self, chain: str, name: str, end: int) -> None:
        """The journal let go of what it had shipped: the store must have it."""
        shipped = self._witnesses[chain].shipped.records
        if shipped <= end or any(problem.chain in (name, f"store {chain}") for problem in self._findings.problems):
            return
        if self._witnesses[chain].shipped.by_bus:
            self._findings.notes.append(f"store {chain}: the bus has taken records {end + 1} to {shipped}")
            return
        message = f"to {shipped} are missing: they were shipped and acknowledged"
        if end == 0 and self.tails[chain].may_lack:
            self._findings.notes.append(f"store {chain}: all its records were in months that retention dropped")
        else:
            self._findings.add(f"store {chain}", end + 1, "", message)


def _origin_of(ring: Ring, trust: Trust) -> str:
    """A folder of before there were rings is named by its one key."""
    if ring.entries:
        return ring.origin
    return fingerprint_of(trust.roots[0]) if trust.roots else ""


def _own_keys(directory: Path | None, findings: Findings) -> list[Ed25519PublicKey]:
    if directory is None:
        return []
    try:
        return [load_public_key(directory / PUBLIC_KEY_FILE)]
    except FileNotFoundError:
        findings.add("journal", 0, "", f"there is no {PUBLIC_KEY_FILE} in the journal folder")
    except CorruptJournalError as error:
        findings.add("journal", 0, "", str(error))
    return []


def _own_ring(directory: Path | None, findings: Findings) -> Ring:
    try:
        return Ring() if directory is None else read_ring(directory)
    except CorruptJournalError as error:
        findings.add("journal", 0, "", str(error))
        return Ring()


async def _stored_rings(store: Store | None, findings: Findings) -> dict[str, Ring] | None:
    """None where the store can't be read."""
    if store is None:
        return {}
    try:
        return await StoreHeads(store).rings()
    except (StoreError, StoreUnreachableError) as error:
        findings.add("store", 0, "", str(error))
        return None


def _compare_rings(others: Mapping[str, Ring], own: Ring, findings: Findings) -> None:
    """What stood in the store, or was kept, must still be in the folder: keys are only ever added."""
    other = others.get(own.origin) if own.entries else None
    if other is not None and own.entries[: len(other.entries)] != other.entries:
        findings.add(
            f"keys {own.origin}", 0, "", "the journal folder's list of keys isn't the one that was known before"
        )


def _workers_in(directory: Path) -> dict[int, Path]:
    folders = sorted(folder for folder in directory.glob("worker-*") if folder.is_dir())
    return {int(folder.name.removeprefix("worker-")): folder for folder in folders}


async def _ends_in_store(
    store: Store, tails: dict[str, StoredTail], findings: Findings, trust: Trust, heads: Sequence[Head]
) -> dict[str, int] | None:
    try:
        return await verify_store(store, tails, findings, trust, heads)
    except (StoreError, StoreUnreachableError) as error:
        findings.add("store", 0, "", str(error))
        return None
