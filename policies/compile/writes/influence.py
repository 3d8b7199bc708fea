"""Tables that the policy's own filters and masks read: who writes them could widen what the policy lets him see.

A filter such as ``order_id IN (SELECT id FROM shop.orders WHERE ...)`` would show hidden order items to somebody who
inserts an order with their key. Such writes are refused, but for those that provably change nothing: the expression
finds rows by a key that every row of the filtered table has in a foreign key, so a new key belongs to none of them; a
column that isn't named is assigned; or rows are deleted where the expression only asks whether there are some.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from policies.catalog import Relation
from policies.compile.draft import Draft, Target
from policies.compile.parse import ParseError, parse
from policies.compile.same_trees import is_same
from policies.compile.tree import Tree, contains, is_node, nodes_of, strings_of
from policies.compile.writes.changes import Change, change_of
from policies.compile.writes.expressions import UnboundError, own_filters, value_of
from policies.compile.writes.targets import target_of
from policies.expressions import bind_expression
from policies.model import RuleId

_NOT_MONOTONE = frozenset({"ALL_SUBLINK", "EXPR_SUBLINK", "ARRAY_SUBLINK", "ROWCOMPARE_SUBLINK"})


@dataclass(frozen=True, slots=True)
class _Reader:
    """An expression of the policy over a table of its own. `is_filter`: it isn't a mask."""

    schema: str
    table: str
    tree: Any
    rule: RuleId
    is_filter: bool


def check_influences(draft: Draft) -> None:
    """For every write of the statement."""
    for write in draft.facts.writes:
        target = target_of(draft, write)
        check_influence(draft, target, change_of(write, target))


def check_influence(draft: Draft, target: Target, change: Change) -> None:
    """Raises Refused for a change that may alter what a filter or a mask of this policy finds."""
    if target.relation is None:
        return
    behind = [{"schemaname": target.schema, "relname": target.name}] if target.relation.kind == "v" else []
    written = _family(draft, target.relation) | {found.oid for found, _ in _relations_read(draft, behind)}
    for reader in _readers(draft):
        for read, is_direct in _relations_read(draft, _relations_in(reader.tree)):
            is_plain = is_direct and not behind
            if read.oid in written and not (is_plain and _is_harmless(draft, change, target, reader)):
                raise draft.refuse(
                    "42501",
                    reader.rule,
                    f"{target.schema}.{target.name} can't be written like this: "
                    f"a rule for {reader.schema}.{reader.table} reads it",
                    at=target.use.location,
                    hint=f"Let that rule read its own table's columns, or give {reader.schema}.{reader.table} "
                    f"a foreign key to the primary key of {target.schema}.{target.name}.",
                )


def rule_reading(draft: Draft, relation: Relation) -> RuleId | None:
    """The first rule of this policy whose expression reads the relation, by its own name, by a view or a partition."""
    family = _family(draft, relation)
    for reader in _readers(draft):
        if any(read.oid in family for read, _ in _relations_read(draft, _relations_in(reader.tree))):
            return reader.rule
    return None


def _family(draft: Draft, relation: Relation) -> set[int]:
    """The relation with its parents and children: a row of one is a row of the others."""
    found: set[int] = set()
    for step in ("parents", "children"):
        waiting = [relation.oid]
        while waiting:
            oid = waiting.pop()
            member = draft.catalog.by_oid.get(oid)
            if member is not None and (oid not in found or oid == relation.oid):
                found.add(oid)
                waiting.extend(one for one in getattr(member, step) if one not in found)
    return found


def _readers(draft: Draft) -> Iterator[_Reader]:
    attributes = draft.policy.principal.attributes
    for policy in draft.policy.policies:
        for row in filter(lambda one: _may_read(one.expression), policy.rows):
            bound = bind_expression(row.expression, attributes, None)
            yield from _reader(row.schema, row.table, bound, row.rule, is_filter=True)
        for mask in policy.masks:
            expression = mask.mask.get("expression")
            if isinstance(expression, str) and _may_read(expression):
                column = mask.column
                bound = bind_expression(expression, attributes, '"column"')
                yield from _reader(column.schema, column.table, bound, mask.rule, is_filter=False)


def _may_read(expression: str) -> bool:
    """Most expressions have no query in them, and needn't be parsed."""
    folded = expression.casefold()
    return "select" in folded or "table" in folded


def _reader(schema: str, table: str, text: str, rule: RuleId, *, is_filter: bool) -> Iterator[_Reader]:
    try:
        yield _Reader(schema, table, value_of(text), rule, is_filter)
    except UnboundError:
        return  # its own table can't be used at all then


def _relations_in(tree: Any) -> list[Tree]:
    return [node for kind, node in nodes_of(tree) if kind == "RangeVar"]


