"""A run: records of one chain as they travel over the bus, signed by the journal that wrote them. Knows no bus.

Who can write to the bus, but hasn't a journal's key, can add nothing to its chain: a chain's name begins with the
fingerprint of its key, and each message bears a signature of that key. What is sent twice is stored once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.errors import ForeignRunError, NewerRunError, SigningKeyError
from audit.record import FIELD_NAMES, hash_of, head_of
from audit.ring import KeyEntry, Ring, fingerprint_of, raw_hex, ring_of
from audit.seal import Seal, is_seal_true
from audit.signing import Checkpoint, Signer, is_signature_true

VERSION: Final = 1
_MOST_SEALED: Final = 1 << 20
HASHES_BYTES: Final = 64  # in each record: the hash of the one before, and its own; its body stands behind them
_DOMAIN: Final = b"pgwarden run\0"  # what is signed as a message can't be passed off as anything else


class Kind(StrEnum):
    """What a message holds: a Run; a Seal; a list of the pieces that a Run was cut into; or a Head."""

    RUN = "run"
    SEAL = "seal"
    PIECES = "pieces"
    HEAD = "head"


class Run(msgspec.Struct, frozen=True, array_like=True):
    """Records of one chain in order, each with its number, as hashes and body.

    `fields`: how many fields of a record its writer knew. Who knows fewer would lose some.
    """

    chain: str
    fields: int
    records: tuple[tuple[int, bytes], ...]


class Pieces(msgspec.Struct, frozen=True, array_like=True):
    """Where in the stream the parts of an encoded Run are, and the SHA-256 of all of them together."""

    chain: str
    subject: str
    sequences: tuple[int, ...]
    sha256: bytes


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """How far a chain was when it was signed last, and the keys of its folder, the oldest first."""

    chain: str
    checkpoint: Checkpoint
    keys: tuple[KeyEntry, ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """A message's content: `kind`, what was encoded, and who vouches for it. Keys and signatures are hexadecimal.

    `keys`: the ring that leads from the key that names the chain to this one, in JSON; empty while it is that key.
    """

    kind: str
    version: int
    key: str
    signature: str
    content: bytes
    keys: str = ""


_RUN = msgspec.msgpack.Decoder(Run)
_PIECES = msgspec.msgpack.Decoder(Pieces)
_SEAL = msgspec.json.Decoder(Seal)
_HEAD = msgspec.json.Decoder(Head)
_KEYS = msgspec.json.Decoder(tuple[KeyEntry, ...])
_encode = msgspec.msgpack.encode


def run_of(chain: str, records: tuple[tuple[int, bytes], ...]) -> bytes:
    return _encode(Run(chain, len(FIELD_NAMES), records))


def letter_of(kind: Kind, content: bytes, signer: Signer) -> Letter:
    """Signed by the journal's key. Raises SigningKeyError where no key before it vouches for it: none takes it."""
    raw = raw_hex(signer.private_key.public_key())
    signature = signer.private_key.sign(_signed(kind, VERSION, content))
    ring = signer.ring
    if not _leads_to(ring, raw):
        raise SigningKeyError("a key that none before it vouches for can't send records over the bus")
    keys = msgspec.json.encode(ring.entries).decode() if len(ring.entries) > 1 else ""
    return Letter(kind, VERSION, raw, signature.hex(), content, keys)


def opened_run(letter: Letter, content: bytes | None = None) -> Run:
    """The run in a letter, or in `content`, which its pieces made. Raises ForeignRunError or NewerRunError."""
    key = _key_of(letter)
    try:
        run = _RUN.decode(letter.content if content is None else content)
    except msgspec.MsgspecError:
        raise ForeignRunError("a message holds no records") from None
    _require_own(run.chain, key, letter)
    if run.fields > len(FIELD_NAMES):
        raise NewerRunError("a newer pgwarden has sent records with more fields than this one knows")
    for _, record in run.records:
        if not _is_hash_true(record):
            raise ForeignRunError("a record on the bus isn't what was hashed")
    return run


def opened_pieces(letter: Letter) -> Pieces:
    """Raises ForeignRunError or NewerRunError."""
    key = _key_of(letter)
    try:
        pieces = _PIECES.decode(letter.content)
    except msgspec.MsgspecError:
        raise ForeignRunError("a message names no pieces") from None
    _require_own(pieces.chain, key, letter)
    return pieces


