"""INSERT without a list of columns means all of them: on a table with blocked columns, all that are left."""

from __future__ import annotations

from policies.compile.draft import Draft, Splice, Target
from policies.compile.facts import Block, Write
from policies.compile.guards import quote
from policies.compile.tree import Tree, is_node, string_of


def list_columns(draft: Draft, write: Write, target: Target) -> None:
    """Names the visible columns that an INSERT or a MERGE's INSERT leaves unnamed. Raises Refused where it can't."""
    if not target.rule or not target.rule.blocked:
        return
    if write.kind == "MergeStmt":
        _require_named(draft, write, target)
    elif write.kind == "InsertStmt" and "cols" not in write.node and "selectStmt" in write.node:
        _list(draft, write, target)


def _require_named(draft: Draft, write: Write, target: Target) -> None:
    for clause in write.node.get("mergeWhenClauses") or ():
        when = clause["MergeWhenClause"]
        if when.get("commandType") == "CMD_INSERT" and when.get("values") and not when.get("targetList"):
            raise _unnamed(draft, write, target)


def _list(draft: Draft, write: Write, target: Target) -> None:
    """As many columns as there are values: the server takes fewer values than columns only without a list."""
    width = _width(draft, write.node["selectStmt"]["SelectStmt"])
    if width is None:
        raise _unnamed(draft, write, target)
    names = [column.name for column in target.visible_columns][:width]
    at = draft.tokens[_last_of_name(draft, write)].end
    draft.splices.append(Splice(at, at, f" ({', '.join(map(quote, names))})"))
    write.node["cols"] = [{"ResTarget": {"name": name}} for name in names]


def _last_of_name(draft: Draft, write: Write) -> int:
    node = write.node["relation"]
    last = draft.token_at(write.use.location)
    while draft.tokens[last + 1].word == ".":
        last += 2
    return last + 2 * ("alias" in node)


def _width(draft: Draft, select: Tree) -> int | None:
    """How many columns a query has, None when a star in it stands for an unknown number."""
    while select.get("op", "SETOP_NONE") != "SETOP_NONE":
        select = select["larg"]
    if select.get("valuesLists"):
        return len(select["valuesLists"][0]["List"]["items"])
    widths = [_target_width(draft, select, target["ResTarget"].get("val")) for target in select.get("targetList") or ()]
    return None if None in widths else sum(filter(None, widths))


def _target_width(draft: Draft, select: Tree, value: Tree) -> int | None:
    if is_node(value, "A_Indirection"):
        return None if is_node(value["A_Indirection"]["indirection"][-1], "A_Star") else 1
    if not is_node(value, "ColumnRef") or not is_node(value["ColumnRef"]["fields"][-1], "A_Star"):
        return 1
    block = next((one for one in draft.facts.blocks if one.node is select), None)
    fields = value["ColumnRef"]["fields"]
    return _star_width(draft, block, string_of(fields[-2]) if len(fields) > 1 else None) if block else None


def _star_width(draft: Draft, block: Block, alias: str | None) -> int | None:
    """Only plain relations side by side: USING merges columns, and other FROM items have columns of their own."""
    items = [item for item in block.items if alias is None or item.alias == alias]
    targets = [draft.target_of(item) for item in items]
    if not items or any(target is None or target.relation is None for target in targets):
        return None
    return sum(len(target.visible_columns) for target in targets if target)


def _unnamed(draft: Draft, write: Write, target: Target) -> Exception:
    return draft.refuse(
        "0A000",
        "pgwarden/writes",
        f"the columns of {target.schema}.{target.name} must be named here: some of them are blocked",
        at=write.use.location,
        hint="List the columns in the INSERT.",
    )
