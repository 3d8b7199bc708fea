"""Which literals of a statement may be exchanged for others of their class without another decision. Comments may.

A list of places, by the statement's tree: operands of comparisons, lists behind IN, bounds of BETWEEN, values of INSERT
and UPDATE, LIMIT and OFFSET. No rule reads the value of a literal there, only that one stands there and of which class
it is. Everything else keeps its value in the key: what is put out, grouped or sorted by (ordinals, names), arguments of
functions, patterns, lengths of types, intervals, casts to anything but a few plain types. Whoever lets a rule look at a
literal in one of these places takes the place off this list.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from policies.compile.builtins import CHANNEL_FUNCTIONS, SETTING_READERS, SETTING_WRITERS
from policies.compile.function_table import results
from policies.compile.parse import ParseError, parse
from policies.compile.tree import Tree, is_node, node_kind, nodes_of, strings_of

_COMPARISONS: Final = frozenset({"=", "<>", "<", ">", "<=", ">="})
_SIDES: Final = frozenset({"AEXPR_OP", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT"})
_LISTS: Final = frozenset(
    {"AEXPR_IN", "AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN", "AEXPR_BETWEEN_SYM", "AEXPR_NOT_BETWEEN_SYM"}
)
_ANY: Final = frozenset({"AEXPR_OP_ANY", "AEXPR_OP_ALL"})
_SUMS: Final = frozenset({"+", "-", "*"})
# Casts to these read a constant in the same way whatever it is. Not to intervals: clocks are told from them.
_TYPES: Final = frozenset(
    {"int2", "int4", "int8", "numeric", "float4", "float8", "bool", "text", "varchar", "bpchar", "name", "oid", "uuid"}
    | {"date", "time", "timetz", "timestamp", "timestamptz"}
)
# Their setting may be named by a condition.
_INSPECTED: Final = SETTING_READERS | SETTING_WRITERS | CHANNEL_FUNCTIONS
_QUOTE, _MINUS = ord("'"), ord("-")
_COMMENT: Final = b"-/"  # what one begins with, and no literal does


@dataclass(frozen=True, slots=True)
class Exchange:
    """Numbers of literals and comments, counted from 0 in the order of the text; all comments are free. `digits`: those
    of `free` that are strings, in a statement where a string might be taken for a relation's name: they may only be
    exchanged for numbers in quotes.
    """

    free: tuple[int, ...]
    digits: tuple[int, ...]


def exchange_of(raw: bytes, offsets: list[int]) -> Exchange | None:
    """`offsets`: start and end in bytes of each literal and comment. None when none of them may be exchanged."""
    try:
        statements = parse(raw.decode())
    except ParseError:
        return None
    if len(statements) != 1:
        return None
    kind, tree = statements[0].kind, statements[0].tree
    if "intoClause" in tree:
        return None
    comments = {number for number, start in enumerate(offsets[::2]) if raw[start] in _COMMENT}
    literals = set() if _is_inspected(tree) else _free_literals(raw, offsets, kind, tree)
    free = tuple(sorted(comments | literals))
    if not free:
        return None
    if not _may_name_objects(tree):
        return Exchange(free, ())
    strings = {number for number in free if raw[offsets[2 * number]] == _QUOTE}
    digits = {number for number in strings if raw[offsets[2 * number] + 1 : offsets[2 * number + 1] - 1].isdigit()}
    free = tuple(number for number in free if number not in strings - digits)
    return Exchange(free, tuple(sorted(digits))) if free else None


def _free_literals(raw: bytes, offsets: list[int], kind: str, tree: Tree) -> set[int]:
    places = _Places()
    places.statement(kind, tree)
    numbers = {start: number for number, start in enumerate(offsets[::2])}
    once = _standing_once(tree)
    unsigned = {place for place in places.counts if raw[place] != _MINUS}
    found = {_number_of(raw, numbers, place) for place in (places.found | unsigned) & once}
    return {number for number in found if number is not None}


def _is_inspected(tree: Tree) -> bool:
    return any(kind == "FuncCall" and strings_of(node["funcname"])[-1] in _INSPECTED for kind, node in nodes_of(tree))


def _may_name_objects(tree: Tree) -> bool:
    """Whether some value may be a regclass or the like, so that a string beside it is looked up."""
    for kind, node in nodes_of(tree):
        if kind == "TypeCast" and _last(node["typeName"]).lstrip("_").startswith("reg"):
            return True
        if kind == "FuncCall" and any(one.startswith("reg") for one in results(strings_of(node["funcname"])[-1])):
            return True
    return False


def _last(type_name: Tree) -> str:
    names = strings_of(type_name.get("names"))
    return names[-1] if names else ""


def _standing_once(tree: Tree) -> set[int]:
    """Places of constants that the grammar hasn't copied to a second place."""
    counted: dict[int, int] = {}
    for kind, node in nodes_of(tree):
        if kind == "A_Const":
            place = node.get("location", -1)
            counted[place] = counted.get(place, 0) + 1
    return {place for place, count in counted.items() if count == 1}


def _number_of(raw: bytes, numbers: dict[int, int], place: int) -> int | None:
    """The literal that a constant of the tree stands for: one with a sign is placed at its sign."""
    if raw[place] == _MINUS:
        place += 1
        while place < len(raw) and raw[place] in b" \t\r\n":
            place += 1
    return numbers.get(place)


