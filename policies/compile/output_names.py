"""The names that the server gives to the columns of a query, as far as its text tells them."""

from __future__ import annotations

from typing import Any

from policies.compile.facts import FromItem
from policies.compile.tree import Tree, is_node, node_kind, string_of, strings_of

# Expressions without a name of their own become ?column?, which no alias of a row is likely to be.
_NAMELESS = frozenset({"A_Const", "A_Expr", "BoolExpr", "NullTest", "BooleanTest", "ParamRef"})


def figured_name(value: Any) -> str | None:
    """The name of an output that has no AS; None when it isn't known."""
    kind = node_kind(value)
    match kind:
        case "ColumnRef":
            return string_of(value[kind]["fields"][-1])
        case "TypeCast":
            inner = value[kind].get("arg")
            own = strings_of(value[kind]["typeName"].get("names"))
            return own[-1] if node_kind(inner) in _NAMELESS and own else figured_name(inner)
        case "CaseExpr":
            found = figured_name(value[kind].get("defresult"))
            return "case" if found in (None, "?column?") else found
        case "FuncCall":
            return string_of(value[kind]["funcname"][-1])
        case "CoalesceExpr":
            return "coalesce"
    return "?column?" if kind in _NAMELESS else None


def may_have_column(item: FromItem, name: str) -> bool:
    """Whether a subquery or CTE in FROM may have a column of that name; True when the text doesn't tell."""
    if name in item.column_aliases:
        return True
    match item.kind:
        case "subquery":
            return _may_put_out(item.node["subquery"].get("SelectStmt"), name)
        case "cte" if item.cte is not None:
            listed = strings_of(item.cte.get("aliascolnames"))
            return name in listed or _may_put_out(item.cte["ctequery"].get("SelectStmt"), name)
    return True


def _may_put_out(select: Tree | None, name: str) -> bool:
    while select is not None and "larg" in select:
        select = select["larg"]
    if select is None or not select.get("targetList"):
        return True
    for entry in select["targetList"]:
        output = entry["ResTarget"]
        if is_node(output.get("val"), "ColumnRef") and string_of(output["val"]["ColumnRef"]["fields"][-1]) is None:
            return True  # a star
        found = output.get("name") or figured_name(output.get("val"))
        if found is None or found == name:
            return True
    return False
