"""The state of one statement while the rules work on it: what was read, what is to be edited, what was found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from policies.catalog import Catalog, Column, Namespace, Relation
from policies.compile.parse import Statement, Token
from policies.compile.scope import Block, Facts, FromItem, RelationUse
from policies.compile.visibility import Visibility
from policies.decision import ColumnMask, Plan, RawColumn, Refusal
from policies.masks import StreamMask
from policies.model import EffectivePolicy, FilterRule, MaskRule, RuleId


class Refused(Exception):
    """A rule refuses the statement."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class Access(Enum):
    """How a relation is reached: as it is, behind a guard of the policy, or as a filtered system catalog."""

    OPEN = "open"
    GUARDED = "guarded"
    CATALOG = "catalog"


@dataclass(frozen=True, slots=True)
class MergedRule:
    """What holds for a relation after its inheritance parents had their say. Keys are column names."""

    blocked: dict[str, RuleId]
    filters: tuple[FilterRule, ...]
    masks: dict[str, MaskRule]

    @property
    def is_open(self) -> bool:
        return not (self.blocked or self.filters or self.masks)


@dataclass(slots=True, eq=False)
class Target:
    """A relation of the statement, resolved. `body` is the SELECT that stands for it when it isn't open."""

    use: RelationUse
    access: Access
    schema: str
    name: str
    relation: Relation | None = None
    rule: MergedRule | None = None
    body: str = ""
    stream: frozenset[str] = frozenset()
    needed: frozenset[str] | None = None  # None: all visible columns
    has_tableoid: bool = False  # the guard hands the system column through

    @property
    def item(self) -> FromItem:
        return self.use.item

    @property
    def has_unknown_columns(self) -> bool:
        """A temporary table, or one that this transaction made: the snapshot doesn't hold it."""
        return self.relation is None and self.schema not in ("pg_catalog", "information_schema")

    @property
    def listed_columns(self) -> tuple[Column, ...]:
        """The visible columns that the statement can mean: those that the guard lists."""
        return tuple(c for c in self.visible_columns if self.needed is None or c.name in self.needed)

    @property
    def shown_names(self) -> dict[str, str]:
        """What the statement calls each visible column, by its own name: a list behind the alias renames them."""
        aliases = self.item.column_aliases
        columns = self.visible_columns
        return {one.name: aliases[at] if at < len(aliases) else one.name for at, one in enumerate(columns)}

    @property
    def masked_columns(self) -> tuple[str, ...]:
        """Names of the listed columns that are masked, in the stream or at the source."""
        masks = self.rule.masks if self.rule else {}
        return tuple(column.name for column in self.listed_columns if column.name in masks)

    def rule_ids(self) -> Iterable[str]:
        """The rules that changed what this statement sees."""
        if self.rule is not None:
            yield from (str(one.rule) for one in self.rule.filters)
            yield from (str(self.rule.masks[name].rule) for name in self.masked_columns)
            if self.needed is None:
                yield from (str(rule) for rule in self.rule.blocked.values())

    @property
    def visible_columns(self) -> tuple[Column, ...]:
        """The columns a client sees, in order; none for catalogs, whose columns the snapshot doesn't hold."""
        if self.relation is None:
            return ()
        blocked = self.rule.blocked if self.rule else {}
        return tuple(column for column in self.relation.columns if column.name not in blocked)


@dataclass(frozen=True, slots=True)
class PlacedMask:
    """The column at a place of the rows (from 0), which no description tells, arrives raw."""

    place: int
    target: Target
    column: str
    mask: StreamMask


@dataclass(frozen=True, slots=True)
class Splice:
    """`text[start:end]` (bytes) becomes `replacement`."""

    start: int
    end: int
    replacement: str


class Surroundings(Protocol):
    """What the rules need of the world around one statement; `policies.compile.surroundings` has it."""

    def visibility(self) -> Visibility:
        """What this principal may see of the catalogs."""

    def bound(self, expression: str) -> str:
        """A filter with the principal's attributes in it. Raises ExpressionError."""

    def expand_view(self, draft: Draft, view: Relation, use: RelationUse) -> str | None:
        """The guarded definition of a view; None when it may be read as it is. Raises Refused."""


