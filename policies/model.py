"""What an operator wrote, and what it means for one principal: plain data, no parsing, no I/O.

Names of relations and columns are folded as PostgreSQL folds them before they get here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from policies.prices import PriceBook

if TYPE_CHECKING:
    from policies.budgets import Budget
    from policies.rates import Rate
    from policies.tiers import Tier, TierName

Value = str | int | float | bool | tuple[str | int | float | bool, ...]


class Statement(StrEnum):
    """The names that `statements:` knows. A kind that isn't built yet is refused when it is used."""

    SELECT = "select"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    MERGE = "merge"
    COPY_TO = "copy_to"
    COPY_FROM = "copy_from"
    CURSOR = "cursor"
    PREPARE = "prepare"
    EXPLAIN = "explain"
    LISTEN = "listen"
    CALL = "call"
    DO = "do"  # runs unguarded, so `all` under a narrow policy doesn't include it
    TEMP_TABLES = "temp_tables"
    DDL = "ddl"
    REPLICATION = "replication"  # by name only: `all` doesn't include it
    ALL = "all"


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """A place in the YAML: file name, line and column, both from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, order=True)
class RuleId:
    """One rule of one policy, e.g. ``analysts/masks[1]``, and where it stands."""

    name: str
    source: Source

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that a program sends as its password. `sha256` is the hex digest of the key, never the key.

    From the beginning of the day `expires` (UTC) on it is worth nothing.
    """

    id: str
    sha256: str = field(repr=False)
    expires: date | None = None


def _matches(pattern: str, name: str) -> bool:
    first, *others = pattern.split("*")
    if not others:
        return name == pattern
    *inner, last = others
    if not name.startswith(first) or len(name) < len(first) + len(last) or not name.endswith(last):
        return False
    at, end = len(first), len(name) - len(last)
    for part in inner:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is connected. `attributes` hold what filters may refer to as ``{name}``.

    `certificate`: names that the subject of the client's certificate must have, as (kind, value) such as
    ("CN", "ada"): of each kind these and no others.
    """

    user: str
    tenant: str | None = None
    team: str | None = None
    roles: tuple[str, ...] = ()
    attributes: Mapping[str, Value] = field(default_factory=dict)
    scram: str | None = None  # "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>"
    certificate: tuple[tuple[str, str], ...] = ()
    api_keys: tuple[ApiKey, ...] = ()
    has_stored_keys: bool = False  # keys of the audit store are taken too
    speaks_for: tuple[str, ...] = ()  # end users' names; * stands for any characters
    source: Source = Source("-", 1, 1)

    def may_speak_for(self, end_user: str) -> bool:
        """Whether it is to be believed when it names this end user."""
        return any(_matches(pattern, end_user) for pattern in self.speaks_for)


@dataclass(frozen=True, slots=True)
class MaskSpec:
    """A mask as written: its kind and its parameters, sorted by name so that equal masks compare equal."""

    kind: str
    parameters: tuple[tuple[str, Any], ...] = ()

    def get(self, name: str, default: Any = None) -> Any:
        return dict(self.parameters).get(name, default)


@dataclass(frozen=True, slots=True)
class TablePattern:
    """``schema.table`` with ``*`` for either part."""

    schema: str
    table: str

    def matches(self, schema: str, table: str) -> bool:
        return self.schema in ("*", schema) and self.table in ("*", table)

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"


@dataclass(frozen=True, slots=True)
class ColumnName:
    schema: str
    table: str
    column: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}.{self.column}"


@dataclass(frozen=True, slots=True)
class FilterRule:
    schema: str
    table: str
    expression: str  # as written, with {attribute}
    rule: RuleId


class RawUse(StrEnum):
    """What a statement may do with a masked column's real values, while its output stays masked."""

    EQUALITY = "equality"  # =, <>, IN, IS DISTINCT FROM against values that aren't columns
    JOIN = "join"  # = against a column of another relation
    GROUP = "group"  # GROUP BY, DISTINCT


@dataclass(frozen=True, slots=True)
class MaskRule:
    """`uses` of the column's real values are allowed, at most `probes_per_hour` statements with any of them per
    principal and column (None: without end)."""

    column: ColumnName
    mask: MaskSpec
    rule: RuleId
    uses: frozenset[RawUse] = frozenset()
    probes_per_hour: int | None = None


class AtCap(StrEnum):
    """What happens when a statement reaches its limit of rows or bytes."""

    ERROR = "error"  # 57014
    TRUNCATE = "truncate"  # the rows so far, a NOTICE, and success


