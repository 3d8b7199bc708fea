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
from policies.compile.same_trees import without_places
from policies.compile.scope import FromItem, Reference, UnknownNode, read_select
from policies.compile.tree import Tree, nodes_of, string_of, strings_of
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
    draft.lent_queries += _queries_in(text)
    return Lent(text, value_of(text))


@lru_cache(maxsize=512)
def _queries_in(text: str) -> tuple[Tree, ...]:
    """The SubLinks of an expression."""
    return tuple(node for kind, node in nodes_of(value_of(text)) if kind == "SubLink")


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
    is_bare = len(targets) == 1 and set(tree) <= {"targetList", "limitOption", "op"}
    if not is_bare or not set(targets[0]["ResTarget"]) <= {"val", "location"}:
        raise UnboundError("it isn't one expression")
    return without_places(targets[0]["ResTarget"]["val"])


def _bound(draft: Draft, target: Target, alias: str, expression: str) -> str:
    assert target.relation is not None
    columns = tuple(column.name for column in target.relation.columns)
    if not _queries_in(expression):
        return _qualified(expression, target.name, columns, alias)
    problem = _problem(expression, target.schema, target.name, _tables_of(draft, target, expression))
    if problem:
        raise UnboundError(problem)
    return _apart(expression, target.name, columns, alias)


@lru_cache(maxsize=512)
def _apart(expression: str, table: str, columns: tuple[str, ...], alias: str) -> str:
    """The expression over a row of its own FROM."""
    used = _names_in(value_of(expression))
    listed = ", ".join(f"{quote(alias)}.{quote(name)}" for name in columns if name in used)
    # Every part is quoted or the operator's own, which was read as one expression.
    return f"(SELECT {expression} FROM (SELECT {listed}) AS {quote(table)})"  # noqa: S608


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


# The relations that an expression may read: schema, name, columns.
Tables = tuple[tuple[str, str, tuple[str, ...]], ...]


def _tables_of(draft: Draft, target: Target, expression: str) -> Tables:
    named = [*_relations_in(expression), (target.schema, target.name)]
    found = ((schema, name, draft.catalog.find(schema, name)) for schema, name in named)
    return tuple((schema, name, tuple(c.name for c in one.columns) if one else ()) for schema, name, one in found)


@lru_cache(maxsize=512)
def _relations_in(expression: str) -> tuple[tuple[str, str], ...]:
    found = [node for kind, node in nodes_of(value_of(expression)) if kind == "RangeVar"]
    return tuple((node.get("schemaname", ""), node["relname"]) for node in found)


@lru_cache(maxsize=512)
def _problem(expression: str, schema: str, table: str, tables: Tables) -> str:
    """Empty when no name is left over that a client's FROM item could catch, and no relation that its CTE could be."""
    (statement,) = parse(f"{_SELECT}{expression} FROM {quote(schema)}.{quote(table)}")
    try:
        facts = read_select(statement.tree)
    except UnknownNode as unknown:
        return f"it uses {unknown.kind}"
    if any("schemaname" not in use.node for use in facts.relations):
        return "it names a table without its schema"
    columns = {(schema, name): names for schema, name, names in tables}
    lost = (reference.names[-1] for reference in facts.references if not _is_bound(reference, columns))
    return next((f"{name} is no column of what it reads" for name in lost if name is not None), "")


def _is_bound(reference: Reference, columns: dict[tuple[str, str], tuple[str, ...]]) -> bool:
    """Whether a FROM item of the expression's own has the name, where the reference stands or further out."""
    block = reference.block
    while block is not None:
        if any(_may_have(item, reference, columns) for item in block.items):
            return True
        block = block.parent
    # ORDER BY and GROUP BY may name an output.
    return reference.clause in ("sortClause", "groupClause") and len(reference.names) == 1


def _may_have(item: FromItem, reference: Reference, columns: dict[tuple[str, str], tuple[str, ...]]) -> bool:
    if len(reference.names) > 1 or item.alias == reference.names[0]:
        return item.alias == reference.names[-2 if len(reference.names) > 1 else 0]
    if item.column_aliases or item.kind != "relation":
        return item.kind != "relation" or reference.names[0] in item.column_aliases
    known = columns.get((item.node["schemaname"], item.node["relname"]), ())
    return reference.names[0] is None or reference.names[0] in known or reference.names[0] in SYSTEM_COLUMNS
