"""The types of a client's expressions, as far as a statement's text and the snapshot tell them for sure.

A type is a name of pg_type.typname, `ENUM` for any enum; None wherever there is a doubt. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from policies.compile.draft import Draft
from policies.compile.function_table import signatures
from policies.compile.operator_table import ENUM, SAFE_TYPE_NAMES, SAFE_TYPES, operators
from policies.compile.scope import Block, FromItem, Reference
from policies.compile.tree import Tree, node_kind, strings_of

_ABSENT = ""


class ExpressionTypes:
    """Reads the types of one draft's expressions, before guards stand in its tree."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._by_node: dict[int, Reference] = {}

    def type_of(self, node: Any) -> str | None:
        kind = node_kind(node)
        fields: Tree = node[kind] if kind is not None else {}
        match kind:
            case "ColumnRef":
                return self._column_type(self._reference(fields))
            case "TypeCast":
                return cast_target(fields)
            case "A_Expr" if fields.get("kind") == "AEXPR_OP":
                return self._operator_type(fields)
            case "FuncCall":
                return self._function_type(fields)
            case "CoalesceExpr":
                return _only({self.type_of(one) for one in fields.get("args", ())})
        return None

    def _reference(self, fields: Tree) -> Reference | None:
        if not self._by_node:
            self._by_node.update({id(reference.node): reference for reference in self._draft.facts.references})
        return self._by_node.get(id(fields))

    def operand_types(self, node: Tree) -> tuple[str | None, str | None]:
        """Those of an A_Expr's fields; "" where it has no such operand."""
        left, right = node.get("lexpr"), node.get("rexpr")
        return (_ABSENT if left is None else self.type_of(left)), (_ABSENT if right is None else self.type_of(right))

    def _operator_type(self, node: Tree) -> str | None:
        found = operators(strings_of(node.get("name"))[-1], *self.operand_types(node))
        result = _only({one.result for one in found})
        return result if result in SAFE_TYPE_NAMES else None

    def _function_type(self, node: Tree) -> str | None:
        names = strings_of(node["funcname"])
        if names[:-1] not in ((), ("pg_catalog",)) or names[-1] in self._draft.catalog.user_functions:
            return None
        found = signatures(names[-1], len(node.get("args") or ()))
        return _only({one.results[0] for one in found if not SAFE_TYPE_NAMES.isdisjoint(one.arguments)})

    def _column_type(self, reference: Reference | None) -> str | None:
        if reference is None or reference.names[-1] is None:
            return None
        name, block = reference.names[-1], reference.block
        if len(reference.names) > 1:
            item = self._draft.find_qualified(block, reference.names[-2] or "")
            return self._item_type(item, name) or None if item is not None else None
        while block is not None:
            found = self._types_in(block, name)
            if found:
                return _only(found)
            block = block.parent
        return None

    def _types_in(self, block: Block, name: str) -> set[str | None]:
        return {found for item in block.items if (found := self._item_type(item, name)) != _ABSENT}

    def _item_type(self, item: FromItem, name: str) -> str | None:
        """`_ABSENT` when it certainly has no such column, None when nobody knows."""
        target = self._draft.target_of(item)
        if target is None or target.relation is None or item.column_aliases:
            return None
        for column in target.visible_columns:
            if column.name == name:
                is_plain_enum = column.is_enum and not self._has_code(column.type_oid)
                return ENUM if is_plain_enum else SAFE_TYPES.get(column.type_oid)
        return _ABSENT

    def _has_code(self, oid: int) -> bool:
        catalog = self._draft.catalog
        return oid in catalog.cast_types or catalog.type_names.get(oid, ("", ""))[1] in catalog.type_functions


def cast_target(cast: Tree) -> str | None:
    """The built-in scalar type that a TypeCast's fields name; None for others, for arrays and for lengths that fail."""
    name = cast.get("typeName", {})
    words = strings_of(name.get("names"))
    if name.get("arrayBounds") or name.get("setof") or words[:-1] not in ((), ("pg_catalog",)) or not words:
        return None
    is_plain = not name.get("typmods") or words[-1] in ("varchar", "bpchar")
    return words[-1] if is_plain and words[-1] in SAFE_TYPE_NAMES else None


def _only(found: Iterable[str | None]) -> str | None:
    listed = set(found)
    return listed.pop() if len(listed) == 1 else None
