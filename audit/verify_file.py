"""Verifies exported files offline: records, and the seals and heads that stand beside them or in files of their own.

A file may hold a part of the records only, such as a day or a tenant; what it holds must be what was written.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.errors import CorruptJournalError
from audit.exported import chained_record_of_json
from audit.findings import Findings, Report
from audit.heads_file import Witnesses, is_witness, joined, read_witnesses
from audit.merkle import root_of
from audit.record import body_of, hash_of
from audit.seal import Seal, is_seal_true
from audit.store_rows import ChainedRecord
from audit.store_seals import Link, leaves_of
from audit.trust import KeysInTurn, Trust
from audit.verify_heads import HeadWalk


def verify_files(
    files: Sequence[Path], public_keys: Sequence[Ed25519PublicKey], kept: Witnesses, *, is_complete: bool = False
) -> Report:
    """Checks all records in JSON lines against their hashes, their neighbours, seals and heads.

    `is_complete`: the files are to hold all records of their chains, so each one that isn't there is a problem.
    Raises OSError.
    """
    findings = Findings()
    found = _Found(findings)
    for file in files:
        found.read(file)
    everything = joined([kept, *found.witnesses])
    trust = Trust(public_keys, everything.rings)
    trust.tell_gaps(findings)
    if not public_keys:
        findings.notes.append("no public key was given: signatures weren't checked")
    heads = HeadWalk(everything.heads if public_keys else (), trust, findings, "file")
    for chain, links in sorted(found.chains.items()):
        _check_chain(chain, links, findings, is_complete=is_complete)
        for link in links:
            heads.look(chain, link.number, link.hash.hex())
        seals = [seal for seal in everything.seals if seal.chain == chain]
        _check_seals(chain, {link.number: link for link in links}, seals, trust, findings)
    if is_complete:
        heads.end()
    return Report(tuple(findings.problems), tuple(findings.notes), 0, 0, False, found.records)


class _Found:
    """What stands in the files: places and hashes by chain; records themselves aren't kept."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self.chains: dict[str, list[Link]] = defaultdict(list)
        self.witnesses: list[Witnesses] = []
        self.records = 0

    def read(self, file: Path) -> None:
        kept = []
        with file.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                place = f"{file.name}:{number}"
                if is_witness(line):
                    kept.append(line)
                elif line.strip():
                    self._take(line, place)
        try:
            self.witnesses.append(read_witnesses(b"".join(kept), file.name))
        except CorruptJournalError as error:
            self._findings.add("file", 0, "", str(error))

    def _take(self, line: bytes, place: str) -> None:
        try:
            values = json.loads(line)
            chained = chained_record_of_json(values if isinstance(values, dict) else {})
        except (ValueError, CorruptJournalError):
            self._findings.add(f"file {place}", 0, "", "is neither a record nor a head, a key or a seal")
            return
        self.records += 1
        self._check(chained, place)

    def _check(self, chained: ChainedRecord, place: str) -> None:
        record = chained.record
        try:
            before, own = bytes.fromhex(record.prev_hash), bytes.fromhex(record.hash)
        except ValueError:
            before, own = b"", b""
        if hash_of(before, body_of(record)) != own:
            message = "was edited: its hash is not that of its fields"
            self._findings.add(f"file {chained.chain or place}", chained.sequence, record.id, f"{message} ({place})")
        if chained.chain:
            self.chains[chained.chain].append(Link(chained.sequence, before, own))


def _check_chain(chain: str, links: list[Link], findings: Findings, *, is_complete: bool) -> None:
    """Neighbours must follow each other; records in no order are no fault of a file."""
    place, missing, before = f"file {chain}", 0, None
    links.sort(key=lambda link: link.number)
    for link in links:
        behind = 0 if before is None else before.number
        if before is not None and link.number == behind:
            if link.hash != before.hash:
                findings.add(place, link.number, "", "is there twice, and not the same")
            continue
        gap = link.number - behind - 1
        missing += gap if before is not None else 0
        if gap and is_complete:
            findings.add(place, behind + 1, "", f"to {link.number - 1} are missing")
        if before is not None and not gap and link.prev_hash != before.hash:
            findings.add(place, link.number, "", "does not follow the record before it")
        before = link
    if missing and not is_complete:
        findings.notes.append(f"{place}: {missing} records between the first and the last aren't in the file")


def _check_seals(chain: str, links: dict[int, Link], seals: Iterable[Seal], trust: Trust, findings: Findings) -> None:
    """The roots of seals whose records are all there, and everybody's signatures."""
    keys, place = trust.keys_of(chain), f"file {chain}"
    in_turn = KeysInTurn(keys or ())
    for seal in sorted(seals, key=lambda one: one.first):
        if keys is not None and not in_turn.is_true(lambda key, seal=seal: is_seal_true(seal, key)):  # type: ignore[misc]
            findings.add(place, seal.first, "", f"to {seal.last} have a seal with a false signature")
        own = [links[number] for number in range(seal.first, seal.last + 1) if number in links]
        if len(own) == seal.records and root_of(leaves_of(own, seal.first, seal.last)).hex() != seal.root:
            findings.add(place, seal.first, "", f"to {seal.last} are not those that were sealed")
