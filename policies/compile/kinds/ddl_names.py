"""Names that a statement gives to new relations: where they will stand, whether the policy lets them, and their schema.

The server would choose the first schema of its search_path; what is decided here is written into the text.
"""

from __future__ import annotations

from dataclasses import dataclass

from policies.catalog import Catalog, Namespace
from policies.compile.compilation import Compilation
from policies.compile.draft import Draft, Splice
from policies.compile.guards import quote
from policies.compile.kinds.temporary import (
    TEMPORARY_SCHEMA,
    check_shadow,
    check_temporary_name,
    require_temp_tables,
)
from policies.compile.rules.guard import leave_database
from policies.compile.rules.relations import SYSTEM_SCHEMAS
from policies.compile.scope import Facts
from policies.compile.statements import Request, require_grant
from policies.compile.tree import Tree
from policies.decision import Effect
from policies.model import Statement as Grant
from policies.resolve import resolve_table

# No table can bear it, so only a pattern with a star for the table matches.
_ANY_TABLE = "\0"


@dataclass(frozen=True, slots=True)
class NewName:
    """`is_known`: a relation of this name is there already, as far as anybody knows."""

    schema: str
    name: str
    is_known: bool

    @property
    def is_temporary(self) -> bool:
        return self.schema == TEMPORARY_SCHEMA

    def made(self, *, is_until_commit: bool = False) -> Effect:
        """What making it does to the session."""
        if self.is_temporary:
            return Effect(makes_temporary=(self.name,), is_until_commit=is_until_commit)
        return Effect(makes_relations=((self.schema, self.name),))


def new_name(compilation: Compilation, request: Request, node: Tree, owner: Tree | None = None) -> NewName:
    """Decides what the RangeVar `node` will be, and writes its schema. Raises Refused.

    `owner`: the fields where IF NOT EXISTS stands. It is taken out for a name that nobody knows: should there be
    something of that name after all, it must not count as made by this session.
    """
    if "catalogname" in node and node["catalogname"] != compilation.catalog.database:
        raise request.refuse("0A000", "pgwarden/relations", "cross-database references are not possible")
    name = node["relname"]
    if node.get("relpersistence") == "t" or node.get("schemaname") == TEMPORARY_SCHEMA:
        found = _temporary(compilation, request, node, name)
    else:
        found = _permanent(compilation, request, node, name)
    draft = named_draft(compilation, request, node, found.schema)
    if owner is not None and owner.get("if_not_exists") and not found.is_known:
        _strip_condition(draft, node, owner)
    return found


def named_draft(compilation: Compilation, request: Request, node: Tree, schema: str) -> Draft:
    """A draft that qualifies one name and lets it stand as it is."""
    draft = compilation.new_draft(request.statement, Facts())
    leave_database(draft, node)
    if "schemaname" not in node:
        node["schemaname"] = schema
        at = draft.tokens[draft.token_at(node["location"])].start
        draft.splices.append(Splice(at, at, f"{quote(schema)}."))
    draft.lent_relations.add((schema, node["relname"]))
    return draft


def qualify_objects(
    compilation: Compilation,
    request: Request,
    first: int,
    names: list[list[Tree]],
    schemas: list[str],
    *,
    bare: int = 1,
) -> None:
    """Names as lists of String nodes, which have no place in the tree: they are counted from the `first` word on.

    Names of `bare` parts get their schema: of two parts when the last one is a column. Those of two parts more lose
    their database.
    """
    tokens = compilation.tokens_of(request.statement)
    draft = compilation.new_draft(request.statement, Facts())
    at = first
    for items, schema in zip(names, schemas, strict=True):
        count = len(items)
        if at >= len(tokens):
            raise draft.refuse("0A000", "pgwarden/splice", "this statement can't be rewritten safely")
        if count == bare + 2:  # with its database
            draft.splices.append(Splice(tokens[at].start, tokens[at + 2].start, ""))
            del items[0]
        elif count == bare:
            draft.splices.append(Splice(tokens[at].start, tokens[at].start, f"{quote(schema)}."))
            items.insert(0, {"String": {"sval": schema}})
        at += 2 * count


def check_schema(compilation: Compilation, request: Request, schema: str) -> None:
    """Whether the policy's table patterns cover all that a schema may hold. Raises Refused."""
    _require_user_schema(request, schema)
    rule = resolve_table(compilation.policy, schema, _ANY_TABLE)
    if not rule.is_allowed:
        raise request.refuse(
            "42501",
            rule.denied_by or "pgwarden/default",
            f"schema {schema} is not allowed for {compilation.policy.principal.user}",
            hint=f"Let a policy of this user allow {schema}.* under tables.allow.",
        )


def _require_user_schema(request: Request, schema: str) -> None:
    if schema in SYSTEM_SCHEMAS or schema.startswith("pg_"):
        raise request.refuse("42501", "pgwarden/ddl", f"permission denied for schema {schema}")


def _temporary(compilation: Compilation, request: Request, node: Tree, name: str) -> NewName:
    require_temp_tables(request)
    if node.get("schemaname", TEMPORARY_SCHEMA) != TEMPORARY_SCHEMA:
        message = "cannot create temporary relation in non-temporary schema"
        raise request.refuse("42P16", "pgwarden/temp_tables", message)
    check_temporary_name(request, compilation.catalog, name)
    return NewName(TEMPORARY_SCHEMA, name, name in compilation.namespace.temporary)


def _permanent(compilation: Compilation, request: Request, node: Tree, name: str) -> NewName:
    require_grant(request, Grant.DDL)
    schema = new_schema(compilation, request, node.get("schemaname"))
    check_new_name(compilation, request, schema, name)
    is_known = (schema, name) in compilation.namespace.made or compilation.catalog.find(schema, name) is not None
    return NewName(schema, name, is_known)


def new_schema(compilation: Compilation, request: Request, given: str | None) -> str:
    """The schema in which the server would make something. Raises Refused."""
    schema = given or creation_schema(compilation.catalog, compilation.namespace)
    if schema is None:
        raise request.refuse("3F000", "pgwarden/ddl", "no schema has been selected to create in")
    _require_user_schema(request, schema)
    return schema


def creation_schema(catalog: Catalog, namespace: Namespace) -> str | None:
    return next((schema for schema in namespace.search_path if schema in catalog.schemas), None)


def check_new_name(compilation: Compilation, request: Request, schema: str, name: str) -> None:
    """Whether the policy's table patterns let something of this name be. Raises Refused."""
    rule = resolve_table(compilation.policy, schema, name)
    if not rule.is_allowed:
        raise request.refuse(
            "42501",
            rule.denied_by or "pgwarden/default",
            f"table {schema}.{name} is not allowed for {compilation.policy.principal.user}",
            hint=f"Let a policy of this user allow {schema}.{name} under tables.allow, and none block it.",
        )
    check_shadow(request, compilation.catalog, schema, name)


def _strip_condition(draft: Draft, node: Tree, owner: Tree) -> None:
    index = draft.token_at(node["location"])
    words = [token.word for token in draft.tokens[index - 3 : index]]
    if words != ["if", "not", "exists"]:
        raise draft.refuse("0A000", "pgwarden/splice", "this statement can't be rewritten safely", at=node["location"])
    draft.splices.insert(0, Splice(draft.tokens[index - 3].start, draft.tokens[index - 1].end, ""))
    del owner["if_not_exists"]
