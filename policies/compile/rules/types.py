"""The row type of a relation tells its columns: a hidden relation has none, and one with blocked columns keeps it."""

from __future__ import annotations

from policies.catalog import Relation
from policies.compile.draft import Draft
from policies.compile.tree import Tree, strings_of
from policies.compile.type_names import TYPE_NAMES


def check_types(draft: Draft) -> None:
    """Raises Refused for the first type name that means the row type of a relation that isn't shown as a whole."""
    for node in draft.facts.types:
        check_type(draft, node)


def check_type(draft: Draft, node: Tree) -> None:
    """`node`: a TypeName's fields. Raises Refused."""
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
