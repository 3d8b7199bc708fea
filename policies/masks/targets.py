"""The types of columns that masks can be put on, from an OID and format_type's text.

It must not know masks. Type names that it renders are qualified: a type or temporary table of the same name
in a client's search_path must not be found instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType

from policies.masks.plain import ARRAYS, PLAIN


class Family(Enum):
    """Types that masks treat alike."""

    TEXT = auto()
    TEXT_ARRAY = auto()
    INTEGER = auto()
    NUMERIC = auto()
    FLOAT = auto()
    BOOL = auto()
    DATE = auto()
    TIMESTAMP = auto()
    TIMESTAMPTZ = auto()
    UUID = auto()
    JSON = auto()
    JSONB = auto()
    BYTEA = auto()
    PLAIN = auto()  # taken as a whole: see `plain`
    ARRAY = auto()  # of anything but texts, taken as a whole


@dataclass(frozen=True, slots=True)
class Target:
    """A masked column's type.

    `sql_type` is the qualified name to cast to, with its modifier. `modifiers` are those of the type as
    written: (characters,) for varchar and bpchar, (precision, scale) for numeric, (digits,) for timestamps,
    () for none. A domain's are unknown, it counts as its base type without any. `size` is the width in bytes
    of numbers. `element_oid` is 0 but for arrays.
    """

    oid: int
    family: Family
    sql_type: str
    modifiers: tuple[int, ...] = ()
    size: int = 0
    element_oid: int = 0

    @property
    def length(self) -> int | None:
        """The most characters that a text (or an element of a text array) may have, None when unlimited."""
        return self.modifiers[0] if self.modifiers and self.family in TEXTS else None

    @property
    def is_padded(self) -> bool:
        """bpchar: blanks at the end don't count, and fill the value up to its length on the wire."""
        return self.oid == BPCHAR

    @property
    def smallest(self) -> int:
        """The least value of an integer type."""
        return -(1 << (8 * self.size - 1))


TEXTS = frozenset({Family.TEXT, Family.TEXT_ARRAY})

# OIDs are fixed in PostgreSQL's pg_type.dat.
TEXT = 25
BPCHAR = 1042
VARCHAR = 1043


@dataclass(frozen=True, slots=True)
class _Type:
    family: Family
    name: str  # in pg_catalog
    spellings: tuple[str, ...]  # what format_type and people call it
    size: int = 0
    element_oid: int = 0


_TYPES: Mapping[int, _Type] = MappingProxyType(
    {
        16: _Type(Family.BOOL, "bool", ("boolean", "bool")),
        17: _Type(Family.BYTEA, "bytea", ("bytea",)),
        20: _Type(Family.INTEGER, "int8", ("bigint", "int8"), 8),
        21: _Type(Family.INTEGER, "int2", ("smallint", "int2"), 2),
        23: _Type(Family.INTEGER, "int4", ("integer", "int4"), 4),
        TEXT: _Type(Family.TEXT, "text", ("text",)),
        114: _Type(Family.JSON, "json", ("json",)),
        700: _Type(Family.FLOAT, "float4", ("real", "float4"), 4),
        701: _Type(Family.FLOAT, "float8", ("double precision", "float8"), 8),
        1009: _Type(Family.TEXT_ARRAY, "text[]", ("text[]",), 0, TEXT),
        1015: _Type(Family.TEXT_ARRAY, "varchar[]", ("character varying[]", "varchar[]"), 0, VARCHAR),
        BPCHAR: _Type(Family.TEXT, "bpchar", ("character", "bpchar", "char")),
        VARCHAR: _Type(Family.TEXT, "varchar", ("character varying", "varchar")),
        1082: _Type(Family.DATE, "date", ("date",)),
        1114: _Type(Family.TIMESTAMP, "timestamp", ("timestamp without time zone", "timestamp")),
        1184: _Type(Family.TIMESTAMPTZ, "timestamptz", ("timestamp with time zone", "timestamptz")),
        1700: _Type(Family.NUMERIC, "numeric", ("numeric", "decimal")),
        2950: _Type(Family.UUID, "uuid", ("uuid",)),
        3802: _Type(Family.JSONB, "jsonb", ("jsonb",)),
    }
)

# "character varying(20)[]", "timestamp(3) with time zone", "numeric(10,2)"
_WRITTEN = re.compile(r"([a-z0-9 ]+?)(?:\((-?\d+)(?:,\s*(-?\d+))?\))?( with(?:out)? time zone)?(\[\])?")


def target_of(type_oid: int, type_name: str) -> Target | None:
    """The type as a mask's target; None when no mask but nullify knows it.

    `type_name` is format_type's text. A name that isn't the type's own is a domain's.
    """
    known = _known(type_oid)
    if known is None:
        return None
    modifiers = _modifiers(known, type_name)
    return Target(type_oid, known.family, _qualified(known.name, modifiers), modifiers, known.size, known.element_oid)


def _known(type_oid: int) -> _Type | None:
    if type_oid in PLAIN:
        found = PLAIN[type_oid]
        return _Type(Family.PLAIN, found.name, found.spellings)
    element = _known(ARRAYS[type_oid]) if type_oid in ARRAYS else None
    if element is None:
        return _TYPES.get(type_oid)
    spellings = tuple(f"{spelling}[]" for spelling in element.spellings)
    return _Type(Family.ARRAY, f"{element.name}[]", spellings, 0, ARRAYS[type_oid])


def _modifiers(known: _Type, type_name: str) -> tuple[int, ...]:
    written = _WRITTEN.fullmatch(type_name.strip().lower())
    if written is None:
        return ()
    name, first, second, zone, brackets = written.groups()
    if name + (zone or "") + (brackets or "") not in known.spellings:
        return ()
    numbers = tuple(int(number) for number in (first, second) if number is not None)
    return (*numbers, 0) if name == "numeric" and len(numbers) == 1 else numbers


def _qualified(name: str, modifiers: tuple[int, ...]) -> str:
    if not modifiers:
        return f"pg_catalog.{name}"
    base, bracket, _ = name.partition("[")
    suffix = "[]" if bracket else ""
    return f"pg_catalog.{base}({', '.join(map(str, modifiers))}){suffix}"
