"""The row type of a relation tells its columns: a hidden relation has none, and one with blocked columns keeps it.

A type may bring code along: its casts and a domain's checks run functions that no call names.
"""

from __future__ import annotations

from policies.catalog import Column, Relation
from policies.compile.draft import Draft
from policies.compile.rules.fences import compared_columns
from policies.compile.tree import Tree, strings_of
from policies.compile.type_names import TYPE_NAMES
from policies.compile.writes.changes import assignments_of
from policies.resolve import is_function_allowed


def check_types(draft: Draft) -> None:
    """Raises Refused for the first type name that means the row type of a relation that isn't shown as a whole.

    A parameter's type may be declared by its number, beside the text.
    """
    for node in draft.facts.types:
        check_type(draft, node)
    for oid in draft.parameter_types:
        if oid in draft.catalog.type_names:
            check_type(draft, {"names": [{"String": {"sval": part}} for part in draft.catalog.type_names[oid]]})


def check_type(draft: Draft, node: Tree) -> None:
    """`node`: a TypeName's fields. Raises Refused."""
    names = strings_of(node.get("names"))
    for name in {names[-1], names[-1].lstrip("_")} if names else ():
        _require_functions(draft, name, node.get("location", -1))
    visible = draft.surroundings.visibility()
    for relation in _relations_of(draft, strings_of(node.get("names"))):
        is_whole = not any(oid == relation.oid for oid, _ in visible.blocked)
        if relation.oid not in visible.visible or not is_whole:
            raise draft.refuse(
                "42501",
                "pgwarden/types",
                f"the row type of {relation.schema}.{relation.name} is not shown under this policy",
                detail="The relation, or some of its columns, is hidden.",
                at=node.get("location", -1),
            )


def check_casts(draft: Draft) -> None:
    """Columns whose type is cast by a user's function, in silence or as asked, anywhere but as plain output."""
    if not draft.catalog.type_functions:
        return
    columns = [*compared_columns(draft), *_written_columns(draft)]
    for column in columns:
        name = column.type_name.removesuffix("[]").rpartition(".")[2].strip('"')
        _require_functions(draft, name, -1)


def _written_columns(draft: Draft) -> list[Column]:
    """What is assigned is cast, and so is what it is assigned from, even where it is no more than put out."""
    if not draft.facts.writes:
        return []
    columns = [column for target in draft.targets for column in target.visible_columns]
    names = {reference.names[-1] for reference in draft.facts.references}
    for write in draft.facts.writes:
        names |= {str(node.get("name")) for node, _ in assignments_of(write)}
    is_whole = None in names or any(w.kind == "InsertStmt" and "cols" not in w.node for w in draft.facts.writes)
    return columns if is_whole else [column for column in columns if column.name in names]


def _require_functions(draft: Draft, type_name: str, at: int) -> None:
    for schema, name in sorted(draft.catalog.type_functions.get(type_name, ())):
        if not is_function_allowed(draft.policy, schema, name):
            raise draft.refuse(
                "42501",
                draft.policy.functions_rule or "pgwarden/functions",
                f"function {schema}.{name} is not allowed, and casts or checks of type {type_name} run it",
                hint="A policy can allow functions of its own schemas under functions.allow, as schema.name.",
                at=at,
            )


def _relations_of(draft: Draft, names: tuple[str, ...]) -> list[Relation]:
    """Also for the array of it, which bears its name behind underscores when it is written as a name.

    A name without a schema means any relation that is called so: which of them, the search_path would say.
    """
    if not names or names[0] == "pg_catalog" or (len(names) == 1 and names[0] in TYPE_NAMES):
        return []
    sought = {names[-1], names[-1].lstrip("_")}
    if len(names) > 1:
        found = (draft.catalog.find(names[-2], name) for name in sought)
        return [relation for relation in found if relation is not None]
    if sought.isdisjoint(draft.catalog.relation_names):
        return []
    return [relation for relation in draft.catalog.relations if relation.name in sought]
