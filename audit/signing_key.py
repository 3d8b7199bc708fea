"""The private key of a journal folder: found or made, given from outside, replaced. Signs nothing itself.

It stands in the folder (`signing.key`, mode 0600) unless it is given from elsewhere. Its public half and all keys
before it stand in the folder in any case, so a key that isn't the folder's own is found out before it signs anything.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.checkpoints import read_checkpoints
from audit.errors import CorruptJournalError, SigningKeyError
from audit.ids import system_clock_us
from audit.ring import (
    RING_FILE,
    KeyEntry,
    Ring,
    begin_ring,
    first_entry,
    next_entry,
    raw_hex,
    read_ring,
    sync_directory,
    write_ring,
)
from audit.signing import PRIVATE_KEY_FILE, PUBLIC_KEY_FILE, Signer, is_signature_true, load_public_key

_NEXT_FILE = "signing.key.next"  # a rotation that was cut off is finished by whoever loads the key next
_LOCK_FILE = "keys.lock"
_RESTORE = "restore it from a backup, or begin a new key with `pgwarden audit rotate-key --lost`; no record is lost"


@dataclass(slots=True)
class SigningKey:
    """The signer of one folder, loaded again when the folder's keys change. `given`: the key's PEM from elsewhere."""

    directory: Path
    given: bytes | None = None
    _signer: Signer | None = None
    _stamp: tuple[int, int] = (0, 0)

    def signer(self) -> Signer:
        """Raises SigningKeyError, CorruptJournalError or OSError: nothing is signed then, and it is looked again."""
        stamp = _stamp_of(self.directory / RING_FILE)
        if self._signer is None or stamp != self._stamp:
            self._signer = load_or_make_signer(self.directory, self.given)
            self._stamp = _stamp_of(self.directory / RING_FILE)
        return self._signer


def load_or_make_signer(
    directory: Path, given: bytes | None = None, clock: Callable[[], int] = system_clock_us
) -> Signer:
    """The folder's key, made at first use with mode 0600, its public half beside it; or the one `given` from elsewhere.

    Several workers may start at once: the first key linked into place is everybody's.
    Raises SigningKeyError where it isn't the key that the folder was signed with last, CorruptJournalError for what
    isn't an Ed25519 key, OSError if it can't be read or made.
    """
    ring = read_ring(directory)
    key = private_key_of(given, "the signing key") if given is not None else _own_key(directory, ring)
    raw = raw_hex(key.public_key())
    if not ring.entries:
        ring = _begin_ring(directory, key, clock())
    if ring.last.key != raw:
        raise SigningKeyError(_why_not(ring, key.public_key()))
    _write_public_key(directory / PUBLIC_KEY_FILE, key.public_key())
    return Signer(key, ring)


def rotate_key(
    directory: Path,
    former: bytes | None,
    fresh: bytes | None,
    *,
    is_lost: bool = False,
    clock: Callable[[], int] = system_clock_us,
) -> Ring:
    """Puts a new key behind the folder's last one; gives the ring with both.

    `former` and `fresh` are PEMs of keys that stand elsewhere: None takes what stands in the folder, and makes the new
    one there. With `is_lost`, the former key isn't needed and doesn't vouch. Raises as `load_or_make_signer`.
    """
    with _alone(directory):
        return _rotated(directory, former, fresh, is_lost, clock)


def _rotated(
    directory: Path, former: bytes | None, fresh: bytes | None, is_lost: bool, clock: Callable[[], int]
) -> Ring:
    ring, former_key = read_ring(directory), None
    if not is_lost:
        signer = load_or_make_signer(directory, former, clock)
        ring, former_key = read_ring(directory), signer.private_key
    elif not ring.entries:
        ring = _ring_without_key(directory)
    key = Ed25519PrivateKey.generate() if fresh is None else private_key_of(fresh, "the new signing key")
    if ring.find(key.public_key()) is not None:
        raise SigningKeyError("the new signing key was in use here before: make another one")
    last = ring.last.key if ring.entries else ""
    if fresh is None:
        _write_new(directory / _NEXT_FILE, _pem_of(key), 0o600)
    longer = Ring((*ring.entries, next_entry(key, clock(), last, former_key)))
    write_ring(directory, longer)
    _finish_rotation(directory, longer)  # unless a sidecar that is running has done so already
    _write_public_key(directory / PUBLIC_KEY_FILE, key.public_key())
    for entry in longer.entries:  # proofs of what was sealed before are checked with the key of then
        _write_public_key(directory / f"signing-{entry.fingerprint}.pub", entry.public_key)
    return longer


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Two rotations at once would each put its key behind the same one."""
    file = os.open(directory / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def private_key_of(pem: bytes, name: str) -> Ed25519PrivateKey:
    """Raises CorruptJournalError, which quotes nothing."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise CorruptJournalError(f"{name} holds no private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise CorruptJournalError(f"{name} holds no Ed25519 key")
    return key


def _own_key(directory: Path, ring: Ring) -> Ed25519PrivateKey:
    """That of the folder; made only where nothing has been signed yet."""
    path = directory / PRIVATE_KEY_FILE
    _finish_rotation(directory, ring)
    if not path.exists():
        if ring.entries or _has_history(directory):
            raise SigningKeyError(f"the journal's signing key {path.name} is missing: {_RESTORE}")
        _make_key(path)
    return private_key_of(path.read_bytes(), path.name)


def _finish_rotation(directory: Path, ring: Ring) -> None:
    following = directory / _NEXT_FILE
    with suppress(FileNotFoundError, CorruptJournalError):
        key = private_key_of(following.read_bytes(), following.name)
        if ring.entries and ring.last.key == raw_hex(key.public_key()):
            os.replace(following, directory / PRIVATE_KEY_FILE)
            sync_directory(directory)


def _begin_ring(directory: Path, key: Ed25519PrivateKey, at: int) -> Ring:
    """Of a folder without one. A folder of earlier versions says by its public key who signed it."""
    path = directory / PUBLIC_KEY_FILE
    if _has_history(directory) and path.exists() and raw_hex(load_public_key(path)) != raw_hex(key.public_key()):
        raise SigningKeyError(f"the signing key isn't the one that {path.name} belongs to: {_RESTORE}")
    _require_signed_by(directory, key.public_key())
    return begin_ring(directory, Ring((first_entry(key, at),)))


def _require_signed_by(directory: Path, key: Ed25519PublicKey) -> None:
    """A ring that was lost can't be made again once keys were replaced: chains would get other names."""
    for folder in sorted(directory.glob("worker-*")):
        checkpoints, _ = read_checkpoints(folder)
        if checkpoints and not is_signature_true(checkpoints[0], key):
            raise SigningKeyError(f"{RING_FILE} is missing, and {folder.name} was signed by other keys: restore it")


def _ring_without_key(directory: Path) -> Ring:
    """Before there were rings: the public key alone tells what the chains are called."""
    path = directory / PUBLIC_KEY_FILE
    if not path.exists():
        return Ring()
    return Ring((KeyEntry(key=raw_hex(load_public_key(path)), at=0, by_own=""),))


def _why_not(ring: Ring, key: Ed25519PublicKey) -> str:
    if ring.find(key) is not None:
        return f"the signing key was replaced by {ring.last.fingerprint}: give that one (audit.signing_key)"
    return f"the signing key isn't {ring.last.fingerprint}, which this journal is signed with: {_RESTORE}"


def _has_history(directory: Path) -> bool:
    """Whether anything was recorded here."""
    return any(directory.glob("worker-*/checkpoints.jsonl")) or any(directory.glob("worker-*/*.seg"))


def _stamp_of(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except FileNotFoundError:
        return 0, 0
    return state.st_mtime_ns, state.st_ino


def _make_key(path: Path) -> None:
    own = path.with_name(f"{path.name}.{os.getpid()}")
    _write_new(own, _pem_of(Ed25519PrivateKey.generate()), 0o600)
    try:
        os.link(own, path)  # fails if another worker was first, so nobody's key is ever replaced
    except FileExistsError:
        return
    finally:
        own.unlink()
    sync_directory(path.parent)


def _pem_of(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_new(path: Path, data: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(file, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(file)


def _write_public_key(path: Path, key: Ed25519PublicKey) -> None:
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    if path.exists() and path.read_bytes() == pem:
        return
    own = path.with_name(f"{path.name}.{os.getpid()}")
    _write_new(own, pem, 0o644)
    os.replace(own, path)
