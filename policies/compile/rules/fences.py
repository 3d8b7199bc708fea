"""Decides whether guards must be fenced with OFFSET 0.

A subquery is no security barrier: the planner may run a client's condition before the guard's filter, and when the
condition can fail, its error tells of a hidden row. Where a condition that reads a column is made of anything but
operators that can't fail on built-in types, no condition may enter a guard.

Nor may the planner try an operator that can fail on the statistics of hidden rows, which it looks up through a fence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from policies.catalog import Column
from policies.compile.draft import Access, Draft
from policies.compile.operator_table import PATTERN_OPERATORS, SAFE_TYPES
from policies.compile.parameter_types import FIRST_USER_OID
from policies.compile.rules.safe_expressions import AFTER_SCAN, PATTERN_KINDS, SafeExpressions, is_pattern_safe
from policies.compile.rules.silent_casts import may_cast
from policies.compile.scope import Reference
from policies.compile.tree import Tree, contains, nodes_of, strings_of

# A jsonpath fails on a variable that it doesn't know, but only where it gets to it.
_JSONPATH_OPERATORS = frozenset({"@?", "@@"})
# Where columns may get other names.
_NAMING = frozenset({"JoinExpr", "RangeVar", "RangeSubselect", "CommonTableExpr"})


@dataclass(frozen=True, slots=True)
class _Reading:
    """One walk over a statement's tree, and what several questions ask of it."""

    draft: Draft
    nodes: list[tuple[str, Tree]]
    kinds: frozenset[str]
    columns: list[Column]  # those that a condition may be about


def choose_fence(draft: Draft) -> None:
    """Sets `draft.is_fenced` and `draft.is_blind`."""
    if any(target.access is not Access.OPEN for target in draft.targets):
        found = _read(draft)
        draft.is_fenced = (
            _has_unknown_types(draft)
            or _calls_user_functions(draft)
            or _compares_unsafe_types(found)
            or _may_mix_collations(found)
            or not all(map(SafeExpressions(draft).is_block_safe, draft.facts.blocks))
        )
        draft.is_blind = draft.is_fenced and (
            any(map(is_user_type, found.columns)) or any(map(_may_fail_on_statistics, found.nodes))
        )


def _read(draft: Draft) -> _Reading:
    nodes = list(nodes_of(draft.statement.tree))
    return _Reading(draft, nodes, frozenset(kind for kind, _ in nodes), _compared(draft, nodes))


def is_user_type(column: Column) -> bool:
    """Composite types and those of extensions: an operator of theirs may fail. An enum's can't."""
    return column.type_oid >= FIRST_USER_OID and not column.is_enum


def is_condition_safe(draft: Draft, condition: Tree) -> bool:
    """Whether a part of a write's condition may be run for hidden rows: it can't fail and runs no user code."""
    if _has_unknown_types(draft) or contains(condition, "SubLink") or not SafeExpressions(draft).is_safe(condition):
        return False
    found = _read(draft)
    if _may_mix_collations(found) or (_renames_columns(draft, found.nodes) and _compares_unsafe_types(found)):
        return False
    names = {name for kind, node in nodes_of(condition) if kind == "ColumnRef" for name in strings_of(node["fields"])}
    called = {strings_of(node["funcname"])[-1] for kind, node in nodes_of(condition) if kind == "FuncCall"}
    types = [column for target in draft.targets for column in target.visible_columns if column.name in names]
    is_builtin = not called & set(draft.catalog.user_functions)
    is_safe = is_builtin and all(map(_is_safe_type, types))
    return is_safe and not may_cast(draft, (column.type_oid for column in types), [condition])


def _has_unknown_types(draft: Draft) -> bool:
    """A temporary table's columns may be of any type, chosen so that a comparison with a guarded column fails."""
    return any(target.has_unknown_columns for target in draft.targets)


