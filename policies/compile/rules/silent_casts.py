"""Casts that the server makes unasked and that fail for some values: a number that is no OID, or too large for a float.

A comparison of two safe types is safe only if neither side is cast like that. The types that meet are those of the
columns, of what the text names, and of what its functions and operators give. `FAILING` is all of pg_cast that may fail
between safe types; a test holds it against the servers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from policies.compile.draft import Draft
from policies.compile.function_table import signatures
from policies.compile.operator_table import SAFE_TYPES, operators
from policies.compile.parameter_types import FLOAT_OIDS, OID_OIDS
from policies.compile.tree import Tree, is_node, nodes_of, strings_of

# (from, to), by pg_type.typname.
FAILING = frozenset(
    {("numeric", "float4"), ("numeric", "float8"), ("int8", "oid"), ("timestamp", "timestamptz")}
    | {("date", "timestamp"), ("date", "timestamptz")}
)
_FLOATS = frozenset({"float4", "float8"})
_TIMES = frozenset({"date", "timestamp", "timestamptz"})
# Where values of several types become one type; a comparison has an operator for each pair of times.
_UNITING = frozenset({"CoalesceExpr", "CaseExpr", "MinMaxExpr", "A_ArrayExpr"})


def may_cast(draft: Draft, types: Iterable[int], values: list[Any]) -> bool:
    """Whether a failing cast may meet a column. `types`: OIDs of the columns; `values`: the conditions' trees."""
    named = {SAFE_TYPES[oid].lstrip("_") for oid in types if oid in SAFE_TYPES}
    if not named & {source for source, _ in FAILING}:
        return False
    declared = set(draft.parameter_types)
    made = named | set(_made_types(values))
    has_catalog = any(target.relation is None for target in draft.targets)  # of columns that nobody looked up
    has_float = has_catalog or bool(made & _FLOATS) or bool(declared & FLOAT_OIDS)
    has_oid = has_catalog or any(map(_is_oid, made)) or bool(declared & OID_OIDS)
    casts_numbers = ("numeric" in named and has_float) or ("int8" in named and has_oid)
    return casts_numbers or (not named.isdisjoint(("date", "timestamp")) and _unites_times(made, values))


def _is_oid(name: str) -> bool:
    return name == "oid" or name.startswith("reg")


def _made_types(values: list[Any]) -> Iterator[str]:
    for kind, node in nodes_of(values):
        match kind:
            case "FuncCall":
                yield from _results(strings_of(node["funcname"])[-1], node.get("args") or [])
            case "A_Expr":
                yield from _operator_results(node)
            case "SQLValueFunction":
                yield from _TIMES
            case "A_Indices":  # of a point, say
                yield from _FLOATS
    for names in _type_names(values):
        yield names[-1].lstrip("_")


def _type_names(value: Any) -> Iterator[tuple[str, ...]]:
    """Of casts, of the columns of functions in FROM, of JSON_TABLE's."""
    stack = [value]
    while stack:
        current = stack.pop()
        if isinstance(current, dict):
            if "typemod" in current and "names" in current:
                yield strings_of(current["names"])
            stack.extend(current.values())
        elif isinstance(current, list):
            stack.extend(current)


def _results(name: str, arguments: list[Any]) -> Iterator[str]:
    """A call with numbers stays with them where there is a form for int4; text without a type becomes a float."""
    found = signatures(name, len(arguments))
    given = {result.lstrip("_") for one in found for result in one.results}
    keeps = any("int4" in one.arguments and not _FLOATS.intersection(one.results) for one in found)
    if not (keeps and any(map(_is_typed, arguments))):
        yield from given
    else:
        yield from given - _FLOATS - {"oid"}


def _operator_results(node: Tree) -> Iterator[str]:
    names = strings_of(node.get("name"))
    found = operators(names[-1] if names else "", None if "lexpr" in node else "", None)
    given = {one.result for one in found}
    keeps = any(one.right == "int4" for one in found)
    if not keeps or not any(_is_typed(node[side]) for side in ("lexpr", "rexpr") if side in node):
        yield from given & _FLOATS
    yield from given & _TIMES
    if names and names[-1] == "/" and any(part[-1] == "money" for part in _type_names(node)):
        yield "float8"


def _is_typed(node: Any) -> bool:
    """Whether an argument brings its type along, other than text and parameters do."""
    if is_node(node, "A_Const"):
        return bool({"ival", "fval"} & node["A_Const"].keys())
    return not is_node(node, "ParamRef")


def _unites_times(made: set[str], values: list[Any]) -> bool:
    has_several = len(made & _TIMES) > 1
    for kind, node in nodes_of(values):
        is_uniting = kind in _UNITING or (kind == "JoinExpr" and bool(node.get("usingClause") or node.get("isNatural")))
        is_query = kind == "SelectStmt"
        is_uniting = is_uniting or (is_query and node.get("op", "SETOP_NONE") != "SETOP_NONE")
        is_uniting = is_uniting or (is_query and len(node.get("valuesLists", ())) > 1)
        if is_uniting and (has_several or any(found == "ParamRef" for found, _ in nodes_of(node))):
            return True
    return False
