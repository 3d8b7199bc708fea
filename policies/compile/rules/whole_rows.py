"""``SELECT o FROM orders AS o`` gives rows of the type ``orders``; behind a guard it would be a nameless record.

Where the guard lists every column of its table, the row is cast back to the table's type wherever it stands: clients
decode it as on a copy, functions over rows are found, and to_json names its keys as the table does, whatever aliases
the columns have here. A row that lost a column has no type to be cast to and stays a record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from policies.compile.draft import Access, Draft, Splice, Target
from policies.compile.facts import Block, Reference
from policies.compile.guards import quote
from policies.compile.output_names import figured_name, may_have_column
from policies.compile.tree import Tree, is_node, node_kind, string_of

_WITH_ROW_TYPES = frozenset("rpfmv")
# There a bare name means an output column before it means a row.
_NAMING_OUTPUTS = frozenset({"sortClause", "groupClause", "distinctClause"})


def type_rows(draft: Draft) -> None:
    """Splices the casts and edits the expected tree alike. Raises Refused for a row that would have other names."""
    if not any(target.access is Access.GUARDED for target in draft.targets):
        return
    rows = [(one, target) for one in draft.facts.references if (target := _row_of(draft, one)) is not None]
    if not rows:
        return
    found = _find(draft.statement.tree)
    for reference, target in rows:
        wrapper = found.wrappers.get(id(reference.node))
        if wrapper is None or id(wrapper) in found.tested or _means_output(reference, wrapper):
            continue
        if is_row_typed(target):
            _type(draft, wrapper, reference, target, is_compared=id(wrapper) in found.compared)
        elif target.item.column_aliases:
            raise _renamed(draft, target, reference)
        elif id(wrapper) in found.typed:
            raise _untyped(draft, target, reference)


def _row_of(draft: Draft, reference: Reference) -> Target | None:
    """The guarded relation whose whole row this is."""
    if len(reference.names) != 1 or reference.names[0] is None:
        return None
    target = draft.target_of(draft.find_qualified(reference.block, reference.names[0]))
    if target is None or target.access is not Access.GUARDED or target.use.is_written or target.relation is None:
        return None
    if not _may_be_column(draft, reference.block, reference.names[0]):
        return target
    if target.item.column_aliases and reference.names[0] not in target.shown_names.values():
        raise _renamed(draft, target, reference)
    return None


def _may_be_column(draft: Draft, block: Block | None, name: str) -> bool:
    """A column of that name, here or further out, is what the server takes before the row."""
    while block is not None:
        for item in block.items:
            target = draft.target_of(item)
            if item.kind == "join" and not item.column_aliases:
                continue
            if target is None or target.relation is None:
                if may_have_column(item, name):
                    return True
            elif name in target.shown_names.values():
                return True
        block = block.parent
    return False


@dataclass(slots=True)
class _Found:
    """The nodes that hold the fields of ColumnRefs, by the fields' identity, and by their own identity those that stand

    - in a test for NULL, which tells the same of a record;
    - before IN (SELECT ...), where a cast row would count as a list of values;
    - where the row's type is asked for: in pg_typeof, or in a call or subscript of which a column is taken.
    """

    wrappers: dict[int, Tree] = field(default_factory=dict)
    tested: set[int] = field(default_factory=set)
    compared: set[int] = field(default_factory=set)
    typed: set[int] = field(default_factory=set)


def _find(tree: Tree) -> _Found:
    found = _Found()
    stack: list[Any] = [tree]
    while stack:
        current = stack.pop()
        if isinstance(current, list):
            stack.extend(current)
        elif isinstance(current, dict):
            _look_at(found, current)
            stack.extend(current.values())
    return found


def _look_at(found: _Found, node: Tree) -> None:
    kind = node_kind(node)
    match kind:
        case "ColumnRef":
            found.wrappers[id(node[kind])] = node
        case "NullTest":
            found.tested.add(id(node[kind].get("arg")))
        case "SubLink":
            found.compared.add(id(node[kind].get("testexpr")))
        case "FuncCall" if string_of(node[kind]["funcname"][-1]) == "pg_typeof":
            found.typed.update(map(id, node[kind].get("args") or ()))
        case "A_Indirection" if not is_node(node[kind].get("arg"), "ColumnRef"):
            if any(string_of(part) is not None for part in node[kind].get("indirection") or ()):
                found.typed.update(_held_references(node[kind]["arg"]))


def _held_references(value: Any) -> set[int]:
    """Identities of the ColumnRef nodes in an expression, subqueries aside."""
    if isinstance(value, list):
        return set().union(*map(_held_references, value))
    if not isinstance(value, dict) or is_node(value, "SelectStmt"):
        return set()
    return {id(value)} if is_node(value, "ColumnRef") else set().union(*map(_held_references, value.values()))


def _means_output(reference: Reference, wrapper: Tree) -> bool:
    """ORDER BY t, where an output column is called t."""
    block = reference.block
    if block is None or reference.clause not in _NAMING_OUTPUTS:
        return False
    entries = block.node.get(reference.clause) or []
    bare = [entry["SortBy"].get("node") if is_node(entry, "SortBy") else entry for entry in entries]
    if not any(entry is wrapper for entry in bare):
        return False
    outputs = (entry["ResTarget"] for entry in block.node.get("targetList") or ())
    return any((output.get("name") or figured_name(output.get("val"))) == reference.names[0] for output in outputs)


def is_row_typed(target: Target) -> bool:
    """Whether a whole row is cast to the type of its relation: no column of it is missing."""
    relation = target.relation
    return (
        relation is not None
        and relation.kind in _WITH_ROW_TYPES
        and len(target.visible_columns) == len(relation.columns)
    )


def _type(draft: Draft, wrapper: Tree, reference: Reference, target: Target, *, is_compared: bool) -> None:
    token = draft.tokens[draft.token_at(reference.location)]
    row = draft.text[token.start : token.end].decode()
    cast = f"CAST({row} AS {quote(target.schema)}.{quote(target.name)})"
    names = [{"String": {"sval": part}} for part in (target.schema, target.name)]
    typed = {"TypeCast": {"arg": dict(wrapper), "typeName": {"names": names, "typemod": -1}}}
    if is_compared or _may_be_missing(target):
        cast = f"CASE WHEN {row} IS NOT DISTINCT FROM NULL THEN NULL ELSE {cast} END"
        typed = _unless_missing(dict(wrapper), typed)
    draft.splices.append(Splice(token.start, token.end, cast))
    wrapper.clear()
    wrapper.update(typed)


def _renamed(draft: Draft, target: Target, reference: Reference) -> Exception:
    return draft.refuse(
        "0A000",
        "pgwarden/rows",
        f"a whole row of {target.schema}.{target.name} with other names for its columns isn't possible",
        at=reference.location,
        hint=f"Leave the names behind {target.item.alias} out.",
    )


def _untyped(draft: Draft, target: Target, reference: Reference) -> Exception:
    return draft.refuse(
        "0A000",
        "pgwarden/rows",
        f"a row of {target.schema}.{target.name} has no type of its own here: some of its columns are blocked",
        at=reference.location,
        hint="Take the columns from the table itself.",
    )


def _may_be_missing(target: Target) -> bool:
    """On the side of an outer join that may have no row: a cast would make a row of NULLs of no row."""
    return any(join.get("jointype", "JOIN_INNER") != "JOIN_INNER" for join in target.use.joins)


def _unless_missing(row: Tree, typed: Tree) -> Tree:
    comparison = {
        "kind": "AEXPR_NOT_DISTINCT",
        "name": [{"String": {"sval": "="}}],
        "lexpr": row,
        "rexpr": {"A_Const": {"isnull": True}},
    }
    when = {"CaseWhen": {"expr": {"A_Expr": comparison}, "result": {"A_Const": {"isnull": True}}}}
    return {"CaseExpr": {"args": [when], "defresult": typed}}
