"""Workload lanes: whether a statement is interactive or bulk, by who sends it, what it is, and how much it moves.

Pure: no clock, no sockets, no queue. Which signs count is the operator's choice (`databases.<name>.lanes`); what the
planner said of a statement, and how many rows it gave, is kept by its shape. It must not know how lanes are limited.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum, StrEnum
from fnmatch import fnmatchcase
from typing import Final

from policies.decision import Plan

_SHAPES: Final = 10_000
_RUNS_TO_TRUST: Final = 3  # so often a shape has run when its rows count for more than the planner's guess
# Nobody waits for a turn to say these: they run nothing, or end what others wait for.
_FREE: Final = frozenset(
    {
        "begin",
        "close",
        "commit",
        "deallocate",
        "declare",
        "discard",
        "listen",
        "notify",
        "prepare",
        "prepare transaction",
        "release",
        "rollback",
        "rollback to",
        "savepoint",
        "set",
        "show",
        "unlisten",
    }
)
_PLANNED: Final = frozenset({"declare", "delete", "insert", "merge", "prepare", "select", "update"})


class WorkLane(StrEnum):
    """The value is what configuration, records and metrics call it."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


class BulkWay(Enum):
    """Where bulk work that only reads goes now; NOWHERE: its own server is away, and the primary isn't to do it."""

    PRIMARY = "primary"
    REPLICA = "replica"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class Signs:
    """What makes a statement bulk work; any one does. `users`, `applications` and `workloads` are shell patterns.

    `copy`: COPY, either way. `cost`: from so many of the planner's units on. `rows`: from so many rows on, as the
    planner expects them or as the shape gave them before.
    """

    users: tuple[str, ...] = ()
    applications: tuple[str, ...] = ()
    copy: bool = True
    cost: float | None = None
    rows: int | None = None
    workloads: tuple[str, ...] = ()

    @property
    def needs_estimates(self) -> bool:
        return self.cost is not None or self.rows is not None

    def is_bulk_client(self, user: str, application: str) -> bool:
        return _matches(self.users, user) or _matches(self.applications, application)

    def is_bulk_workload(self, workload: str) -> bool:
        """As records name it: what a statement's own comment says, else the application."""
        return _matches(self.workloads, workload)


@dataclass(slots=True)
class _Shape:
    """`version`: of the catalog that the planner was asked under. `rows` sinks by half with each run of fewer."""

    version: int
    units: float
    expected_rows: float
    runs: int = 0
    rows: float = 0.0


class Shapes:
    """What is known of statements by their shapes, the latest ones. `changes` rises when one changes its lane."""

    def __init__(self, signs: Signs) -> None:
        self._signs = signs
        self._known: OrderedDict[str, _Shape] = OrderedDict()
        self.changes = 0

    def lane_of(self, shape: str, version: int) -> WorkLane | None:
        """None: the planner hasn't been asked under this catalog."""
        known = self._known.get(shape)
        return None if known is None or known.version != version else self._lane(known)

    def learn(self, shape: str, version: int, units: float | None, rows: float | None) -> None:
        """What the planner says; None where it could say nothing, which counts as little."""
        known = self._known.pop(shape, None)
        fresh = _Shape(version, units or 0.0, rows or 0.0)
        if known is not None:
            fresh.runs, fresh.rows = known.runs, known.rows
        self._known[shape] = fresh
        if len(self._known) > _SHAPES:
            self._known.popitem(last=False)
        self.changes += 1

    def ran(self, shape: str, rows: int) -> None:
        """A statement of this shape has given so many rows."""
        known = self._known.get(shape)
        if known is None:
            return
        before = self._lane(known)
        known.runs += 1
        known.rows = rows if rows >= known.rows else (known.rows + rows) / 2
        self.changes += self._lane(known) is not before

    def _lane(self, known: _Shape) -> WorkLane:
        signs = self._signs
        if signs.cost is not None and known.units >= signs.cost:
            return WorkLane.BULK
        if signs.rows is None:
            return WorkLane.INTERACTIVE
        rows = known.rows if known.runs >= _RUNS_TO_TRUST else max(known.rows, known.expected_rows)
        return WorkLane.BULK if rows >= signs.rows else WorkLane.INTERACTIVE


def is_free(plan: Plan) -> bool:
    """Whether it is in no lane."""
    return plan.command in _FREE


def is_planned(plan: Plan) -> bool:
    """Whether the planner can be asked about it, and its shape names it."""
    return plan.command in _PLANNED and bool(plan.shape)


def _matches(patterns: tuple[str, ...], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
