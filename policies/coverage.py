"""Where protected data stands under other names, and what no rule covers: for the operator, never for a decision. Pure.

Whether a view is covered is asked of the compiler itself; which of its columns show what is sqlglot's reading.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from policies.catalog import Catalog, Namespace, Relation
from policies.compile import Compiler
from policies.errors import PoliciesError
from policies.lineage import lineage_of
from policies.model import Circumstances, ColumnName, EffectivePolicy, PolicySet
from policies.names import quote
from policies.relation_rules import is_named, relation_rules, unknown_newcomer
from policies.resolve import is_function_allowed, resolve
from policies.stored_code import StoredCode, StoredFunction

_WORDS = frozenset(
    {"ssn", "iban", "card", "pin", "dob", "phone", "mail", "salary", "token", "birth", "passport", "tax"}
)
_PARTS = ("email", "phone", "birth", "salary", "iban", "password", "passwd", "secret", "token", "address", "card_n")
_SPLIT = re.compile(r"[^a-z0-9]+")
_WORD = re.compile(r"[a-z_][a-z0-9_$]*")


class Level(StrEnum):
    """OPEN: protected data can be seen. WARNING: look at it. NOTE: it is as it should be."""

    OPEN = "open"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """`about` is a relation, column or function; `users` for whom it holds, sorted; empty for everybody."""

    level: Level
    about: str
    message: str
    users: tuple[str, ...] = ()

    def __str__(self) -> str:
        users = f" [{', '.join(self.users)}]" if self.users else ""
        return f"{self.level.value}: {self.about}: {self.message}{users}"


def coverage(
    policies: PolicySet, catalog: Catalog, code: StoredCode, circumstances: Circumstances | None = None
) -> list[Finding]:
    """All findings, open ones first. Principals for whom nothing is hidden are left out."""
    users: dict[Finding, set[str]] = defaultdict(set)
    for user in sorted(policies.principals):
        try:
            policy = resolve(policies, user, catalog.database, circumstances)
        except PoliciesError as error:
            users[Finding(Level.WARNING, user, f"no policy can be made: {error}")].add(user)
            continue
        if policy is not None and not policy.is_everything:
            for finding in _Coverage(policies, policy, catalog, code).findings():
                users[finding].add(user)
    found = [Finding(one.level, one.about, one.message, tuple(sorted(names))) for one, names in users.items()]
    order = list(Level)
    return sorted(found, key=lambda one: (order.index(one.level), one.about, one.message))


class _Coverage:
    """One principal's policy against one snapshot."""

    def __init__(self, policies: PolicySet, policy: EffectivePolicy, catalog: Catalog, code: StoredCode) -> None:
        self._policies = policies
        self._policy = policy
        self._catalog = catalog
        self._code = code
        self._compiler = Compiler()
        self._named = _named_columns(policies)
        self._covered: dict[int, frozenset[str]] = {}
        self._filtered: set[int] = set()
        self._denied: set[int] = set()
        self._sources: dict[int, Mapping[str, frozenset[str]] | None] = {}
        for relation in catalog.relations:
            self._look_up(relation)

    def _look_up(self, relation: Relation) -> None:
        family = (relation, *self._catalog.ancestors(relation))
        rules = [rule for one in family for rule in relation_rules(self._policy, self._catalog, one)]
        self._covered[relation.oid] = frozenset(c for rule in rules for c in (*rule.masks, *rule.blocked_columns))
        if any(rule.filters for rule in rules):
            self._filtered.add(relation.oid)
        if not all(rule.is_allowed for rule in rules):
            self._denied.add(relation.oid)

    def findings(self) -> Iterator[Finding]:
        for relation in self._catalog.relations:
            if relation.oid in self._denied:
                continue
            match relation.kind:
                case "v":
                    yield from self._view(relation)
                case "m":
                    yield from self._materialized(relation)
                case "f":
                    yield from self._foreign(relation)
            if relation.kind in ("r", "p") or (relation.kind in ("m", "f") and is_named(self._policy, relation)):
                yield from self._look_alikes(relation)
            yield from self._names(relation)
        for function in self._code.functions:
            yield from self._function(function)
        yield from self._triggers()

    # what is protected

    def _is_touched(self, oid: int) -> bool:
        return bool(self._covered.get(oid)) or oid in self._filtered or oid in self._denied

    def _read_below(self, oids: Iterable[int]) -> list[Relation]:
        """Tables at the end of views, each once."""
        found: dict[int, Relation] = {}
        waiting, done = list(oids), set[int]()
        while waiting:
            relation = self._catalog.by_oid.get(waiting.pop())
            if relation is None or relation.oid in done:
                continue
            done.add(relation.oid)
            if relation.reads:
                waiting.extend(relation.reads)
            else:
                found[relation.oid] = relation
        return sorted(found.values(), key=_name)

    def _touched_below(self, oids: Iterable[int]) -> list[Relation]:
        return [one for one in self._read_below(oids) if self._is_touched(one.oid)]

    # views and what is like them

    def _view(self, view: Relation) -> Iterator[Finding]:
        below = self._touched_below(view.reads)
        if not below:
            return
        sql = f"SELECT * FROM {quote(view.schema)}.{quote(view.name)}"
        decision = self._compiler.decide(sql, self._policy, self._catalog, Namespace(self._catalog.search_path))
        if decision.refusal is not None:
            yield Finding(Level.NOTE, _name(view), f"refused: {decision.refusal.message}")
            return
        is_covered = bool(decision.edits)
        level, verdict = (Level.NOTE, "covered, the view is expanded") if is_covered else (Level.OPEN, "not covered")
        shown = self._carried(view)
        for column, source in shown or ():
            yield Finding(level, f"{_name(view)}.{column}", f"shows {source}: {verdict}")
        if not shown:
            yield Finding(level, _name(view), f"reads {_listed(below)}: {verdict}")

    def _materialized(self, view: Relation) -> Iterator[Finding]:
        below = self._touched_below(view.reads)
        if not below:
            return
        if not is_named(self._policy, view):
            yield Finding(Level.NOTE, _name(view), f"holds rows of {_listed(below)}: refused, no policy names it")
            return
        own = self._covered[view.oid]
        carried = self._carried(view)
        if carried is None:
            yield Finding(Level.OPEN, _name(view), f"holds rows of {_listed(below)}, and a policy names it")
        for column, source in carried or ():
            if column not in own:
                yield Finding(Level.OPEN, f"{_name(view)}.{column}", f"holds {source} as it is, and a policy names it")
        hidden = [one for one in below if one.oid in self._filtered | self._denied]
        if hidden and view.oid not in self._filtered:
            yield Finding(Level.OPEN, _name(view), f"holds rows of {_listed(hidden)} that no filter has seen")

    def _foreign(self, table: Relation) -> Iterator[Finding]:
        named = is_named(self._policy, table)
        verdict = (
            "a policy names it, so its rows are shown by its own rules" if named else "refused, no policy names it"
        )
        yield Finding(Level.WARNING if named else Level.NOTE, _name(table), f"is another server's table: {verdict}")

    def _carried(self, view: Relation) -> list[tuple[str, str]] | None:
        """(column, protected base column) of what a view shows; None when that can't be read."""
        sources = self._column_sources(view)
        if sources is None:
            return None
        return [(column, one) for column, found in sources.items() for one in sorted(found) if self._is_protected(one)]

    def _is_protected(self, column: str) -> bool:
        relation, name = self._split(column)
        return relation is not None and (relation.oid in self._denied or name in self._covered[relation.oid])

    def _split(self, column: str) -> tuple[Relation | None, str]:
        table, _, name = column.rpartition(".")
        schema, _, bare = table.partition(".")
        return self._catalog.find(schema, bare), name

    def _column_sources(self, view: Relation) -> Mapping[str, frozenset[str]] | None:
        """By column the base columns it comes from, through views. None when sqlglot can't tell."""
        if view.oid not in self._sources:
            self._sources[view.oid] = None  # should it read itself
            lineage = lineage_of((view.view_definition or "").rstrip().rstrip(";"), self._catalog, ())
            if not lineage.problem and len(lineage.outputs) == len(view.columns):
                pairs = zip(view.columns, lineage.outputs, strict=True)
                self._sources[view.oid] = {
                    column.name: frozenset(base for source in output.sources for base in self._bases(source))
                    for column, output in pairs
                }
        return self._sources[view.oid]

    def _bases(self, column: str) -> frozenset[str]:
        relation, name = self._split(column)
        if relation is None or not relation.reads:
            return frozenset({column})
        return (self._column_sources(relation) or {}).get(name, frozenset({column}))

    # what nobody covers

    def _look_alikes(self, relation: Relation) -> Iterator[Finding]:
        """Columns that no tag and no policy of anybody names, in tables that a pattern allows."""
        named = self._named
        protected = {one.column for one in named}
        for column in relation.columns:
            name = ColumnName(relation.schema, relation.name, column.name)
            if name in named or column.name in self._covered[relation.oid] or column.generated_from:
                continue
            if column.name in protected or _is_sensitive(column.name):
                yield Finding(
                    Level.WARNING, str(name), "no tag or rule covers it, and its name is that of personal data"
                )

    def _names(self, relation: Relation) -> Iterator[Finding]:
        for former in self._catalog.former_names.get(relation.oid, ()):
            message = f"rules of {former.schema}.{former.table} hold for it, because that was its name or its parent's"
            yield Finding(Level.WARNING, _name(relation), message)
        covered, is_filtered = self._covered[relation.oid], relation.oid in self._filtered
        reason = unknown_newcomer(self._policy, self._catalog, relation, covered, is_filtered=is_filtered)
        if reason:
            yield Finding(Level.WARNING, _name(relation), f"newer than the policies and refused: {reason}")

    # code

    def _function(self, function: StoredFunction) -> Iterator[Finding]:
        if not is_function_allowed(self._policy, function.schema, function.name):
            return
        about = f"{function.schema}.{function.name}()"
        below = self._touched_below(function.reads)
        if below:
            yield Finding(
                Level.OPEN, about, f"is allowed and reads {_listed(below)}: no guard stands inside a function"
            )
            return
        words = set(_WORD.findall(function.source))
        named = [one for one in self._catalog.relations if one.name in words and self._touched_below((one.oid,))]
        if named:
            yield Finding(Level.WARNING, about, f"is allowed and its text names {_listed(named)}")

    def _triggers(self) -> Iterator[Finding]:
        for trigger in self._code.triggers:
            relation = self._catalog.by_oid.get(trigger.relation)
            if relation is None or not self._is_touched(relation.oid):
                continue
            what = f"runs {trigger.runs}()" if trigger.runs else "is a rule"
            yield Finding(Level.NOTE, _name(relation), f"{trigger.name} {what} on changes: see where it writes rows to")


def _named_columns(policies: PolicySet) -> frozenset[ColumnName]:
    tagged = {column for columns in policies.tags.values() for column in columns}
    masked = {mask.column for policy in policies.policies for mask in policy.masks}
    blocked = {column for policy in policies.policies for column, _ in policy.columns_block}
    return frozenset(tagged | masked | blocked)


def _name(relation: Relation) -> str:
    return f"{relation.schema}.{relation.name}"


def _listed(relations: Iterable[Relation]) -> str:
    return ", ".join(map(_name, relations))


def _is_sensitive(column: str) -> bool:
    name = column.lower()
    return not _WORDS.isdisjoint(_SPLIT.split(name)) or any(part in name for part in _PARTS)
