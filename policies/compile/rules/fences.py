"""Decides whether guards must be fenced with OFFSET 0.

A subquery is no security barrier: the planner may run a client's condition before the guard's filter, and when the
condition can fail, its error tells of a hidden row. Where a condition that reads a column is made of anything but
operators that can't fail on built-in types, no condition may enter a guard.

Nor may the planner try an operator that can fail on the statistics of hidden rows, which it looks up through a fence.
"""

from __future__ import annotations

from typing import Any

from policies.catalog import Column
from policies.compile.builtins import PATTERN_OPERATORS, SAFE_OPERATORS, SAFE_TYPE_NAMES, SAFE_TYPES
from policies.compile.draft import Access, Draft
from policies.compile.function_table import is_pure
from policies.compile.parameter_types import FIRST_USER_OID, FLOAT_OIDS, OID_OIDS
from policies.compile.scope import Block, Reference
from policies.compile.tree import Tree, contains, literal_text, node_kind, nodes_of, strings_of

NUMERIC_OID = 1700
# Clauses of the statement's own block that run after every scan: they can't meet a row that a guard takes out.
_AFTER_SCAN = frozenset({"targetList", "sortClause", "groupClause", "windowClause", "limitCount", "limitOffset"})
# Parts of a write that run for rows which its condition has let through, or that are blocks of their own.
_BEHIND_CONDITION = frozenset(
    {"relation", "selectStmt", "override", "cols", "onConflictClause", "returningClause", "mergeWhenClauses"}
)
_SAFE_KINDS = frozenset(
    {
        "ColumnRef",
        "A_Const",
        "ParamRef",
        "BoolExpr",
        "NullTest",
        "BooleanTest",
        "List",
        "CaseExpr",
        "CaseWhen",
    }
    | {"CoalesceExpr", "MinMaxExpr", "A_ArrayExpr", "SQLValueFunction", "String", "Integer"}
)
_SAFE_COMPARISONS = frozenset(
    {"AEXPR_OP", "AEXPR_OP_ANY", "AEXPR_OP_ALL", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT", "AEXPR_IN", "AEXPR_NULLIF"}
)
_RANGES = frozenset({"AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN", "AEXPR_BETWEEN_SYM", "AEXPR_NOT_BETWEEN_SYM"})
_PATTERN_KINDS = frozenset({"AEXPR_LIKE", "AEXPR_ILIKE"})
# A jsonpath fails on a variable that it doesn't know, but only where it gets to it.
_JSONPATH_OPERATORS = frozenset({"@?", "@@"})
_INT8_OID = 20


def choose_fence(draft: Draft) -> None:
    """Sets `draft.is_fenced` and `draft.is_blind`."""
    if any(target.access is not Access.OPEN for target in draft.targets):
        draft.is_fenced = (
            _has_unknown_types(draft)
            or _compares_unsafe_types(draft)
            or _may_mix_collations(draft)
            or _calls_user_functions(draft)
            or not all(map(_is_block_safe, draft.facts.blocks))
        )
        draft.is_blind = draft.is_fenced and (
            any(is_user_type(column) for column in compared_columns(draft))
            or any(map(_may_fail_on_statistics, nodes_of(draft.statement.tree)))
        )


def is_user_type(column: Column) -> bool:
    """Composite types and those of extensions: an operator of theirs may fail. An enum's can't."""
    return column.type_oid >= FIRST_USER_OID and not column.is_enum


def is_condition_safe(draft: Draft, condition: Tree) -> bool:
    """Whether a part of a write's condition may be run for hidden rows: it can't fail and runs no user code."""
    if _has_unknown_types(draft) or contains(condition, "SubLink") or not _is_safe(condition):
        return False
    if _may_mix_collations(draft) or (_renames_columns(draft) and _compares_unsafe_types(draft)):
        return False
    names = {name for kind, node in nodes_of(condition) if kind == "ColumnRef" for name in strings_of(node["fields"])}
    called = {strings_of(node["funcname"])[-1] for kind, node in nodes_of(condition) if kind == "FuncCall"}
    types = {column.type_oid for target in draft.targets for column in target.visible_columns if column.name in names}
    has_float = bool(types.union(draft.parameter_types) & FLOAT_OIDS) or contains(condition, "TypeCast")
    is_builtin = not called & set(draft.catalog.user_functions)
    return is_builtin and types <= SAFE_TYPES.keys() and not (NUMERIC_OID in types and has_float)


def _has_unknown_types(draft: Draft) -> bool:
    """A temporary table's columns may be of any type, chosen so that a comparison with a guarded column fails."""
    return any(target.has_unknown_columns for target in draft.targets)


def _compares_unsafe_types(draft: Draft) -> bool:
    """Operators of other types are user code or may fail; a numeric compared with a float is cast and may overflow, an
    int8 compared with an OID may not fit. Rows compared as a whole may hold any type.
    """
    types = {column.type_oid for column in compared_columns(draft)}
    cast = {name for kind, node in nodes_of(draft.statement.tree) if kind == "TypeCast" for name in _type_name(node)}
    declared = types.union(draft.parameter_types)
    has_float = bool(declared & FLOAT_OIDS) or not cast.isdisjoint(("float8", "float4"))
    has_oid = bool(declared & OID_OIDS) or any(name == "oid" or name.startswith("reg") for name in cast)
    has_oid = has_oid or any(target.relation is None for target in draft.targets)  # catalogs
    is_cast = (NUMERIC_OID in types and has_float) or (_INT8_OID in types and has_oid)
    return not types <= SAFE_TYPES.keys() or is_cast or _compares_rows(draft)


def _type_name(cast: Tree) -> tuple[str, ...]:
    return strings_of(cast["typeName"].get("names"))[-1:]


def compared_columns(draft: Draft) -> list[Column]:
    """The columns that a condition may be about, by name; all of them where columns may have other names."""
    columns = [column for target in draft.targets for column in target.visible_columns]
    if _renames_columns(draft):
        return columns
    named = {reference.names[-1] for reference in draft.facts.references if not _is_only_output(reference)}
    for kind, node in nodes_of(draft.statement.tree):
        if kind == "JoinExpr":
            named.update(strings_of(node.get("usingClause")))
    return [column for column in columns if column.name in named]


def _renames_columns(draft: Draft) -> bool:
    """A list of names behind an alias, a set operation over a star; NATURAL compares columns that nobody names."""
    if _has_nested_star(draft) and _has_set_operation(draft.statement.tree):
        return True
    for kind, node in nodes_of(draft.statement.tree):
        has_list = bool(node.get("aliascolnames")) or bool(node.get("alias", {}).get("colnames"))
        match kind:
            case "JoinExpr" if has_list or node.get("isNatural"):
                return True
            case "RangeVar" if has_list:
                return True
            case "RangeSubselect" | "CommonTableExpr" if has_list and contains(node, "RangeVar"):
                return True
    return False


def _has_nested_star(draft: Draft) -> bool:
    """Outside the statement's own output; the star of EXISTS (SELECT * ...) is one, too."""
    return any(
        reference.names[-1] is None and not (reference.block is not None and reference.block.is_top)
        for reference in draft.facts.references
    )


def _has_set_operation(tree: Tree) -> bool:
    """Names its columns as its first side does."""
    selects = [tree, *(node for kind, node in nodes_of(tree) if kind == "SelectStmt")]
    return any(select.get("op", "SETOP_NONE") != "SETOP_NONE" for select in selects)


def _compares_rows(draft: Draft) -> bool:
    """A row as a value anywhere but in what the statement computes in the end."""
    aliases = {item.alias for block in draft.facts.blocks for item in block.items}
    for reference in draft.facts.references:
        is_behind = reference.block is not None and reference.block.is_top and reference.clause in _AFTER_SCAN
        if is_behind or reference.block is None:
            continue
        if reference.names[-1] is None and not reference.is_plain_target:
            return True
        if len(reference.names) == 1 and reference.names[0] in aliases and not _is_column(draft, reference):
            return True
    return False


def _is_column(draft: Draft, reference: Reference) -> bool:
    """Whether the name is a column of something in the statement, so that it may well be no row."""
    return any(column.name == reference.names[0] for target in draft.targets for column in target.visible_columns)


def _may_mix_collations(draft: Draft) -> bool:
    """Where two collations meet, a comparison fails when it is run, not when it is parsed; some fail on patterns.

    The database's own collation gives way to any other; C, that of names, alone can't meet another.
    """
    if any(column.has_own_collation for column in compared_columns(draft)):
        return True
    tree, top = draft.statement.tree, draft.facts.top
    for clause, value in tree.items():
        is_behind = top is not None and tree is top.node and clause in ("targetList", "sortClause")
        if is_behind and not contains(value, "SubLink"):
            continue
        if contains(value, "CollateClause") or _casts_to_user_type(draft, value):
            return True
    return False


def _casts_to_user_type(draft: Draft, value: Any) -> bool:
    """A domain may have a collation of its own; the enums of the statement's columns have none."""
    enums = {c.type_name.rpartition(".")[2] for t in draft.targets for c in t.visible_columns if c.is_enum}
    suspects = draft.catalog.user_types - enums
    return any(kind == "TypeCast" and not suspects.isdisjoint(_type_name(node)) for kind, node in nodes_of(value))


def _is_only_output(reference: Reference) -> bool:
    return reference.is_plain_target and reference.block is not None and reference.block.is_top


def _calls_user_functions(draft: Draft) -> bool:
    """A user's overload may be the better match for a built-in's name."""
    users = draft.catalog.user_functions
    return any(strings_of(call["funcname"])[-1] in users for call in draft.facts.functions)


def _is_block_safe(block: Block) -> bool:
    """The expressions of one block; those in subqueries belong to their own blocks, read on their own."""
    for clause, value in block.node.items():
        if clause in ("op", "limitOption", "withClause", "lockingClause") or clause in _BEHIND_CONDITION:
            continue
        if block.is_top and clause in _AFTER_SCAN:
            continue
        if clause in ("fromClause", "usingClause", "sourceRelation"):
            if not all(map(_is_source_safe, value if isinstance(value, list) else [value])):
                return False
        elif not _is_safe(value):
            return False
    return True


def _is_source_safe(source: Any) -> bool:
    kind = node_kind(source)
    match kind:
        case "RangeVar" | "RangeSubselect":
            return True
        case "JoinExpr":
            node = source[kind]
            return _is_source_safe(node["larg"]) and _is_source_safe(node["rarg"]) and _is_safe(node.get("quals"))
    return not contains(source, "ColumnRef")


def _is_safe(value: Any) -> bool:
    """Whether an expression can't fail and calls no user code, whatever the row holds."""
    if isinstance(value, list):
        return all(map(_is_safe, value))
    kind = node_kind(value)
    if kind is None:
        return not isinstance(value, dict) or all(map(_is_safe, value.values()))
    if kind == "SubLink":
        return _is_sublink_safe(value[kind])
    if not contains(value, "ColumnRef") and not contains(value, "SubLink"):
        return True  # it doesn't depend on a row
    node = value[kind]
    if kind == "A_Expr":
        return _is_comparison_safe(node)
    if kind == "FuncCall":
        return _is_call_safe(node)
    return (kind in _SAFE_KINDS or kind in ("ResTarget", "SortBy")) and all(map(_is_safe, node.values()))


def _is_sublink_safe(node: Tree) -> bool:
    """A scalar subquery fails when it finds two rows, so it isn't safe; its inside is a block of its own."""
    if node.get("subLinkType") not in ("EXISTS_SUBLINK", "ANY_SUBLINK", "ALL_SUBLINK"):
        return False
    names = strings_of(node.get("operName"))
    return _is_safe(node.get("testexpr")) and (not names or names[-1] in SAFE_OPERATORS)


def _is_comparison_safe(node: Tree) -> bool:
    operator = strings_of(node.get("name"))
    if len(operator) > 1 and operator[0] != "pg_catalog":
        return False
    if not (_is_safe(node.get("lexpr")) and _is_safe(node.get("rexpr"))):
        return False
    kind = node.get("kind")
    if kind in _PATTERN_KINDS or operator[-1] in PATTERN_OPERATORS:
        return _is_pattern_safe(node.get("rexpr"))
    if kind in _RANGES:  # named BETWEEN; made of <= and >=
        return True
    return kind in _SAFE_COMPARISONS and operator[-1] in SAFE_OPERATORS


def _is_pattern_safe(pattern: Any) -> bool:
    """LIKE fails on a pattern that ends in its escape character, but only on rows that match all before it."""
    text = literal_text(pattern)
    if text is None:
        return False
    return (len(text) - len(text.rstrip("\\"))) % 2 == 0


def _may_fail_on_statistics(found: tuple[str, Tree]) -> bool:
    """A pattern not known to be whole, a jsonpath: to guess how many rows match, the planner tries frequent values."""
    kind, node = found
    match kind:
        case "A_Expr":
            if not _JSONPATH_OPERATORS.isdisjoint(strings_of(node.get("name"))):
                return True
            is_pattern = node.get("kind") in _PATTERN_KINDS or bool(
                set(strings_of(node.get("name"))) & PATTERN_OPERATORS
            )
            return is_pattern and not _is_pattern_safe(node.get("rexpr"))
        case "SubLink":
            return bool(set(strings_of(node.get("operName"))) & (PATTERN_OPERATORS | _JSONPATH_OPERATORS))
        case "FuncCall":
            return "like" in strings_of(node["funcname"])[-1]
    return False


def _is_call_safe(node: Tree) -> bool:
    names = strings_of(node["funcname"])
    is_builtin = len(names) == 1 or names[0] == "pg_catalog"
    extras = [node.get(part) for part in ("args", "agg_filter", "agg_order", "over")]
    count = len(node.get("args") or ())
    return is_builtin and is_pure(names[-1], count, SAFE_TYPE_NAMES) and all(map(_is_safe, extras))
