"""Proofs that a record is in the memory as it was written: for an outsider who has the public key and nothing else.

A proof is one JSON document; `deploy/check_proof.py` checks it without any of our code.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.errors import CorruptJournalError, ProofError
from audit.merkle import path_of, root_by, root_of
from audit.query import as_dict
from audit.record import Record, body_of, hash_of, record_of
from audit.seal import Seal, is_seal_true

FORMAT = "pgwarden-proof-1"


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """`record` is for people; what counts is `body`, its canonical bytes in base64. Hashes are hexadecimal.

    `number`: the record's place in the chain; `path`: the hashes beside its way up to the seal's root, lowest first.
    """

    format: str = FORMAT
    record: dict[str, Any]
    body: str
    prev_hash: str
    number: int
    path: list[str]
    seal: Seal
    key: str = ""  # the fingerprint of the key that signed the seal, where it is known: for finding that key's file


def make_proof(record: Record, number: int, hashes: Sequence[bytes], seal: Seal, key: str = "") -> Proof:
    """`hashes`: those of all records in the seal, in order. Raises ProofError where they don't make its root."""
    if len(hashes) != seal.records or root_of(hashes).hex() != seal.root:
        raise ProofError(f"records {seal.first} to {seal.last} of {seal.chain} are not those that were sealed")
    index = number - seal.first
    if not 0 <= index < seal.records or hashes[index].hex() != record.hash:
        raise ProofError(f"record {record.id} is not the one that was sealed as number {number} of {seal.chain}")
    return Proof(
        record=as_dict(record),
        body=base64.b64encode(body_of(record)).decode("ascii"),
        prev_hash=record.prev_hash,
        number=number,
        path=[step.hex() for step in path_of(hashes, index)],
        seal=seal,
        key=key,
    )


def encode_proof(proof: Proof) -> bytes:
    """One JSON document, indented."""
    return msgspec.json.format(msgspec.json.encode(proof), indent=2) + b"\n"


def checked_record(document: bytes, public_key: Ed25519PublicKey) -> Record:
    """The record that a proof proves. Raises ProofError, which says what doesn't hold."""
    try:
        proof = msgspec.json.decode(document, type=Proof)
        body = base64.b64decode(proof.body, validate=True)
        own_hash = hash_of(bytes.fromhex(proof.prev_hash), body)
        path = [bytes.fromhex(step) for step in proof.path]
        record = record_of(body, bytes.fromhex(proof.prev_hash), own_hash)
    except (msgspec.MsgspecError, CorruptJournalError, ValueError) as error:
        raise ProofError("this is no proof") from error
    seal = proof.seal
    if proof.format != FORMAT:
        raise ProofError(f"a proof of another format: {proof.format}")
    if not is_seal_true(seal, public_key):
        raise ProofError("the seal was not signed by this key, or was edited")
    root = root_by(own_hash, proof.number - seal.first, seal.records, path)
    if root is None or root.hex() != seal.root:
        raise ProofError("the record is not among those that were sealed")
    return record
