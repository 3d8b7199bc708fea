"""What a statement leaves behind at the server besides its effect, read off its tree: for links that sessions share.

Knows no policy. In doubt a statement pins its link: what isn't on a list of what leaves nothing may leave anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from policies.compile.builtins import ALLOWED_ON_VISIBLE, SETTING_READERS, SETTINGS_SETTABLE
from policies.compile.function_table import ALLOWED_NAMES
from policies.compile.parse import Statement
from policies.compile.rules.settings import identifiers_of
from policies.compile.tree import Tree, is_node, literal_text, nodes_of, strings_of
from policies.decision import ALL_NAMES, NOTHING_LEFT, Leaves, Plan

_WITH_HOLD: Final = 32  # a bit of the grammar's cursor options
_LONGEST_SETTING: Final = 1024  # a text is sent again whenever the session gets another link
_WRITES: Final = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
_DATA: Final = _WRITES | {"SelectStmt", "CopyStmt", "ExplainStmt"}
_NOTHING: Final = frozenset(
    {
        "TransactionStmt",
        "VariableShowStmt",
        "FetchStmt",
        "ClosePortalStmt",
        "LockStmt",
        "NotifyStmt",
        "UnlistenStmt",
        "DeallocateStmt",
        "VacuumStmt",
        "CheckPointStmt",
    }
)
_DEFINITIONS: Final = frozenset(
    {
        "CreateStmt",
        "CreateTableAsStmt",
        "AlterTableStmt",
        "DropStmt",
        "IndexStmt",
        "ViewStmt",
        "RenameStmt",
        "TruncateStmt",
        "CommentStmt",
        "GrantStmt",
        "CreateSchemaStmt",
        "CreateSeqStmt",
    }
)
_PINNING: Final = {
    "ListenStmt": "listen",
    "PrepareStmt": "prepare",
    "ExecuteStmt": "prepare",
    "CallStmt": "function",
    "DoStmt": "function",
    "LoadStmt": "library",
}
_SEQUENCE_WRITERS: Final = frozenset({"nextval", "setval"})
_SEQUENCE_READERS: Final = frozenset({"currval", "lastval"})
# Reviewed beside those that a policy allows: what they change ends with the transaction, or isn't the session's.
_TRANSACTIONS_OWN: Final = frozenset(
    {
        "pg_advisory_xact_lock",
        "pg_advisory_xact_lock_shared",
        "pg_try_advisory_xact_lock",
        "pg_try_advisory_xact_lock_shared",
        "pg_advisory_unlock_all",
        "pg_current_xact_id",
        "pg_current_xact_id_if_assigned",
        "pg_current_snapshot",
        "txid_current",
        "pg_sleep",
        "pg_sleep_for",
        "pg_sleep_until",
        "pg_notify",
    }
)
_STATELESS: Final = (
    (ALLOWED_NAMES | SETTING_READERS | ALLOWED_ON_VISIBLE.keys() | _TRANSACTIONS_OWN | _SEQUENCE_WRITERS)
    - {"setseed"}  # random() goes on from there
)
# What the compiler and the masks hang on stays as it is, or the link is nobody else's.
_FIXED: Final = {
    "client_encoding": frozenset({"utf8", "utf-8", "unicode"}),
    "standard_conforming_strings": frozenset({"on", "true", "1", "yes"}),
}
_TRANSACTIONS: Final = "transaction_"
_FOREVER: Final = (SETTINGS_SETTABLE.keys() | {"search_path"}) - {
    "transaction_deferrable",
    "transaction_isolation",
    "transaction_read_only",
}


def leaves_of(statement: Statement, text: str) -> Leaves:
    """`text` is the statement without its semicolon."""
    tree, kind = statement.tree, statement.kind
    if kind in _DATA:
        return _data(kind, tree)
    if kind in _NOTHING:
        return NOTHING_LEFT
    if kind == "VariableSetStmt":
        return _setting(tree, text)
    if kind == "DiscardStmt":
        return Leaves(settings=((ALL_NAMES, None),)) if tree.get("target") == "DISCARD_ALL" else NOTHING_LEFT
    if kind == "DeclareCursorStmt":
        return Leaves("cursor") if tree.get("options", 0) & _WITH_HOLD else _data("SelectStmt", tree)
    if kind in _DEFINITIONS:
        return replace(_data(kind, tree), has_sequences=True)
    return Leaves(_PINNING.get(kind, "other"))


def with_leaves(plan: Plan, leaves: Leaves) -> Plan:
    """Most statements leave nothing: their plans stay as they are."""
    return plan if leaves == NOTHING_LEFT else replace(plan, leaves=leaves)


def unknown_leaves() -> Leaves:
    """Of a text that libpg_query doesn't read."""
    return Leaves("other")