def _relations_read(draft: Draft, named: list[Tree]) -> Iterator[tuple[Relation, bool]]:
    """The relations that RangeVars name, and those behind views; whether it is named itself."""
    waiting = [(node, True) for node in named]
    seen: set[tuple[int, bool]] = set()
    while waiting:
        node, is_direct = waiting.pop()
        relation = draft.catalog.find(node.get("schemaname", ""), node["relname"])
        if relation is None or (relation.oid, is_direct) in seen:
            continue
        seen.add((relation.oid, is_direct))
        yield relation, is_direct
        waiting += [(inner, False) for inner in _read_by_view(relation)]


def _read_by_view(relation: Relation) -> list[Tree]:
    if not relation.view_definition:
        return []
    try:
        statements = parse(relation.view_definition)
    except ParseError:
        return []
    return [node for statement in statements for node in _relations_in(statement.tree)]


def _is_harmless(draft: Draft, change: Change, target: Target, reader: _Reader) -> bool:
    assert target.relation is not None
    if change.assigned and _reads_rows_whole(reader.tree):
        return False
    if change.assigned & _names_in(reader.tree) and not _is_kept(draft, change, target, reader):
        return False
    if change.inserts and not _is_anchored(target.relation, reader, draft.catalog.find(reader.schema, reader.table)):
        return False
    return not change.removes or (reader.is_filter and _only_asks_for_presence(reader.tree))


def _names_in(tree: Any) -> set[str]:
    return {name for kind, node in nodes_of(tree) if kind == "ColumnRef" for name in strings_of(node["fields"])}


def _reads_rows_whole(tree: Any) -> bool:
    """A star or an alias as a value; the star of EXISTS (SELECT * ...) is no reading."""
    stars = [node for kind, node in nodes_of(tree) if kind == "ColumnRef" and is_node(node["fields"][-1], "A_Star")]
    idle = [
        target
        for kind, node in nodes_of(tree)
        if kind == "SubLink" and node.get("subLinkType") == "EXISTS_SUBLINK"
        for target in node["subselect"]["SelectStmt"].get("targetList") or ()
        if contains(target, "A_Star")
    ]
    aliases = {
        node.get("alias", {}).get("aliasname", node["relname"]) for kind, node in nodes_of(tree) if kind == "RangeVar"
    }
    alone = {strings_of(node["fields"]) for kind, node in nodes_of(tree) if kind == "ColumnRef"}
    return len(stars) > len(idle) or any((alias,) in alone for alias in aliases)


def _only_asks_for_presence(tree: Any) -> bool:
    """Fewer rows can then only hide more: EXISTS and IN, joined by AND and OR."""
    for kind, node in nodes_of(tree):
        match kind:
            case "BoolExpr" if node.get("boolop") == "NOT_EXPR":
                return False
            case "SubLink" if node.get("subLinkType") in _NOT_MONOTONE or node.get("operName"):
                return False
            case "FuncCall" | "BooleanTest" | "NullTest" | "CaseExpr" | "CoalesceExpr":
                return False
            case "SelectStmt" if node.get("op", "SETOP_NONE") != "SETOP_NONE" or set(node) & {
                "groupClause",
                "havingClause",
                "limitCount",
                "limitOffset",
                "distinctClause",
            }:
                return False
            case "JoinExpr" if node.get("jointype") != "JOIN_INNER":
                return False
    return True


def _is_kept(draft: Draft, change: Change, target: Target, reader: _Reader) -> bool:
    """Whether what is assigned only stands in conditions that the target's own filter holds it to, before and after."""
    assert target.relation is not None
    read = target.relation
    own = [part for text in own_filters(draft, target) for part in _conjuncts(value_of(text))]
    queries = [node["subselect"]["SelectStmt"] for node in _outer_queries(reader.tree)]
    found = [(query, alias) for query in queries if (alias := _sole_source(query, read)) is not None]
    if len(found) != sum(_is_mention(node, read) for kind, node in nodes_of(reader.tree) if kind == "RangeVar"):
        return False
    for query, alias in found:
        rest = {clause: value for clause, value in query.items() if clause != "whereClause"}
        open_parts = [
            part
            for part in _conjuncts(query.get("whereClause"))
            if not any(is_same(_without(part, alias), _without(other, target.name)) for other in own)
        ]
        if change.assigned & _names_in([rest, *open_parts]):
            return False
    return True


def _conjuncts(condition: Any) -> list[Any]:
    is_and = is_node(condition, "BoolExpr") and condition["BoolExpr"].get("boolop") == "AND_EXPR"
    return list(condition["BoolExpr"]["args"]) if is_and else [condition]