def opened_seal(letter: Letter) -> Seal:
    """Raises ForeignRunError or NewerRunError."""
    key = _key_of(letter)
    try:
        seal = _SEAL.decode(letter.content)
    except msgspec.MsgspecError:
        raise ForeignRunError("a message holds no seal") from None
    _require_own(seal.chain, key, letter)
    is_sound = seal.first > 0 and 0 < seal.records <= _MOST_SEALED
    if not is_sound or not any(is_seal_true(seal, one) for one in _keys_behind(letter, key)):
        raise ForeignRunError("a seal on the bus has a false signature")
    return seal


def opened_head(letter: Letter) -> Head:
    """Raises ForeignRunError or NewerRunError."""
    key = _key_of(letter)
    try:
        head = _HEAD.decode(letter.content)
        ring = ring_of(head.keys)
    except (msgspec.MsgspecError, ValueError):
        raise ForeignRunError("a message holds no head") from None
    _require_own(head.chain, key, letter)
    is_own = bool(ring.entries) and _leads_to(ring, letter.key) and ring.origin == head.chain.partition("/")[0]
    keys = ring.trusted([key]) if is_own else []
    if not any(is_signature_true(head.checkpoint, one) for one in keys):
        raise ForeignRunError("a head on the bus has a false signature")
    return head


def joined(pieces: Pieces, parts: list[bytes]) -> bytes:
    """The encoded run. Raises ForeignRunError if they aren't the parts that were signed."""
    whole = b"".join(parts)
    if hashlib.sha256(whole).digest() != pieces.sha256:
        raise ForeignRunError("the pieces of a record aren't those that were sent")
    return whole


def record_id_of(record: bytes) -> str:
    """Raises CorruptJournalError."""
    return head_of(record[HASHES_BYTES:]).id


def _key_of(letter: Letter) -> Ed25519PublicKey:
    """The key that truly signed the letter."""
    if letter.version != VERSION or letter.kind not in set(Kind):
        raise NewerRunError("a newer pgwarden has sent something that this one doesn't know")
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(letter.key))
        key.verify(bytes.fromhex(letter.signature), _signed(letter.kind, letter.version, letter.content))
    except (InvalidSignature, ValueError):
        raise ForeignRunError("a message has no true signature") from None
    return key


def _require_own(chain: str, key: Ed25519PublicKey, letter: Letter) -> None:
    origin, _, worker = chain.partition("/")
    is_number = worker.isascii() and worker.isdigit() and len(worker) < 10 and worker == str(int(worker))
    if not is_number or origin != _origin_of(key, letter):
        raise ForeignRunError("a message for one chain is signed with the key of another")


def _origin_of(key: Ed25519PublicKey, letter: Letter) -> str:
    """What names the chains of the key: itself, or the first one of a ring in which each vouches for the next."""
    if not letter.keys:
        return fingerprint_of(key)
    try:
        ring = Ring(_KEYS.decode(letter.keys.encode()))
        return ring.origin if _leads_to(ring, raw_hex(key)) else ""
    except (msgspec.MsgspecError, ValueError, IndexError):
        return ""


def _keys_behind(letter: Letter, key: Ed25519PublicKey) -> list[Ed25519PublicKey]:
    """The letter's, and those before it: what is sent again may have been signed by one of them."""
    return Ring(_KEYS.decode(letter.keys.encode())).trusted([key]) if letter.keys else [key]


def _leads_to(ring: Ring, raw: str) -> bool:
    """Whether its first key leads to this one, its last."""
    if ring.last.key != raw:
        return False
    return all(entry.is_vouched_by(former) for former, entry in pairwise(ring.entries))


def _is_hash_true(record: bytes) -> bool:
    if len(record) <= HASHES_BYTES:
        return False
    before, own, body = record[:32], record[32:HASHES_BYTES], record[HASHES_BYTES:]
    return hash_of(before, body) == own


def _signed(kind: str, version: int, content: bytes) -> bytes:
    return _DOMAIN + f"{kind}\0{version}\0".encode() + hashlib.sha256(content).digest()
