"""What changed from one policy set to the next, in one sentence for the records: names and parts, no values.

Pure; `pgwarden diff` says what such a change means for statements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from policies.fingerprint import fingerprint_of
from policies.model import Policy, PolicySet

_MOST_NAMES: Final = 12
_OWN: Final = frozenset(
    {"principals", "policies", "fingerprint", "tag_sources"}
)  # told by names, or follow from others
_UNTOLD: Final = frozenset({"name", "source"})


def summary_of(before: PolicySet | None, after: PolicySet) -> str:
    """Such as "policies: 1 changed (analysts: masks, rows), 1 new (interns); principals: 1 gone (sam)"."""
    if before is None:
        return f"{_count(after.policies, 'policy', 'policies')}, {_count(after.principals, 'principal', 'principals')}"
    was, now = _by_name(before), _by_name(after)
    changed = [_changed(was[name], now[name]) for name in sorted(was.keys() & now.keys()) if was[name] != now[name]]
    users = [
        user
        for user in sorted(before.principals.keys() & after.principals.keys())
        if fingerprint_of(before.principals[user]) != fingerprint_of(after.principals[user])
    ]
    parts = [
        _told(
            "policies",
            [one for one in changed if one],
            sorted(now.keys() - was.keys()),
            sorted(was.keys() - now.keys()),
        ),
        _told(
            "principals",
            users,
            sorted(after.principals.keys() - before.principals.keys()),
            sorted(before.principals.keys() - after.principals.keys()),
        ),
        *(f"{name} changed" for name in _others(before, after)),
    ]
    return "; ".join(part for part in parts if part) or "nothing that counts changed"


def _by_name(policies: PolicySet) -> Mapping[str, Policy]:
    return {policy.name: policy for policy in policies.policies}


def _changed(before: Policy, after: Policy) -> str:
    """The policy's name with those of its parts that mean something else; empty where only its place changed."""
    parts = [name for name in _names(before) if name not in _UNTOLD and not name.endswith("_rule")]
    told = [name for name in parts if fingerprint_of(getattr(before, name)) != fingerprint_of(getattr(after, name))]
    return f"{after.name}: {', '.join(name.rstrip('_') for name in told)}" if told else ""


def _others(before: PolicySet, after: PolicySet) -> list[str]:
    others = [name for name in _names(before) if name not in _OWN]
    return [name for name in others if fingerprint_of(getattr(before, name)) != fingerprint_of(getattr(after, name))]


def _names(value: Any) -> list[str]:
    return [field.name for field in fields(value)]


def _told(what: str, changed: list[str], new: list[str], gone: list[str]) -> str:
    lists = {"changed": changed, "new": new, "gone": gone}
    told = [f"{len(names)} {kind} ({_listed(names)})" for kind, names in lists.items() if names]
    return f"{what}: {', '.join(told)}" if told else ""


def _listed(names: list[str]) -> str:
    shown = "; ".join(names[:_MOST_NAMES]) if any(":" in name for name in names) else ", ".join(names[:_MOST_NAMES])
    return shown if len(names) <= _MOST_NAMES else f"{shown}, and {len(names) - _MOST_NAMES} more"


def _count(things: Any, one: str, many: str) -> str:
    return f"{len(things)} {one if len(things) == 1 else many}"
