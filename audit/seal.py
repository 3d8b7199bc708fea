"""A seal: one signature for a run of records of a chain, by the root of their Merkle tree. Knows no store."""

from __future__ import annotations

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.signing import Signer

_DOMAIN = b"pgwarden seal\0"  # what is signed as a seal can't be passed off as anything else


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """Records `first` to `first + records - 1` of `chain` have this Merkle `root`, and the last one this `hash`.

    `at`: microseconds since 1970 UTC. Hashes and signature are hexadecimal.
    """

    chain: str
    first: int
    records: int
    root: str
    hash: str
    at: int
    signature: str = ""

    @property
    def last(self) -> int:
        """The number of the last record in it."""
        return self.first + self.records - 1


def sealed(seal: Seal, signer: Signer) -> Seal:
    """The same with its signature."""
    signature = signer.private_key.sign(signed_bytes(seal))
    return msgspec.structs.replace(seal, signature=signature.hex())


def is_seal_true(seal: Seal, public_key: Ed25519PublicKey) -> bool:
    """Whether this key signed it and nobody edited it since."""
    try:
        public_key.verify(bytes.fromhex(seal.signature), signed_bytes(seal))
    except (InvalidSignature, ValueError):
        return False
    return True


def signed_bytes(seal: Seal) -> bytes:
    """What the signature is over: the domain, then the fields as a JSON list without blanks."""
    return _DOMAIN + msgspec.json.encode([seal.chain, seal.first, seal.records, seal.root, seal.hash, seal.at])