@dataclass(slots=True)
class InnerFacts:
    """What expanded views brought along, for the record."""

    tables: set[str] = field(default_factory=set)
    filtered_tables: set[str] = field(default_factory=set)
    masked_columns: set[str] = field(default_factory=set)
    rule_ids: set[str] = field(default_factory=set)

    def add(self, plan: Plan) -> None:
        self.tables.update(plan.tables)
        self.filtered_tables.update(plan.filtered_tables)
        self.masked_columns.update(plan.masked_columns)
        self.rule_ids.update(plan.rule_ids)


@dataclass(slots=True)
class Draft:
    """Bytes are those of the whole client text; the statement's own places are absolute in it."""

    text: bytes
    statement: Statement
    tokens: list[Token]
    facts: Facts
    policy: EffectivePolicy
    catalog: Catalog
    namespace: Namespace
    surroundings: Surroundings
    targets: list[Target] = field(default_factory=list)
    targets_by_item: dict[int, Target] = field(default_factory=dict)  # by the FROM item's identity
    splices: list[Splice] = field(default_factory=list)
    column_masks: list[ColumnMask] = field(default_factory=list)
    raw_columns: list[RawColumn] = field(default_factory=list)
    templates: list[Any] = field(default_factory=list)
    lent_relations: set[tuple[str, str]] = field(default_factory=set)  # read by look-ups of our own
    lent_queries: list[Any] = field(default_factory=list)  # SubLinks in filters and masks that stand in a write
    row_filters: list[tuple[str, str, str, Any]] = field(default_factory=list)  # kind, schema, table, filter of writes
    check: Refusal | None = None  # what a written row that its filters hide is refused with
    hidden_columns: int = 0  # at the end of the statement's rows
    is_all_hidden: bool = False  # RETURNING holds nothing but that check
    inner: InnerFacts = field(default_factory=InnerFacts)
    copied_top: Block | None = None  # puts out COPY's rows: masks in the stream go by place
    place_count: int = 0
    placed_masks: list[PlacedMask] = field(default_factory=list)
    is_fenced: bool = False
    is_blind: bool = False  # the planner must not look at statistics of columns behind guards
    token_index: dict[int, int] = field(default_factory=dict)
    parameter_types: tuple[int, ...] = ()  # OIDs, see `parameter_types.that_matter`

    @property
    def has_ctes(self) -> bool:
        """Whether an unqualified RangeVar may stand for a CTE."""
        return any(item.kind == "cte" for block in self.facts.blocks for item in block.items)

    def character(self, byte_offset: int) -> int:
        """The place of a byte in characters from 1, as the protocol's POSITION counts; 0 for an unknown one."""
        return len(self.text[:byte_offset].decode("utf-8", "replace")) + 1 if byte_offset >= 0 else 0

    def refuse(
        self,
        sqlstate: str,
        rule: str | RuleId,
        message: str,
        *,
        at: int = -1,
        hint: str = "",
        detail: str = "",
    ) -> Refused:
        """The exception to raise. A rule of the YAML brings its file and line as the detail."""
        if isinstance(rule, RuleId):
            detail = detail or f"Rule {rule.name} at {rule.source}."
        return Refused(Refusal(sqlstate, str(rule), message, detail, hint, self.character(at)))

    def token_at(self, byte_offset: int) -> int:
        """The index of the token that starts at a byte. Raises Refused where the trees and the scan disagree."""
        if not self.token_index:
            self.token_index.update({token.start: index for index, token in enumerate(self.tokens)})
        index = self.token_index.get(byte_offset)
        if index is None:
            raise self.refuse("0A000", "pgwarden/splice", "this statement can't be rewritten safely", at=byte_offset)
        return index

    def targets_in(self, block: Block) -> Iterable[Target]:
        return (target for target in self.targets if target.use.block is block)

    def find_qualified(self, block: Block | None, alias: str) -> FromItem | None:
        """The FROM item that a qualifier names, innermost block first, as the server resolves it."""
        while block is not None:
            for item in block.items:
                if item.alias == alias:
                    return item
            block = block.parent
        return None

    def target_of(self, item: FromItem | None) -> Target | None:
        return self.targets_by_item.get(id(item)) if item is not None else None