def _data(kind: str, tree: Tree) -> Leaves:
    if _makes_temporary(tree):
        return Leaves("temporary")
    found = Leaves(has_sequences=kind in _WRITES or bool(tree.get("is_from")))
    for node_kind, node in nodes_of(tree):
        if node_kind == "FuncCall":
            found = _with_call(found, node)
            if found.pins:
                return found
        elif node_kind in _WRITES:
            found = replace(found, has_sequences=True)
    return found


def _makes_temporary(tree: Tree) -> bool:
    """What ON COMMIT DROP takes along is gone before anybody else has the link."""
    into: Tree = tree.get("into") or tree.get("intoClause") or {}
    on_commit = into.get("onCommit") or tree.get("oncommit")
    made = [into.get("rel"), tree.get("relation"), tree.get("view"), tree.get("sequence")]
    if on_commit == "ONCOMMIT_DROP":
        return False
    return any(one and (one.get("relpersistence") == "t" or _is_temporary_schema(one)) for one in made)


def _is_temporary_schema(relation: Tree) -> bool:
    return str(relation.get("schemaname", "")).startswith("pg_temp")


def _with_call(found: Leaves, call: Tree) -> Leaves:
    *schema, name = strings_of(call["funcname"])
    if schema not in ([], ["pg_catalog"]):
        return Leaves("function")
    if name == "set_config":
        return _joined(found, _config(call.get("args") or []))
    if name in _SEQUENCE_READERS:
        return Leaves("sequence")
    if name.startswith(("pg_advisory_", "pg_try_advisory_")) and name not in _STATELESS:
        return Leaves("advisory_lock")
    if name not in _STATELESS:
        return Leaves("function")
    return replace(found, has_sequences=True) if name in _SEQUENCE_WRITERS else found


def _joined(first: Leaves, second: Leaves) -> Leaves:
    return Leaves(
        second.pins,
        first.settings + second.settings,
        first.is_local or second.is_local,
        first.has_sequences or second.has_sequences,
    )


# settings


def _setting(tree: Tree, text: str) -> Leaves:
    kind, name = tree.get("kind"), str(tree.get("name", "")).lower()
    if kind == "VAR_RESET_ALL":
        return Leaves(settings=((ALL_NAMES, None),))
    if kind == "VAR_SET_MULTI":
        return Leaves("setting") if tree.get("name") == "SESSION CHARACTERISTICS" else NOTHING_LEFT
    if tree.get("is_local"):
        return Leaves(is_local=True)
    if kind in ("VAR_RESET", "VAR_SET_DEFAULT"):
        return Leaves(settings=((name, None),))
    if name.startswith(_TRANSACTIONS):
        return NOTHING_LEFT
    values = [_constant(node) for node in tree.get("args", ())]
    if kind != "VAR_SET_VALUE" or len(text) > _LONGEST_SETTING or not _is_kept(name, values):
        return Leaves("setting")
    return Leaves(settings=((name, text),))


def _config(arguments: list[Any]) -> Leaves:
    """set_config(name, value, is_local): what isn't constant nobody knows before it has run."""
    if len(arguments) != 3:
        return Leaves("setting")
    is_local = _boolean(arguments[2])
    if is_local:
        return Leaves(is_local=True)
    name, value = literal_text(arguments[0]), literal_text(arguments[1])
    if is_local is None or name is None or value is None or len(value) > _LONGEST_SETTING:
        return Leaves("setting")
    name = name.lower()
    values = identifiers_of(value) if name == "search_path" else [value]
    if name.startswith(_TRANSACTIONS) or values is None or not _is_kept(name, values):
        return Leaves("setting")
    return Leaves(settings=((name, setting_text(name, value)),))


def setting_text(name: str, value: str) -> str:
    """A statement that gives a setting this value, as a startup packet would. Reads the same under any setting."""
    return f"SELECT pg_catalog.set_config({_quoted(name)}, {_quoted(value)}, false)"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f" E'{escaped}'"


def _is_kept(name: str, values: Iterable[str | None]) -> bool:
    if name == "search_path":
        return not any(value is None or value.startswith("pg_temp") for value in values)
    fixed = _FIXED.get(name)
    return name in _FOREVER and (fixed is None or all((value or "").lower() in fixed for value in values))


def _constant(node: Any) -> str | None:
    """Of texts and of words; other constants are as good as any."""
    if not is_node(node, "A_Const"):
        return ""
    return str(node["A_Const"].get("sval", {}).get("sval", ""))


def _boolean(node: Any) -> bool | None:
    if is_node(node, "A_Const") and "boolval" in node["A_Const"]:
        return bool(node["A_Const"]["boolval"].get("boolval"))
    return None
