"""Compares loaded policies with one database's catalog: names that don't exist, masks that don't fit. Pure.

Exact names are errors where the policy names this database; a policy for all databases may mean tables that
only some of them have, so there they are warnings, like patterns that match nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from policies.catalog import Catalog, Column
from policies.errors import PoliciesError, Problem, Severity
from policies.expressions import expression_columns, expression_tables
from policies.fields import closest
from policies.masks import check_type, stream_form
from policies.model import ColumnName, FilterRule, MaskRule, Policy, PolicySet, RuleId, TablePattern
from policies.raw_types import RAW_CASTS
from policies.subjects import ANY_DATABASE
from policies.time_zones import session_dependent_parts

# Every table has these, though no catalog lists them.
_SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


def check_against_catalog(policies: PolicySet, catalog: Catalog) -> list[Problem]:
    """All problems in order of file and line; each has a severity."""
    found: list[Problem] = []
    for policy in policies.policies:
        if policy.database in (ANY_DATABASE, catalog.database):
            found += _Checker(policy, catalog).problems()
    return sorted(set(found))


class _Checker:
    """One policy against one catalog."""

    def __init__(self, policy: Policy, catalog: Catalog) -> None:
        self._policy = policy
        self._catalog = catalog
        self._missing = Severity.WARNING if policy.database == ANY_DATABASE else Severity.ERROR

    def problems(self) -> Iterator[Problem]:
        policy = self._policy
        rule = policy.tables_allow_rule
        for pattern in (policy.tables_allow or ()) if rule else ():
            yield from self._pattern(pattern, rule)
        for pattern, block_rule in policy.tables_block:
            yield from self._pattern(pattern, block_rule)
        for column, block_rule in policy.columns_block:
            yield from self._column(column, block_rule, lambda _: ())
        for row_filter in policy.rows:
            yield from self._filter(row_filter)
        for mask in policy.masks:
            yield from self._mask(mask)

    def _pattern(self, pattern: TablePattern, rule: RuleId | None) -> Iterator[Problem]:
        if rule is None or any(pattern.matches(r.schema, r.name) for r in self._catalog.relations):
            return
        if "*" in (pattern.schema, pattern.table):
            message = f"{pattern} matches no table of database {self._catalog.database!r}"
            yield Problem(rule.source, message, Severity.WARNING)
            return
        yield self._no_table(pattern.schema, pattern.table, rule)

    def _no_table(self, schema: str, table: str, rule: RuleId) -> Problem:
        if (schema, table) in self._catalog.remembered:
            message = f"{schema}.{table} has another name by now; its rules hold for what it was called"
            return Problem(rule.source, message, Severity.WARNING)
        names = [f"{r.schema}.{r.name}" for r in self._catalog.relations]
        hint = closest(f"{schema}.{table}", names)
        message = f"no table {schema}.{table} in database {self._catalog.database!r}{hint}"
        return Problem(rule.source, message, self._missing)

    def _column(
        self, name: ColumnName, rule: RuleId, check: Callable[[Column], tuple[Problem, ...]]
    ) -> Iterator[Problem]:
        relation = self._catalog.find(name.schema, name.table)
        if relation is None:
            yield self._no_table(name.schema, name.table, rule)
            return
        column = relation.column(name.column)
        if column is not None:
            yield from check(column)
            return
        if name.column in self._catalog.remembered.get((name.schema, name.table), ()):
            message = f"{name} has another name by now; its rules hold for what it was called"
            yield Problem(rule.source, message, Severity.WARNING)
            return
        hint = closest(name.column, [c.name for c in relation.columns])
        message = f"table {name.schema}.{name.table} has no column {name.column!r}{hint}"
        yield Problem(rule.source, message, self._missing)

    def _mask(self, mask: MaskRule) -> Iterator[Problem]:
        def check(column: Column) -> tuple[Problem, ...]:
            try:
                check_type(mask.mask, column.type_oid, column.type_name)
            except PoliciesError as error:
                return (Problem(mask.rule.source, f"{mask.column}: {error}"),)
            if mask.uses and not _has_raw_uses(mask, column):
                message = f"{mask.column}: 'use' doesn't work on type {column.type_name} under mask {mask.mask.kind}"
                return (Problem(mask.rule.source, message),)
            return ()

        return self._column(mask.column, mask.rule, check)

    def _filter(self, row_filter: FilterRule) -> Iterator[Problem]:
        """Columns of a filter that reads other tables too can't be told apart here: left to the server."""
        relation = self._catalog.find(row_filter.schema, row_filter.table)
        if relation is None:
            yield self._no_table(row_filter.schema, row_filter.table, row_filter.rule)
            return
        types = {c.name: c.type_oid for c in relation.columns}
        for part in session_dependent_parts(row_filter.expression, types):
            yield Problem(row_filter.rule.source, f"the filter lets clients move it: {part}")
        if expression_tables(row_filter.expression):
            return
        known = {c.name for c in relation.columns}
        table = f"{relation.schema}.{relation.name}"
        for name in sorted(expression_columns(row_filter.expression)):
            *qualifiers, column = name.split(".")
            is_own = qualifiers in ([], [relation.name], [relation.schema, relation.name])
            if column in known | _SYSTEM_COLUMNS and is_own:
                continue
            if column in self._catalog.remembered.get((relation.schema, relation.name), ()):
                message = (
                    f"the filter's column {name!r} has another name by now: {table} is refused until it is put right"
                )
                yield Problem(row_filter.rule.source, message, Severity.WARNING)
                continue
            message = f"the filter names column {name!r}, which {table} doesn't have{closest(column, known)}"
            yield Problem(row_filter.rule.source, message, self._missing)


def _has_raw_uses(mask: MaskRule, column: Column) -> bool:
    return column.type_oid in RAW_CASTS and stream_form(mask.mask, column.type_oid, column.type_name) is not None
