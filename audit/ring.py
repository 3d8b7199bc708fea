"""The keys that one journal folder was signed with, from its first one on: who vouches for whom. Holds no private key.

A new key is vouched for by the one before (`by_former`), and says itself whom it follows (`by_own`): who trusts one of
them can trust its neighbours. A lost key can't vouch: then the chain of trust has a gap that only a person can close.
The name of a folder's chains is made of its first key, so it stays when keys change.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.errors import CorruptJournalError

RING_FILE = "keys.jsonl"
_DOMAIN = b"pgwarden key\0"


class KeyEntry(msgspec.Struct, frozen=True, kw_only=True):
    """`key`: the raw public key, `former` the one before; `at`: microseconds since 1970 UTC; all else hexadecimal."""

    key: str
    at: int
    former: str = ""
    by_own: str
    by_former: str = ""

    @property
    def public_key(self) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.key))

    @property
    def fingerprint(self) -> str:
        """Of 16 hex digits, for people and for names of chains."""
        return fingerprint_of(self.public_key)

    def is_own_true(self) -> bool:
        """Whether the key itself says so."""
        return _is_true(self.public_key, self.by_own, _signed_bytes(self))

    def is_vouched_by(self, former: KeyEntry) -> bool:
        return self.former == former.key and _is_true(former.public_key, self.by_former, _signed_bytes(self))


_DECODER = msgspec.json.Decoder(KeyEntry)


@dataclass(frozen=True, slots=True)
class Ring:
    """Entries, the oldest first. An empty one is of a folder that nothing was signed in."""

    entries: tuple[KeyEntry, ...] = ()

    @property
    def origin(self) -> str:
        """What the names of its chains begin with."""
        return self.entries[0].fingerprint

    @property
    def last(self) -> KeyEntry:
        return self.entries[-1]

    def find(self, key: Ed25519PublicKey) -> KeyEntry | None:
        raw = raw_hex(key)
        return next((entry for entry in self.entries if entry.key == raw), None)

    def trusted(self, roots: Collection[Ed25519PublicKey]) -> list[Ed25519PublicKey]:
        """The keys that `roots` lead to, in the ring's order: forward by those who vouch, back by those who follow."""
        known = {raw_hex(root) for root in roots}
        is_trusted = [entry.key in known for entry in self.entries]
        for index in range(1, len(self.entries)):
            if is_trusted[index - 1] and self.entries[index].is_vouched_by(self.entries[index - 1]):
                is_trusted[index] = True
        for index in range(len(self.entries) - 1, 0, -1):
            follower, former = self.entries[index], self.entries[index - 1]
            if is_trusted[index] and follower.former == former.key and follower.is_own_true():
                is_trusted[index - 1] = True
        return [entry.public_key for entry, is_one in zip(self.entries, is_trusted, strict=True) if is_one]

    def untrusted(self, roots: Collection[Ed25519PublicKey]) -> list[KeyEntry]:
        """Those that nobody in `roots` leads to."""
        known = {raw_hex(key) for key in self.trusted(roots)}
        return [entry for entry in self.entries if entry.key not in known]


def first_entry(key: Ed25519PrivateKey, at: int) -> KeyEntry:
    """Of a folder's first key."""
    return _entry(key, at, "", None)


def next_entry(key: Ed25519PrivateKey, at: int, former: str, former_key: Ed25519PrivateKey | None) -> KeyEntry:
    """Of a key that follows `former` (hexadecimal); without the former private key nobody vouches for it."""
    return _entry(key, at, former, former_key)


def read_ring(directory: Path) -> Ring:
    """The folder's ring, empty if it has none. Raises CorruptJournalError for a file that isn't one, OSError."""
    try:
        lines = (directory / RING_FILE).read_bytes().split(b"\n")
    except FileNotFoundError:
        return Ring()
    try:
        return ring_of([_DECODER.decode(line) for line in lines if line.strip()])
    except (msgspec.MsgspecError, ValueError) as error:
        raise CorruptJournalError(f"{RING_FILE} is damaged: it holds no list of keys") from error


def ring_of(entries: Sequence[KeyEntry]) -> Ring:
    """Raises ValueError where an entry's key isn't one."""
    for entry in entries:
        _ = entry.public_key
    return Ring(tuple(entries))


def write_ring(directory: Path, ring: Ring) -> None:
    """Replaces the file whole and durably. Raises OSError."""
    os.replace(_written(directory, ring), directory / RING_FILE)
    sync_directory(directory)


def begin_ring(directory: Path, ring: Ring) -> Ring:
    """Writes the folder's first ring; where another worker was faster, its ring counts. Raises as `read_ring`."""
    own = _written(directory, ring)
    try:
        os.link(own, directory / RING_FILE)
    except FileExistsError:
        return read_ring(directory)
    finally:
        own.unlink()
    sync_directory(directory)  # else a power cut could leave records that no known key has signed
    return ring


def sync_directory(directory: Path) -> None:
    """Makes new and renamed files of a folder outlive a power cut. Raises OSError."""
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def fingerprint_of(key: Ed25519PublicKey) -> str:
    """16 hex digits: SHA-256 over the raw key."""
    return hashlib.sha256(bytes.fromhex(raw_hex(key))).hexdigest()[:16]


def raw_hex(key: Ed25519PublicKey) -> str:
    """The 32 bytes of a public key, hexadecimal."""
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()


def _written(directory: Path, ring: Ring) -> Path:
    own = directory / f"{RING_FILE}.{os.getpid()}.{threading.get_native_id()}"
    with open(own, "wb") as stream:
        stream.writelines(msgspec.json.encode(entry) + b"\n" for entry in ring.entries)
        stream.flush()
        os.fsync(stream.fileno())
    return own


def _entry(key: Ed25519PrivateKey, at: int, former: str, former_key: Ed25519PrivateKey | None) -> KeyEntry:
    plain = KeyEntry(key=raw_hex(key.public_key()), at=at, former=former, by_own="")
    signed = _signed_bytes(plain)
    vouched = former_key.sign(signed).hex() if former_key is not None else ""
    return msgspec.structs.replace(plain, by_own=key.sign(signed).hex(), by_former=vouched)


def _signed_bytes(entry: KeyEntry) -> bytes:
    return _DOMAIN + msgspec.json.encode([entry.key, entry.at, entry.former])


def _is_true(key: Ed25519PublicKey, signature: str, signed: bytes) -> bool:
    try:
        key.verify(bytes.fromhex(signature), signed)
    except (InvalidSignature, ValueError):
        return False
    return True
