"""Types of columns whose real values a mask's `use` can let statements compare, join or group by. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# What stands for a list whose length only the server knows, beside names of types.
ANY_LIST = "any list"

_TEXTS = frozenset({"text", "varchar", "bpchar"})
_EXACT = frozenset({"int2", "int4", "int8", "numeric"})
_ANY = frozenset({ANY_LIST})
# Types by whose values statements may hold a column against the client's: what those may be cast to. A numeric against
# a float and an int8 against an OID are cast, which fails on some values; of an array parameter nobody knows the type.
RAW_CASTS: Mapping[int, frozenset[str]] = MappingProxyType(
    {
        16: frozenset({"bool"}) | _ANY,
        17: frozenset({"bytea"}) | _ANY,
        20: _EXACT,
        21: _EXACT | _ANY,
        23: _EXACT | _ANY,
        25: _TEXTS | _ANY,
        700: _EXACT | {"float4", "float8"} | _ANY,
        701: _EXACT | {"float4", "float8"} | _ANY,
        1042: _TEXTS | _ANY,
        1043: _TEXTS | _ANY,
        1700: _EXACT,
        2950: frozenset({"uuid"}) | _ANY,
    }
)
