"""Which base columns each output column of a SELECT comes from, as sqlglot reads it: for people who ask `explain`.

Approximate, and never part of a decision: sqlglot loses columns in places. What it can't read is said.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlglot import exp, parse
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope
from sqlglot.schema import MappingSchema

from policies.catalog import Catalog

MAX_CHARACTERS = 20_000  # sqlglot's reading of larger texts takes seconds
MAX_OUTPUTS = 200
_DIALECT = "postgres"


@dataclass(frozen=True, slots=True)
class Output:
    """An output column's name and the base columns ("shop.customers.email") it is made of, sorted."""

    name: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lineage:
    """`problem`: why there is nothing, or only a part, to tell; empty when all went well."""

    outputs: tuple[Output, ...] = ()
    problem: str = ""


def lineage_of(sql: str, catalog: Catalog, search_path: tuple[str, ...]) -> Lineage:
    """The lineage of a text's only statement. Never raises."""
    if len(sql) > MAX_CHARACTERS:
        return Lineage(problem=f"the text is longer than {MAX_CHARACTERS} characters")
    # sqlglot warns through logging about what it doesn't support: the problem below says enough.
    log = logging.getLogger("sqlglot")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        return _lineage(sql, catalog, search_path)
    except (SqlglotError, RecursionError) as error:
        return Lineage(problem=f"sqlglot can't read the statement ({type(error).__name__})")
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, AssertionError) as error:
        return Lineage(problem=f"sqlglot fails on the statement ({type(error).__name__})")
    finally:
        log.setLevel(level)


def _lineage(sql: str, catalog: Catalog, search_path: tuple[str, ...]) -> Lineage:
    statements = [statement for statement in parse(sql, dialect=_DIALECT) if statement is not None]
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        return Lineage(problem="only a single query has output columns to follow")
    query = _with_schemas(statements[0], catalog, search_path)
    schema = _schema_of(query, catalog)
    qualified = qualify(query, schema=schema, dialect=_DIALECT, validate_qualify_columns=False, quote_identifiers=False)
    scope = build_scope(qualified)
    if scope is None:
        return Lineage(problem="sqlglot finds no query in the statement")
    roots = lineage(None, qualified, schema, scope=scope, dialect=_DIALECT)
    outputs = tuple(Output(name, tuple(sorted(set(_sources(root, catalog))))) for name, root in roots.items())
    problem = f"only the first {MAX_OUTPUTS} columns are shown" if len(outputs) > MAX_OUTPUTS else ""
    return Lineage(outputs[:MAX_OUTPUTS], problem)


def _with_schemas(query: exp.Query, catalog: Catalog, search_path: tuple[str, ...]) -> exp.Query:
    """Unqualified names get the schema in which they'd be found; a CTE's name shadows none here, it stays as it is."""
    ctes = {cte.alias for cte in query.find_all(exp.CTE)}
    for table in query.find_all(exp.Table):
        if not table.db and table.name not in ctes:
            schema = next((s for s in search_path if catalog.find(s, table.name)), None)
            if schema is not None:
                table.set("db", exp.to_identifier(schema, quoted=True))
    return query


def _schema_of(query: exp.Query, catalog: Catalog) -> MappingSchema:
    found: dict[str, Any] = {}
    for table in query.find_all(exp.Table):
        relation = catalog.find(table.db, table.name)
        if relation is not None:
            found.setdefault(table.db, {})[table.name] = {column.name: "text" for column in relation.columns}
    return MappingSchema(found, dialect=_DIALECT, normalize=False)


def _sources(root: Node, catalog: Catalog) -> Iterator[str]:
    for node in root.walk():
        table = node.expression
        if node.downstream or not isinstance(table, exp.Table):
            continue
        relation = catalog.find(table.db, table.name)
        column = node.name.rpartition(".")[2].strip('"')
        if relation is not None and relation.column(column) is not None:
            yield f"{table.db}.{table.name}.{column}"
