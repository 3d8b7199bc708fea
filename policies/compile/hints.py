"""What would make a refused statement pass, where the rule that refuses it has nothing better to say.

Refusals in PostgreSQL's own words (there is no such table, a syntax error) are as bare as the server's.
"""

from __future__ import annotations

from dataclasses import replace

from policies.decision import Refusal

_OURS = frozenset({"42501", "0A000", "53400"})  # denied, can't be proven, a limit
_REST = "Write the statement in another way, or let a user with the allow-everything policy run it."
_BY_RULE = {
    "pgwarden/functions": "A policy can allow functions of its own schemas under functions.allow, as schema.name.",
    "pgwarden/guard": "Ask an administrator to put the rule or the user's attributes right: pgwarden check helps.",
    "pgwarden/nodes": "Write the query without it, or let a user with the allow-everything policy run it.",
    "pgwarden/relations": "Name a relation of the database that the session is connected to.",
    "pgwarden/settings": "Leave the setting as it is, or choose a value that doesn't change what statements mean.",
    "pgwarden/splice": "Write the statement in a plainer way, and report it: it should have been understood.",
    "pgwarden/types": "Name the columns instead of the whole row.",
}


def with_hint(refusal: Refusal) -> Refusal:
    """The refusal itself when it has a hint, or needs none."""
    if refusal.hint or refusal.sqlstate not in _OURS:
        return refusal
    if not refusal.rule.startswith("pgwarden/"):
        return replace(refusal, hint=f"Ask who keeps the policies to change rule {refusal.rule}.")
    return replace(refusal, hint=_BY_RULE.get(refusal.rule, _REST))
