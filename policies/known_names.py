"""Remembers which relations and columns the rules of a policy set mean, so that a new name doesn't shed them.

Rules are written by name; what they protect has an OID. A relation that bore a rule's name keeps the rule under its
next name, until it is dropped or the rules of that name change. A partition likewise keeps its parents' rules when it
is detached. What appears after the policies changed last is a newcomer: nobody has looked at it yet.

Pure: `follow` takes what was remembered and gives what is to be remembered. It must not know where that is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from policies.catalog import Catalog, FormerName, Relation
from policies.expressions import expression_columns
from policies.fingerprint import fingerprint_of
from policies.model import Policy, PolicySet
from policies.subjects import ANY_DATABASE

TableName = tuple[str, str]
Attnums = Mapping[str, tuple[int, ...]]

_ROW_KINDS = frozenset({"r", "p"})  # views are expanded, the other kinds must be named


@dataclass(frozen=True, slots=True)
class Called:
    """What a relation and its columns of these numbers are called now: all that a restored copy shares with it."""

    schema: str
    name: str
    columns: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RuledName:
    """A table's name that rules bear. `rules`: a digest of what they say.

    `relations`: OIDs that bore the name, each with the column numbers that the rules' column names meant there.
    """

    rules: str
    relations: Mapping[int, Attnums]
    called: Mapping[int, Called] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """A relation when the policies changed last. `columns`: those that bore a name which is masked or blocked."""

    schema: str
    name: str
    columns: frozenset[str]


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of one database. `identity` tells it from another one of that name."""

    identity: str
    policies: str
    names: Mapping[TableName, RuledName] = field(default_factory=dict)
    seen: Mapping[int, Seen] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Rules:
    """What the policies say under one table's name."""

    columns: frozenset[str]
    digest: str


def follow(memory: Memory | None, policies: PolicySet, catalog: Catalog) -> tuple[Memory, Catalog]:
    """What is remembered from now on, and the snapshot with former names and newcomers filled in.

    Another database of the same name is taken for a restored copy. The snapshot's version is left as it is.
    """
    concerned = [one for one in policies.policies if one.database in (ANY_DATABASE, catalog.database)]
    if memory is not None and memory.identity != catalog.identity:
        memory = _restored(memory, catalog)
    names = _names(memory.names if memory else {}, concerned, catalog)
    fingerprint = fingerprint_of(policies.policies)
    sensitive = _sensitive(concerned)
    if memory is None or memory.policies != fingerprint:
        seen: Mapping[int, Seen] = {
            one.oid: Seen(one.schema, one.name, _columns_of(one) & sensitive)
            for one in catalog.relations
            if one.kind in _ROW_KINDS
        }
    else:
        seen = memory.seen
    fresh = Memory(catalog.identity, fingerprint, names, seen)
    return fresh, replace(
        with_remembered(catalog, fresh),
        former_names=_former_names(names, catalog),
        newcomers=_newcomers(seen, sensitive, catalog),
    )


def with_remembered(catalog: Catalog, memory: Memory | None) -> Catalog:
    """The snapshot with the names that rules may still bear though nothing is called so any more."""
    if memory is None or memory.identity != catalog.identity:
        return catalog
    remembered = {
        name: frozenset(column for attnums in ruled.relations.values() for column in attnums)
        for name, ruled in memory.names.items()
        if any(oid in catalog.by_oid for oid in ruled.relations)
    }
    return replace(catalog, remembered=remembered)


def _sensitive(policies: Iterable[Policy]) -> frozenset[str]:
    """Names of columns that somebody may not see as they are."""
    masked = {mask.column.column for policy in policies for mask in policy.masks}
    return frozenset(masked | {column.column for policy in policies for column, _ in policy.columns_block})


def _columns_of(relation: Relation) -> frozenset[str]:
    return frozenset(column.name for column in relation.columns)


# Names and what bore them


def _names(
    known: Mapping[TableName, RuledName], policies: list[Policy], catalog: Catalog
) -> dict[TableName, RuledName]:
    current = {(one.schema, one.name) for one in catalog.relations}
    found: dict[TableName, RuledName] = {}
    for name in sorted(_ruled(policies, current | known.keys())):
        rules = _rules(policies, name)
        old = known.get(name)
        is_kept = old is not None and (old.rules == rules.digest or name not in current)
        relations = dict(old.relations) if old is not None and is_kept else {}
        for relation in _bearers(catalog, name):
            relations[relation.oid] = _united(relations.get(relation.oid, {}), relation, rules.columns)
        living = {oid: attnums for oid, attnums in relations.items() if oid in catalog.by_oid}
        if living:
            found[name] = RuledName(rules.digest, living, _called(living, catalog))
    return found


def _called(relations: Mapping[int, Attnums], catalog: Catalog) -> dict[int, Called]:
    found: dict[int, Called] = {}
    for oid, attnums in relations.items():
        relation = catalog.by_oid[oid]
        ruled = {number for numbers in attnums.values() for number in numbers}
        columns = {column.attnum: column.name for column in relation.columns if column.attnum in ruled}
        found[oid] = Called(relation.schema, relation.name, columns)
    return found


# Another cluster: other OIDs and column numbers, the same names


