"""Every operator that PostgreSQL brings, by name and operand types, with what a review found: can a row make it fail?

The table stands in data/operators.tsv, one line for each row of pg_operator of PostgreSQL 15 and 18; tests hold it
against the servers, and run what it calls pure on the extremes of each type. It knows nothing of statements.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files

# Types whose comparisons can't fail, by OID and pg_type.typname: columns of them may be in a condition that enters a
# guard. Geometric types overflow even in `=`; json and xml have no `=`; a "char" may be no character, a macaddr8 no
# macaddr, as which it is compared.
SAFE_TYPES: Mapping[int, str] = {
    16: "bool", 17: "bytea", 19: "name", 20: "int8", 21: "int2", 23: "int4", 25: "text", 26: "oid",
    650: "cidr", 700: "float4", 701: "float8", 790: "money", 829: "macaddr", 869: "inet",
    1042: "bpchar", 1043: "varchar", 1082: "date", 1083: "time", 1114: "timestamp", 1184: "timestamptz",
    1186: "interval", 1266: "timetz", 1560: "bit", 1562: "varbit", 1700: "numeric", 2950: "uuid", 3802: "jsonb",
    # Arrays are compared by their elements.
    1000: "_bool", 1001: "_bytea", 1003: "_name", 1005: "_int2", 1007: "_int4", 1009: "_text",
    1014: "_bpchar", 1015: "_varchar", 1016: "_int8", 1021: "_float4", 1022: "_float8", 1028: "_oid", 1040: "_macaddr",
    1041: "_inet", 651: "_cidr", 1115: "_timestamp", 1182: "_date", 1183: "_time", 1185: "_timestamptz",
    1187: "_interval", 1231: "_numeric", 1270: "_timetz", 2951: "_uuid", 3807: "_jsonb",
}  # fmt: skip
ENUM = "anyenum"  # stands for any enum type: a value of one is a number
_SCALARS = frozenset({"any", "anyelement", "anynonarray", "anycompatible", "anycompatiblenonarray"})
_ARRAYS = frozenset({"any", "anyelement", "anyarray", "anycompatible", "anycompatiblearray"})
# What a value of a type may be passed as without a cast.
_SAME = {"varchar": "text", "cidr": "inet", "_varchar": "_text", "_cidr": "_inet"}
# All parameters that a value of a safe type may meet.
SAFE_TYPE_NAMES: frozenset[str] = frozenset(SAFE_TYPES.values()) | _SCALARS | _ARRAYS | {ENUM}


class OperatorClass(StrEnum):
    PURE = "pure"  # no row makes it fail: leakproof, or reviewed
    PATTERN = "pattern"  # pure when its right side is a whole pattern
    DIVIDES = "divides"  # pure when its right side is a number but 0 and -1
    MAY_FAIL = "may-fail"


@dataclass(frozen=True, slots=True)
class Operator:
    """`left` is empty for a prefix operator; types are names as in pg_type.typname."""

    name: str
    left: str
    right: str
    result: str
    kind: OperatorClass


@lru_cache(4096)
def operators(name: str, left: str | None, right: str | None) -> tuple[Operator, ...]:
    """Those that operands of these types may mean; None for a type that isn't known, "" for no operand.

    An operand of a known type may meet one of another type only through a cast: such a reading isn't among them.
    """
    return tuple(one for one in _TABLE.get(name, ()) if _fits(left, one.left) and _fits(right, one.right))


def is_array(type_name: str) -> bool:
    return type_name.startswith("_")


def _fits(given: str | None, wanted: str) -> bool:
    if given is None:
        return wanted != ""
    if given in (wanted, "") or wanted == "":
        return given == wanted
    return _SAME.get(given, given) == wanted or wanted in (_ARRAYS if is_array(given) else _SCALARS)


def table_lines() -> list[str]:
    """name, left, right, result, function, versions of the server, class; separated by tabs."""
    return files("policies.compile").joinpath("data/operators.tsv").read_text("utf-8").splitlines()


def _read(lines: Iterable[str]) -> Mapping[str, tuple[Operator, ...]]:
    found: dict[str, list[Operator]] = defaultdict(list)
    for name, left, right, result, _, _, kind in (line.split("\t") for line in lines):
        found[name].append(Operator(name, left, right, result, OperatorClass(kind)))
    return {name: tuple(listed) for name, listed in found.items()}


def _is_safe_by_name(listed: Iterable[Operator]) -> bool:
    """Whatever types of SAFE_TYPES come from rows, and whatever constants meet them."""
    kinds = {one.kind for one in listed if not SAFE_TYPE_NAMES.isdisjoint((one.left, one.right))}
    return bool(kinds) and kinds <= {OperatorClass.PURE, OperatorClass.PATTERN}


_TABLE = _read(table_lines())
PATTERN_OPERATORS: frozenset[str] = frozenset(
    name for name, listed in _TABLE.items() if all(one.kind is OperatorClass.PATTERN for one in listed)
)
SAFE_OPERATORS: frozenset[str] = frozenset(name for name, listed in _TABLE.items() if _is_safe_by_name(listed)) | {"!="}
