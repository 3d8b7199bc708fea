"""DROP of tables, views, materialized views, sequences, indexes, types and schemas: what the policy shows as it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from policies.catalog import Relation
from policies.compile.compilation import Compilation
from policies.compile.kinds.ddl_names import check_schema, creation_schema, qualify_objects
from policies.compile.kinds.ddl_rules import changing_plan, require_unread
from policies.compile.kinds.temporary import TEMPORARY_SCHEMA, require_temp_tables
from policies.compile.parse import ParseError, parse
from policies.compile.rules.relations import SYSTEM_SCHEMAS
from policies.compile.statements import Request, require_grant
from policies.compile.tree import Tree, nodes_of, strings_of
from policies.decision import NO_EFFECT, Effect, Plan
from policies.model import Statement as Grant
from policies.relation_rules import relation_rules
from policies.resolve import resolve_table

_KINDS = {
    "OBJECT_TABLE": "rp",
    "OBJECT_VIEW": "v",
    "OBJECT_MATVIEW": "m",
    "OBJECT_SEQUENCE": "S",
}


@dataclass(frozen=True, slots=True)
class _Dropped:
    schema: str
    name: str
    relation: Relation | None  # None: temporary, made in this transaction, or not there


def drop(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """DropStmt."""
    tree = request.statement.tree
    kind = tree.get("removeType", "")
    match kind:
        case "OBJECT_SCHEMA":
            return _drop_schemas(compilation, request, plan)
        case "OBJECT_TYPE":
            names = [entry["TypeName"]["names"] for entry in tree["objects"]]
        case _ if kind in _KINDS or kind == "OBJECT_INDEX":
            names = [entry["List"]["items"] for entry in tree["objects"]]
        case _:
            require_grant(request, Grant.DDL)
            raise _unproven(request, "this form of DROP")
    parts = [_parts(compilation, request, items) for items in names]
    _require_grant(compilation, request, parts)
    dropped = [_find(compilation, request, one, kind) for one in parts]
    qualify_objects(compilation, request, _first_name(request.statement.tree), names, [one.schema for one in dropped])
    if tree.get("behavior") == "DROP_CASCADE":
        _check_cascade(compilation, request, dropped)
    return changing_plan(compilation, plan, _effect(dropped), *((one.schema, one.name) for one in dropped))


def _unproven(request: Request, what: str) -> Exception:
    return request.refuse(
        "0A000",
        "pgwarden/ddl",
        f"{what} can't be proven safe under a policy",
        hint="An administrator's allow-everything login can do it.",
    )


def _require_grant(compilation: Compilation, request: Request, names: list[tuple[str, ...]]) -> None:
    if all(_is_temporary(compilation, parts) for parts in names):
        require_temp_tables(request)
    else:
        require_grant(request, Grant.DDL)


def _is_temporary(compilation: Compilation, names: tuple[str, ...]) -> bool:
    is_there = names[-1] in compilation.namespace.temporary
    return names[:-1] == (TEMPORARY_SCHEMA,) or (len(names) == 1 and is_there)


def _parts(compilation: Compilation, request: Request, items: list[Tree]) -> tuple[str, ...]:
    """A name without its database. Raises Refused for another database's."""
    names = strings_of(items)
    if len(names) == 3 and names[0] == compilation.catalog.database:
        return names[1:]
    if len(names) > 2:
        raise request.refuse("0A000", "pgwarden/relations", "cross-database references are not possible")
    return names


def _find(compilation: Compilation, request: Request, names: tuple[str, ...], kind: str) -> _Dropped:
    """What a name means. Raises Refused."""
    if _is_temporary(compilation, names):
        return _Dropped(TEMPORARY_SCHEMA, names[-1], None)
    return _permanent(compilation, request, names, kind)


def _first_name(tree: Tree) -> int:
    """How many words stand before the first name."""
    kind = 3 if tree["removeType"] == "OBJECT_MATVIEW" else 2
    return kind + bool(tree.get("concurrent")) + 2 * bool(tree.get("missing_ok"))


def _permanent(compilation: Compilation, request: Request, names: tuple[str, ...], kind: str) -> _Dropped:
    name = names[-1]
    places = names[:1] if len(names) == 2 else compilation.namespace.search_path
    for schema in places:
        if kind == "OBJECT_INDEX":
            table = _table_of_index(compilation, schema, name)
            if table is not None:
                _require_open(compilation, request, table)
                return _Dropped(schema, name, table)
        relation = compilation.catalog.find(schema, name)
        is_made = (schema, name) in compilation.namespace.made
        if kind in _KINDS and (relation is not None or is_made):
            known = None if is_made else relation
            if known is not None:
                _require_open(compilation, request, known)
            return _Dropped(schema, name, known)
    return _unknown(compilation, request, names)


