"""Keeps numbers and texts from becoming names of relations and types beside a value that is one.

``COALESCE(to_regclass('x'), 16400)``, a UNION, a VALUES list, an array: the server casts all of them to regclass, which
no cast in the text shows, and prints the name of whatever has that number. Casts that are written are for object_names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from policies.compile.draft import Draft
from policies.compile.function_table import results
from policies.compile.rules.column_origins import ColumnOrigins
from policies.compile.tree import Tree, node_kind, nodes_of, strings_of

_REG = frozenset({"regclass", "regtype", "_regclass", "_regtype"})
# Types whose values the server takes for one of those unasked.
_TAKEN = frozenset({"oid", "int2", "int4", "int8", "bigint", "integer", "smallint", "unknown"})
_POLYMORPHIC = frozenset(
    {"array_append", "array_prepend", "array_replace", "array_cat", "lag", "lead", "array_fill", "width_bucket"}
)
_SUMS = frozenset({"max", "min", "array_agg", "unnest", "first_value", "last_value", "nth_value", "any_value"})
# Columns of theirs in the catalogs.
_REG_COLUMNS = {"pg_sequences": {"data_type"}, "pg_prepared_statements": {"parameter_types", "result_types"}}
_COMPARING = frozenset({"AEXPR_OP_ANY", "AEXPR_OP_ALL", "AEXPR_IN", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT"})


def has_reg(type_name: Tree) -> bool:
    return strings_of(type_name.get("names"))[-1:] != () and strings_of(type_name["names"])[-1] in _REG


class UnitedNames:
    """Reads one statement; `found` is the place of the first value that might become a name, None for none."""

    def __init__(self, draft: Draft, origins: ColumnOrigins) -> None:
        self._origins = origins
        self._nodes = [(draft.statement.kind, draft.statement.tree), *nodes_of(draft.statement.tree)]
        read = [node.get("relname") for kind, node in self._nodes if kind == "RangeVar"]
        self._names: set[str] = set().union(*(_REG_COLUMNS.get(str(one), ()) for one in read))  # that outputs may have
        self._makes_names = any(self._is_maker(kind, node) for kind, node in self._nodes)
        if self._makes_names:
            while self._name_outputs():
                pass

    def _name_outputs(self) -> bool:
        """One more round; whether it found more."""
        before = len(self._names)
        for kind, node in self._nodes:
            match kind:
                case "ResTarget" if self._may_be_name(node.get("val")):
                    self._names.update([node["name"]] if "name" in node else _words_in(node["val"]))
                case "RangeFunction" if self._holds_maker(node):
                    self._names.update(_words_in(node))
        if self._names:
            for _, node in self._nodes:
                self._names.update(strings_of(node.get("colnames")), strings_of(node.get("aliascolnames")))
                self._names.update(strings_of(node.get("alias", {}).get("colnames")))
        return len(self._names) > before

    def _holds_maker(self, value: Any) -> bool:
        return any(self._is_maker(kind, node) or self._is_named(node) for kind, node in nodes_of(value))

    def _is_named(self, column: Tree) -> bool:
        """A ColumnRef's or a field selection's fields."""
        fields = column.get("fields") or column.get("indirection")
        return not self._names.isdisjoint(strings_of(fields)[-1:])

    def found(self) -> bool:
        """Whether somewhere a value that may be a name meets one that may become one."""
        return self._makes_names and any(map(self._is_mixed, self._units()))

    def has_undeclared_reg(self, types: list[Tree]) -> bool:
        """A type that isn't a cast's: a column of JSON_TABLE or of a function, what JSON_VALUE returns."""
        of_casts = {id(node["typeName"]) for kind, node in self._nodes if kind == "TypeCast"}
        return any(has_reg(one) and id(one) not in of_casts for one in types)

    def _is_maker(self, kind: str, node: Tree) -> bool:
        match kind:
            case "TypeCast":
                return has_reg(node["typeName"])
            case "FuncCall":
                return not _REG.isdisjoint(results(strings_of(node["funcname"])[-1]))
            case "ColumnRef":
                return self._is_named(node)
        return False

    def _units(self) -> Iterator[list[Any]]:
        """Values that become of one type."""
        for kind, node in self._nodes:
            match kind:
                case "CoalesceExpr" | "MinMaxExpr":
                    yield node.get("args", [])
                case "CaseExpr":
                    yield [*(one["CaseWhen"].get("result") for one in node.get("args", ())), node.get("defresult")]
                case "A_ArrayExpr":
                    yield node.get("elements", [])
                case "FuncCall" if strings_of(node["funcname"])[-1] in _POLYMORPHIC:
                    yield node.get("args", [])
                case "A_Expr" if strings_of(node.get("name"))[-1:] == ("||",) or node.get("kind") == "AEXPR_NULLIF":
                    yield [node.get("lexpr"), node.get("rexpr")]
                case "SelectStmt" if node.get("op", "SETOP_NONE") != "SETOP_NONE" or node.get("valuesLists"):
                    yield from map(list, zip(*_branches(node), strict=False))

    def _is_mixed(self, unit: list[Any]) -> bool:
        return any(map(self._may_be_name, unit)) and any(map(self._may_become_name, unit))

    def _may_be_name(self, node: Any) -> bool:
        kind = node_kind(node)
        fields: Tree = node[kind] if kind is not None else {}
        match kind:
            case "TypeCast":
                return has_reg(fields["typeName"])
            case "FuncCall":
                name, given = strings_of(fields["funcname"])[-1], fields.get("args", [])
                is_passed = name in _POLYMORPHIC | _SUMS and any(map(self._may_be_name, given))
                return is_passed or not _REG.isdisjoint(results(name))
            case "ColumnRef" | "A_Indirection":
                return self._is_named(fields)
            case "CoalesceExpr" | "MinMaxExpr":
                return any(map(self._may_be_name, fields.get("args", [])))
            case "A_ArrayExpr":
                return any(map(self._may_be_name, fields.get("elements", [])))
            case "CaseExpr":
                return any(map(self._may_be_name, _results_of(fields)))
            case "A_Expr":
                return any(self._may_be_name(fields.get(side)) for side in ("lexpr", "rexpr")) and strings_of(
                    fields.get("name")
                )[-1:] == ("||",)
            case "SubLink" if fields.get("subLinkType") in ("EXPR_SUBLINK", "ARRAY_SUBLINK"):
                inner = fields["subselect"].get("SelectStmt", {})
                return any(any(map(self._may_be_name, branch)) for branch in _branches(inner))
        return False

    def _may_become_name(self, node: Any) -> bool:
        """A number or a text of the client's, or what nobody knows; not what is a name, or certainly neither."""
        kind = node_kind(node)
        fields: Tree = node[kind] if kind is not None else {}
        match kind:
            case None | "BoolExpr" | "NullTest" | "BooleanTest":
                return False
            case "A_Const":
                return not fields.get("isnull") and "boolval" not in fields
            case "TypeCast":
                names = strings_of(fields["typeName"].get("names"))
                is_plain = not has_reg(fields["typeName"]) and names[-1].lstrip("_") in _TAKEN
                return is_plain and not self._origins.is_of_catalogs(node)
            case "FuncCall":
                given = results(strings_of(fields["funcname"])[-1])
                return not given or not given <= _REG | {"text", "name", "bool", "varchar"}
            case "CoalesceExpr" | "MinMaxExpr":
                return any(map(self._may_become_name, fields.get("args", [])))
            case "CaseExpr":
                return any(map(self._may_become_name, _results_of(fields)))
            case "A_Expr" if fields.get("kind") in _COMPARING or _is_comparison(fields):
                return False
        return not self._origins.is_of_catalogs(node)


def _words_in(value: Any) -> set[str]:
    """All that an output without a name may be called."""
    words = {"case", "coalesce", "greatest", "least", "array"}
    stack = [value]
    while stack:
        current = stack.pop()
        if isinstance(current, dict):
            stack.extend(current.values())
        elif isinstance(current, list):
            stack.extend(current)
        elif isinstance(current, str):
            words.add(current)
    return words


def _is_comparison(fields: Tree) -> bool:
    return fields.get("kind") == "AEXPR_OP" and strings_of(fields.get("name"))[-1] in ("=", "<>", "<", ">", "<=", ">=")


def _results_of(fields: Tree) -> list[Any]:
    return [*(one["CaseWhen"].get("result") for one in fields.get("args", ())), fields.get("defresult")]


def _branches(select: Tree) -> Iterator[list[Any]]:
    """The rows of outputs that a set operation or a VALUES list brings together."""
    if select.get("op", "SETOP_NONE") != "SETOP_NONE":
        yield from _branches(select["larg"])
        yield from _branches(select["rarg"])
    elif select.get("valuesLists"):
        for one in select["valuesLists"]:
            yield one["List"]["items"]
    else:
        yield [one["ResTarget"].get("val") for one in select.get("targetList", ())]
