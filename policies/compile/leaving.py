"""What a statement leaves behind at the server besides its effect, read off its tree: for links that sessions share.

Knows no policy. In doubt a statement pins its link: what isn't on a list of what leaves nothing may leave anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
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
# They show what other sessions have prepared on a link; pinning closes it before the statement runs.
_LISTING: Final = frozenset({"pg_prepared_statements", "pg_backend_memory_contexts"})
_PLAIN_SELECT: Final = frozenset({"targetList", "limitOption", "op"})
_TRANSACTIONS: Final = frozenset({"transaction_deferrable", "transaction_isolation", "transaction_read_only"})
_FOREVER: Final = (SETTINGS_SETTABLE.keys() | {"search_path"}) - _TRANSACTIONS
# Of short ones, the next borrower would die: the server counts from the moment at which it has the link.
_TIMEOUTS: Final = frozenset(
    {"statement_timeout", "transaction_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout"}
)
_DURATION: Final = re.compile(r"(\d+)(?:\.\d*)?\s*(us|ms|s|min|h|d)?", re.ASCII | re.IGNORECASE)
_UNITS_MS: Final = {"us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_SHORTEST_MS: Final = 1000


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
    if _makes_temporary(kind, tree):
        return Leaves("temporary")
    if (pins := _touches_session(kind, tree)) or not _sets_plainly(kind, tree):
        return Leaves(pins or "setting")
    found = Leaves(has_sequences=kind in _WRITES or bool(tree.get("is_from")))
    for node_kind, node in nodes_of(tree):
        if node_kind == "FuncCall":
            found = _with_call(found, node)
            if found.pins:
                return found
        elif node_kind in _WRITES:
            found = replace(found, has_sequences=True)
    return found


def _makes_temporary(kind: str, tree: Tree) -> bool:
    """What ON COMMIT DROP takes along is gone before anybody else has the link."""
    into: Tree = tree.get("into") or {}
    if "ONCOMMIT_DROP" in (into.get("onCommit"), tree.get("oncommit")):
        return False
    # INTO may stand in the first arm of a UNION, or under EXPLAIN.
    made = [one["rel"] for one in _parts(tree) if "rel" in one]
    if kind in _DEFINITIONS:
        made += [tree[key] for key in ("relation", "view", "sequence") if key in tree]
    return any(one.get("relpersistence") == "t" or _is_temporary_schema(one) for one in made)


def _is_temporary_schema(relation: Tree) -> bool:
    return str(relation.get("schemaname", "")).startswith("pg_temp")


def _parts(value: Any) -> Iterator[Tree]:
    """All of a tree, also what isn't a node of its own there; constants aside, which shapes exchange."""
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            if "A_Const" in one:
                continue
            yield one
            pending += one.values()
        elif isinstance(one, list):
            pending += one


def _touches_session(kind: str, tree: Tree) -> str:
    """By views that are the session's own: an UPDATE of pg_settings is a SET, others list what a link holds."""
    names = {one["relname"] for one in _parts(tree) if isinstance(one.get("relname"), str)}
    if names & _LISTING:
        return "prepare"
    is_writing = kind in _WRITES or any(found in _WRITES for found, _ in nodes_of(tree))
    return "setting" if is_writing and "pg_settings" in names else ""


def _sets_plainly(kind: str, tree: Tree) -> bool:
    """Whether every set_config runs exactly once, so that what it says is what holds behind the statement."""
    calls = [node for found, node in nodes_of(tree) if found == "FuncCall" and _is_config(node)]
    if not calls:
        return True
    if kind != "SelectStmt" or not tree.keys() <= _PLAIN_SELECT or tree.get("op", "SETOP_NONE") != "SETOP_NONE":
        return False
    values = [target.get("ResTarget", {}).get("val", {}) for target in tree.get("targetList", ())]
    if not all(_is_one_value(value) for value in values):
        return False  # a function of no rows keeps set_config from running
    plain = [value["FuncCall"] for value in values if is_node(value, "FuncCall") and _is_config(value["FuncCall"])]
    names = {literal_text((call.get("args") or [None])[0]) for call in plain}
    return len(calls) == len(plain) == len(names)


