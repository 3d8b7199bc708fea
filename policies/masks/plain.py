"""Types whose values a mask takes as a whole: they can be wiped out or replaced by an operator's SQL, no more.

For each stands the value that redact gives, in the three forms it is sent in. It must not know masks.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Plain:
    """`text` and `binary` are what the server sends for the redacted value; `text` is its literal, too.

    `spellings` are what format_type calls the type, where that may hold a modifier.
    """

    name: str  # in pg_catalog, quoted where it must be
    text: str
    binary: bytes
    spellings: tuple[str, ...] = ()


def _plain(rows: tuple[tuple[int, str, str, bytes], ...]) -> dict[int, Plain]:
    return {oid: Plain(name, text, binary) for oid, name, text, binary in rows}


_TIME = ("time without time zone", "time")
_TIMETZ = ("time with time zone", "timetz")
_NO_BYTES = bytes(4)  # a length, or a count, of zero
_EMPTY_RANGE = b"\x01"
BIT, MONEY, INTERVAL = 1560, 790, 1186

# OIDs are fixed in PostgreSQL's pg_type.dat, binary forms in the types' send functions.
PLAIN: Mapping[int, Plain] = MappingProxyType(
    _plain(
        (
            (18, '"char"', "*", b"*"),
            (19, "name", "REDACTED", b"REDACTED"),
            (26, "oid", "0", bytes(4)),
            (27, "tid", "(0,0)", bytes(6)),
            (28, "xid", "0", bytes(4)),
            (29, "cid", "0", bytes(4)),
            (5069, "xid8", "0", bytes(8)),
            (142, "xml", "<redacted/>", b"<redacted/>"),
            (600, "point", "(0,0)", bytes(16)),
            (601, "lseg", "[(0,0),(0,0)]", bytes(32)),
            (602, "path", "((0,0))", b"\x01" + struct.pack("!i", 1) + bytes(16)),
            (603, "box", "(0,0),(0,0)", bytes(32)),
            (604, "polygon", "((0,0))", struct.pack("!i", 1) + bytes(16)),
            (628, "line", "{1,0,0}", struct.pack("!3d", 1, 0, 0)),
            (718, "circle", "<(0,0),0>", bytes(24)),
            (650, "cidr", "0.0.0.0/0", bytes((2, 0, 1, 4)) + bytes(4)),
            (869, "inet", "0.0.0.0", bytes((2, 32, 0, 4)) + bytes(4)),  # noqa: S104 - a value, nothing is bound
            (774, "macaddr8", "00:00:00:00:00:00:00:00", bytes(8)),
            (829, "macaddr", "00:00:00:00:00:00", bytes(6)),
            (MONEY, "money", "0", bytes(8)),
            (INTERVAL, "interval", "0", bytes(16)),
            (3614, "tsvector", "", _NO_BYTES),
            (3615, "tsquery", "", _NO_BYTES),
            (3220, "pg_lsn", "0/0", bytes(8)),
            (4072, "jsonpath", "$", b"\x01$"),
            (3904, "int4range", "empty", _EMPTY_RANGE),
            (3906, "numrange", "empty", _EMPTY_RANGE),
            (3908, "tsrange", "empty", _EMPTY_RANGE),
            (3910, "tstzrange", "empty", _EMPTY_RANGE),
            (3912, "daterange", "empty", _EMPTY_RANGE),
            (3926, "int8range", "empty", _EMPTY_RANGE),
            (4451, "int4multirange", "{}", _NO_BYTES),
            (4532, "nummultirange", "{}", _NO_BYTES),
            (4533, "tsmultirange", "{}", _NO_BYTES),
            (4534, "tstzmultirange", "{}", _NO_BYTES),
            (4535, "datemultirange", "{}", _NO_BYTES),
            (4536, "int8multirange", "{}", _NO_BYTES),
        )
    )
    | {
        1083: Plain("time", "00:00:00", bytes(8), _TIME),
        1266: Plain("timetz", "00:00:00+00", bytes(12), _TIMETZ),
        BIT: Plain("bit", "", b"", ("bit",)),  # as long as its column's values: see `zero_bits`
        1562: Plain("varbit", "", _NO_BYTES, ("bit varying", "varbit")),
    }
)

# What the server prints for these depends on settings of the session.
PRINTED_BY_SESSION = frozenset({MONEY, INTERVAL})

# Array types, but those of texts, by OID: the element's OID. Their redacted value has no element.
ARRAYS: Mapping[int, int] = MappingProxyType(
    dict(
        zip(
            (
                *(1000, 1001, 1016, 1005, 1007, 199, 1021, 1022, 1014, 1182, 1115, 1185, 1231, 2951, 3807),
                *(1002, 1003, 1028, 1010, 1011, 1012, 271, 143, 1017, 1018, 1019, 1020, 1027, 629, 719, 651, 1041),
                *(775, 1040, 791, 1183, 1270, 1187, 1561, 1563, 3643, 3645, 3221, 4073),
                *(3905, 3907, 3909, 3911, 3913, 3927, 6150, 6151, 6152, 6153, 6155, 6157),
            ),
            (
                *(16, 17, 20, 21, 23, 114, 700, 701, 1042, 1082, 1114, 1184, 1700, 2950, 3802),
                *(18, 19, 26, 27, 28, 29, 5069, 142, 600, 601, 602, 603, 604, 628, 718, 650, 869),
                *(774, 829, 790, 1083, 1266, 1186, 1560, 1562, 3614, 3615, 3220, 4072),
                *(3904, 3906, 3908, 3910, 3912, 3926, 4451, 4532, 4533, 4534, 4535, 4536),
            ),
            strict=True,
        )
    )
)


def zero_bits(length: int) -> tuple[str, bytes]:
    """bit(length) without a bit set, as text and as bit_send gives it."""
    return "0" * length, struct.pack("!i", length) + bytes((length + 7) // 8)
