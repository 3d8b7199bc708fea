"""What a policy may refer to: principals, tags, databases, the environment's values. Plain data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from policies.model import ColumnName, Principal
from policies.outside import Outside


@dataclass(frozen=True, slots=True)
class Known:
    """`databases` is None when that isn't known; `outside` serves values written as ``env:NAME`` or ``file:PATH``."""

    principals: Collection[Principal]
    tags: Mapping[str, tuple[ColumnName, ...]]
    databases: Collection[str] | None
    outside: Outside

    def names(self, key: str) -> set[str]:
        """Names in use for a key of `subjects`."""
        match key:
            case "users":
                return {p.user for p in self.principals}
            case "teams":
                return {p.team for p in self.principals if p.team}
            case "tenants":
                return {p.tenant for p in self.principals if p.tenant}
            case _:
                return {role for p in self.principals for role in p.roles}
