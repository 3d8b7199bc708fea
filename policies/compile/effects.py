"""What a statement does to the session's names and transaction, read off its tree alone.

Knows no policy: the same holds under all of them. The search_path is `rules/settings`' affair.
"""

from __future__ import annotations

from policies.compile.parse import Statement
from policies.compile.tree import Tree
from policies.decision import ALL_NAMES, NO_EFFECT, Effect

_WITH_HOLD = 32  # a bit of the grammar's cursor options
_FORGET_ALL = Effect(
    resets_search_path=True,
    closes_cursor=ALL_NAMES,
    forgets_prepared=ALL_NAMES,
    discards_temporary=True,
    discards=True,
)


def effect_of(statement: Statement) -> Effect:
    """NO_EFFECT for kinds that only touch data."""
    tree = statement.tree
    match statement.kind:
        case "TransactionStmt":
            return Effect(savepoint=tree.get("savepoint_name", ""), is_chained=bool(tree.get("chain")))
        case "DeclareCursorStmt":
            return Effect(opens_cursor=tree["portalname"], is_holdable=bool(tree.get("options", 0) & _WITH_HOLD))
        case "FetchStmt":
            return Effect(reads_cursor=tree["portalname"])
        case "ClosePortalStmt":
            return Effect(closes_cursor=tree.get("portalname", ALL_NAMES))
        case "PrepareStmt":
            return Effect(prepares=tree["name"])
        case "ExecuteStmt":
            return Effect(executes=tree["name"])
        case "DeallocateStmt":
            return Effect(forgets_prepared=tree.get("name", ALL_NAMES))
        case "DiscardStmt":
            return _discarding(tree)
    return NO_EFFECT


def _discarding(tree: Tree) -> Effect:
    """DISCARD PLANS and SEQUENCES leave all names as they are."""
    match tree.get("target"):
        case "DISCARD_ALL":
            return _FORGET_ALL
        case "DISCARD_TEMP":
            return Effect(discards_temporary=True)
    return NO_EFFECT
