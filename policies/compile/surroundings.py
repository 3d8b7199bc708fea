"""What the rules need of the world around one statement: what the principal may see, and how views unfold."""

from __future__ import annotations

from collections.abc import Callable

from policies.catalog import Catalog, Relation
from policies.compile.draft import Draft
from policies.compile.scope import RelationUse
from policies.compile.visibility import Visibility, visibility_of
from policies.model import EffectivePolicy

# Views of views: deeper than any sane schema, shallow enough to stay quick.
MAX_VIEW_DEPTH = 16


class StatementSurroundings:
    """`compile_view` compiles a view's definition in place of a statement; None when nothing in it is edited."""

    def __init__(
        self,
        policy: EffectivePolicy,
        catalog: Catalog,
        compile_view: Callable[[Relation, StatementSurroundings, Draft], str | None],
        visibilities: dict[tuple[str, int], Visibility],
        depth: int = 0,
    ) -> None:
        self.policy = policy
        self.catalog = catalog
        self.depth = depth
        self.visibilities = visibilities
        self._compile_view = compile_view

    def visibility(self) -> Visibility:
        """What this principal may see of the catalogs, made once for a policy and a catalog version."""
        key = (self.policy.fingerprint, self.catalog.version)
        found = self.visibilities.get(key)
        if found is None:
            while len(self.visibilities) >= 64:
                self.visibilities.pop(next(iter(self.visibilities)))
            found = self.visibilities[key] = visibility_of(self.policy, self.catalog)
        return found

    def expand_view(self, draft: Draft, view: Relation, use: RelationUse) -> str | None:
        """The guarded definition of a view; None when it may be read as it is. Raises Refused."""
        if view.view_definition is None or self.depth >= MAX_VIEW_DEPTH:
            raise draft.refuse(
                "0A000",
                "pgwarden/views",
                f"view {view.schema}.{view.name} can't be expanded",
                at=use.location,
            )
        inner = StatementSurroundings(self.policy, self.catalog, self._compile_view, self.visibilities, self.depth + 1)
        return self._compile_view(view, inner, draft)
