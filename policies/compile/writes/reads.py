"""What a write may not read or assign of its target: blocked columns, masked ones, and the row as a whole.

The target itself stands in the statement, not a guard, so every mention that could reach a raw value is refused, or
masked in RETURNING.
"""

from __future__ import annotations

from policies.compile.draft import Access, Draft, Target
from policies.compile.facts import Reference, Write
from policies.compile.tree import contains, is_node
from policies.compile.writes.changes import assignments_of
from policies.compile.writes.meaning import SYSTEM_COLUMNS, Meant, meaning_of
from policies.compile.writes.targets import target_of


def check_writes(draft: Draft) -> None:
    """Raises Refused for the first assignment or reference that isn't allowed."""
    for write in draft.facts.writes:
        target = target_of(draft, write)
        if target.access is Access.GUARDED:
            _check_cursor(draft, write, target)
            _check_assignments(draft, write, target)
            for reference in draft.facts.references:
                meant = meaning_of(draft, write, reference)
                if meant is not None:
                    _check_reference(draft, write, target, reference, meant)


def _check_cursor(draft: Draft, write: Write, target: Target) -> None:
    """The cursor's own row was found under a guard, which is no scan of the table that the server could use."""
    if contains(write.node.get("whereClause"), "CurrentOfExpr"):
        raise draft.refuse(
            "0A000",
            "pgwarden/writes",
            f"WHERE CURRENT OF can't be guarded for {target.schema}.{target.name}",
            at=write.use.location,
            hint="Name the row by its key.",
        )


def _check_assignments(draft: Draft, write: Write, target: Target) -> None:
    assert target.rule is not None
    for element in write.node.get("onConflictClause", {}).get("infer", {}).get("indexElems") or ():
        if element["IndexElem"].get("name") in target.rule.blocked:
            raise _blocked(draft, target, element["IndexElem"]["name"], write.use.location)
    for node, is_old_row in assignments_of(write):
        name, at = node.get("name", ""), node.get("location", -1)
        if name in target.rule.blocked:
            raise _blocked(draft, target, name, at)
        if name in target.rule.masks and is_old_row and node.get("indirection"):
            # An element is put into the value that is there, and may fail on what that value is.
            raise _masked(draft, target, name, at, "an element of it can't be assigned")


def _check_reference(draft: Draft, write: Write, target: Target, reference: Reference, meant: Meant) -> None:
    assert target.rule is not None
    assert target.relation is not None
    name = reference.names[-1]
    if name is not None and name in target.rule.blocked:
        raise _blocked(draft, target, name, reference.location)
    if name is not None and name in target.rule.masks:
        if not (is_masked_in_place(reference, meant) or _is_no_read(write, meant, name)):
            raise _masked(draft, target, name, reference.location, "it can be assigned, not read")
    elif name in SYSTEM_COLUMNS:
        _check_system_column(draft, write, target, reference, meant)
    elif name is None or target.relation.column(name) is None:
        _check_whole_row(draft, target, reference, meant)


def is_masked_in_place(reference: Reference, meant: Meant) -> bool:
    """RETURNING shows masked values: the reference itself is replaced."""
    return meant.clause == "returningClause" and meant.is_sure


def _is_no_read(write: Write, meant: Meant, name: str) -> bool:
    """The columns of ON CONFLICT choose an index; ``excluded`` has what the client has just given."""
    return meant.clause == "infer" or (meant.item.version == "excluded" and _is_given(write, name))


def _is_given(write: Write, name: str) -> bool:
    """Whether every row of the INSERT has a value of the client's for the column, none of the server's default."""
    columns = [column["ResTarget"].get("name") for column in write.node.get("cols") or ()]
    source = write.node.get("selectStmt", {}).get("SelectStmt", {})
    if name not in columns:
        return False
    index = columns.index(name)
    rows = [row["List"]["items"] for row in source.get("valuesLists") or ()]
    return all(index < len(row) and not is_node(row[index], "SetToDefault") for row in rows)


def _check_system_column(draft: Draft, write: Write, target: Target, reference: Reference, meant: Meant) -> None:
    """They don't exist behind a guard either: ctid counts hidden rows, xmin tells when others wrote.

    Harmless are the table's own name, and xmax of a row that was just inserted: the usual question whether ON CONFLICT
    has updated it.
    """
    name = reference.names[-1]
    is_own_insert = write.kind == "InsertStmt" and meant.clause == "returningClause" and not meant.item.version
    if name == "tableoid" or (name == "xmax" and is_own_insert):
        return
    raise draft.refuse(
        "42501",
        "pgwarden/writes",
        f"system column {name} of {target.schema}.{target.name} is not readable under its rules",
        at=reference.location,
        hint="Name rows by their key.",
    )


def _check_whole_row(draft: Draft, target: Target, reference: Reference, meant: Meant) -> None:
    """The row as a value holds raw columns; so does the argument of a function in attribute notation."""
    assert target.rule is not None
    is_list = meant.is_direct and reference.is_plain_target and meant.clause == "returningClause"
    if reference.names[-1] is None and is_list:
        return
    hidden = (*target.rule.blocked.values(), *(mask.rule for mask in target.rule.masks.values()))
    if hidden:
        raise draft.refuse(
            "42501",
            hidden[0],
            f"the whole row of {target.schema}.{target.name} can't be read here: some of its columns are protected",
            at=reference.location,
            hint="Name the columns one by one.",
        )


def _blocked(draft: Draft, target: Target, name: str, at: int) -> Exception:
    assert target.rule is not None
    return draft.refuse(
        "42501",
        target.rule.blocked[name],
        f"column {target.schema}.{target.name}.{name} is blocked for {draft.policy.principal.user}",
        at=at,
        hint="Leave the column out.",
    )


def _masked(draft: Draft, target: Target, name: str, at: int, what: str) -> Exception:
    assert target.rule is not None
    return draft.refuse(
        "42501",
        target.rule.masks[name].rule,
        f"column {target.schema}.{target.name}.{name} is masked for {draft.policy.principal.user}: {what}",
        at=at,
        hint="Give its new value as a literal or a parameter, and find rows by other columns.",
    )