def _without(value: Any, alias: str) -> Any:
    """A copy with ``alias.column`` as ``column``."""
    if is_node(value, "ColumnRef") and strings_of(value["ColumnRef"]["fields"])[:-1] == (alias,):
        return {"ColumnRef": {"fields": value["ColumnRef"]["fields"][-1:]}}
    if isinstance(value, dict):
        return {key: _without(entry, alias) for key, entry in value.items()}
    return [_without(entry, alias) for entry in value] if isinstance(value, list) else value


def _is_anchored(read: Relation, reader: _Reader, owner: Relation | None) -> bool:
    """Whether every mention of the table in the expression stands beside ``key = the filtered table's foreign key``."""
    if owner is None or (owner.children and owner.kind != "p") or read.children or read.parents:
        return False
    columns = _columns_with_key(owner, read)
    if columns is None:
        return False
    mentions = sum(_is_mention(node, read) for kind, node in nodes_of(reader.tree) if kind == "RangeVar")
    anchored = sum(
        _anchors(node["subselect"]["SelectStmt"], read, owner, columns) or _is_membership(node, read, owner, columns)
        for node in _outer_queries(reader.tree)
    )
    return 0 < mentions == anchored


def _outer_queries(value: Any) -> Iterator[Tree]:
    """The SubLinks that stand in no other query: names in them can only mean their own table or the filtered one."""
    if is_node(value, "SubLink"):
        yield value["SubLink"]
        yield from _outer_queries(value["SubLink"].get("testexpr"))
        return
    entries = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for entry in entries:
        yield from _outer_queries(entry)


def _columns_with_key(owner: Relation, read: Relation) -> tuple[str, str] | None:
    """(column of `owner`, key of `read`) of a foreign key to a primary key of one column."""
    for key in owner.foreign_keys:
        if key.referenced == read.oid and key.referenced_columns == read.primary_key and len(key.columns) == 1:
            return key.columns[0], read.primary_key[0]
    return None


def _is_mention(node: Tree, read: Relation) -> bool:
    return (node.get("schemaname"), node["relname"]) == (read.schema, read.name)


def _sole_source(select: Tree, read: Relation) -> str | None:
    """The alias of the table when a SELECT reads it and nothing else."""
    sources = select.get("fromClause") or []
    if len(sources) != 1 or not is_node(sources[0], "RangeVar") or not _is_mention(sources[0]["RangeVar"], read):
        return None
    alias = sources[0]["RangeVar"].get("alias", {})
    return None if alias.get("colnames") else str(alias.get("aliasname", read.name))


def _anchors(select: Tree, read: Relation, owner: Relation, columns: tuple[str, str]) -> bool:
    alias = _sole_source(select, read)
    if alias is None:
        return False
    return any(_equates(part, alias, read, owner, columns) for part in _conjuncts(select.get("whereClause")))


def _equates(part: Any, alias: str, read: Relation, owner: Relation, columns: tuple[str, str]) -> bool:
    if not is_node(part, "A_Expr") or part["A_Expr"].get("kind") != "AEXPR_OP":
        return False
    if strings_of(part["A_Expr"].get("name"))[-1:] != ("=",):
        return False
    sides = (part["A_Expr"].get("lexpr"), part["A_Expr"].get("rexpr"))
    return any(
        _is_key(one, alias, columns[1]) and _is_outer(other, alias, read, owner, columns[0])
        for one, other in (sides, sides[::-1])
    )


def _is_key(node: Any, alias: str, key: str) -> bool:
    names = strings_of(node["ColumnRef"]["fields"]) if is_node(node, "ColumnRef") else ()
    return names in ((key,), (alias, key))


def _is_outer(node: Any, alias: str, read: Relation, owner: Relation, column: str) -> bool:
    names = strings_of(node["ColumnRef"]["fields"]) if is_node(node, "ColumnRef") else ()
    if names == (column,):
        return read.column(column) is None
    return names == (owner.name, column) and alias != owner.name


def _is_membership(node: Tree, read: Relation, owner: Relation, columns: tuple[str, str]) -> bool:
    """``foreign_key IN (SELECT key FROM read ...)``"""
    if node.get("subLinkType") != "ANY_SUBLINK" or node.get("operName"):
        return False
    select = node["subselect"]["SelectStmt"]
    alias = _sole_source(select, read)
    targets = select.get("targetList") or []
    if alias is None or len(targets) != 1 or set(select) & {"groupClause", "limitCount", "limitOffset"}:
        return False
    tested = strings_of(node["testexpr"]["ColumnRef"]["fields"]) if is_node(node.get("testexpr"), "ColumnRef") else ()
    is_tested = tested in ((columns[0],), (owner.name, columns[0]))
    return is_tested and _is_key(targets[0]["ResTarget"].get("val"), alias, columns[1])
