"""Reads one SELECT's tree with PostgreSQL's scoping: which names are relations, what refers to what, from where.

A name is a CTE only where the server would see the CTE; every other RangeVar is a relation of the database. Knows no
policy and no catalog.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from policies.compile.facts import (
    Block,
    Ctes,
    Facts,
    FromItem,
    Place,
    Reference,
    RelationUse,
    UnknownNode,
    Write,
)
from policies.compile.scope_writes import WRITES, WriteReader
from policies.compile.tree import Tree, contains, is_node, node_kind, string_of, strings_of

__all__ = [
    "Block",
    "Facts",
    "FromItem",
    "Reference",
    "RelationUse",
    "UnknownNode",
    "Write",
    "read_expressions",
    "read_select",
    "read_write",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Everything a SELECT may be made of. A node that isn't here is refused: nothing passes unread.
KNOWN_NODES = _words(
    """
    SelectStmt ResTarget ColumnRef A_Star String Integer Float Boolean BitString A_Const A_Expr BoolExpr NullTest
    BooleanTest FuncCall TypeCast SubLink CaseExpr CaseWhen CoalesceExpr MinMaxExpr SQLValueFunction NamedArgExpr
    A_ArrayExpr RowExpr A_Indirection A_Indices List SortBy WindowDef GroupingSet GroupingFunc JoinExpr RangeVar
    RangeSubselect RangeFunction RangeTableSample RangeTableFunc RangeTableFuncCol CollateClause ParamRef XmlExpr
    XmlSerialize CommonTableExpr LockingClause ColumnDef TypeName MultiAssignRef JsonTable JsonTableColumn JsonArgument
    JsonFuncExpr JsonValueExpr JsonFormat JsonOutput JsonReturning JsonKeyValue JsonObjectConstructor
    JsonArrayConstructor JsonArrayQueryConstructor JsonAggConstructor JsonObjectAgg JsonArrayAgg JsonIsPredicate
    JsonParseExpr JsonScalarExpr JsonSerializeExpr JsonBehavior JsonTablePathSpec JsonConstructorExpr
    SetToDefault CurrentOfExpr IndexElem MergeWhenClause MergeSupportFunc ReturningOption
    """
)

# Where a node that names an operator has the name.
_OPERATOR_FIELDS = {"A_Expr": "name", "SubLink": "operName", "SortBy": "useOp"}


def read_select(tree: Tree) -> Facts:
    """Reads a SelectStmt's fields. Raises UnknownNode."""
    reader = _Reader()
    reader.select(tree, Place({}, None, ""), is_top=True)
    if reader.facts.writes:
        reader.facts.top = None  # rows that come by way of a write hold source masks; so do all others
    return reader.facts


def read_write(kind: str, tree: Tree) -> Facts:
    """Reads the fields of a statement that is one of WRITES. Raises UnknownNode."""
    reader = _Reader()
    reader.write(kind, tree, Place({}, None, ""), None)
    return reader.facts


def read_expressions(places: Iterable[tuple[Any, Any]], clause: str) -> Facts:
    """Reads the expressions at `holder[key]` that stand outside any query. Raises UnknownNode, for subqueries too."""
    reader = _Reader()
    for holder, key in places:
        if contains(holder[key], "SelectStmt"):
            raise UnknownNode("a subquery")
        reader.visit(holder, key, Place({}, None, clause))
    return reader.facts


