"""An operator's filters and masks, written over the columns of a write's target under the alias that it has there.

In a guard the operator's names stand alone with the table's columns; beside a client's FROM items they must be bound:
each is qualified, and an expression with a subquery inside gets a FROM of its own, so that no alias of the client's
can catch a name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from policies.compile.draft import Draft, Target
from policies.compile.guards import quote
from policies.compile.parse import ParseError, parse, scan
from policies.compile.scope import Facts, UnknownNode, read_select
from policies.compile.tree import Tree, contains, nodes_of, string_of, strings_of, without_places
from policies.compile.writes.meaning import SYSTEM_COLUMNS
from policies.expressions import ExpressionError, bind_expression
from policies.masks import MaskError, sql_form

_SELECT = "SELECT "


@dataclass(frozen=True, slots=True)
class Lent:
    """An expression of ours that stands in a client's statement: its text and its tree without places."""

    text: str
    tree: Any


class UnboundError(Exception):
    """The expression reaches for something that can't be bound to the target's alias."""


def row_filter(draft: Draft, target: Target, alias: str) -> Lent | None:
    """What a row must satisfy to be there for the client; None when every row is. Raises Refused."""
    if not target.rule or not target.rule.filters:
        return None
    try:
        parts = [_bound(draft, target, alias, text) for text in own_filters(draft, target)]
    except (ExpressionError, UnboundError) as error:
        raise _unusable(draft, target, error) from None
    text = " AND ".join(f"({part})" for part in parts)
    return lent(draft, text)


def mask_of(draft: Draft, target: Target, name: str, alias: str) -> Lent:
    """The masked value of a column. Raises Refused."""
    assert target.rule is not None
    assert target.relation is not None
    column = target.relation.column(name)
    assert column is not None
    rule = target.rule.masks[name]
    attributes = draft.policy.principal.attributes
    try:
        sql = sql_form(rule.mask, column.type_oid, column.type_name, quote(name), attributes)
        return lent(draft, _bound(draft, target, alias, sql))
    except (ExpressionError, MaskError, UnboundError) as error:
        raise _unusable(draft, target, error) from None


def lent(draft: Draft, text: str) -> Lent:
    """An expression of ours; the queries inside it are remembered as ours for `verify`."""
    tree = value_of(text)
    draft.lent_queries += [node for kind, node in nodes_of(tree) if kind == "SubLink"]
    return Lent(text, tree)


def _unusable(draft: Draft, target: Target, error: Exception) -> Exception:
    return draft.refuse(
        "42501",
        next(iter(target.rule.filters)).rule if target.rule and target.rule.filters else "pgwarden/guard",
        f"the rules for {target.schema}.{target.name} can't be applied to {draft.policy.principal.user}: {error}",
        at=target.use.location,
    )


def filter_columns(draft: Draft, target: Target) -> frozenset[str]:
    """All names that the target's filters mention: the columns that decide about a row are among them."""
    return frozenset(name for text in own_filters(draft, target) for name in _names_in(value_of(text)))


def own_filters(draft: Draft, target: Target) -> list[str]:
    """The target's filters with the principal's attributes in them. Raises ExpressionError."""
    rules = target.rule.filters if target.rule else ()
    return [bind_expression(rule.expression, draft.policy.principal.attributes, None) for rule in rules]


def _names_in(tree: Any) -> set[str]:
    """All parts of all column references."""
    return {name for kind, node in nodes_of(tree) if kind == "ColumnRef" for name in strings_of(node["fields"])}


# One policy's expressions come in statement after statement. Nothing edits such a tree, so it can be shared.
@lru_cache(maxsize=512)
def value_of(text: str) -> Any:
    """The tree of one expression. Raises UnboundError when the text isn't one closed expression."""
    try:
        statements = parse(_SELECT + text)
    except ParseError:
        raise UnboundError("it isn't an expression") from None
    if len(statements) != 1 or statements[0].kind != "SelectStmt":
        raise UnboundError("it isn't one expression")
    tree = statements[0].tree
    targets = tree.get("targetList", [])
    if (
        len(targets) != 1
        or not set(tree) <= {"targetList", "limitOption", "op"}
        or set(targets[0]["ResTarget"])
        - {
            "val",
            "location",
        }
    ):
        raise UnboundError("it isn't one expression")
    return without_places(targets[0]["ResTarget"]["val"])


