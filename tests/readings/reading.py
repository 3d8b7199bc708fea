"""What the compiler makes of each query: two readings that must agree, or a refusal with its rule."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from policies.catalog import Catalog, Namespace
from policies.compile import Compiler
from policies.compile.parse import deep_recursion, parse
from policies.compile.scope import UnknownNode, read_select
from policies.decision import Decision
from policies.model import EffectivePolicy
from tests.readings.corpus import Query

_OWN_SCHEMAS = frozenset({"pg_catalog", "information_schema"})


class Reach(Enum):
    """What a query reads: nothing, system catalogs only, relations of which some aren't there, or tables."""

    NOTHING = "no relation"
    CATALOGS = "system catalogs only"
    MISSING = "a relation that the suite drops, or a temporary one"
    TABLES = "tables"
    UNKNOWN = "a node that isn't known"


@dataclass(frozen=True, slots=True)
class Reading:
    query: Query
    reach: Reach
    decision: Decision

    @property
    def is_rewritten(self) -> bool:
        return self.decision.refusal is None and self.decision.text != self.query.text

    @property
    def refusal(self) -> str:
        """The rule that refused it and its message without what is special about this query."""
        found = self.decision.refusal
        return "" if found is None else f"{found.rule}: {found.message}"


def read_all(queries: list[Query], policy: EffectivePolicy, catalog: Catalog) -> list[Reading]:
    compiler = Compiler()
    return [_read(compiler, query, policy, catalog) for query in queries]


def _read(compiler: Compiler, query: Query, policy: EffectivePolicy, catalog: Catalog) -> Reading:
    decision = compiler.decide(query.text, policy, catalog, Namespace(query.path, query.path))
    return Reading(query, reach_of(query, catalog), decision)


def reach_of(query: Query, catalog: Catalog) -> Reach:
    with deep_recursion():
        (statement,) = parse(query.text)
        try:
            facts = read_select(statement.tree)
        except UnknownNode:
            return Reach.UNKNOWN
    found = {_reach(use.node, query.path, catalog) for use in facts.relations}
    for reach in (Reach.MISSING, Reach.TABLES, Reach.CATALOGS):
        if reach in found:
            return reach
    return Reach.NOTHING


def _reach(node: dict[str, str], path: tuple[str, ...], catalog: Catalog) -> Reach:
    schema, name = node.get("schemaname"), node["relname"]
    if schema in _OWN_SCHEMAS or (schema is None and name.startswith("pg_")):
        return Reach.CATALOGS
    schemas = path if schema is None else (schema,)
    return Reach.TABLES if any(catalog.find(one, name) for one in schemas) else Reach.MISSING
