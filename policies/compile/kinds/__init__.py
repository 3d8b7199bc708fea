"""What is done with each kind of statement, by libpg_query's name for it. A kind that isn't here is refused."""

from __future__ import annotations

from collections.abc import Mapping

from policies.compile.compilation import Handler
from policies.compile.kinds.queries import explain, select
from policies.compile.kinds.session import discard, harmless, set_setting, show, transaction

KINDS: Mapping[str, Handler] = {
    "SelectStmt": select,
    "ExplainStmt": explain,
    "TransactionStmt": transaction,
    "VariableSetStmt": set_setting,
    "VariableShowStmt": show,
    "DiscardStmt": discard,
    "ClosePortalStmt": harmless,
    "UnlistenStmt": harmless,
    "DeallocateStmt": harmless,
}
