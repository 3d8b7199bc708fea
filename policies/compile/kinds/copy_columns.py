"""Which columns a COPY names and moves, in the server's own rules and words."""

from __future__ import annotations

from policies.compile.draft import Access, Draft, Target
from policies.compile.tree import Tree, strings_of

_COLUMN_OPTIONS = frozenset({"force_quote", "force_not_null", "force_null", "convert_selectively"})


def check_columns(draft: Draft, target: Target, tree: Tree) -> None:
    """The list behind the table's name, and those of FORCE_QUOTE and its like, whose errors would tell too.

    Of an open table the server checks them. Raises Refused.
    """
    if target.access is not Access.GUARDED or target.relation is None:
        return
    listed = strings_of(tree.get("attlist"))
    _check_names(draft, target, listed)
    for option in tree.get("options") or ():
        fields = option["DefElem"]
        if fields["defname"] in _COLUMN_OPTIONS and "List" in fields.get("arg", {}):
            names = strings_of(fields["arg"]["List"].get("items"))
            _check_names(draft, target, names)
            _require_listed(draft, fields["defname"], names, listed or plain_columns(target))


def _check_names(draft: Draft, target: Target, names: tuple[str, ...]) -> None:
    assert target.relation is not None
    for index, name in enumerate(names):
        _refuse_blocked(draft, target, name)
        column = target.relation.column(name)
        if column is None:
            message = f'column "{name}" of relation "{target.name}" does not exist'
            raise draft.refuse("42703", "pgwarden/copy", message)
        if column.is_generated:
            detail = "Generated columns cannot be used in COPY."
            raise draft.refuse("42P10", "pgwarden/copy", f'column "{name}" is a generated column', detail=detail)
        if name in names[:index]:
            raise draft.refuse("42701", "pgwarden/copy", f'column "{name}" specified more than once')


def _require_listed(draft: Draft, option: str, names: tuple[str, ...], listed: tuple[str, ...]) -> None:
    for name in names:
        if name not in listed:
            message = f'{option.upper()} column "{name}" not referenced by COPY'
            raise draft.refuse("42P10", "pgwarden/copy", message)


def _refuse_blocked(draft: Draft, target: Target, name: str) -> None:
    if target.rule is not None and name in target.rule.blocked:
        raise draft.refuse(
            "42501",
            target.rule.blocked[name],
            f"column {target.schema}.{target.name}.{name} is blocked for {draft.policy.principal.user}",
            at=target.use.location,
            hint="Leave the column out; without a list COPY takes the columns that are left.",
        )


def put_out_columns(target: Target, tree: Tree) -> tuple[str, ...] | None:
    """Those listed, or all that are visible and not generated; None for a catalog, whose columns aren't known here."""
    listed = strings_of(tree.get("attlist"))
    if listed:
        return listed
    return None if target.relation is None else plain_columns(target)


def plain_columns(target: Target) -> tuple[str, ...]:
    """What COPY without a list moves: generated columns stay out."""
    return tuple(column.name for column in target.visible_columns if not column.is_generated)
