"""What one server link has that sessions share: plain data, handed over from borrower to borrower with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Final

from proxy.session.settings import PINNED, PREFERRED
from proxy.session.track import Settings

STATEMENTS_PER_LINK: Final = 500
# All other commands may run code, also without a table: operators, casts, and conditions of domains do.
RUN_NOTHING: Final = frozenset({"begin", "commit", "rollback", "savepoint", "release", "set", "show"})


class LinkKind(Enum):
    """The startup packet, which no SET can change: RESET goes back to it. `OPEN`: for allow-everything policies."""

    GUARDED = MappingProxyType({n.encode(): v.encode() for n, v in (PREFERRED | PINNED).items()})
    OPEN = MappingProxyType[bytes, bytes]({})

    @property
    def startup(self) -> Mapping[bytes, bytes]:
        return self.value


@dataclass(slots=True, eq=False)
class SharedStatement:
    """A statement of the protocol under a name of ours. `group`: the stretch of the borrower's in which it was sent.

    `is_own`: under the client's own name, on a link that is its alone.
    """

    name: bytes
    key: object
    group: int
    is_confirmed: bool = False
    is_own: bool = False


@dataclass(slots=True, eq=False)
class SharedLink:
    """`reported`: the server's ParameterStatus values. `last`: who borrowed it last. `is_spent`: nobody gets it again.

    `unnamed`: whose unnamed statement it has. `has_sequences`: of `last`, which nobody else may see. `reads_run_code`,
    `writes_run_code`: whether views or triggers of this database may run functions of its users, as of
    `catalog_version`; what those left makes it `is_unclean`. `is_elsewhere`: to the bulk lane's own server.
    """

    kind: LinkKind
    process_id: int
    secret_key: bytes = field(repr=False)
    token: bytes
    reported: dict[bytes, bytes]
    settings: Settings = ()
    statements: dict[object, SharedStatement] = field(default_factory=dict)
    unnamed: object | None = None
    last: object | None = None
    has_sequences: bool = False
    reads_run_code: bool = True
    writes_run_code: bool = True
    is_unclean: bool = False
    catalog_version: int = 0
    epoch: int = -1  # in which the catalog was looked at last
    is_spent: bool = False
    is_elsewhere: bool = False
    names: int = 0

    def next_name(self) -> bytes:
        """No client can guess it: a name that was taken twice would be another client's statement."""
        self.names += 1
        return b"pgwarden_%s_%d" % (self.token, self.names)