def _restored(memory: Memory, catalog: Catalog) -> Memory:
    """What was remembered, by the names of last: an upgrade or a restored dump must shed no rules."""
    names: dict[TableName, RuledName] = {}
    seen = {(one.schema, one.name): one for one in memory.seen.values()}
    for name, ruled in memory.names.items():
        relations: dict[int, Attnums] = {}
        for oid, called in ruled.called.items():
            relation = catalog.find(called.schema, called.name)
            if relation is not None:
                relations[relation.oid] = _renumbered(ruled.relations.get(oid, {}), called, relation)
            if oid in memory.seen:
                seen[called.schema, called.name] = memory.seen[oid]
        names[name] = RuledName(ruled.rules, relations)
    found = {one.oid: seen[one.schema, one.name] for one in catalog.relations if (one.schema, one.name) in seen}
    return Memory(catalog.identity, memory.policies, names, found)


def _renumbered(attnums: Attnums, called: Called, relation: Relation) -> Attnums:
    now = {column.name: column.attnum for column in relation.columns}
    return {
        name: tuple(sorted(now[called.columns[n]] for n in numbers if called.columns.get(n) in now))
        for name, numbers in attnums.items()
    }


def _ruled(policies: list[Policy], candidates: set[TableName]) -> set[TableName]:
    """Names under which a rule takes something away, as far as something bears or bore them."""
    names = {(rule.schema, rule.table) for policy in policies for rule in policy.rows}
    names |= {(mask.column.schema, mask.column.table) for policy in policies for mask in policy.masks}
    names |= {(column.schema, column.table) for policy in policies for column, _ in policy.columns_block}
    blocks = [pattern for policy in policies for pattern, _ in policy.tables_block]
    names |= {name for name in candidates if any(pattern.matches(*name) for pattern in blocks)}
    return names & candidates


def _rules(policies: list[Policy], name: TableName) -> _Rules:
    """Without the rules' ids, which count places in a list."""
    columns: set[str] = set()
    said: list[tuple[str, ...]] = []
    for policy in policies:
        for column, _ in policy.columns_block:
            if (column.schema, column.table) == name:
                columns.add(column.column)
                said.append(("block", column.column))
        for mask in policy.masks:
            if (mask.column.schema, mask.column.table) == name:
                columns.add(mask.column.column)
                said.append(("mask", mask.column.column, fingerprint_of(mask.mask)))
        for rule in policy.rows:
            if (rule.schema, rule.table) == name:
                columns |= filter_columns(rule.expression)
                said.append(("filter", rule.expression))
        said += [("table", str(pattern)) for pattern, _ in policy.tables_block if pattern.matches(*name)]
    return _Rules(frozenset(columns), fingerprint_of(tuple(sorted(said))))


@lru_cache(maxsize=4096)
def filter_columns(expression: str) -> frozenset[str]:
    """Last parts of the columns that a filter names; those of its subqueries' tables are among them."""
    return frozenset(name.rpartition(".")[2] for name in expression_columns(expression))


def _bearers(catalog: Catalog, name: TableName) -> Iterator[Relation]:
    """The relation of that name and all its descendants: its rules are theirs."""
    waiting = [catalog.find(*name)]
    done: set[int] = set()
    while waiting:
        relation = waiting.pop()
        if relation is not None and relation.oid not in done:
            done.add(relation.oid)
            yield relation
            waiting += [catalog.by_oid.get(oid) for oid in relation.children]


def _united(known: Attnums, relation: Relation, columns: frozenset[str]) -> Attnums:
    now = {column.name: column.attnum for column in relation.columns if column.name in columns}
    return {
        name: tuple(sorted({*known.get(name, ()), *((now[name],) if name in now else ())}))
        for name in sorted(columns)
        if name in known or name in now
    }


# What that means for the snapshot


def _former_names(names: Mapping[TableName, RuledName], catalog: Catalog) -> dict[int, tuple[FormerName, ...]]:
    found: dict[int, list[FormerName]] = {}
    for name, ruled in names.items():
        for oid, attnums in ruled.relations.items():
            relation = catalog.by_oid[oid]
            columns, moved = _present(relation, attnums)
            if moved or name not in _family_names(catalog, relation):
                found.setdefault(oid, []).append(FormerName(*name, columns, moved))
    return {oid: tuple(former) for oid, former in found.items()}


def _present(relation: Relation, attnums: Attnums) -> tuple[dict[str, tuple[str, ...]], frozenset[str]]:
    """What the rules' columns are called now, and which of them have another name than the rules give them."""
    by_attnum = {column.attnum: column.name for column in relation.columns}
    columns: dict[str, tuple[str, ...]] = {}
    moved: set[str] = set()
    for name, numbers in attnums.items():
        called = {by_attnum[number] for number in numbers if number in by_attnum}
        if called - {name}:
            moved.add(name)
        if relation.column(name) is not None:
            called.add(name)
        columns[name] = tuple(sorted(called))
    return columns, frozenset(moved)


def _family_names(catalog: Catalog, relation: Relation) -> set[TableName]:
    return {(one.schema, one.name) for one in (relation, *catalog.ancestors(relation))}


def _newcomers(
    seen: Mapping[int, Seen], sensitive: frozenset[str], catalog: Catalog
) -> dict[int, frozenset[str] | None]:
    """By OID: the columns of such a name that came later, None for a relation that is all new.

    Known is what had its OID or its name: a table that is made anew takes the place that was looked at.
    """
    by_name = {(one.schema, one.name): one for one in seen.values()}
    found: dict[int, frozenset[str] | None] = {}
    for relation in catalog.relations:
        if relation.kind not in _ROW_KINDS:
            continue
        known = [one for one in (seen.get(relation.oid), by_name.get((relation.schema, relation.name))) if one]
        if not known:
            found[relation.oid] = None
        elif new := (_columns_of(relation) & sensitive).difference(*(one.columns for one in known)):
            found[relation.oid] = new
    return found