def _is_one_value(node: Any) -> bool:
    if is_node(node, "TypeCast"):
        return _is_one_value(node["TypeCast"].get("arg"))
    if is_node(node, "FuncCall"):
        call = node["FuncCall"]
        is_reader = strings_of(call["funcname"])[-1] in SETTING_READERS
        return _is_config(call) or (is_reader and all(_is_one_value(one) for one in call.get("args", ())))
    return is_node(node, "A_Const") or is_node(node, "ParamRef")


def _is_config(call: Tree) -> bool:
    return strings_of(call["funcname"])[-1] == "set_config"


def _with_call(found: Leaves, call: Tree) -> Leaves:
    *schema, name = strings_of(call["funcname"])
    if schema == ["information_schema"] and name.startswith("_pg_"):
        return found  # pgJDBC's and Metabase's look at keys
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
    values = [_constant(node) for node in tree.get("args", ())]
    if tree.get("is_local"):
        # A table that is made there stays behind the transaction.
        return Leaves("temporary") if _leads_to_temporary(name, values) else Leaves(is_local=True)
    if kind in ("VAR_RESET", "VAR_SET_DEFAULT"):
        return Leaves(settings=((name, None),))
    if name in _TRANSACTIONS:
        return NOTHING_LEFT
    if kind != "VAR_SET_VALUE" or len(text) > _LONGEST_SETTING or not _is_kept(name, values):
        return Leaves("setting")
    return Leaves(settings=((name, text),))


def _config(arguments: list[Any]) -> Leaves:
    """set_config(name, value, is_local): what isn't constant nobody knows before it has run."""
    if len(arguments) != 3:
        return Leaves("setting")
    is_local, name, value = _boolean(arguments[2]), literal_text(arguments[0]), literal_text(arguments[1])
    if is_local is None or name is None:
        return Leaves("setting")
    name = name.lower()
    values = identifiers_of(value) if name == "search_path" else [value]
    if is_local:
        is_lost = name == "search_path" and values is None
        return Leaves("temporary") if is_lost or _leads_to_temporary(name, values or ()) else Leaves(is_local=True)
    if value is None or len(value) > _LONGEST_SETTING:
        return Leaves("setting")
    if name in _TRANSACTIONS or values is None or not _is_kept(name, values):
        return Leaves("setting")
    return Leaves(settings=((name, setting_text(name, value)),))


def setting_text(name: str, value: str) -> str:
    """A statement that gives a setting this value, as a startup packet would. Reads the same under any setting."""
    return f"SELECT pg_catalog.set_config({_quoted(name)}, {_quoted(value)}, false)"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f" E'{escaped}'"


def is_kept(name: str, value: str) -> bool:
    """Whether a setting of the startup packet, under its name in lower case, can follow its client."""
    values = identifiers_of(value) if name == "search_path" else [value]
    return values is not None and _is_kept(name, values)


def _is_kept(name: str, values: Iterable[str | None]) -> bool:
    if name in _TIMEOUTS:
        return all(value is not None and not _is_short(value) for value in values)
    fixed = _FIXED.get(name)
    if _leads_to_temporary(name, values) or name not in _FOREVER:
        return False
    return fixed is None or all((value or "").lower() in fixed for value in values)


def _leads_to_temporary(name: str, values: Iterable[str | None]) -> bool:
    return name == "search_path" and any(value is None or value.startswith("pg_temp") for value in values)


def _is_short(value: str) -> bool:
    """In milliseconds where no unit is named; 0 is none at all."""
    found = _DURATION.fullmatch(value.strip())
    if found is None:
        return True
    number, unit = float(found[1]), (found[2] or "ms").lower()
    return 0 < number * _UNITS_MS[unit] < _SHORTEST_MS


def _constant(node: Any) -> str | None:
    """Of numbers, texts and words; other constants are as good as any."""
    if not is_node(node, "A_Const"):
        return ""
    value = node["A_Const"]
    if "ival" in value:
        return str(value["ival"].get("ival", 0))
    return str(value.get("fval", {}).get("fval", "") or value.get("sval", {}).get("sval", ""))


def _boolean(node: Any) -> bool | None:
    if is_node(node, "A_Const") and "boolval" in node["A_Const"]:
        return bool(node["A_Const"]["boolval"].get("boolval"))
    return None
