"""Heads, public keys and seals as JSON lines: what an auditor keeps where the sidecar and the store can't reach it.

Each line is an object with one of `head` (a chain and a checkpoint), `key` (an origin and an entry of its ring) and
`seal`. Other lines are somebody else's, such as the records of an export.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from audit.errors import CorruptJournalError
from audit.ring import KeyEntry, Ring, ring_of
from audit.seal import Seal
from audit.signing import Checkpoint
from audit.verify_heads import Head


class _HeadLine(msgspec.Struct, frozen=True, kw_only=True):
    chain: str
    checkpoint: Checkpoint


class _KeyLine(msgspec.Struct, frozen=True, kw_only=True):
    origin: str
    entry: KeyEntry


class _Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    head: _HeadLine | None = None
    key: _KeyLine | None = None
    seal: Seal | None = None


_DECODER = msgspec.json.Decoder(_Line)


@dataclass(frozen=True, slots=True)
class Witnesses:
    """What a file says of chains beside their records."""

    heads: Sequence[Head] = ()
    rings: Mapping[str, Ring] = field(default_factory=dict)
    seals: Sequence[Seal] = ()


def encode_witnesses(heads: Mapping[str, Checkpoint], rings: Mapping[str, Ring], seals: Iterable[Seal] = ()) -> bytes:
    """JSON lines: keys, seals, then heads by their chains."""
    lines = [_Line(key=_KeyLine(origin=origin, entry=one)) for origin, ring in rings.items() for one in ring.entries]
    lines += [_Line(seal=seal) for seal in seals]
    lines += [_Line(head=_HeadLine(chain=chain, checkpoint=head)) for chain, head in heads.items()]
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def read_witnesses(data: bytes, place: str) -> Witnesses:
    """`place`: what the file is called. Raises CorruptJournalError, which names the line."""
    heads: list[Head] = []
    entries: dict[str, list[KeyEntry]] = defaultdict(list)
    seals: list[Seal] = []
    for number, text in enumerate(data.splitlines(), 1):
        line = _line_of(text, f"{place}:{number}")
        if line.head is not None:
            heads.append(Head(line.head.chain, line.head.checkpoint, f"the head in {place}"))
        if line.key is not None:
            entries[line.key.origin].append(line.key.entry)
        if line.seal is not None:
            seals.append(line.seal)
    try:
        return Witnesses(heads, {origin: ring_of(own) for origin, own in entries.items()}, seals)
    except ValueError as error:
        raise CorruptJournalError(f"{place}: a public key isn't one") from error


def is_witness(line: bytes) -> bool:
    """Whether it is one of ours: a record's line begins with its fields."""
    return line.lstrip().startswith((b'{"head":', b'{"key":', b'{"seal":'))


def joined(files: Sequence[Witnesses]) -> Witnesses:
    """Of several rings of one origin, the longest counts."""
    rings: dict[str, Ring] = {}
    for one in files:
        for origin, ring in one.rings.items():
            rings[origin] = max(rings.get(origin, ring), ring, key=lambda ring: len(ring.entries))
    heads = [head for one in files for head in one.heads]
    return Witnesses(heads, rings, [seal for one in files for seal in one.seals])


def _line_of(text: bytes, place: str) -> _Line:
    if not text.strip():
        return _Line()
    try:
        return _DECODER.decode(text)
    except (msgspec.MsgspecError, ValueError) as error:
        raise CorruptJournalError(f"{place}: neither a head, a key, a seal nor a record") from error
