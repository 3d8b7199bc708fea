"""A client's search_path must not choose the operators in an operator's expressions.

``kind <> 'internal'`` over a citext column compares as text, letter by letter, once the schema of the extension has
left the path: the type is cast to text in silence. Other types of users have no such way out; there the server fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from policies.catalog import Catalog, Namespace, Relation
from policies.compile.draft import Draft, MergedRule
from policies.compile.facts import RelationUse
from policies.compile.statements import Request
from policies.model import FilterRule, MaskRule

_WORD = re.compile(r"\w+")


def require_operators(draft: Draft, relation: Relation, rule: MergedRule, use: RelationUse) -> None:
    """Raises Refused where an expression reads such a column and the path lacks a schema that it had at the start."""
    if _is_narrowed(draft.catalog, draft.namespace) and _reads_cast(draft.catalog, rule.filters, rule.masks.values()):
        raise draft.refuse(
            "0A000",
            "pgwarden/search_path",
            f"the rules of {relation.schema}.{relation.name} compare a type that this search_path would cast",
            hint=_hint(draft.catalog),
            at=use.location,
        )


def require_operators_again(request: Request, catalog: Catalog, namespace: Callable[[], Namespace]) -> None:
    """The same for EXECUTE: the server reads a prepared statement again when the path is another one."""
    if not catalog.cast_columns or not _is_narrowed(catalog, namespace()):
        return
    if any(_reads_cast(catalog, policy.rows, policy.masks) for policy in request.policy.policies):
        message = "rules compare a type that this search_path would cast"
        raise request.refuse("0A000", "pgwarden/search_path", message, hint=_hint(catalog))


def _is_narrowed(catalog: Catalog, namespace: Namespace) -> bool:
    return bool(catalog.cast_columns) and not set(catalog.search_path) <= set(namespace.search_path)


def _hint(catalog: Catalog) -> str:
    return f"Keep {', '.join(catalog.search_path)} on the search_path, in any place."


def _reads_cast(catalog: Catalog, filters: Iterable[FilterRule], masks: Iterable[MaskRule]) -> bool:
    texts = [one.expression for one in filters]
    for rule in masks:
        expression = rule.mask.get("expression")
        if isinstance(expression, str):
            texts += [expression, rule.column.column]
    return any(word.lower() in catalog.cast_columns for text in texts for word in _WORD.findall(text))
