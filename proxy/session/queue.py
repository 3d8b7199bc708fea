"""What the server still owes: one Item per message sent to it, in order.

pgdog's idea of expected replies: each server message belongs to the first item and is forwarded, swallowed or
replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from policies.decision import Decision, Plan
from policies.masks import StreamMask
from proxy.session.held import Account, Portal, Prepared
from proxy.session.shared_link import SharedStatement
from proxy.wire.copy_rows import CopyRows
from proxy.wire.messages import Field


class Kind(Enum):
    """What the server was sent. REFUSED is a poison in place of an extended-protocol message."""

    QUERY = auto()
    FUNCTION = auto()
    SYNC = auto()
    PARSE = auto()
    BIND = auto()
    DESCRIBE = auto()
    EXECUTE = auto()
    CLOSE = auto()
    REFUSED = auto()


ENDED_BY_READY = frozenset({Kind.QUERY, Kind.FUNCTION, Kind.SYNC})


@dataclass(slots=True, eq=False)
class Item:
    """One expected reply. `answer` replaces the server's error; `is_swallowed`: the client didn't ask for it."""

    kind: Kind
    name: bytes = b""
    decision: Decision | None = None
    answer: bytes | None = None
    yields_to_abort: bool = False  # `answer` stands for the server's: in a failed transaction it says something else
    is_swallowed: bool = False
    is_open: bool = False
    statement: Prepared | None = None
    portal: Portal | None = None
    compares_told: bool = False
    is_described: bool = False  # a Describe or Close of a statement
    accounts: list[Account] = field(default_factory=list)
    at: int = 0  # which plan of a Query is running
    masks: RowMasks | None = None
    sqlstate: str = ""
    is_abort: bool = False  # a poison of ours that makes an open transaction fail
    is_copy_done: bool = False  # the client ended its COPY data before the server asked for it
    copy_format: int = 0  # of COPY TO STDOUT: 0 text, 1 binary
    copy_rows: CopyRows | None = None  # masks the rows of the COPY TO that is being answered
    shared: SharedStatement | None = None  # what this Parse makes on a link that sessions share
    is_spared: bool = False  # a Parse of what the link has: CloseComplete comes instead of ParseComplete
    group: int = 0  # which stretch between two ReadyForQuery it belongs to

    @property
    def account(self) -> Account | None:
        return self.accounts[self.at] if self.at < len(self.accounts) else None

    @property
    def plan(self) -> Plan | None:
        account = self.account
        return None if account is None else account.plan

    @property
    def may_copy_in(self) -> bool:
        """Whether the server may be about to ask for COPY data."""
        return not self.is_copy_done and any(account.plan.command == "copy" for account in self.accounts[self.at :])

    @property
    def is_guarded(self) -> bool:
        """Whether the server's texts may quote what the policy hides. Without a decision, nobody knows: yes."""
        if self.is_open:
            return False
        if self.decision is None:
            return True
        return any(plan.is_guarded or plan.command == "commit" for plan in self.decision.plans)


class MaskMismatch(Exception):
    """The columns that arrive aren't those the plan wants masked: nothing of them may be shown."""


@dataclass(frozen=True, slots=True)
class RowMasks:
    """Positions for `wire.rows.mask_rows`."""

    columns: tuple[tuple[int, int, StreamMask], ...]
    column_count: int  # hidden ones included
    hidden_count: int


def place_masks(plan: Plan, fields: Sequence[Field], formats: Sequence[int] | None) -> RowMasks:
    """Finds the masked fields by table OID and column number. `formats` as in Bind; None: as in `fields`."""
    if len(fields) < plan.hidden_columns:
        raise MaskMismatch
    placed: list[tuple[int, int, StreamMask]] = []
    for mask in plan.column_masks:
        found = [i for i, f in enumerate(fields) if (f.table_oid, f.attnum) == (mask.table_oid, mask.attnum)]
        if len(found) != mask.count:
            raise MaskMismatch
        placed += [(i, _format(i, fields, formats), mask.mask) for i in found]
    return RowMasks(tuple(placed), len(fields), plan.hidden_columns)


def _format(index: int, fields: Sequence[Field], formats: Sequence[int] | None) -> int:
    if formats is None:
        return fields[index].format
    if len(formats) <= 1:
        return formats[0] if formats else 0
    if index >= len(formats):
        raise MaskMismatch
    return formats[index]
