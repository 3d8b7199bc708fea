"""What the rules need of the world around one statement: what the principal may see, and how views unfold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from policies.catalog import Catalog, Namespace, Relation, ViewAccess
from policies.compile.draft import Draft
from policies.compile.scope import RelationUse
from policies.compile.visibility import Visibility, visibility_of
from policies.decision import Plan
from policies.expressions import bind_expression
from policies.model import EffectivePolicy

# Views of views: deeper than any sane schema, shallow enough to stay quick.
MAX_VIEW_DEPTH = 16
_WITHOUT_DEFINITION = "Its definition could not be read."
_TOO_DEEP = f"Views stand in views more than {MAX_VIEW_DEPTH} levels deep."
_HINTS = {
    ViewAccess.RIGHTS: "Let both have SELECT on {table} and USAGE of its schema, or make the view security_invoker.",
    ViewAccess.ROWS: "Let both bypass row-level security on {table}, or make the view security_invoker.",
}


# How much is remembered over statements, the oldest dropped first: visibilities are large, views small.
_MAX_VISIBILITIES = 64
_MAX_VIEWS = 1_024
_MAX_FILTERS = 4_096


class ViewKey(NamedTuple):
    """All that a view's guarded definition depends on."""

    policy_fingerprint: str
    catalog_version: int
    view: int
    owner: int
    namespace: Namespace


@dataclass(frozen=True, slots=True)
class GuardedView:
    """A view's definition with guards inside, None when there is nothing to guard; and the plans that say so."""

    text: str | None
    plans: tuple[Plan, ...]


@dataclass(slots=True)
class Memory:
    """What serves many statements under one policy and catalog."""

    visibilities: dict[tuple[str, int], Visibility] = field(default_factory=dict)
    views: dict[ViewKey, GuardedView] = field(default_factory=dict)
    filters: dict[tuple[str, str], str] = field(default_factory=dict)  # by policy fingerprint and expression

    def keep_view(self, key: ViewKey, view: GuardedView) -> None:
        while len(self.views) >= _MAX_VIEWS:
            self.views.pop(next(iter(self.views)))
        self.views[key] = view


class StatementSurroundings:
    """`compile_view` compiles a view's definition in place of a statement; None when nothing in it is edited.

    `owner`: the role whose rights the server would read with here, OID; 0 for the gateway's own.
    """

    def __init__(
        self,
        policy: EffectivePolicy,
        catalog: Catalog,
        compile_view: Callable[[Relation, StatementSurroundings, Draft, int], str | None],
        memory: Memory,
        depth: int = 0,
        owner: int = 0,
    ) -> None:
        self.policy = policy
        self.catalog = catalog
        self.depth = depth
        self.memory = memory
        self._compile_view = compile_view
        self._owner = owner

    def visibility(self) -> Visibility:
        """What this principal may see of the catalogs, made once for a policy and a catalog version."""
        key = (self.policy.fingerprint, self.catalog.version)
        known = self.memory.visibilities
        found = known.get(key)
        if found is None:
            while len(known) >= _MAX_VISIBILITIES:
                known.pop(next(iter(known)))
            found = known[key] = visibility_of(self.policy, self.catalog)
        return found

    def bound(self, expression: str) -> str:
        """A filter with the principal's attributes in it. Raises ExpressionError."""
        known, key = self.memory.filters, (self.policy.fingerprint, expression)
        found = known.get(key)
        if found is None:
            while len(known) >= _MAX_FILTERS:
                known.pop(next(iter(known)))
            found = known[key] = bind_expression(expression, self.policy.principal.attributes, None)
        return found

    def key_of(self, view: Relation, namespace: Namespace) -> ViewKey:
        """Under which a view's guarded definition may be remembered. How deep it stands doesn't change it."""
        return ViewKey(self.policy.fingerprint, self.catalog.version, view.oid, self._owner, namespace)

    def expand_view(self, draft: Draft, view: Relation, use: RelationUse) -> str | None:
        """The guarded definition of a view; None when it may be read as it is. Raises Refused."""
        if view.view_definition is None or self.depth >= MAX_VIEW_DEPTH:
            raise draft.refuse(
                "0A000",
                "pgwarden/views",
                f"view {view.schema}.{view.name} can't be expanded",
                detail=_WITHOUT_DEFINITION if view.view_definition is None else _TOO_DEEP,
                hint="Read the tables that it is made of.",
                at=use.location,
            )
        owner = self._owner if view.is_invoker else view.owner
        inner = StatementSurroundings(self.policy, self.catalog, self._compile_view, self.memory, self.depth + 1, owner)
        body = self._compile_view(view, inner, draft, use.location)
        if body is not None:
            self._require_same_access(draft, view, owner, use)
        return body

    def _require_same_access(self, draft: Draft, view: Relation, owner: int, use: RelationUse) -> None:
        """The server would read the view's relations as `owner`, the expansion reads them as the gateway's login."""
        if not view.is_selectable and not self._owner:
            raise draft.refuse(
                "42501",
                "pgwarden/views",
                f"permission denied for view {view.schema}.{view.name}",
                hint=f"Grant SELECT on {view.schema}.{view.name} to the login that pgwarden uses.",
                at=use.location,
            )
        found = self._other_access(view, owner) if owner else None
        if found is not None:
            base, access = found
            raise draft.refuse(
                "0A000",
                "pgwarden/views",
                f"view {view.schema}.{view.name} can't be expanded: it reads {base.schema}.{base.name} "
                "with its owner's rights",
                detail=f"The login that pgwarden uses and the view's owner differ there: {access.value}.",
                hint=_HINTS[access].format(table=f"{base.schema}.{base.name}"),
                at=use.location,
            )

    def _other_access(self, view: Relation, owner: int) -> tuple[Relation, ViewAccess] | None:
        """The first relation that `owner` reads otherwise; a view with security_invoker inside hands the rights on."""
        for oid in view.reads:
            base = self.catalog.by_oid.get(oid)
            if base is None:
                continue
            access = self.catalog.view_access.get((owner, oid))
            if access is not None:
                return base, access
            if base.is_invoker and (found := self._other_access(base, owner)) is not None:
                return found
        return None