def _bound(draft: Draft, target: Target, alias: str, expression: str) -> str:
    assert target.relation is not None
    columns = tuple(column.name for column in target.relation.columns)
    tree = value_of(expression)
    if not contains(tree, "SubLink"):
        return _qualified(expression, target.name, columns, alias)
    _check_inside(draft, target, expression, set(columns))
    used = _names_in(tree)
    listed = ", ".join(f"{quote(alias)}.{quote(name)}" for name in columns if name in used)
    # Every part is quoted or the operator's own, which was just read as one expression.
    return f"(SELECT {expression} FROM (SELECT {listed}) AS {quote(target.name)})"  # noqa: S608


@lru_cache(maxsize=512)
def _qualified(expression: str, table: str, columns: tuple[str, ...], alias: str) -> str:
    """Every column reference as ``"alias"."column"``."""
    text = (_SELECT + expression).encode()
    tokens = scan(text.decode())
    index_at = {token.start: index for index, token in enumerate(tokens)}
    (statement,) = parse(text.decode())
    parts: list[bytes] = []
    done = len(_SELECT)
    found = [node for kind, node in nodes_of(statement.tree) if kind == "ColumnRef"]
    for node in sorted(found, key=lambda one: int(one.get("location", 0))):
        first = index_at[node.get("location", 0)]
        last = first + 2 * (len(node["fields"]) - 1)
        parts += (text[done : tokens[first].start], _reference(node, table, columns, alias).encode())
        done = tokens[last].end
    return b"".join((*parts, text[done:])).decode()


def _reference(node: Tree, table: str, columns: tuple[str, ...], alias: str) -> str:
    names = [string_of(field) for field in node["fields"]]
    name = names[-1]
    if name is None or (name not in columns and name not in SYSTEM_COLUMNS):
        raise UnboundError(f"{table} has no column {name}" if name else "it uses the row as a whole")
    if len(names) > 1 and names[-2] != table:
        raise UnboundError(f"{names[-2]} isn't {table}")
    return f"{quote(alias)}.{quote(name)}"


def _check_inside(draft: Draft, target: Target, expression: str, columns: set[str]) -> None:
    """No name may be left over that a client's FROM item could catch, and no relation that a client's CTE could be."""
    (statement,) = parse(f"{_SELECT}{expression} FROM {quote(target.schema)}.{quote(target.name)}")
    try:
        facts = read_select(statement.tree)
    except UnknownNode as unknown:
        raise UnboundError(f"it uses {unknown.kind}") from None
    if any("schemaname" not in use.node for use in facts.relations):
        raise UnboundError("it names a table without its schema")
    aliases = {item.alias for block in facts.blocks for item in block.items}
    known = columns | aliases | _inner_names(draft, facts, statement.tree)
    for reference in facts.references:
        first, last = reference.names[0], reference.names[-1]
        is_known = first in known if len(reference.names) == 1 else reference.names[-2] in aliases
        if not is_known and last is not None:
            raise UnboundError(f"{last} is no column of what it reads")


def _inner_names(draft: Draft, facts: Facts, tree: Tree) -> set[str]:
    """Columns that the relations and FROM items of its subqueries have."""
    names: set[str] = set()
    for use in facts.relations:
        relation = draft.catalog.find(use.node["schemaname"], use.node["relname"])
        names.update(column.name for column in (relation.columns if relation else ()))
    for block in facts.blocks:
        for item in block.items:
            names.update(item.column_aliases)
    names.update(node["name"] for kind, node in nodes_of(tree) if kind == "ResTarget" and "name" in node)
    return names