def _compares_unsafe_types(found: _Reading) -> bool:
    """Operators of other types are user code or may fail, and so may a cast that nobody wrote. Rows compared as a whole
    may hold any type.
    """
    if not all(map(_is_safe_type, found.columns)) or _compares_rows(found.draft):
        return True
    return may_cast(found.draft, (column.type_oid for column in found.columns), _conditions(found))


def _is_safe_type(column: Column) -> bool:
    """An enum's values are numbers to the server; with casts of its own, `is_user_type` has a look at it."""
    return column.is_enum or column.type_oid in SAFE_TYPES


def _conditions(found: _Reading) -> list[Any]:
    """All of the statement but what the top block computes after its scans."""
    tree, top = found.draft.statement.tree, found.draft.facts.top
    if top is None or tree is not top.node:
        return [tree]
    has_inner = "SubLink" in found.kinds
    return [v for clause, v in tree.items() if clause not in AFTER_SCAN or (has_inner and contains(v, "SubLink"))]


def _type_name(cast: Tree) -> tuple[str, ...]:
    return strings_of(cast["typeName"].get("names"))[-1:]


def compared_columns(draft: Draft) -> list[Column]:
    """The columns that a condition may be about, by name; all of them where columns may have other names."""
    return _compared(draft, list(nodes_of(draft.statement.tree)))


def _compared(draft: Draft, nodes: list[tuple[str, Tree]]) -> list[Column]:
    columns = [column for target in draft.targets for column in target.visible_columns]
    if _renames_columns(draft, nodes):
        return columns
    named = {reference.names[-1] for reference in draft.facts.references if not _is_only_output(reference)}
    for kind, node in nodes:
        if kind == "JoinExpr":
            named.update(strings_of(node.get("usingClause")))
    return [column for column in columns if column.name in named]


def _renames_columns(draft: Draft, nodes: list[tuple[str, Tree]]) -> bool:
    """A list of names behind an alias, a set operation over a star; NATURAL compares columns that nobody names."""
    if _has_nested_star(draft) and _has_set_operation(draft.statement.tree, nodes):
        return True
    for kind, node in nodes:
        if kind not in _NAMING:
            continue
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


def _has_set_operation(tree: Tree, nodes: list[tuple[str, Tree]]) -> bool:
    """Names its columns as its first side does."""
    selects = [tree, *(node for kind, node in nodes if kind == "SelectStmt")]
    return any(select.get("op", "SETOP_NONE") != "SETOP_NONE" for select in selects)


def _compares_rows(draft: Draft) -> bool:
    """A row as a value anywhere but in what the statement computes in the end."""
    aliases = {item.alias for block in draft.facts.blocks for item in block.items}
    for reference in draft.facts.references:
        is_behind = reference.block is not None and reference.block.is_top and reference.clause in AFTER_SCAN
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


def _may_mix_collations(found: _Reading) -> bool:
    """Where two collations meet, a comparison fails when it is run, not when it is parsed; some fail on patterns.

    The database's own collation gives way to any other; C, that of names, alone can't meet another.
    """
    if any(column.has_own_collation for column in found.columns):
        return True
    if found.kinds.isdisjoint(("CollateClause", "TypeCast")):
        return False
    draft = found.draft
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


def _may_fail_on_statistics(found: tuple[str, Tree]) -> bool:
    """A pattern not known to be whole, a jsonpath: to guess how many rows match, the planner tries frequent values."""
    kind, node = found
    match kind:
        case "A_Expr":
            if not _JSONPATH_OPERATORS.isdisjoint(strings_of(node.get("name"))):
                return True
            is_pattern = node.get("kind") in PATTERN_KINDS or bool(
                set(strings_of(node.get("name"))) & PATTERN_OPERATORS
            )
            return is_pattern and not is_pattern_safe(node)
        case "SubLink":
            return bool(set(strings_of(node.get("operName"))) & (PATTERN_OPERATORS | _JSONPATH_OPERATORS))
        case "FuncCall":
            return "like" in strings_of(node["funcname"])[-1]
    return False
