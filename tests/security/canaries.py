"""Unique values for hidden cells, and the search for them in whatever a client received.

A canary is looked for as text in any case, reversed, in hex and base64, and in PostgreSQL's binary form.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

# Constants of the schema (checks, defaults, comments, view definitions) that tell about hidden things.
CONSTANTS = (
    "cnryconstantcheck",
    "cnryconstantdefault",
    "cnryconstantindex",
    "cnryconstantcomment",
    "cnryconstantcolumncomment",
    "cnryconstantview",
    "713577331",
)
_POSTGRES_EPOCH = date(2000, 1, 1)
_SMALL_OIDS = 30_000  # numbers below look like OIDs of catalogs
_HEAD_BYTES = 8  # a length word and a four-byte value: a shorter head would have thousands of candidates
Index = dict[int, dict[bytes, list[tuple[bytes, str]]]]


def _digest(label: str) -> bytes:
    return hashlib.sha256(f"canary {label}".encode()).digest()


@dataclass
class Canaries:
    """Makes canaries by label, the same in every run, and remembers under which label each stands.

    `patterns`: bytes to look for in the stream as it is; `folded`: bytes to look for in the lower-cased stream;
    `values`: label to the value as text, for statements that guess it.
    """

    patterns: dict[bytes, str] = field(default_factory=dict)
    folded: dict[bytes, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    _taken: set[int] = field(default_factory=set)
    _indexes: dict[int, tuple[int, Index]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for constant in CONSTANTS:
            self._remember_text(constant, f"schema constant {constant}")

    def text(self, label: str) -> str:
        value = "cnry" + _digest(label).hex()[:12]
        self.values[label] = value
        self._remember_text(value, label)
        return value

    def number(self, label: str) -> int:
        """Nine digits, above 10^8 and below 2^31."""
        value = int.from_bytes(_digest(label)[:4], "big") % 890_000_000 + 105_000_000
        while value in self._taken or value % 1000 == 0:
            value += 1
        self._taken.add(value)
        self.values[label] = str(value)
        self._remember_number(value, label)
        return value

    def amount(self, label: str) -> Decimal:
        number = self.number(label)
        self._remember_numeric(number, label)
        return Decimal(number) + Decimal("0.37")

    def day(self, label: str, first: int, years: int) -> date:
        """A day that isn't the first of its month, in one of `years` years from `first`."""
        seed = int.from_bytes(_digest(label)[4:8], "big")
        while True:
            value = date(first, 1, 1) + timedelta(days=seed % (365 * years))
            ordinal = -value.toordinal()
            if value.day > 1 and ordinal not in self._taken:
                break
            seed += 1
        self._taken.add(ordinal)
        self.values[label] = value.isoformat()
        self.folded[value.isoformat().encode()] = label
        if abs((value - _POSTGRES_EPOCH).days) > _SMALL_OIDS or first < _POSTGRES_EPOCH.year:
            self.patterns[_value(struct.pack("!i", (value - _POSTGRES_EPOCH).days))] = label
        return value

    def moment(self, label: str, first: int, years: int) -> datetime:
        day = self.day(label, first, years)
        seconds = int.from_bytes(_digest(label)[8:12], "big") % 86_000
        value = datetime(day.year, day.month, day.day) + timedelta(seconds=seconds)
        micros = (value - datetime(2000, 1, 1)) // timedelta(microseconds=1)
        self.patterns[struct.pack("!q", micros)] = label
        return value

    def uuid(self, label: str) -> uuid.UUID:
        value = uuid.UUID(bytes=_digest(label)[:16])
        self.folded[str(value).encode()] = label
        self.folded[value.hex.encode()] = label
        self.patterns[value.bytes] = label
        return value

    def octets(self, label: str) -> bytes:
        value = b"cnry" + _digest(label)[:10]
        self.folded[value.hex().encode()] = label
        self.patterns[value] = label
        self.patterns.update(dict.fromkeys(_base64_cores(value), label))
        return value

    def _remember_text(self, value: str, label: str) -> None:
        folded = value.lower()
        for form in (folded, folded[::-1], folded.encode().hex(), folded.upper().encode().hex()):
            self.folded[form.encode()] = label
        for written in (value, value.upper()):
            self.patterns.update(dict.fromkeys(_base64_cores(written.encode()), label))

    def _remember_number(self, value: int, label: str) -> None:
        self._remember_text(str(value), label)
        self.patterns[_value(struct.pack("!i", value))] = label
        self.patterns[struct.pack("!q", value)] = label
        self.patterns[struct.pack("!d", float(value))] = label
        self._remember_numeric(value, label)

    def _remember_numeric(self, value: int, label: str) -> None:
        self.patterns[struct.pack("!3h", value // 10**8, value // 10**4 % 10**4, value % 10**4)] = label

    def labels(self) -> set[str]:
        return {*self.patterns.values(), *self.folded.values()}

    def found_in(self, seen: bytes) -> set[str]:
        """The labels of all canaries in `seen`."""
        return _search(seen, self._index(self.patterns)) | _search(seen.lower(), self._index(self.folded))

    def _index(self, patterns: dict[bytes, str]) -> Index:
        """Patterns by the length of their heads and by their heads; made again when there are more of them."""
        size, index = self._indexes.get(id(patterns), (0, {}))
        if size != len(patterns):
            index = {}
            for pattern, label in patterns.items():
                head = pattern[:_HEAD_BYTES]
                index.setdefault(len(head), {}).setdefault(head, []).append((pattern, label))
            self._indexes[id(patterns)] = (len(patterns), index)
        return index


def _search(seen: bytes, index: Index) -> set[str]:
    found = set()
    for length, heads in index.items():
        for at in range(len(seen) - length + 1):
            head = seen[at : at + length]
            if head in heads:
                found.update(label for pattern, label in heads[head] if seen.startswith(pattern, at))
    return found


def _value(four: bytes) -> bytes:
    """Four bytes as a binary value in a DataRow: its length stands before it, which makes chance hits improbable."""
    return b"\0\0\0\4" + four


def _base64_cores(value: bytes) -> Iterator[bytes]:
    """The part of base64 that depends on `value` alone, at the three places where it may begin."""
    for lead in range(3):
        encoded = base64.b64encode(b"\0" * lead + value)
        start = (lead * 8 + 5) // 6
        end = (lead + len(value)) * 8 // 6
        yield encoded[start:end]
