"""The journal's Ed25519 key and its signed checkpoints. Knows nothing of records: a checkpoint names a place
in a chain.

Whoever can read the private key can sign a false history; keep a copy of the public key (or of the
checkpoints) on another machine if the sidecar's own is not trusted.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.errors import CorruptJournalError

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
    """Signs checkpoints with the key of one journal folder."""

    private_key: Ed25519PrivateKey

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


def load_or_make_signer(directory: Path) -> Signer:
    """The folder's key, made at first use with mode 0600, its public half beside it.

    Several workers may start at once: the first key linked into place is everybody's.
    Raises CorruptJournalError for a file that holds no Ed25519 key, OSError if it can't be read or made.
    """
    path = directory / PRIVATE_KEY_FILE
    if not path.exists():
        _make_key(path)
    signer = Signer(_read_private_key(path))
    _write_public_key(directory / PUBLIC_KEY_FILE, signer.private_key.public_key())
    return signer


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Reads a PEM public key. Raises CorruptJournalError or OSError."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except ValueError as error:
        raise CorruptJournalError(f"{path.name} holds no public key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise CorruptJournalError(f"{path.name} holds no Ed25519 key")
    return key


def chain_name(public_key: Ed25519PublicKey, worker: int) -> str:
    """The name of a worker's chain in the store: the key's fingerprint and the worker. A new key is a new
    chain."""
    raw = public_key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return f"{hashlib.sha256(raw).hexdigest()[:16]}/{worker}"


def _signed_bytes(checkpoint: Checkpoint) -> bytes:
    return b"pgwarden checkpoint\0" + msgspec.json.encode(msgspec.structs.replace(checkpoint, signature=""))


def _make_key(path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    own = path.with_name(f"{path.name}.{os.getpid()}")
    _write_new(own, pem, 0o600)
    try:
        os.link(own, path)  # fails if another worker was first, so nobody's key is ever replaced
    except FileExistsError:
        return
    finally:
        own.unlink()


def _write_new(path: Path, data: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(file, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(file)


def _read_private_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise CorruptJournalError(f"{path.name} holds no private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise CorruptJournalError(f"{path.name} holds no Ed25519 key")
    return key


def _write_public_key(path: Path, key: Ed25519PublicKey) -> None:
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    if path.exists() and path.read_bytes() == pem:
        return
    own = path.with_name(f"{path.name}.{os.getpid()}")
    _write_new(own, pem, 0o644)
    os.replace(own, path)
