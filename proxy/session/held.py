"""What stands under a name at the server, and what is counted of a statement that runs it: plain data.

Statements and portals of the protocol, cursors and statements made by SQL; and the account between a statement's intent
and its outcome. Identity counts: the same text under the same name may be another statement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from audit.lines import Lines
from audit.record import ShadowDecision, Verdict
from policies.catalog import Namespace
from policies.decision import Decision, Plan
from policies.limits import Limit
from proxy.purses import Reservation
from proxy.wire.messages import Field

EMPTY_PLAN: Final = Plan("empty", "")

_TEXT_BYTES: Final = 8192


def joined_texts(first: str, second: str) -> str:
    """Both, cut off where a record's field ends."""
    if len(first) >= _TEXT_BYTES or not second:
        return first
    joined = f"{first}\n{second}" if first else second
    return joined.encode("utf-8", "replace")[:_TEXT_BYTES].decode("utf-8", "ignore")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something was put under a name: in which stretch between two ReadyForQuery, and whether something else
    stood there, so that an error leaves the other one."""

    group: int = 0
    is_contested: bool = False


@dataclass(slots=True, eq=False)
class ServerCopy:
    """A statement as the server has it; shared by all decisions that led to the same text. Its identity counts."""

    origin: Origin = Origin()
    fields: tuple[Field, ...] | None = None  # () when it returns no rows; None: not described yet
    is_described: bool = False  # a Describe of ours is under way or done
    key: object = None  # under which links that sessions share have it


@dataclass(slots=True, eq=False)
class Told:
    """The output columns that the client was told of, for as long as it uses the name."""

    fields: tuple[Field, ...] | None = None


@dataclass(frozen=True, slots=True)
class Basis:
    """What a decision was made under. The namespace holds what its text can name, no more."""

    fingerprint: str
    catalog_version: int
    namespace: Namespace


@dataclass(slots=True, eq=False)
class Declared:
    """A cursor of DECLARE or a statement of PREPARE: what FETCH, EXECUTE, Execute or Bind of its name run.

    `decision` is that of the text it stood in. `rows`: how many were read of a cursor so far, by all statements.
    """

    sql: str
    plan: Plan
    decision: Decision
    basis: Basis
    is_open: bool
    origin: Origin
    rows: int = 0
    bytes_out: int = 0

    def count(self, rows: int, bytes_out: int) -> None:
        if self.plan.effect.opens_cursor:
            self.rows += rows
            self.bytes_out += bytes_out


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A prepared statement: the client's own text and what was decided for it. `declared`: it was made by SQL."""

    name: bytes
    sql: str
    types: tuple[int, ...]
    decision: Decision
    basis: Basis
    server: ServerCopy
    told: Told
    is_open: bool
    declared: Declared | None = None

    @property
    def plan(self) -> Plan:
        return self.decision.plans[0] if self.decision.plans else EMPTY_PLAN

    @property
    def rows(self) -> int:
        """Each execution is counted by itself."""
        return 0

    @property
    def bytes_out(self) -> int:
        return 0

    def count(self, rows: int, bytes_out: int) -> None:
        """Nothing: see `rows`."""


@dataclass(slots=True, eq=False)
class Portal:
    name: bytes
    statement: Prepared
    origin: Origin
    result_formats: tuple[int, ...] = ()
    parameters: tuple[str | None, ...] = ()  # where records keep them
    is_executed: bool = False
    account: Account | None = None  # open while the portal is suspended
    awaited: int = 0  # Executes on their way
    fetched: int = 0  # rows that FETCH took
    fetched_bytes: int = 0

    @property
    def sql(self) -> str:
        return self.statement.sql

    @property
    def rows(self) -> int:
        return self.fetched + (self.account.rows if self.account is not None else 0)

    @property
    def bytes_out(self) -> int:
        return self.fetched_bytes + (self.account.bytes_out if self.account is not None else 0)

    def count(self, rows: int, bytes_out: int) -> None:
        self.fetched += rows
        self.fetched_bytes += bytes_out


Held = Portal | Declared | Prepared


def plan_of(held: Held) -> Plan:
    """Of what stands there."""
    return held.statement.plan if isinstance(held, Portal) else held.plan


@dataclass(frozen=True, slots=True)
class Reading:
    """FETCH and EXECUTE run what stands under a name. `held` is what stood there when they were decided."""

    name: bytes
    held: Held
    is_portal: bool


@dataclass(frozen=True, slots=True)
class Run:
    """One statement on its way to the server: its plan, what it makes under a name, what it reads by one.

    `parameters`: Bind's values, where records keep them.
    """

    plan: Plan
    makes: Declared | None = None
    reads: Reading | None = None
    parameters: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Shadowed:
    """What policies in shadow mode would have decided of a statement, or of a text that was refused."""

    decision: ShadowDecision
    rule_ids: tuple[str, ...] = ()


@dataclass(slots=True)
class Account:
    statement_id: str
    lines: Lines
    run: Run
    verdict: Verdict
    started_us: int
    identity_changes: int  # how often the session's identity had changed when it began
    plan_units: int | None = None
    rows: int = 0
    bytes_out: int = 0
    masked_cells: int = 0
    is_closed: bool = False
    is_verified: bool = False  # what it reads by name is what was decided
    broken_rule: str = ""  # the rule whose check the statement failed
    limit_rule: str = ""  # the rule whose limit cut it off
    cut_at: Limit | None = None  # its result ends here, as if that were all
    is_cancelled: bool = False  # its end at the server is none to the client: the result was cut short
    rows_suspended: int = 0  # rows before the portal was suspended last
    server_error: str = ""  # what the server said and the client didn't read
    reservation: Reservation | None = None  # of budgets, until its cost is known

    @property
    def plan(self) -> Plan:
        return self.run.plan

    def note(self, said: str) -> None:
        """Keeps what the client doesn't read, up to the size of a record's field."""
        self.server_error = joined_texts(self.server_error, said)

    def count_read(self) -> None:
        """At its end: what it read belongs to the cursor's count."""
        if self.run.reads is not None:
            self.run.reads.held.count(self.rows, self.bytes_out)

    @property
    def rows_before(self) -> int:
        """Rows that earlier statements read from the same cursor: a limit counts them too."""
        return 0 if self.run.reads is None else self.run.reads.held.rows

    @property
    def bytes_before(self) -> int:
        return 0 if self.run.reads is None else self.run.reads.held.bytes_out
