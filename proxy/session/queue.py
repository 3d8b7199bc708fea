"""What the server still owes: one Item per message sent to it, in order, and what the server holds by name.

pgdog's idea of expected replies: each server message belongs to the first item and is forwarded, swallowed or
replaced. The names exist twice (`Names`): as sent, for deciding what comes next, and as confirmed by replies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from audit.record import Record, Verdict
from policies.decision import Decision, Plan
from policies.masks import StreamMask
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
EMPTY_PLAN = Plan("empty", "")


@dataclass(slots=True)
class Account:
    """What is counted of one statement between its intent and its outcome."""

    intent: Record
    plan: Plan
    verdict: Verdict
    started_us: int
    rows: int = 0
    bytes_out: int = 0
    masked_cells: int = 0
    is_closed: bool = False
    broken_rule: str = ""  # the rule whose check the statement failed


@dataclass(slots=True, eq=False)
class ServerCopy:
    """A statement as the server has it; shared by all decisions that led to the same text. Its identity counts."""

    fields: tuple[Field, ...] | None = None  # () when it returns no rows; None: not described yet
    is_described: bool = False  # a Describe of ours is under way or done


@dataclass(slots=True, eq=False)
class Told:
    """The output columns that the client was told of, for as long as it uses the name."""

    fields: tuple[Field, ...] | None = None


@dataclass(frozen=True, slots=True)
class Basis:
    """What a decision was made under."""

    fingerprint: str
    catalog_version: int
    search_path: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A prepared statement: the client's own text and what was decided for it."""

    name: bytes
    sql: str
    types: tuple[int, ...]
    decision: Decision
    basis: Basis
    server: ServerCopy
    told: Told
    is_open: bool

    @property
    def plan(self) -> Plan:
        return self.decision.plans[0] if self.decision.plans else EMPTY_PLAN


@dataclass(slots=True, eq=False)
class Portal:
    name: bytes
    statement: Prepared
    result_formats: tuple[int, ...] = ()
    is_executed: bool = False
    account: Account | None = None  # open while the portal is suspended


@dataclass(slots=True, eq=False)
class Item:
    """One expected reply. `answer` replaces the server's error; `is_swallowed`: the client didn't ask for it."""

    kind: Kind
    name: bytes = b""
    decision: Decision | None = None
    answer: bytes | None = None
    is_swallowed: bool = False
    is_open: bool = False
    statement: Prepared | None = None
    portal: Portal | None = None
    compares_told: bool = False
    is_described: bool = False  # a Describe of a statement
    accounts: list[Account] = field(default_factory=list)
    at: int = 0  # which plan of a Query is running
    masks: RowMasks | None = None
    sqlstate: str = ""
    is_abort: bool = False  # a poison of ours that makes an open transaction fail
    is_copy_done: bool = False  # the client ended its COPY data before the server asked for it

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


@dataclass(slots=True)
class Names:
    """Statements and portals by name."""

    statements: dict[bytes, Prepared] = field(default_factory=dict)
    portals: dict[bytes, Portal] = field(default_factory=dict)

    def copy(self) -> Names:
        return Names(dict(self.statements), dict(self.portals))

    def apply(self, item: Item) -> None:
        """What the item will have changed once the server has confirmed it."""
        match item.kind:
            case Kind.PARSE if item.statement is not None:
                self.statements[item.name] = item.statement
            case Kind.BIND if item.portal is not None:
                self.portals[item.name] = item.portal
                self.statements[item.portal.statement.name] = item.portal.statement
            case Kind.CLOSE if not item.is_swallowed:
                (self.statements if item.is_described else self.portals).pop(item.name, None)


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
