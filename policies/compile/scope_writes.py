"""Reads INSERT, UPDATE, DELETE and MERGE, on their own or in WITH: their targets, sources and all expressions.

It knows no policy and no catalog; queries and expressions inside are read by `policies.compile.scope`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from policies.compile.facts import Block, Ctes, Facts, FromItem, Place, RelationUse, UnknownNode, Write
from policies.compile.same_trees import is_same
from policies.compile.tree import Tree, is_node

WRITES = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
# Where each kind of write has the FROM items besides its target.
_SOURCES = {"UpdateStmt": "fromClause", "DeleteStmt": "usingClause", "MergeStmt": "sourceRelation"}
_VERSIONS = {"RETURNING_OPTION_OLD": "old", "RETURNING_OPTION_NEW": "new"}


class WriteReader(ABC):
    """The part of the reader that reads writes; the abstract methods are the rest of it."""

    facts: Facts

    @abstractmethod
    def select(self, tree: Tree, place: Place, *, is_top: bool = False) -> None: ...

    @abstractmethod
    def visit(self, holder: Any, key: Any, place: Place) -> None: ...

    @abstractmethod
    def _with(self, clause: Tree | None, place: Place) -> Ctes: ...

    @abstractmethod
    def _source(self, holder: Any, key: Any, place: Place, joins: tuple[Tree, ...], *, is_direct: bool) -> None: ...

    @abstractmethod
    def _target(self, target: Tree, place: Place) -> None: ...

    @staticmethod
    @abstractmethod
    def _item(kind: str, node: Tree, place: Place, named: Tree) -> FromItem: ...

    def write(self, kind: str, tree: Tree, place: Place, cte: Tree | None) -> None:
        ctes = self._with(tree.get("withClause"), place)
        # What a write computes, it computes behind its condition, like the top of a query.
        block = Block(tree, place.block, is_top=True, clause=place.clause)
        self.facts.blocks.append(block)
        item = self._item("relation", tree["relation"], Place(ctes, block, ""), tree["relation"])
        use = RelationUse(
            tree["relation"], tree, "relation", block, item, (), is_sampled=False, is_direct=False, is_written=True
        )
        self.facts.relations.append(use)
        write = Write(kind, tree, use, block, cte)
        self.facts.writes.append(write)
        self._written_from(write, Place(ctes, block, "fromClause"))
        self._assignments(tree.get("cols"), Place(ctes, block, "cols"))
        self._assignments(tree.get("targetList"), Place(ctes, block, "targetList"))
        for clause in ("whereClause", "joinCondition"):
            self.visit(tree, clause, Place(ctes, block, clause))
        self._on_conflict(write, Place(ctes, block, "onConflictClause"))
        for clause in tree.get("mergeWhenClauses") or ():
            self._merge_when(clause["MergeWhenClause"], Place(ctes, block, "mergeWhenClauses"))
        self._returning(write, Place(ctes, block, "returningClause"))

    def _written_from(self, write: Write, place: Place) -> None:
        """What is written, or joined to the target. The source of an INSERT doesn't see the target."""
        node = write.node
        if "selectStmt" in node:
            outside = Place(place.ctes, write.block.parent, write.block.clause)
            self.select(node["selectStmt"]["SelectStmt"], outside, is_top=True)
            self.facts.top = None
        sources = node.get(_SOURCES.get(write.kind, ""))
        if isinstance(sources, list):
            for index in range(len(sources)):
                self._source(sources, index, place, (), is_direct=True)
        elif sources is not None:
            self._source(node, "sourceRelation", place, (), is_direct=True)

    def _assignments(self, targets: list[Tree] | None, place: Place) -> None:
        """``SET (a, b) = (SELECT ...)``: each column has a copy of the source; from here on they share the first."""
        shared: Tree | None = None
        for target in targets or ():
            node = target["ResTarget"]
            self.visit(node, "indirection", place)
            if not is_node(node.get("val"), "MultiAssignRef"):
                self.visit(node, "val", place)
                continue
            value = node["val"]["MultiAssignRef"]
            if value.get("colno") == 1:
                shared = value
                self.visit(value, "source", place)
            elif shared is None or not is_same(shared.get("source"), value.get("source")):
                raise UnknownNode("MultiAssignRef", node.get("location", -1))
            value["source"] = shared["source"]

    def _on_conflict(self, write: Write, place: Place) -> None:
        clause = write.node.get("onConflictClause")
        if not clause:
            return
        self.visit(clause, "infer", Place(place.ctes, place.block, "infer"))
        if clause.get("action") == "ONCONFLICT_UPDATE":
            self._version(write, "excluded", "excluded")
        self._assignments(clause.get("targetList"), place)
        self.visit(clause, "whereClause", place)

    def _merge_when(self, clause: Tree, place: Place) -> None:
        self.visit(clause, "condition", place)
        self._assignments(clause.get("targetList"), place)
        self.visit(clause, "values", place)

    def _returning(self, write: Write, place: Place) -> None:
        clause = write.node.get("returningClause")
        if not clause:
            return
        aliases = dict(_VERSIONS)
        for option in clause.get("options") or ():
            node = option["ReturningOption"]
            self._version(write, aliases.pop(node["option"]), node["value"], is_named=True)
        for version in aliases.values():
            self._version(write, version, version)
        for target in clause.get("exprs") or ():
            self._target(target, place)

    def _version(self, write: Write, version: str, alias: str, *, is_named: bool = False) -> None:
        """A FROM item of that name comes before a version that has no name of its own."""
        if any(item.alias == alias for item in write.block.items):
            if is_named or version == "excluded":
                raise UnknownNode(f"a second {alias}", write.use.location)
            return
        item = FromItem("version", alias, write.node["relation"], version=version)
        write.versions.append(item)
        write.block.items.append(item)