class _Reader(WriteReader):
    def __init__(self) -> None:
        self.facts = Facts()

    def select(self, tree: Tree, place: Place, *, is_top: bool = False) -> None:
        if "intoClause" in tree:
            raise UnknownNode("SELECT INTO")
        ctes = self._with(tree.get("withClause"), place)
        if tree.get("op", "SETOP_NONE") != "SETOP_NONE":
            self._set_operation(tree, Place(ctes, place.block, place.clause))
        else:
            self._block(tree, Place(ctes, place.block, place.clause), is_top=is_top)

    def _set_operation(self, tree: Tree, place: Place) -> None:
        self.select(tree["larg"], place)
        self.select(tree["rarg"], place)
        # Its ORDER BY sees output columns only; a block without FROM items says so.
        block = Block(tree, place.block, clause=place.clause)
        for clause in ("sortClause", "limitOffset", "limitCount", "lockingClause"):
            self.visit(tree, clause, Place(place.ctes, block, clause))

    def _block(self, tree: Tree, place: Place, *, is_top: bool) -> None:
        block = Block(tree, place.block, is_top, clause=place.clause)
        self.facts.blocks.append(block)
        if is_top:
            self.facts.top = block
        inside = Place(place.ctes, block, "fromClause")
        sources = tree.get("fromClause") or []
        for index in range(len(sources)):
            self._source(sources, index, inside, (), is_direct=True)
        for target in tree.get("targetList") or ():
            self._target(target, Place(place.ctes, block, "targetList"))
        for clause in tree:
            if clause not in (
                "fromClause",
                "targetList",
                "withClause",
                "op",
                "limitOption",
                "all",
                "larg",
                "rarg",
            ):
                self.visit(tree, clause, Place(place.ctes, block, clause))

    def _with(self, clause: Tree | None, place: Place) -> Ctes:
        if not clause:
            return place.ctes
        tables = [node["CommonTableExpr"] for node in clause.get("ctes", ())]
        visible: dict[str, Tree | None] = dict(place.ctes)
        if clause.get("recursive"):
            visible.update({cte["ctename"]: cte for cte in tables})
        for cte in tables:
            self._cte(cte, Place(dict(visible), place.block, "withClause"))
            visible[cte["ctename"]] = cte
        return visible

    def _cte(self, cte: Tree, place: Place) -> None:
        kind = node_kind(cte["ctequery"])
        if kind in WRITES:
            self.write(str(kind), cte["ctequery"][kind], place, cte)
        elif kind == "SelectStmt":
            self.select(cte["ctequery"]["SelectStmt"], place)
        else:
            raise UnknownNode(kind or "CTE", cte.get("location", -1))

    def _source(self, holder: Any, key: Any, place: Place, joins: tuple[Tree, ...], *, is_direct: bool) -> None:
        kind = node_kind(holder[key])
        node: Tree = holder[key][kind] if kind else {}
        match kind:
            case "RangeVar":
                self._relation(node, holder, key, place, joins, is_direct=is_direct)
            case "RangeTableSample" if is_node(node.get("relation"), "RangeVar"):
                inner = node["relation"]["RangeVar"]
                self._relation(inner, node, "relation", place, joins, is_direct=False, sample=(holder, key))
                for field_name in ("args", "repeatable"):
                    self.visit(node, field_name, place)
            case "JoinExpr":
                self._source(node, "larg", place, (*joins, node), is_direct=is_direct)
                self._source(node, "rarg", place, (*joins, node), is_direct=is_direct)
                self._item("join", node, place, node)
                if "join_using_alias" in node and place.block:
                    place.block.items.append(FromItem("join", node["join_using_alias"].get("aliasname", ""), node))
                self.visit(node, "quals", Place(place.ctes, place.block, "quals"))
            case "RangeSubselect":
                self.select(node["subquery"]["SelectStmt"], place)
                self._item("subquery", node, place, node)
            case "RangeFunction" | "RangeTableFunc" | "JsonTable":
                self._item("function", node, place, node)
                self.visit(holder, key, Place(place.ctes, place.block, "fromFunction"))
            case _:
                raise UnknownNode(kind or "FROM item", node.get("location", -1))

    def _relation(
        self,
        node: Tree,
        holder: Any,
        key: Any,
        place: Place,
        joins: tuple[Tree, ...],
        *,
        is_direct: bool,
        sample: tuple[Any, Any] | None = None,
    ) -> None:
        assert place.block is not None
        cte = place.ctes.get(node["relname"]) if "schemaname" not in node else None
        item = self._item("cte" if cte is not None else "relation", node, place, node)
        if cte is not None:
            item.cte = cte
            return
        use = RelationUse(node, holder, key, place.block, item, joins, sample is not None, is_direct, sample=sample)
        self.facts.relations.append(use)

    @staticmethod
    def _item(kind: str, node: Tree, place: Place, named: Tree) -> FromItem:
        alias = named.get("alias", {})
        name = alias.get("aliasname") or (node.get("relname", "") if kind in ("relation", "cte") else "")
        item = FromItem(kind, name, node, strings_of(alias.get("colnames")))
        if place.block is not None:
            place.block.items.append(item)
        return item

    def _target(self, target: Tree, place: Place) -> None:
        node = target["ResTarget"]
        value = node.get("val")
        if is_node(value, "ColumnRef"):
            self._reference(value["ColumnRef"], place, is_plain=True, output_name=node.get("name"))
        else:
            self.visit(node, "val", place)
        if node.get("indirection"):
            raise UnknownNode("ResTarget.indirection", node.get("location", -1))

    def _reference(self, node: Tree, place: Place, *, is_plain: bool = False, output_name: str | None = None) -> None:
        names = tuple(string_of(part) for part in node["fields"])
        self.facts.references.append(Reference(names, node, place.block, place.clause, is_plain, output_name))

    def _operator(self, node: Tree, field_name: str) -> None:
        names = strings_of(node.get(field_name))
        if names:
            self.facts.operators.append((names, node.get("location", -1)))

    def visit(self, holder: Any, key: Any, place: Place) -> None:
        """Reads whatever stands at `holder[key]`, a node, a list or plain fields."""
        value = holder[key] if not isinstance(holder, dict) else holder.get(key)
        if isinstance(value, list):
            for index in range(len(value)):
                self.visit(value, index, place)
        elif isinstance(value, dict):
            kind = node_kind(value)
            if kind is None:
                self._fields(value, place)
            else:
                self._node(kind, value[kind], place)

    def _fields(self, fields: Tree, place: Place) -> None:
        if "relname" in fields:
            raise UnknownNode("RangeVar", fields.get("location", -1))
        if "names" in fields and "typemod" in fields:
            self.facts.types.append(fields)
        for key in fields:
            self.visit(fields, key, place)

    def _node(self, kind: str, node: Tree, place: Place) -> None:
        if kind not in KNOWN_NODES:
            raise UnknownNode(kind, node.get("location", -1))
        match kind:
            case "SelectStmt":
                self.select(node, place)
                return
            case "ColumnRef":
                self._reference(node, place)
                return
            case "LockingClause":
                self.facts.locking.append(node)
                return
            case "RangeVar":
                raise UnknownNode(kind, node.get("location", -1))
            case "FuncCall":
                self.facts.functions.append(node)
            case "A_Indirection":
                for part in node.get("indirection", ()):
                    if (name := string_of(part)) is not None:
                        self.facts.attributes.append((name, node))
            case "A_Expr" | "SubLink" | "SortBy":
                self._operator(node, _OPERATOR_FIELDS[kind])
        self._fields(node, place)
