"""Whether an expression without a column can fail only where the whole statement fails, whatever the rows are.

The planner works out what is made of constants, and then it fails for every row or for none. What it leaves for the run
(the clock, the session, parameters of a generic plan) is computed for the rows that get to it: ``name <> 'x' OR
now()::text::int = 1`` fails when a row has that name, be it a hidden one. So that much must not be able to fail.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from policies.compile.draft import Draft
from policies.compile.function_table import is_pure
from policies.compile.operator_table import SAFE_TYPE_NAMES, SAFE_TYPES
from policies.compile.tree import Tree, contains, is_node, literal_text, node_kind, nodes_of, strings_of
from policies.compile.type_names import TYPE_NAMES

_PLAIN = frozenset({"A_Const", "SQLValueFunction", "String", "Integer"})
_GROUPING = frozenset({"BoolExpr", "NullTest", "BooleanTest", "List", "ResTarget", "SortBy"})
_UNITING = frozenset({"CoalesceExpr", "CaseExpr", "CaseWhen", "MinMaxExpr"})
_STRINGS = frozenset({"text", "varchar", "bpchar", "name"})
_NUMBERS = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8"})
_COMPARISONS = frozenset({"=", "<>", "!=", "<", "<=", ">", ">="})
_NOW = frozenset({"now", "transaction_timestamp", "statement_timestamp", "clock_timestamp"})
_CLOCKS = frozenset(
    {"SVFOP_CURRENT_DATE", "SVFOP_CURRENT_TIMESTAMP", "SVFOP_CURRENT_TIMESTAMP_N"}
    | {"SVFOP_LOCALTIMESTAMP", "SVFOP_LOCALTIMESTAMP_N"}
)
_NEVER_FAIL = _NOW | {"random", "gen_random_uuid", "version", "current_database", "current_schema", "pi"}
# Of numbers: worked out when the statement is planned.
_ROUNDING = frozenset({"abs", "ceil", "ceiling", "floor", "mod", "power", "round", "sign", "trunc"})
_DAYS = frozenset(
    {"century", "day", "decade", "dow", "doy", "epoch", "isodow", "isoyear", "julian"}
    | {"millennium", "month", "quarter", "week", "year"}
)
_TIMES = frozenset({"date", "timestamp", "timestamptz"})
# So short, and so few in one expression, that no clock leaves the range of its type.
_INTERVAL = re.compile(r"\s*[-+]?(?:\d{1,3} years?|\d{1,4} (?:second|minute|hour|day|week|month|quarter)s?)\s*")
_MOST_DAYS, _MOST_STEPS = 100_000, 3
_FORMATS = {"YYYY-MM-DD": "%Y-%m-%d", "YYYY-MM-DD HH24:MI:SS.US": "%Y-%m-%d %H:%M:%S.%f"}


class SteadyExpressions:
    """Judges the expressions of one draft in which no column and no subquery stands."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._casts: dict[int, set[str]] | None = None

    def is_steady(self, value: Any) -> bool:
        """Whether an expression, or each of a list, fails for every row or for none."""
        if isinstance(value, list):
            return all(map(self.is_steady, value))
        kind = node_kind(value)
        if kind is None:
            return not isinstance(value, dict) or all(map(self.is_steady, value.values()))
        node = value[kind]
        match kind:
            case "ParamRef":
                return self._is_scalar(node)
            case "A_ArrayExpr":
                return all(map(self._is_element, node.get("elements", ())))
            case "A_Expr":
                return self._is_operation_steady(value)
            case "TypeCast":
                return self._is_cast_steady(node) or self._is_clock(value)
            case "FuncCall":
                return self._is_call_steady(value)
        if kind in _UNITING and contains(node, "ParamRef"):
            return False  # its type may have to be cast to another one's
        return kind in _PLAIN or (kind in _GROUPING | _UNITING and all(map(self.is_steady, node.values())))

    def is_source_steady(self, source: Any) -> bool:
        """What stands in FROM and is no table, query or join: series and lists of the client's own."""
        if is_node(source, "RangeTableSample"):
            sample = source["RangeTableSample"]
            seeds = [sample["repeatable"]] if "repeatable" in sample else []
            return all(map(_is_share, sample.get("args", ()))) and all(is_node(one, "A_Const") for one in seeds)
        if not is_node(source, "RangeFunction"):
            return False
        calls = [part for each in source["RangeFunction"].get("functions", ()) for part in each["List"]["items"]]
        return all(not part or self._is_series(part) for part in calls)

    def _is_series(self, node: Any) -> bool:
        name, given = _call(node)
        if contains(node, "ColumnRef") or contains(node, "SubLink") or not self.is_steady(given):
            return False
        if name == "generate_series" and len(given) == 3:
            text = _interval_text(given[2])
            return _number(given[2]) > 0 or bool(text and _INTERVAL.fullmatch(text) and re.search("[1-9]", text))
        return (name == "generate_series" and len(given) == 2) or (name == "unnest" and len(given) == 1)

    # parameters and casts

    def _is_scalar(self, parameter: Tree) -> bool:
        declared = self._declared(parameter)
        return declared is None or not (SAFE_TYPES.get(declared) or "_").startswith("_")

    def _declared(self, parameter: Tree) -> int | None:
        index, types = parameter.get("number", 0) - 1, self._draft.parameter_types
        return types[index] or None if 0 <= index < len(types) else None

    def _is_element(self, node: Any) -> bool:
        """Arrays of arrays fail where their lengths differ."""
        if is_node(node, "TypeCast") and _target(node["TypeCast"]) == "":
            return False
        return node_kind(node) in _PLAIN | {"ParamRef", "TypeCast"} and self.is_steady(node)

    def _is_cast_steady(self, cast: Tree) -> bool:
        """Constants are read when the text is parsed, or cast when it is planned."""
        inner: Any = cast.get("arg")
        names = strings_of(cast["typeName"].get("names"))
        if names[:-1] not in ((), ("pg_catalog",)) or names[-1].lstrip("_") not in TYPE_NAMES:
            return False
        if names[-1] in self._draft.catalog.user_types:
            return False
        if is_node(inner, "A_Const"):
            is_text = "sval" in inner["A_Const"] or "isnull" in inner["A_Const"]
            return is_text or names[-1] in _NUMBERS | _STRINGS | {"bool"}
        if is_node(inner, "ParamRef"):
            return self._declared(inner["ParamRef"]) is None and self._has_one_cast(inner["ParamRef"])
        return names[-1] in _STRINGS and literal_text(inner) is not None

    def _has_one_cast(self, parameter: Tree) -> bool:
        """A parameter is of the type that it is cast to first; another cast of it is one of that type."""
        if self._casts is None:
            self._casts = _casts_of_parameters(self._draft.statement.tree)
        return len(self._casts.get(parameter.get("number", 0), ())) == 1

    # operators and calls

    def _is_operation_steady(self, value: Any) -> bool:
        node = value["A_Expr"]
        names, sides = strings_of(node.get("name")), [node[side] for side in ("lexpr", "rexpr") if side in node]
        if len(names) != 1 or names[0] in self._draft.catalog.user_operators or node.get("kind") != "AEXPR_OP":
            return False
        if names[0] in _COMPARISONS:
            return all(self._is_comparable(side) for side in sides)
        if names[0] == "||":
            return all(literal_text(side) is not None or is_node(side, "ParamRef") for side in sides) and all(
                map(self.is_steady, sides)
            )
        return _is_number(value) or self._is_clock(value)

    def _is_comparable(self, side: Any) -> bool:
        """Two parameters, or one and a number, may meet only through a cast."""
        if is_node(side, "ParamRef"):
            return self._declared(side["ParamRef"]) is None
        return node_kind(side) in _PLAIN or literal_text(side) is not None or self._is_clock(side)

    def _is_call_steady(self, value: Any) -> bool:
        name, given = _call(value)
        if not name or name in self._draft.catalog.user_functions:
            return False
        if not given:
            return name in _NEVER_FAIL
        if name in ("to_timestamp", "to_date") and len(given) == 2:
            return _is_moment(literal_text(given[0]), literal_text(given[1]))
        if name in _ROUNDING and all(map(_is_number, given)):
            return True
        if name in ("extract", "date_part") and len(given) == 2:
            return (literal_text(given[0]) or "").lower() in _DAYS and self._is_clock(given[1])
        is_plain = is_pure(name, len(given), SAFE_TYPE_NAMES) and self.is_steady(given)
        return is_plain or self._is_clock(value)

    def _is_clock(self, node: Any, steps: int = 0) -> bool:
        """Now, today, and what is near: of a type of times."""
        kind = node_kind(node)
        if kind is None or steps > _MOST_STEPS:
            return False
        fields = node[kind]
        match kind:
            case "SQLValueFunction":
                return fields.get("op") in _CLOCKS
            case "TypeCast":
                is_known = _target(fields) in _TIMES - self._draft.catalog.user_types
                return is_known and self._is_clock(fields.get("arg"), steps + 1)
            case "A_Expr":
                is_sum = strings_of(fields.get("name")) in (("+",), ("-",)) and "lexpr" in fields
                near = is_sum and _is_short(fields["rexpr"]) and not {"+", "-"} & self._draft.catalog.user_operators
                return near and self._is_clock(fields["lexpr"], steps + 1)
        name, given = _call(node)
        if name in self._draft.catalog.user_functions:
            return False
        if name == "date_trunc" and len(given) == 2:
            unit = (literal_text(given[0]) or "").lower()
            return unit in ("second", "minute", "hour", "day", "week", "month", "quarter", "year") and self._is_clock(
                given[1], steps + 1
            )
        if name == "timezone" and len(given) == 2:
            return (literal_text(given[0]) or "").upper() == "UTC" and self._is_clock(given[1], steps + 1)
        return name in _NOW and not given


