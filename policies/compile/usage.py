"""How a relation's alias is used in a statement: as a row, by a star, or only column by column."""

from __future__ import annotations

from policies.compile.draft import Draft, Target
from policies.compile.tree import nodes_of, strings_of


def is_used_as_row(draft: Draft, target: Target) -> bool:
    """``c``, ``(c).email``, ``row_to_json(c)``, ``f(c.*)``, ``c.row_to_json``: any use of the alias as a whole."""
    alias = target.item.alias
    columns = {column.name for column in target.visible_columns}
    for reference in draft.facts.references:
        *qualifier, last = reference.names
        is_ours = bool(qualifier) and qualifier[-1] == alias
        is_output = reference.is_plain_target and reference.block is target.use.block
        if reference.names == (alias,):
            return True
        if last is None and not is_output and (is_ours or not reference.is_plain_target):
            return True
        if is_ours and last is not None and last not in columns and not (last == "tableoid" and target.has_tableoid):
            return True
    return False


def narrow_guards(draft: Draft) -> None:
    """Leaves out of each guard the columns that no name in the statement can mean: less to parse and to plan."""
    joins = [node for kind, node in nodes_of(draft.statement.tree) if kind == "JoinExpr"]
    if any(join.get("isNatural") for join in joins):
        return
    names = {name for reference in draft.facts.references for name in reference.names}
    names |= {name for join in joins for name in strings_of(join.get("usingClause"))}
    for target in draft.targets:
        if target.relation is not None and not _is_used_whole(draft, target):
            target.needed = frozenset(column.name for column in target.visible_columns if column.name in names)


def _is_used_whole(draft: Draft, target: Target) -> bool:
    # The alias of a join means all columns of all that it joins, and may rename them by position.
    if target.item.column_aliases or any("alias" in join for join in target.use.joins):
        return True
    if is_used_as_row(draft, target):
        return True
    return any(
        reference.names[-1] is None
        and (
            reference.names[-2] == target.item.alias
            if len(reference.names) > 1
            else reference.block is target.use.block
        )
        for reference in draft.facts.references
    )