@dataclass(frozen=True, slots=True)
class Limits:
    """None means no limit. `cost` is in the currency of the prices, estimated before a statement runs.

    `bytes` counts what a statement sends to the client. `concurrent` and `statements_per_minute` count a principal's
    statements on a database.
    """

    rows: int | None = None
    runtime_s: float | None = None
    bytes: int | None = None
    concurrent: int | None = None
    statements_per_minute: int | None = None
    cost: float | None = None
    at_cap: AtCap = AtCap.ERROR
    rows_rule: RuleId | None = None
    runtime_rule: RuleId | None = None
    bytes_rule: RuleId | None = None
    concurrent_rule: RuleId | None = None
    statements_per_minute_rule: RuleId | None = None
    cost_rule: RuleId | None = None


@dataclass(frozen=True, slots=True)
class Subjects:
    """Any one match suffices; `any` matches everybody; `except_` takes out again."""

    any: bool = False
    users: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


class Mode(StrEnum):
    ENFORCE = "enforce"
    SHADOW = "shadow"  # decided and recorded, nothing changes


@dataclass(frozen=True, slots=True)
class When:
    """Under which circumstances a policy counts; every part that is given must hold.

    `cidr`: networks as written, ("10.0.0.0/8", "::1/128"). `hours`: minutes of the day, first and behind the last; the
    second may be smaller: over midnight. `days`: 0 is Monday. Hours and days are those of `timezone` (an IANA name).
    """

    cidr: tuple[str, ...] = ()
    hours: tuple[int, int] | None = None
    days: frozenset[int] = frozenset()
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What `When` is held against: the client's address ("" over a unix socket) and an aware moment."""

    address: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy as written. A part that is absent is None (no opinion), not empty (nothing allowed)."""

    name: str
    database: str  # "*" when left out
    subjects: Subjects
    source: Source
    except_: Subjects | None = None
    statements: frozenset[Statement] | None = None
    statements_rule: RuleId | None = None
    tables_allow: tuple[TablePattern, ...] | None = None
    tables_allow_rule: RuleId | None = None
    tables_block: tuple[tuple[TablePattern, RuleId], ...] = ()
    columns_block: tuple[tuple[ColumnName, RuleId], ...] = ()
    rows: tuple[FilterRule, ...] = ()
    masks: tuple[MaskRule, ...] = ()  # tags are expanded: one MaskRule per column
    functions_allow: tuple[str, ...] | None = None  # "schema.name", "schema.*", "*"
    functions_allow_rule: RuleId | None = None
    limits: Limits = Limits()
    statements_deny: tuple[tuple[Statement, RuleId], ...] = ()
    when: When | None = None
    mode: Mode = Mode.ENFORCE


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All files of a policy folder, checked. `fingerprint` is a hex digest over their canonical content.

    `tag_sources`: where each tag is defined.
    """

    principals: Mapping[str, Principal]
    policies: tuple[Policy, ...]
    tags: Mapping[str, tuple[ColumnName, ...]]
    prices: PriceBook
    fingerprint: str
    tag_sources: Mapping[str, Source] = field(default_factory=dict)
    rates: tuple[Rate, ...] = ()
    tiers: Mapping[TierName, Tier] = field(default_factory=dict)
    budgets: tuple[Budget, ...] = ()


@dataclass(frozen=True, slots=True)
class TableRule:
    """What the effective policy says about one relation."""

    schema: str
    table: str
    is_allowed: bool
    denied_by: RuleId | None  # the rule that blocks it or fails to allow it; None when no policy allows anything
    blocked_columns: Mapping[str, RuleId] = field(default_factory=dict)
    filters: tuple[FilterRule, ...] = ()
    masks: Mapping[str, MaskRule] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Allowed as it is: nothing to filter, block or mask."""
        return self.is_allowed and not (self.blocked_columns or self.filters or self.masks)


@dataclass(frozen=True, slots=True)
class EffectivePolicy:
    """What all matching policies together mean for one principal on one database.

    `is_everything` is the allow-everything policy: bytes pass unchanged and are recorded. `shadow`: what it would be
    with the policies in shadow mode enforced too; None when there are none. `waiting`: policies that would count too,
    but whose `when` doesn't hold; refusals name them.
    """

    principal: Principal
    database: str
    policies: tuple[Policy, ...]  # those that matched, in order
    statements: frozenset[Statement]
    statements_rule: RuleId | None
    functions_allow: tuple[str, ...]
    functions_rule: RuleId | None
    limits: Limits
    fingerprint: str
    is_everything: bool
    shadow: EffectivePolicy | None = None
    waiting: tuple[Policy, ...] = ()
