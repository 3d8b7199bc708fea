"""Whether an expression can fail or call user code, whatever the row holds: what isn't known to be safe isn't.

Values so long that the server can't hold their text (over 100 MB) are left out of account: no client chooses a hidden
row. What a client can make long, a constant, makes nothing unsafe that is called safe here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from policies.compile.draft import Draft
from policies.compile.function_table import is_pure
from policies.compile.operator_table import (
    ENUM,
    PATTERN_OPERATORS,
    SAFE_OPERATORS,
    SAFE_TYPE_NAMES,
    SAFE_TYPES,
    OperatorClass,
    is_array,
    operators,
)
from policies.compile.rules.expression_types import ExpressionTypes, cast_target
from policies.compile.rules.steady_expressions import SteadyExpressions
from policies.compile.scope import Block
from policies.compile.tree import Tree, is_node, literal_text, node_kind, strings_of

# Clauses of the statement's own block that run after every scan: they can't meet a row that a guard takes out.
AFTER_SCAN = frozenset({"targetList", "sortClause", "groupClause", "windowClause", "limitCount", "limitOffset"})
# Parts of a write that run for rows which its condition has let through, or that are blocks of their own.
_BEHIND_CONDITION = frozenset(
    {"relation", "selectStmt", "override", "cols", "onConflictClause", "returningClause", "mergeWhenClauses"}
)
_SAFE_KINDS = frozenset(
    {"ColumnRef", "A_Const", "ParamRef", "BoolExpr", "NullTest", "BooleanTest", "List", "CaseExpr", "CaseWhen"}
    | {"CoalesceExpr", "MinMaxExpr", "A_ArrayExpr", "SQLValueFunction", "String", "Integer", "ResTarget", "SortBy"}
)
_SAFE_COMPARISONS = frozenset(
    {"AEXPR_OP", "AEXPR_OP_ANY", "AEXPR_OP_ALL", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT", "AEXPR_IN", "AEXPR_NULLIF"}
)
_RANGES = frozenset({"AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN", "AEXPR_BETWEEN_SYM", "AEXPR_NOT_BETWEEN_SYM"})
PATTERN_KINDS = frozenset({"AEXPR_LIKE", "AEXPR_ILIKE"})
# The server goes one level deeper for each %, and fails where its stack ends: on rows that match all before it.
_MOST_WILDCARDS = 500
# What stands for a byte in a constant of bytes.
_BYTE = re.compile(r"\\(?:([0-3][0-7]{2})|\\)")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Casts that every value survives, lengths and scales aside. Not timestamptz to timestamp: near the ends of time the
# zone's offset leads out of it. Nor date to either of them: dates go further.
FITTING_CASTS: Mapping[str, frozenset[str]] = {
    "bool": _words("text varchar int4"),
    "int2": _words("int4 int8 numeric float4 float8 text varchar"),
    "int4": _words("int8 numeric float4 float8 text varchar bool"),
    "int8": _words("numeric float4 float8 text varchar"),
    "oid": _words("int8 text"),
    "float4": _words("float8 text varchar"),
    "float8": _words("text varchar"),
    "numeric": _words("text varchar"),
    "text": _words("text varchar bpchar name"),
    "varchar": _words("text varchar bpchar name"),
    "bpchar": _words("text varchar bpchar name"),
    "name": _words("text varchar bpchar"),
    "date": _words("date text varchar"),
    "time": _words("interval text varchar"),
    "timestamp": _words("timestamp date time text varchar"),
    "timestamptz": _words("timestamptz date time text varchar"),
    "interval": _words("text varchar"),
    "uuid": _words("uuid text varchar"),
    "inet": _words("inet text"),
    "cidr": _words("inet text"),
    "jsonb": _words("jsonb text"),
    ENUM: _words("text varchar"),
}
_DAYS = _words("century day decade dow doy epoch isodow isoyear julian millennium month quarter week year")
_TIMES = _words("hour microseconds milliseconds minute second")
# What EXTRACT and date_part know of each type; a date goes through a timestamp in date_part, which not each one fits.
# date_trunc isn't here: it fails where time begins.
FIELDS: Mapping[str, frozenset[str]] = {
    "date": _DAYS,
    "timestamp": _DAYS | _TIMES,
    "timestamptz": _DAYS | _TIMES,
    "time": _TIMES | {"epoch"},
}


class SafeExpressions:
    """Judges the expressions of one draft, before guards stand in its tree."""

    def __init__(self, draft: Draft) -> None:
        self._types = ExpressionTypes(draft)
        self._steady = SteadyExpressions(draft)
        self._row_parts: dict[int, bool] = {}  # by a node's identity

    def is_block_safe(self, block: Block) -> bool:
        """The expressions of one block; those in subqueries belong to their own blocks, read on their own."""
        for clause, value in block.node.items():
            if clause in ("op", "limitOption", "withClause", "lockingClause") or clause in _BEHIND_CONDITION:
                continue
            if block.is_top and clause in AFTER_SCAN:
                continue
            if clause in ("fromClause", "usingClause", "sourceRelation"):
                if not all(map(self._is_source_safe, value if isinstance(value, list) else [value])):
                    return False
            elif clause in ("limitCount", "limitOffset"):
                if not _is_count(value):
                    return False
            elif not self.is_safe(value):
                return False
        return True

    def _is_source_safe(self, source: Any) -> bool:
        kind = node_kind(source)
        match kind:
            case "RangeVar" | "RangeSubselect":
                return True
            case "JoinExpr":
                node = source[kind]
                sides = self._is_source_safe(node["larg"]) and self._is_source_safe(node["rarg"])
                return sides and self.is_safe(node.get("quals"))
        return self._steady.is_source_steady(source)

    def is_safe(self, value: Any) -> bool:
        """Whether an expression, or each of a list, can't fail and calls no user code."""
        if isinstance(value, list):
            return all(map(self.is_safe, value))
        kind = node_kind(value)
        if kind is None:
            return not isinstance(value, dict) or all(map(self.is_safe, value.values()))
        if kind == "SubLink":
            return self._is_sublink_safe(value[kind])
        if not self._has_row_part(value):
            return self._steady.is_steady(value)
        node = value[kind]
        match kind:
            case "A_Expr":
                return self._is_operation_safe(node)
            case "FuncCall":
                return self._is_call_safe(node)
            case "TypeCast":
                return self._is_cast_safe(node)
            case "A_ArrayExpr" if not any(map(self._is_scalar, node.get("elements", ()))):
                return False  # arrays of arrays fail where their lengths differ
        return kind in _SAFE_KINDS and all(map(self.is_safe, node.values()))

    def _has_row_part(self, value: Any) -> bool:
        """Whether a column or a subquery stands in it, so that it may depend on a row."""
        if not isinstance(value, (dict, list)):
            return False
        known = self._row_parts.get(id(value))
        if known is None:
            if isinstance(value, dict):
                known = "ColumnRef" in value or "SubLink" in value or any(map(self._has_row_part, value.values()))
            else:
                known = any(map(self._has_row_part, value))
            self._row_parts[id(value)] = known
        return known

    def _is_sublink_safe(self, node: Tree) -> bool:
        """A scalar subquery fails when it finds two rows, so it isn't safe; its inside is a block of its own."""
        if node.get("subLinkType") not in ("EXISTS_SUBLINK", "ANY_SUBLINK", "ALL_SUBLINK"):
            return False
        names = strings_of(node.get("operName"))
        is_safe = not names or names[-1] in SAFE_OPERATORS - PATTERN_OPERATORS
        return is_safe and self.is_safe(node.get("testexpr"))

    def _is_operation_safe(self, node: Tree) -> bool:
        operator = strings_of(node.get("name"))
        if len(operator) > 1 and operator[0] != "pg_catalog":
            return False
        if not (self.is_safe(node.get("lexpr")) and self.is_safe(node.get("rexpr"))):
            return False
        kind, name = node.get("kind"), operator[-1]
        if kind in PATTERN_KINDS or name in PATTERN_OPERATORS:
            return is_pattern_safe(node)
        if kind in _RANGES:  # named BETWEEN; made of <= and >=
            return True
        if kind not in _SAFE_COMPARISONS:
            return False
        return name in SAFE_OPERATORS or (kind == "AEXPR_OP" and self._is_safe_by_type(name, node))

    def _is_safe_by_type(self, name: str, node: Tree) -> bool:
        types = self._types.operand_types(node)
        if not any(types):
            return False
        kinds = {one.kind for one in operators(name, *types)}
        if kinds == {OperatorClass.DIVIDES}:
            return _divisor(node.get("rexpr")) not in (0, -1)
        return kinds == {OperatorClass.PURE}

    def _is_call_safe(self, node: Tree) -> bool:
        names = strings_of(node["funcname"])
        given = node.get("args") or []
        extras = [node.get(part) for part in ("args", "agg_filter", "agg_order", "over")]
        if names[:-1] not in ((), ("pg_catalog",)) or node.get("func_variadic") or not all(map(self.is_safe, extras)):
            return False
        if names[-1] in ("extract", "date_part") and len(given) == 2:
            field = literal_text(given[0])
            known = FIELDS.get(self._types.type_of(given[1]) or "", frozenset())
            return field is not None and field.lower() in known and (names[-1] == "extract" or known != _DAYS)
        return is_pure(names[-1], len(given), SAFE_TYPE_NAMES)

    def _is_scalar(self, node: Any) -> bool:
        """One element that certainly is no array makes all of them none."""
        name = self._types.type_of(node)
        return name == ENUM or (name in SAFE_TYPES.values() and not is_array(name or "_"))

    def _is_cast_safe(self, node: Tree) -> bool:
        source = self._types.type_of(node.get("arg"))
        return cast_target(node) in FITTING_CASTS.get(source or "", ()) and self.is_safe(node.get("arg"))


