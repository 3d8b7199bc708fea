"""What of a session's namespace a text can name: texts that name none of its relations are decided alike everywhere."""

from __future__ import annotations

from dataclasses import replace

from policies.catalog import Namespace


def named_in(namespace: Namespace, sql: str) -> Namespace:
    """The namespace without relations of the session's own that the text can't name: those make no difference.

    Nor does what the transaction's end would change, unless a statement stands behind the end of one.
    """
    if namespace.is_dirty and ";" not in sql.rstrip("; \t\r\n"):
        namespace = replace(namespace, is_dirty=False)
    if not namespace.temporary and not namespace.made:
        return namespace
    folded = sql.casefold()
    if "u&" in folded:
        return namespace  # escapes may spell any name
    temporary = frozenset(name for name in namespace.temporary if _may_name(folded, name))
    made = frozenset(pair for pair in namespace.made if _may_name(folded, pair[1]))
    return replace(namespace, temporary=temporary, made=made)


def _may_name(folded: str, name: str) -> bool:
    return '"' in name or name.casefold() in folded
