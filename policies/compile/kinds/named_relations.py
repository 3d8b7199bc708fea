"""Relations that a statement names outside of a query: COPY's and LOCK's. They are resolved as those of a SELECT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from policies.compile.compilation import Compilation
from policies.compile.draft import Draft, Target
from policies.compile.parse import Statement
from policies.compile.rules.relations import merged_rule, resolve_relations
from policies.compile.scope import read_select

_PARTITIONED = "p"


def draft_relations(
    compilation: Compilation,
    relations: list[Any],
    outer: Statement,
    *,
    condition: Any = None,
    rules: tuple[Callable[[Draft], None], ...] = (resolve_relations,),
) -> Draft:
    """A draft whose targets are the RangeVar nodes `relations`, with a WHERE's expression over them. Raises Refused."""
    tree: dict[str, Any] = {"fromClause": relations, "op": "SETOP_NONE"}
    if condition is not None:
        tree["whereClause"] = condition
    facts = compilation.read_facts(lambda: read_select(tree), outer)
    draft = compilation.new_draft(Statement("SelectStmt", tree, outer.start, outer.end), facts)
    return compilation.run_rules(draft, rules)


def merge_partitions(draft: Draft, target: Target) -> None:
    """A partitioned table's rows are its partitions', even ONLY for it: their own rules must not be passed by.

    Raises Refused when they have some.
    """
    if target.relation is not None and target.relation.kind == _PARTITIONED:
        target.use.node["inh"] = True
        target.rule = merged_rule(draft, target.relation, target.use)
