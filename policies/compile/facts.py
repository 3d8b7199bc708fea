"""What a reading of a statement's tree finds: relations, references, calls, writes, where they stand. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from policies.compile.tree import Tree


class UnknownNode(Exception):
    """A tree holds something the reader doesn't know. `location` is a byte offset, -1 when unknown."""

    def __init__(self, kind: str, location: int = -1) -> None:
        super().__init__(kind)
        self.kind = kind
        self.location = location


@dataclass(slots=True, eq=False)
class Block:
    """One SELECT block, or one write, with its own FROM.

    `is_top`: its rows are the statement's rows, not those of a set operation. `clause` is the parent's field in which
    it stands.
    """

    node: Tree
    parent: Block | None
    is_top: bool = False
    items: list[FromItem] = field(default_factory=list)
    clause: str = ""


@dataclass(slots=True, eq=False)
class FromItem:
    """What stands under an alias in FROM: kind is relation, cte, subquery, function or join.

    For the row versions old, new and excluded of a write's target it is version; `version` says which.
    """

    kind: str
    alias: str
    node: Tree
    column_aliases: tuple[str, ...] = ()
    cte: Tree | None = None
    version: str = ""


@dataclass(slots=True, eq=False)
class RelationUse:
    """A RangeVar that names a relation. `holder[key]` is the node, so that a guard can be put in its place.

    `is_written`: it is the target of a write, which no guard can stand for.
    """

    node: Tree
    holder: Any
    key: Any
    block: Block
    item: FromItem
    joins: tuple[Tree, ...]
    is_sampled: bool  # `holder` is then the RangeTableSample's fields
    is_direct: bool  # in its block's FROM, or below joins only
    is_written: bool = False
    sample: tuple[Any, Any] | None = None  # where the RangeTableSample stands, as (holder, key)

    @property
    def location(self) -> int:
        return int(self.node.get("location", -1))


@dataclass(slots=True, eq=False)
class Reference:
    """A ColumnRef. `names` are its parts, None for a star; `clause` is the field of its block it stands in."""

    names: tuple[str | None, ...]
    node: Tree
    block: Block | None
    clause: str
    is_plain_target: bool
    output_name: str | None = None

    @property
    def location(self) -> int:
        return int(self.node.get("location", -1))


@dataclass(slots=True, eq=False)
class Write:
    """INSERT, UPDATE, DELETE or MERGE. `cte` is the member of WITH that it is, None when it is a statement of its own.

    `versions` are the names old, new and excluded, as far as this write has them.
    """

    kind: str
    node: Tree
    use: RelationUse
    block: Block
    cte: Tree | None
    versions: list[FromItem] = field(default_factory=list)


@dataclass(slots=True)
class Facts:
    """All that one reading found."""

    relations: list[RelationUse] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    functions: list[Tree] = field(default_factory=list)
    attributes: list[tuple[str, Tree]] = field(default_factory=list)  # (x).name: name, A_Indirection
    operators: list[tuple[tuple[str, ...], int]] = field(default_factory=list)  # qualified name, byte offset
    types: list[Tree] = field(default_factory=list)  # TypeName's fields
    locking: list[Tree] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    top: Block | None = None


Ctes = Mapping[str, Tree | None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the reader stands."""

    ctes: Ctes
    block: Block | None
    clause: str
