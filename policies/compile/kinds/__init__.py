"""What is done with each kind of statement, by libpg_query's name for it. A kind that isn't here is refused."""

from __future__ import annotations

from collections.abc import Mapping

from policies.compile.compilation import Handler
from policies.compile.kinds.calls import call, do
from policies.compile.kinds.channels import listen, notify, unlisten
from policies.compile.kinds.copy import copy
from policies.compile.kinds.cursors import close, declare, fetch
from policies.compile.kinds.ddl_change import alter_table, comment, create_index, maintain, rename, truncate
from policies.compile.kinds.ddl_create import create_table, create_table_as, create_view
from policies.compile.kinds.ddl_drop import drop
from policies.compile.kinds.ddl_objects import create_composite, create_enum, create_schema, create_sequence
from policies.compile.kinds.explain import explain
from policies.compile.kinds.locks import lock
from policies.compile.kinds.prepared import deallocate, execute, prepare
from policies.compile.kinds.queries import select
from policies.compile.kinds.session import discard, set_setting, show, transaction
from policies.compile.kinds.writes import write

KINDS: Mapping[str, Handler] = {
    "SelectStmt": select,
    "InsertStmt": write,
    "UpdateStmt": write,
    "DeleteStmt": write,
    "MergeStmt": write,
    "ExplainStmt": explain,
    "TransactionStmt": transaction,
    "VariableSetStmt": set_setting,
    "VariableShowStmt": show,
    "DiscardStmt": discard,
    "DeclareCursorStmt": declare,
    "FetchStmt": fetch,
    "ClosePortalStmt": close,
    "PrepareStmt": prepare,
    "ExecuteStmt": execute,
    "DeallocateStmt": deallocate,
    "CopyStmt": copy,
    "ListenStmt": listen,
    "NotifyStmt": notify,
    "UnlistenStmt": unlisten,
    "CallStmt": call,
    "DoStmt": do,
    "LockStmt": lock,
    "CreateStmt": create_table,
    "CreateTableAsStmt": create_table_as,
    "ViewStmt": create_view,
    "CreateSchemaStmt": create_schema,
    "CreateSeqStmt": create_sequence,
    "CreateEnumStmt": create_enum,
    "CompositeTypeStmt": create_composite,
    "IndexStmt": create_index,
    "AlterTableStmt": alter_table,
    "RenameStmt": rename,
    "DropStmt": drop,
    "TruncateStmt": truncate,
    "CommentStmt": comment,
    "VacuumStmt": maintain,
}
