"""Which catalog's column a reference certainly is: through aliases, subqueries and WITH, never by a guess.

A number out of a guarded catalog is of something that the principal may see; of other numbers nobody knows that.
"""

from __future__ import annotations

from typing import Any

from policies.compile.draft import Access, Draft, Target
from policies.compile.scope import Block, FromItem, Reference
from policies.compile.tree import Tree, is_node, node_kind, nodes_of, string_of, strings_of
from policies.model import Statement

# Columns of the catalogs that hold numbers of objects, none of which a client can choose.
_NUMBERS = frozenset(
    """
    adrelid aggfnoid amproc attcollation attrelid atttypid castfunc castsource casttarget classid classoid collnamespace
    conindid connamespace conparentid confrelid conrelid contypid datid datoid dbid enumtypid ev_class evtfoid
    extnamespace ftrelid indcollation indexrelid indrelid inhparent inhrelid objid objoid oid opcintype opckeytype
    opcnamespace oprcode oprleft oprresult oprright parameter_types partdefid partrelid polrelid proallargtypes
    proargtypes pronamespace prorettype provariadic prrelid refclassid refobjid relam relation relid relnamespace
    reloftype relrewrite reltoastrelid reltype result_types rngmultitypid rngsubtype rngtypid seqrelid seqtypid srrelid
    stxnamespace stxrelid tableoid tgconstrindid tgconstrrelid tgfoid tgparentid tgrelid trftype typarray typbasetype
    typcollation typelem typnamespace typrelid
    """.split()  # noqa: SIM905
)
# Names of relations: who makes temporary tables chooses some.
_NAMES = frozenset({"relname", "tablename", "viewname", "matviewname", "sequencename", "indexname"})
_MAKERS = frozenset({Statement.TEMP_TABLES, Statement.DDL, Statement.ALL})
_NUMBERED_FIRST = frozenset({"pg_class", "pg_type"})