@dataclass(slots=True)
class _Places:
    """Walks a statement by the places it knows; what it doesn't know it leaves alone."""

    found: set[int] = field(default_factory=set)
    counts: set[int] = field(default_factory=set)  # LIMIT and OFFSET: with a sign they are looked at

    def statement(self, kind: str, tree: Tree) -> None:
        for cte in tree.get("withClause", {}).get("ctes", ()):
            self._query(cte["CommonTableExpr"].get("ctequery"))
        match kind:
            case "SelectStmt":
                self._select(tree)
            case "InsertStmt":
                self._query(tree.get("selectStmt"))
                self._assignments(tree.get("onConflictClause", {}).get("targetList"))
                self._condition(tree.get("onConflictClause", {}).get("whereClause"))
            case "UpdateStmt":
                self._assignments(tree.get("targetList"))
                self._sources(tree.get("fromClause"))
                self._condition(tree.get("whereClause"))
            case "DeleteStmt":
                self._sources(tree.get("usingClause"))
                self._condition(tree.get("whereClause"))

    def _query(self, node: Any) -> None:
        kind = node_kind(node)
        if kind is not None:
            self.statement(kind, node[kind])

    def _select(self, tree: Tree) -> None:
        self._sources(tree.get("fromClause"))
        self._condition(tree.get("whereClause"))
        self._condition(tree.get("havingClause"))
        for clause in ("limitCount", "limitOffset"):
            self._count(tree.get(clause))
        for row in tree.get("valuesLists", ()):
            for item in row["List"].get("items", ()):
                self._constant(item)
        for side in ("larg", "rarg"):
            if side in tree:
                self.statement("SelectStmt", tree[side])

    def _sources(self, nodes: list[Any] | None) -> None:
        for node in nodes or ():
            if is_node(node, "RangeSubselect"):
                self._query(node["RangeSubselect"].get("subquery"))
            elif is_node(node, "JoinExpr"):
                join = node["JoinExpr"]
                self._sources([join.get("larg"), join.get("rarg")])
                self._condition(join.get("quals"))

    def _assignments(self, targets: list[Any] | None) -> None:
        """``SET a = 1, b = b + 1``"""
        for target in targets or ():
            value = target["ResTarget"].get("val")
            if is_node(value, "A_Expr"):
                self._sum(value["A_Expr"])
            else:
                self._constant(value)

    def _sum(self, node: Tree) -> None:
        """A column and a number; not a clock and one, where the number is looked at."""
        sides = (node.get("lexpr"), node.get("rexpr"))
        if node.get("kind") == "AEXPR_OP" and _name(node) in _SUMS and any(is_node(one, "ColumnRef") for one in sides):
            for side in sides:
                if is_node(side, "A_Const"):
                    self._constant(side)

    def _count(self, node: Any) -> None:
        if is_node(node, "A_Const") and "ival" in node["A_Const"]:
            self.counts.add(node["A_Const"].get("location", -1))

    # conditions

    def _condition(self, node: Any) -> None:
        match node_kind(node):
            case "BoolExpr":
                for part in node["BoolExpr"].get("args", ()):
                    self._condition(part)
            case "NullTest" | "BooleanTest" as kind:
                self._condition(node[kind].get("arg"))
            case "SubLink":
                self._query(node["SubLink"].get("subselect"))
                self._condition(node["SubLink"].get("testexpr"))
            case "A_Expr" if _name(node["A_Expr"]) in _COMPARISONS or node["A_Expr"].get("kind") in _LISTS:
                self._comparison(node["A_Expr"])

    def _comparison(self, node: Tree) -> None:
        kind = node.get("kind")
        if kind in _SIDES | _LISTS | _ANY:
            self._operand(node.get("lexpr"))
        if kind in _SIDES:
            self._operand(node.get("rexpr"))
        if kind in _LISTS and is_node(node.get("rexpr"), "List"):
            for item in node["rexpr"]["List"].get("items", ()):
                self._operand(item)

    def _operand(self, node: Any) -> None:
        if is_node(node, "RowExpr"):
            for part in node["RowExpr"].get("args", ()):
                self._operand(part)
        elif is_node(node, "A_Const") or is_node(node, "TypeCast"):
            self._constant(node)
        else:
            self._condition(node)

    def _constant(self, node: Any) -> None:
        """A number or string, also under one cast to a plain type."""
        if is_node(node, "TypeCast") and _is_plain_type(node["TypeCast"]["typeName"]):
            node = node["TypeCast"].get("arg")
        if is_node(node, "A_Const") and not {"ival", "fval", "sval"}.isdisjoint(node["A_Const"]):
            self.found.add(node["A_Const"].get("location", -1))


def _name(node: Tree) -> str:
    """The operator's, empty for one of another schema."""
    names = strings_of(node.get("name"))
    return names[-1] if names[:-1] in ((), ("pg_catalog",)) and names else ""


def _is_plain_type(type_name: Tree) -> bool:
    names = strings_of(type_name.get("names"))
    is_bare = not any(type_name.get(part) for part in ("typmods", "arrayBounds", "setof", "pct_type"))
    return is_bare and names[:-1] in ((), ("pg_catalog",)) and names[-1] in _TYPES