def _call(node: Any) -> tuple[str, list[Any]]:
    """A plain built-in call's name and arguments; no name for all else."""
    if not is_node(node, "FuncCall"):
        return "", []
    call = node["FuncCall"]
    names, given = strings_of(call["funcname"]), call.get("args") or []
    is_plain = names[:-1] in ((), ("pg_catalog",)) and not any(is_node(one, "NamedArgExpr") for one in given)
    extras = any(call.get(part) for part in ("agg_filter", "agg_order", "over", "func_variadic", "agg_distinct"))
    return (names[-1], given) if is_plain and not extras else ("", given)


def _target(cast: Tree) -> str:
    """The built-in type's name; empty for arrays and others."""
    names = strings_of(cast["typeName"].get("names"))
    is_plain = names[:-1] in ((), ("pg_catalog",)) and not cast["typeName"].get("arrayBounds")
    return names[-1] if is_plain and not names[-1].startswith("_") else ""


def _casts_of_parameters(tree: Tree) -> dict[int, set[str]]:
    """The types that each parameter is cast to; what isn't cast counts as one more."""
    found: dict[int, set[str]] = {}
    cast: set[int] = set()
    for kind, node in nodes_of(tree):
        if kind == "TypeCast" and is_node(node.get("arg"), "ParamRef"):
            parameter = node["arg"]["ParamRef"]
            cast.add(id(parameter))
            has_bounds = "[]" if node["typeName"].get("arrayBounds") else ""
            name = ".".join(strings_of(node["typeName"].get("names"))) + has_bounds
            found.setdefault(parameter.get("number", 0), set()).add(name)
    for kind, node in nodes_of(tree):
        if kind == "ParamRef" and id(node) not in cast:
            found.setdefault(node.get("number", 0), set()).add("")
    return found


