"""Types that a client declares for its parameters beside the text, where a decision may depend on them.

``big = $1`` compares an int8 with an OID when the parameter is declared as one, and fails on rows that hold no OID.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

FLOAT_OIDS: Final = frozenset({700, 701})
# int8 becomes oid in silence, and not every number is one.
OID_OIDS: Final = frozenset({24, 26, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191})
FIRST_USER_OID: Final = 16384


def that_matter(declared: Iterable[int]) -> tuple[int, ...]:
    """Of the OIDs in a Parse those that rules look at, each once: most statements have none."""
    return tuple(sorted({oid for oid in declared if oid >= FIRST_USER_OID or oid in FLOAT_OIDS or oid in OID_OIDS}))
