"""Reads where a statement's top block compares, joins or groups by a column and does nothing else with it.

Only the forms that can't fail on any value are known; whatever else stands around a column is no raw use. It must not
know policies: whether a use is allowed is for `masks` to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from policies.compile.facts import Block
from policies.compile.tree import Tree, is_node, node_kind, nodes_of, strings_of
from policies.model import RawUse
from policies.raw_types import ANY_LIST

_LISTS = frozenset({"AEXPR_OP_ANY", "AEXPR_OP_ALL"})
_PLAIN = frozenset({"AEXPR_OP", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT"})
_OPERATORS = frozenset({("=",), ("<>",), ("pg_catalog", "="), ("pg_catalog", "<>")})


@dataclass(frozen=True, slots=True)
class Held:
    """One use. `probes`: how many values the column is held against, None when they can't be counted.

    `is_ordered`: the server may find the rows by walking an index, so they come in the order of the values.
    `casts`: types of the values, as far as the text names them. `partner`: the other column of a join.
    """

    use: RawUse
    probes: int | None = 1
    casts: frozenset[str] = frozenset()
    partner: Tree | None = None
    is_ordered: bool = False


@dataclass(frozen=True, slots=True)
class _Values:
    count: int | None
    casts: frozenset[str] = frozenset()


def read_raw_uses(top: Block) -> dict[int, Held]:
    """Each use by the identity of the ColumnRef's fields."""
    found: dict[int, Held] = {}
    _conditions(top.node.get("whereClause"), found)
    for source in top.node.get("fromClause") or ():
        _joins(source, found)
    for item in top.node.get("groupClause") or ():
        if is_node(item, "ColumnRef"):
            found[id(item["ColumnRef"])] = Held(RawUse.GROUP, is_ordered=True)
    for column in counted_columns(top):
        found[id(column)] = Held(RawUse.GROUP, is_ordered=True)
    return found


def counted_columns(top: Block) -> Iterable[Tree]:
    """The ColumnRefs that count(x) and count(DISTINCT x) have as their one argument."""
    parts = [top.node.get(clause) for clause in ("targetList", "havingClause", "sortClause")]
    for kind, node in nodes_of(parts):
        if kind != "FuncCall" or strings_of(node["funcname"]) not in (("count",), ("pg_catalog", "count")):
            continue
        arguments = node.get("args") or []
        is_plain = not any(node.get(part) for part in ("agg_order", "agg_filter", "over", "func_variadic"))
        if is_plain and len(arguments) == 1 and is_node(arguments[0], "ColumnRef"):
            yield arguments[0]["ColumnRef"]


def _joins(source: Any, found: dict[int, Held]) -> None:
    if is_node(source, "JoinExpr"):
        join = source["JoinExpr"]
        _joins(join["larg"], found)
        _joins(join["rarg"], found)
        _conditions(join.get("quals"), found)


def _conditions(node: Any, found: dict[int, Held]) -> None:
    """AND, OR, NOT, and the comparisons below them."""
    if is_node(node, "BoolExpr"):
        for part in node["BoolExpr"].get("args", ()):
            _conditions(part, found)
    elif is_node(node, "A_Expr"):
        _comparison(node["A_Expr"], found)
    elif is_node(node, "NullTest") and is_node(node["NullTest"].get("arg"), "ColumnRef"):
        found[id(node["NullTest"]["arg"]["ColumnRef"])] = Held(RawUse.EQUALITY, is_ordered=True)


def _comparison(node: Tree, found: dict[int, Held]) -> None:
    if strings_of(node.get("name")) not in _OPERATORS:
        return
    left, right = node.get("lexpr"), node.get("rexpr")
    if is_node(left, "ColumnRef") and is_node(right, "ColumnRef"):
        _join(node, left["ColumnRef"], right["ColumnRef"], found)  # type: ignore[index]
        return
    if is_node(right, "ColumnRef") and node.get("kind") in _PLAIN:
        left, right = right, left
    values = _values(node.get("kind"), right)
    if is_node(left, "ColumnRef") and values is not None:
        found[id(left["ColumnRef"])] = Held(RawUse.EQUALITY, values.count, values.casts)  # type: ignore[index]


def _join(node: Tree, left: Tree, right: Tree, found: dict[int, Held]) -> None:
    if node.get("kind") == "AEXPR_OP" and strings_of(node["name"])[-1] == "=":
        found[id(left)] = Held(RawUse.JOIN, partner=right, is_ordered=True)
        found[id(right)] = Held(RawUse.JOIN, partner=left, is_ordered=True)


def _values(kind: Any, node: Any) -> _Values | None:
    """What the other side of a comparison holds; None unless it is made of the client's own values."""
    if kind == "AEXPR_IN" and is_node(node, "List"):
        return _each(node["List"].get("items", ()))
    if kind in _LISTS:
        return _list(node)
    return _value(node) if kind in _PLAIN else None


def _each(items: Iterable[Any]) -> _Values | None:
    count, casts = 0, frozenset[str]()
    for item in items:
        value = _value(item)
        if value is None:
            return None
        count, casts = count + 1, casts | value.casts
    return _Values(max(count, 1), casts)


def _value(node: Any) -> _Values | None:
    match node_kind(node):
        case "A_Const" | "ParamRef":
            return _Values(1)
        case "TypeCast":
            cast = node["TypeCast"]
            inner = _value(cast.get("arg"))
            return inner and _Values(1, inner.casts | {_type_of(cast)})
    return None


def _list(node: Any) -> _Values | None:
    match node_kind(node):
        case "A_ArrayExpr":
            return _each(node["A_ArrayExpr"].get("elements", ()))
        case "ParamRef":
            return _Values(None, frozenset({ANY_LIST}))
        case "A_Const" if "sval" in node["A_Const"]:
            return _Values(node["A_Const"]["sval"].get("sval", "").count(",") + 1)
        case "TypeCast":
            cast = node["TypeCast"]
            inner = _list(cast.get("arg"))
            return inner and _Values(inner.count, inner.casts - {ANY_LIST} | {_type_of(cast)})
    return None


def _type_of(cast: Tree) -> str:
    """The type's name without its schema where that is pg_catalog; an array counts as its elements."""
    names = strings_of(cast["typeName"].get("names"))
    return names[0] if len(names) == 1 else ".".join(names).removeprefix("pg_catalog.")
