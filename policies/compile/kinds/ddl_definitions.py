"""What the definition of a table is made of: its columns, constraints and bounds, read against an allow-list of forms.

It collects the expressions and the relations that a definition names; `ddl_rules` judges them. A form that isn't
here is refused: nothing of a definition passes unread.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from policies.compile.scope import UnknownNode
from policies.compile.tree import Tree, node_kind, strings_of


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


class Role(Enum):
    """Why a definition names a relation."""

    REFERENCED = auto()
    PARENT = auto()
    PATTERN = auto()  # LIKE


@dataclass(slots=True)
class Definition:
    """`expressions`: (holder, key) of each; `relations`: RangeVar fields, their role and the node that names them."""

    expressions: list[tuple[Any, Any]] = field(default_factory=list)
    relations: list[tuple[Tree, Role, Tree]] = field(default_factory=list)
    types: list[Tree] = field(default_factory=list)  # TypeName's fields


_TABLE = _words(
    """relation tableElts inhRelations partbound partspec constraints options oncommit tablespacename accessMethod
    if_not_exists nnconstraints"""
)
_COLUMN = _words(
    """colname typeName is_local is_not_null constraints location collClause compression storage_name raw_default
    inhcount"""
)
_CONSTRAINT = _words(
    """contype conname location is_enforced initially_valid deferrable initdeferred skip_validation is_no_inherit keys
    including options indexname indexspace nulls_not_distinct generated_when generated_kind raw_expr fk_attrs pk_attrs
    fk_matchtype fk_upd_action fk_del_action fk_del_set_cols pktable fk_with_period pk_with_period without_overlaps"""
)
_CONSTRAINT_TYPES = _words(
    """CONSTR_NULL CONSTR_NOTNULL CONSTR_DEFAULT CONSTR_IDENTITY CONSTR_GENERATED CONSTR_CHECK CONSTR_PRIMARY
    CONSTR_UNIQUE CONSTR_FOREIGN CONSTR_ATTR_DEFERRABLE CONSTR_ATTR_NOT_DEFERRABLE CONSTR_ATTR_DEFERRED
    CONSTR_ATTR_IMMEDIATE CONSTR_ATTR_ENFORCED CONSTR_ATTR_NOT_ENFORCED"""
)
_INDEX_PART = _words("name expr collation opclass ordering nulls_ordering location opclassopts indexcolname")
_BOUND = _words("strategy is_default modulus remainder listdatums lowerdatums upperdatums location")
# A sequence's options that say numbers only; OWNED BY and SEQUENCE NAME reach for other objects.
SEQUENCE_OPTIONS = _words("as increment minvalue maxvalue start restart cache cycle")


def read_table(tree: Tree) -> Definition:
    """CreateStmt's fields. Raises UnknownNode."""
    _require_fields(tree, _TABLE, "CREATE TABLE")
    found = Definition()
    for element in tree.get("tableElts", ()):
        _element(found, element)
    for parent in tree.get("inhRelations", ()):
        found.relations.append((parent["RangeVar"], Role.PARENT, tree))
    if "partspec" in tree:
        read_key(found, tree["partspec"].get("partParams", ()), "PartitionElem")
    if "partbound" in tree:
        _require_fields(tree["partbound"], _BOUND, "partition bounds")
        bound = tree["partbound"]
        found.expressions += [(bound, key) for key in ("listdatums", "lowerdatums", "upperdatums") if key in bound]
    return found


def _element(found: Definition, element: Tree) -> None:
    kind = node_kind(element)
    match kind:
        case "ColumnDef":
            read_column(found, element[kind])
        case "Constraint":
            read_constraint(found, element[kind])
        case "TableLikeClause":
            found.relations.append((element[kind]["relation"], Role.PATTERN, element[kind]))
        case _:
            raise UnknownNode(kind or "a table element", -1)


def read_column(found: Definition, column: Tree) -> None:
    """ColumnDef's fields; `raw_default` is ALTER TYPE's USING. Raises UnknownNode."""
    _require_fields(column, _COLUMN, "a column")
    _read_type(found, column)
    if "raw_default" in column:
        found.expressions.append((column, "raw_default"))
    for constraint in column.get("constraints", ()):
        read_constraint(found, constraint["Constraint"])


def _read_type(found: Definition, column: Tree) -> None:
    if "typeName" in column and column["typeName"].get("pct_type"):
        raise UnknownNode("%TYPE", column.get("location", -1))
    if "typeName" in column:
        found.types.append(column["typeName"])
    if "typmods" in column.get("typeName", {}):
        found.expressions.append((column["typeName"], "typmods"))


def read_constraint(found: Definition, constraint: Tree) -> None:
    """Constraint's fields. Raises UnknownNode."""
    _require_fields(constraint, _CONSTRAINT, "a constraint")
    if constraint.get("contype") not in _CONSTRAINT_TYPES:
        kind = str(constraint.get("contype", "")).removeprefix("CONSTR_").lower()
        raise UnknownNode(f"a constraint ({kind})", constraint.get("location", -1))
    if "raw_expr" in constraint:
        found.expressions.append((constraint, "raw_expr"))
    if constraint["contype"] == "CONSTR_IDENTITY":
        require_sequence_options(constraint.get("options", ()))
    if "pktable" in constraint:
        found.relations.append((constraint["pktable"], Role.REFERENCED, constraint))


def require_sequence_options(options: Iterable[Tree]) -> None:
    """Raises UnknownNode for an option that reaches for another object."""
    for option in options:
        node = option["DefElem"]
        name = node.get("defname", "")
        if name == "owned_by" and strings_of(node["arg"]["List"]["items"]) == ("none",):
            continue
        if name not in SEQUENCE_OPTIONS:
            raise UnknownNode(f"a sequence's {name.replace('_', ' ')}", node.get("location", -1))


def read_key(found: Definition, parts: Iterable[Tree], kind: str = "IndexElem") -> None:
    """Columns and expressions of an index or a partition key. Raises UnknownNode."""
    for part in parts:
        node = part[kind]
        _require_fields(node, _INDEX_PART, "an index column")
        if "expr" in node:
            found.expressions.append((node, "expr"))
        if len(names := strings_of(node.get("opclass"))) > 1 and names[0] != "pg_catalog":
            raise UnknownNode("an operator class of a schema", node.get("location", -1))


def _require_fields(node: Tree, known: frozenset[str], what: str) -> None:
    for name in node:
        if name not in known:
            raise UnknownNode(f"{what} with {name}", node.get("location", -1))