def _is_count(node: Any) -> bool:
    """LIMIT and OFFSET fail below 0, when they are run."""
    if not is_node(node, "A_Const"):
        return False
    constant = node["A_Const"]
    return bool(constant.get("isnull")) or ("ival" in constant and constant["ival"].get("ival", 0) >= 0)


def _divisor(node: Any) -> int:
    """The number that a constant is; 0 for all else."""
    if is_node(node, "A_Const") and "ival" in node["A_Const"]:
        return int(node["A_Const"]["ival"].get("ival", 0))
    return 0


def is_pattern_safe(operation: Tree) -> bool:
    """LIKE fails on a pattern that ends in its escape character, but only on rows that match all before it.

    The text may be one of bytes too, with escapes of its own, or a list's. A length or a name's cuts it.
    """
    pattern: Any = operation.get("rexpr")
    if is_node(pattern, "TypeCast"):
        name = pattern["TypeCast"]["typeName"]
        if name.get("typmods") or name.get("arrayBounds") or strings_of(name.get("names"))[-1:] == ("name",):
            return False
    text = literal_text(pattern)
    if text is None or (operation.get("kind") in ("AEXPR_OP_ANY", "AEXPR_OP_ALL") and "\\" in text):
        return False
    octets = _BYTE.sub(lambda found: chr(int(found[1], 8)) if found[1] else "\\", text)
    return not text.startswith("\\x") and all(map(_is_whole, (text, octets)))


def _is_whole(pattern: str) -> bool:
    return (len(pattern) - len(pattern.rstrip("\\"))) % 2 == 0 and pattern.count("%") <= _MOST_WILDCARDS