def _unknown(compilation: Compilation, request: Request, names: tuple[str, ...]) -> _Dropped:
    """Nothing that the snapshot knows: the server says that it isn't there, or drops what is newer."""
    schema = names[0] if len(names) == 2 else creation_schema(compilation.catalog, compilation.namespace)
    if schema is None or schema in SYSTEM_SCHEMAS or schema.startswith("pg_"):
        raise request.refuse("42P01", "pgwarden/relations", f'"{".".join(names)}" does not exist')
    rule = resolve_table(compilation.policy, schema, names[-1])
    if not rule.is_open:
        raise request.refuse("42P01", "pgwarden/relations", f'"{".".join(names)}" does not exist')
    return _Dropped(schema, names[-1], None)


def _table_of_index(compilation: Compilation, schema: str, name: str) -> Relation | None:
    tables = (one for one in compilation.catalog.relations if one.schema == schema)
    return next((table for table in tables if name in table.index_names), None)


def _require_open(compilation: Compilation, request: Request, relation: Relation) -> None:
    """Raises Refused unless the policy allows the whole family as it is."""
    for member in _family(compilation, relation):
        require_unread(compilation, request, member)
        rules = relation_rules(compilation.policy, compilation.catalog, member)
        closed = next((rule for rule in rules if not rule.is_open), None)
        if closed is not None:
            raise request.refuse(
                "42501",
                closed.denied_by or "pgwarden/ddl",
                f"dropping {relation.schema}.{relation.name} is not allowed: the policy hides it or parts of it",
                hint="An administrator's allow-everything login can do it.",
            )


def _family(compilation: Compilation, relation: Relation) -> Iterable[Relation]:
    """The relation, what it inherits from and what inherits from it."""
    by_oid = compilation.catalog.by_oid
    found = {relation.oid: relation}
    waiting = [*relation.parents, *relation.children]
    while waiting:
        member = by_oid.get(waiting.pop())
        if member is not None and member.oid not in found:
            found[member.oid] = member
            waiting += [*member.parents, *member.children]
    return found.values()


def _check_cascade(compilation: Compilation, request: Request, dropped: list[_Dropped]) -> None:
    """CASCADE takes what depends on it: constraints of other tables, and views. Raises Refused if any is hidden."""
    for one in dropped:
        if one.relation is None:
            continue
        for dependent in _dependents(compilation, one.relation, set()):
            _require_open(compilation, request, dependent)


def _dependents(compilation: Compilation, relation: Relation, seen: set[int]) -> Iterable[Relation]:
    """Tables that reference it, views that read it, and views of those."""
    by_oid = compilation.catalog.by_oid
    yield from (by_oid[oid] for oid in relation.referenced_by if oid in by_oid)
    for view in compilation.catalog.relations:
        if view.oid not in seen and view.kind in "vm" and _reads(view, relation):
            seen.add(view.oid)
            yield view
            yield from _dependents(compilation, view, seen)


def _reads(view: Relation, relation: Relation) -> bool:
    """By its definition; a view whose definition isn't known or can't be read counts as one that does."""
    definition = view.view_definition
    if definition is None:
        return True
    if relation.name not in definition.replace('""', '"'):
        return False
    try:
        found = nodes_of(parse(definition)[0].tree)
    except (ParseError, IndexError):
        return True
    named = ((node.get("schemaname"), node["relname"]) for kind, node in found if kind == "RangeVar")
    return (relation.schema, relation.name) in named


def _effect(dropped: list[_Dropped]) -> Effect:
    temporary = tuple(one.name for one in dropped if one.schema == TEMPORARY_SCHEMA)
    others = tuple((one.schema, one.name) for one in dropped if one.schema != TEMPORARY_SCHEMA)
    return Effect(drops_temporary=temporary, drops_relations=others)


def _drop_schemas(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """An empty schema only: the server's RESTRICT sees to it."""
    require_grant(request, Grant.DDL)
    if request.statement.tree.get("behavior") == "DROP_CASCADE":
        raise _unproven(request, "DROP SCHEMA ... CASCADE")
    for entry in request.statement.tree["objects"]:
        check_schema(compilation, request, entry["String"].get("sval", ""))
    return changing_plan(compilation, plan, NO_EFFECT)
