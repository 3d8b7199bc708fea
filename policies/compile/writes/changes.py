"""What a write does to the rows of its target: which columns it assigns, whether it makes rows or takes them away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from policies.compile.draft import Target
from policies.compile.facts import Write
from policies.compile.tree import Tree


@dataclass(frozen=True, slots=True)
class Change:
    """`assigned`: columns of rows that are there already, generated ones among them."""

    inserts: bool = False
    removes: bool = False
    assigned: frozenset[str] = frozenset()


def assignments_of(write: Write) -> Iterator[tuple[Tree, bool]]:
    """Every assigned column as (ResTarget's fields, whether a row that is there already gets it)."""
    node = write.node
    for target in node.get("cols") or ():
        yield target["ResTarget"], False
    for target in node.get("targetList") or ():
        yield target["ResTarget"], True
    for target in node.get("onConflictClause", {}).get("targetList") or ():
        yield target["ResTarget"], True
    for when in _merge_actions(write):
        for target in when.get("targetList") or ():
            yield target["ResTarget"], when.get("commandType") == "CMD_UPDATE"


def change_of(write: Write, target: Target) -> Change:
    commands = {when.get("commandType") for when in _merge_actions(write)}
    return Change(
        inserts=write.kind == "InsertStmt" or "CMD_INSERT" in commands,
        removes=write.kind == "DeleteStmt" or "CMD_DELETE" in commands,
        assigned=_with_generated(target, {str(node.get("name")) for node, is_old in assignments_of(write) if is_old}),
    )


def _merge_actions(write: Write) -> list[Tree]:
    return [clause["MergeWhenClause"] for clause in write.node.get("mergeWhenClauses") or ()]


def _with_generated(target: Target, assigned: set[str]) -> frozenset[str]:
    """Columns made from what is assigned change with it."""
    columns = target.relation.columns if target.relation else ()
    return frozenset(assigned | {column.name for column in columns if assigned & set(column.generated_from)})