class ColumnOrigins:
    """Reads one draft's references, by the identity of their nodes."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._by_node: dict[int, Reference] = {}
        self._assumed: set[tuple[int, int]] = set()  # outputs under reading: a recursive query may put out its own

    def catalog_column(self, node: Any) -> tuple[str, str] | None:
        """(catalog, column) for a ColumnRef of a table of pg_catalog itself, or of a query's that puts it out."""
        reference, item = self._found(node)
        if reference is None or item is None or item.column_aliases:
            return None
        name = str(reference.names[-1])
        target = self._draft.target_of(item)
        if target is not None:
            return (target.name, name) if _is_catalog(target) else None
        if item.kind != "subquery":
            return None
        inner: Tree = item.node["subquery"]["SelectStmt"]
        named = [one for one in _targets(inner) if _name_of(one) == name]
        return self.catalog_column(named[0].get("val")) if len(named) == 1 and not _is_set_operation(inner) else None

    def is_of_catalogs(self, node: Any) -> bool:
        """Whether a value, where it isn't NULL, stands in a row of a guarded catalog, whichever way it came."""
        kind = node_kind(node)
        fields: Tree = node[kind] if kind is not None else {}
        match kind:
            case "A_Const":
                return bool(fields.get("isnull"))
            case "TypeCast":
                return self.is_of_catalogs(fields.get("arg"))
            case "CaseExpr":
                results = [one["CaseWhen"].get("result") for one in fields.get("args", ())]
                results += [fields["defresult"]] if "defresult" in fields else []
                return all(map(self.is_of_catalogs, results))
            case "SubLink" if fields.get("subLinkType") == "EXPR_SUBLINK":
                inner: Tree = fields["subselect"]
                return is_node(inner, "SelectStmt") and self._is_output_of(inner["SelectStmt"], 0)
            case "CoalesceExpr":
                return all(map(self.is_of_catalogs, fields.get("args", ())))
        reference, item = self._found(node)
        if reference is None:
            return False
        name = str(reference.names[-1])
        if len(reference.names) == 1 and not self._is_of_own_block(reference, item):
            return False
        if item is None and len(reference.names) == 1 and reference.block is not None:
            is_known = bool(reference.block.items) and self._is_number(name)
            return is_known and all(map(self._holds_catalogs, reference.block.items))
        return item is not None and self._is_item_of(item, name)

    def _is_of_own_block(self, reference: Reference, item: FromItem | None) -> bool:
        """A catalog may lack the column: the name is then one of a query around, which must read catalogs only."""
        if item is not None and self._draft.target_of(item) is None and _lists(item, str(reference.names[-1])):
            return True
        block = reference.block.parent if reference.block is not None else None
        while block is not None:
            if not all(map(self._holds_catalogs, block.items)):
                return False
            block = block.parent
        return True

    def _is_number(self, name: str) -> bool:
        return name in _NUMBERS or (name in _NAMES and self._draft.policy.statements.isdisjoint(_MAKERS))

    def is_own_oid(self, node: Any) -> bool:
        """``tableoid`` of tables, not of a query or view that calls something so."""
        reference, item = self._found(node)
        if reference is None or reference.names[-1] != "tableoid" or reference.block is None:
            return False
        items = [item] if len(reference.names) > 1 else list(reference.block.items)
        targets = [self._draft.target_of(one) for one in items if one is not None and one.kind != "join"]
        return (
            bool(targets) and all(map(_has_tableoid, targets)) and not any(one and one.column_aliases for one in items)
        )

    def _holds_catalogs(self, item: FromItem) -> bool:
        """Whichever of a block's sources an unqualified name means; psql joins a constraint's table's ancestors."""
        target = self._draft.target_of(item)
        if target is not None:
            return _is_catalog(target) and not item.column_aliases
        if item.kind == "join":  # its sides stand in the block, too
            return True
        called = [strings_of(call["funcname"])[-1] for kind, call in nodes_of(item.node) if kind == "FuncCall"]
        return item.kind == "function" and called == ["pg_partition_ancestors"]

    def _found(self, node: Any) -> tuple[Reference | None, FromItem | None]:
        """Unqualified, only where its own block has a single source: others may have a column of that name too."""
        if not is_node(node, "ColumnRef"):
            return None, None
        if not self._by_node:
            self._by_node.update({id(reference.node): reference for reference in self._draft.facts.references})
        reference = self._by_node.get(id(node["ColumnRef"]))
        if reference is None or reference.names[-1] is None:
            return None, None
        if len(reference.names) > 1:
            return reference, self._draft.find_qualified(reference.block, reference.names[-2] or "")
        block = reference.block
        return reference, block.items[0] if block is not None and len(block.items) == 1 else None

    def _is_item_of(self, item: FromItem, name: str) -> bool:
        target = self._draft.target_of(item)
        if target is not None:
            if item.column_aliases:
                is_first = name == item.column_aliases[0] and target.name in _NUMBERED_FIRST
                return _is_catalog(target) and is_first
            return _is_catalog(target) and self._is_number(name)
        names, query = item.column_aliases, item.node
        if item.kind == "subquery":
            query = item.node["subquery"]
        elif item.kind == "cte" and item.cte is not None:
            names, query = names or strings_of(item.cte.get("aliascolnames")), item.cte["ctequery"]
        if not is_node(query, "SelectStmt"):
            return False
        first: Tree = query["SelectStmt"]
        while _is_set_operation(first):
            first = first["larg"]
        listed = names or tuple(map(_name_of, _targets(first)))
        if list(listed).count(name) == 1:
            return self._is_output_of(query["SelectStmt"], listed.index(name))
        block = self._block_of(first)
        is_star = not names and list(map(_is_star, _targets(first))) == [True]
        is_star = is_star and not _is_set_operation(query["SelectStmt"])
        return is_star and block is not None and len(block.items) == 1 and self._is_item_of(block.items[0], name)

    def _is_output_of(self, select: Tree, position: int) -> bool:
        """Whether the values at this place of a query's rows are, in each of its branches."""
        if (id(select), position) in self._assumed:
            return True
        self._assumed.add((id(select), position))
        found = self._reads_output(select, position)
        if not found:
            self._assumed.discard((id(select), position))
        return found

    def _reads_output(self, select: Tree, position: int) -> bool:
        if _is_set_operation(select):
            return self._is_output_of(select["larg"], position) and self._is_output_of(select["rarg"], position)
        targets = _targets(select)
        if position >= len(targets) or any(map(_is_star, targets[: position + 1])):
            return False
        return self.is_of_catalogs(targets[position].get("val"))

    def _block_of(self, select: Tree) -> Block | None:
        return next((block for block in self._draft.facts.blocks if block.node is select), None)


def _lists(item: FromItem, name: str) -> bool:
    """Whether a query's outputs or its list of aliases certainly have the name."""
    names, query = item.column_aliases, item.node
    if item.kind == "subquery":
        query = item.node["subquery"]
    elif item.kind == "cte" and item.cte is not None:
        names, query = names or strings_of(item.cte.get("aliascolnames")), item.cte["ctequery"]
    if names or not is_node(query, "SelectStmt"):
        return name in names
    first: Tree = query["SelectStmt"]
    while _is_set_operation(first):
        first = first["larg"]
    return name in map(_name_of, _targets(first))


def _has_tableoid(target: Target | None) -> bool:
    return target is not None and (target.relation is None or target.relation.kind not in "vm")


def _is_catalog(target: Target) -> bool:
    is_system = target.relation is None and target.schema == "pg_catalog"
    return is_system and target.access is not Access.GUARDED and not target.has_unknown_columns


def _targets(select: Tree) -> list[Tree]:
    return [target["ResTarget"] for target in select.get("targetList", ())]


def _is_set_operation(select: Tree) -> bool:
    return bool(select.get("op", "SETOP_NONE") != "SETOP_NONE")


def _name_of(target: Tree) -> str:
    if "name" in target:
        return str(target["name"])
    value: Tree = target.get("val") or {}
    return (string_of(value["ColumnRef"]["fields"][-1]) or "") if is_node(value, "ColumnRef") else ""


def _is_star(target: Tree) -> bool:
    value: Tree = target.get("val") or {}
    return is_node(value, "ColumnRef") and is_node(value["ColumnRef"]["fields"][-1], "A_Star")
