"""Signed checkpoints of a journal. Knows nothing of records, nor where keys are kept: a checkpoint names a place in
a chain.

Whoever can read the private key can sign a false history; keep a copy of the public key (or of the checkpoints) on
another machine if the sidecar's own is not trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.errors import CorruptJournalError
from audit.ring import Ring

PRIVATE_KEY_FILE = "signing.key"
PUBLIC_KEY_FILE = "signing.pub"


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A signed statement: after `records` records, at `position` bytes, the chain's last hash was `hash`.

    `sequence` is the segment that was being written, `at` microseconds since 1970 UTC, `signature`
    hexadecimal.
    """

    worker: int
    sequence: int
    position: int
    records: int
    record_id: str
    hash: str
    at: int
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs checkpoints with the key of one journal folder. `ring`: that key, the last one, and those before it."""

    private_key: Ed25519PrivateKey
    ring: Ring

    def chain(self, worker: int) -> str:
        """The name of a worker's chain in the store."""
        return f"{self.ring.origin}/{worker}"

    def sign(self, checkpoint: Checkpoint) -> Checkpoint:
        signature = self.private_key.sign(_signed_bytes(checkpoint))
        return msgspec.structs.replace(checkpoint, signature=signature.hex())


def is_signature_true(checkpoint: Checkpoint, public_key: Ed25519PublicKey) -> bool:
    """Whether the checkpoint was signed by this key and not edited since."""
    try:
        public_key.verify(bytes.fromhex(checkpoint.signature), _signed_bytes(checkpoint))
    except (InvalidSignature, ValueError):
        return False
    return True


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Reads a PEM public key. Raises CorruptJournalError or OSError."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except ValueError as error:
        raise CorruptJournalError(f"{path.name} holds no public key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise CorruptJournalError(f"{path.name} holds no Ed25519 key")
    return key


def _signed_bytes(checkpoint: Checkpoint) -> bytes:
    return b"pgwarden checkpoint\0" + msgspec.json.encode(msgspec.structs.replace(checkpoint, signature=""))
