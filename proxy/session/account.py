"""What is counted of one statement between its intent and its outcome, and whose rows it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit.record import Record, Verdict
from policies.decision import Plan

if TYPE_CHECKING:
    from proxy.session.names import Declared, Held


@dataclass(frozen=True, slots=True)
class Reading:
    """FETCH and EXECUTE run what stands under a name. `held` is what stood there when they were decided."""

    name: bytes
    held: Held
    is_portal: bool


@dataclass(frozen=True, slots=True)
class Run:
    """One statement on its way to the server: its plan, what it makes under a name, what it reads by one."""

    plan: Plan
    makes: Declared | None = None
    reads: Reading | None = None


@dataclass(slots=True)
class Account:
    intent: Record
    run: Run
    verdict: Verdict
    started_us: int
    rows: int = 0
    bytes_out: int = 0
    masked_cells: int = 0
    is_closed: bool = False
    is_verified: bool = False  # what it reads by name is what was decided
    broken_rule: str = ""  # the rule whose check the statement failed

    @property
    def plan(self) -> Plan:
        return self.run.plan

    def count_read(self) -> None:
        """At its end: what it read belongs to the cursor's count."""
        if self.run.reads is not None:
            self.run.reads.held.count(self.rows)

    @property
    def rows_before(self) -> int:
        """Rows that earlier statements read from the same cursor: a limit counts them too."""
        return 0 if self.run.reads is None else self.run.reads.held.rows