def _number(node: Any) -> int:
    return int(node["A_Const"]["ival"].get("ival", 0)) if is_node(node, "A_Const") and "ival" in node["A_Const"] else 0


def _is_share(node: Any) -> bool:
    """A percentage, as TABLESAMPLE's methods want it."""
    text = node["A_Const"].get("fval", {}).get("fval", "") if is_node(node, "A_Const") else "x"
    try:
        return 0 <= (float(text) if text else _number(node)) <= 100
    except ValueError:
        return False


def _is_number(node: Any) -> bool:
    """Numbers that the text names, and what the planner makes of them."""
    if is_node(node, "A_Const"):
        return bool({"ival", "fval"} & node["A_Const"].keys())
    if not is_node(node, "A_Expr") or node["A_Expr"].get("kind") != "AEXPR_OP":
        return False
    fields = node["A_Expr"]
    is_known = strings_of(fields.get("name")) in (("+",), ("-",), ("*",), ("/",), ("%",))
    return is_known and all(_is_number(fields[side]) for side in ("lexpr", "rexpr") if side in fields)


def _interval_text(node: Any) -> str | None:
    if not is_node(node, "TypeCast") or _target(node["TypeCast"]) != "interval":
        return literal_text(node)
    return literal_text(node["TypeCast"].get("arg"))


def _is_short(node: Any) -> bool:
    if is_node(node, "A_Const") and "ival" in node["A_Const"]:
        return abs(_number(node)) <= _MOST_DAYS
    text = _interval_text(node) if is_node(node, "TypeCast") else None
    return text is not None and _INTERVAL.fullmatch(text) is not None


def _is_moment(text: str | None, form: str | None) -> bool:
    try:
        datetime.strptime(text or "", _FORMATS[form or ""])  # noqa: DTZ007 - only whether it is one
    except (KeyError, ValueError):
        return False
    return True
