"""What another policy set would change for statements that were seen before: per user, statement and rule.

Pure: it compares decisions that the compiler made under both sets; it asks no database and knows no records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from policies.decision import Decision, Refusal
from policies.masks import stronger
from policies.model import EffectivePolicy, MaskRule
from policies.resolve import resolve_table


class ChangeKind(StrEnum):
    """What a statement's author would notice. The first five show more than before, the others less."""

    ALLOWED = "newly allowed"
    UNMASKED = "unmasked"
    WEAKENED = "masked more weakly"
    UNFILTERED = "unfiltered"
    UNBLOCKED = "unblocked"
    REFUSED = "newly refused"
    MASKED = "masked"
    STRENGTHENED = "masked more strongly"
    FILTERED = "filtered"
    BLOCKED = "blocked"
    REASON = "refused for another reason"

    @property
    def is_opening(self) -> bool:
        """Whether it may show what was hidden before."""
        return self in _OPENING


_OPENING = frozenset(
    {
        ChangeKind.ALLOWED,
        ChangeKind.UNMASKED,
        ChangeKind.WEAKENED,
        ChangeKind.UNFILTERED,
        ChangeKind.UNBLOCKED,
    }
)


@dataclass(frozen=True, slots=True)
class Exposure:
    """What one user gets for one text: a refusal, or what the policy does to the relations it reads.

    Masks by "schema.table.column", filters and blocked columns as (name, expression) and "schema.table.column".
    """

    refusal: Refusal | None = None
    masks: Mapping[str, MaskRule] = field(default_factory=dict)
    filters: frozenset[tuple[str, str]] = frozenset()
    blocked: frozenset[str] = frozenset()
    tables: frozenset[str] = frozenset()


NO_SUCH_USER = Exposure(Refusal("28000", "pgwarden/principals", "there is no such principal"))


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """`subject` is what it is about: a column, a table with its filter, or the refusal's rule."""

    user: str
    database: str
    kind: ChangeKind
    subject: str


def exposure(decision: Decision, policy: EffectivePolicy) -> Exposure:
    """What `decision`, made under `policy`, shows."""
    if decision.refusal is not None:
        return Exposure(decision.refusal)
    masked = {name for plan in decision.plans for name in plan.masked_columns}
    tables = frozenset(name for plan in decision.plans for name in plan.tables)
    masks: dict[str, MaskRule] = {}
    filters: set[tuple[str, str]] = set()
    blocked: set[str] = set()
    for name in tables:
        schema, _, table = name.partition(".")
        rule = resolve_table(policy, schema, table)
        masks |= {f"{name}.{column}": mask for column, mask in rule.masks.items() if f"{name}.{column}" in masked}
        filters |= {(name, one.expression) for one in rule.filters}
        blocked |= {f"{name}.{column}" for column in rule.blocked_columns}
    return Exposure(None, masks, frozenset(filters), frozenset(blocked), tables)


def changes(user: str, database: str, old: Exposure, new: Exposure) -> list[Change]:
    """What differs, in the order of its kinds; nothing for statements that fare the same."""
    found: Iterable[tuple[ChangeKind, str]]
    if old.refusal is not None or new.refusal is not None:
        found = _refusal_changes(old.refusal, new.refusal)
    else:
        found = [*_mask_changes(old, new), *_filter_changes(old, new), *_block_changes(old, new)]
    return sorted(Change(user, database, kind, subject) for kind, subject in found)


def _refusal_changes(old: Refusal | None, new: Refusal | None) -> Iterable[tuple[ChangeKind, str]]:
    if old is None and new is not None:
        yield ChangeKind.REFUSED, _reason(new)
    elif old is not None and new is None:
        yield ChangeKind.ALLOWED, _reason(old)
    elif old is not None and new is not None and (old.rule, old.sqlstate) != (new.rule, new.sqlstate):
        yield ChangeKind.REASON, f"{_reason(old)} -> {_reason(new)}"


def _reason(refusal: Refusal) -> str:
    return f"{refusal.message} ({refusal.rule})"


def _mask_changes(old: Exposure, new: Exposure) -> Iterable[tuple[ChangeKind, str]]:
    for name in sorted({*old.masks, *new.masks} - old.blocked - new.blocked):
        before, after = old.masks.get(name), new.masks.get(name)
        if before is None:
            yield ChangeKind.MASKED, name
        elif after is None:
            yield ChangeKind.UNMASKED, name
        else:
            yield from _use_changes(name, before, after)


def _use_changes(name: str, before: MaskRule, after: MaskRule) -> Iterable[tuple[ChangeKind, str]]:
    if before.mask != after.mask:
        is_stronger = stronger(before.mask, after.mask) == after.mask
        kind = ChangeKind.STRENGTHENED if is_stronger else ChangeKind.WEAKENED
        yield kind, f"{name}: {before.mask.kind} -> {after.mask.kind}"
    if before.uses != after.uses:
        kind = ChangeKind.WEAKENED if after.uses - before.uses else ChangeKind.STRENGTHENED
        yield kind, f"{name}: raw for {_listed(before.uses)} -> {_listed(after.uses)}"


def _listed(uses: Iterable[str]) -> str:
    return ", ".join(sorted(uses)) or "nothing"


def _filter_changes(old: Exposure, new: Exposure) -> Iterable[tuple[ChangeKind, str]]:
    for table, expression in sorted(old.filters - new.filters):
        yield ChangeKind.UNFILTERED, f"{table}: {expression}"
    for table, expression in sorted(new.filters - old.filters):
        yield ChangeKind.FILTERED, f"{table}: {expression}"


def _block_changes(old: Exposure, new: Exposure) -> Iterable[tuple[ChangeKind, str]]:
    for name in sorted(old.blocked - new.blocked):
        yield ChangeKind.UNBLOCKED, name
    for name in sorted(new.blocked - old.blocked):
        yield ChangeKind.BLOCKED, name


@dataclass(slots=True)
class Tally:
    """How many statements a change concerns, and the text of one."""

    example: str
    statements: int = 0


@dataclass(slots=True)
class Differences:
    """Changes over many statements; `statements` were compared, `same` of them fare as before."""

    statements: int = 0
    same: int = 0
    tallies: dict[Change, Tally] = field(default_factory=dict)

    def add(self, sql: str, found: Iterable[Change]) -> None:
        """One statement's changes."""
        self.statements += 1
        distinct = set(found)
        self.same += not distinct
        for change in distinct:
            self.tallies.setdefault(change, Tally(sql)).statements += 1

    @property
    def has_openings(self) -> bool:
        """Whether something becomes visible that wasn't."""
        return any(change.kind.is_opening for change in self.tallies)

    @property
    def has_refusals(self) -> bool:
        """Whether something that ran would be refused."""
        return any(change.kind is ChangeKind.REFUSED for change in self.tallies)
