"""The allow-everything policy: bytes pass unchanged. The text is still read, for the record and for what it leaves."""

from __future__ import annotations

from policies.compile.parse import ParseError, Statement, parse
from policies.compile.shape import shape_of
from policies.compile.statements import command_of
from policies.compile.tree import nodes_of
from policies.decision import Decision, Plan
from policies.model import EffectivePolicy

_QUERIES = frozenset({"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
_PLAIN = _QUERIES | {
    "TransactionStmt",
    "CopyStmt",
    "VariableShowStmt",
    "ExplainStmt",
    "ClosePortalStmt",
    "FetchStmt",
}
_NO_DDL = _PLAIN | {
    "VariableSetStmt",
    "DiscardStmt",
    "PrepareStmt",
    "ExecuteStmt",
    "DeallocateStmt",
    "DeclareCursorStmt",
    "ListenStmt",
    "UnlistenStmt",
    "NotifyStmt",
    "LockStmt",
    "VacuumStmt",
    "CheckPointStmt",
}


def decide_everything(sql: str, policy: EffectivePolicy, version: int) -> Decision:
    """One plan per statement; a text that libpg_query doesn't read goes on as one plan of unknown kind."""
    try:
        encoded = sql.encode()
        plans = tuple(_plan(encoded, statement) for statement in parse(sql))
    except (ParseError, RecursionError):
        plans = (Plan("unknown", sql, is_ddl=True, is_tainting=True, shape=""),)
    return Decision(sql, plans, None, (), policy.fingerprint, version)


def _plan(encoded: bytes, statement: Statement) -> Plan:
    text = encoded[statement.start : statement.end].decode("utf-8", "replace").strip()
    found = list(nodes_of(statement.tree))
    tables = {_name(node) for kind, node in found if kind == "RangeVar"}
    sets = any(
        kind == "FuncCall" and node["funcname"][-1]["String"].get("sval") == "set_config" for kind, node in found
    )
    creates = "intoClause" in statement.tree
    return Plan(
        command_of(statement),
        text,
        is_ddl=statement.kind not in _NO_DDL or creates,
        is_tainting=statement.kind not in _PLAIN or sets or creates,
        tables=tuple(sorted(tables)),
        shape=shape_of(text),
    )


def _name(node: dict[str, str]) -> str:
    return f"{node['schemaname']}.{node['relname']}" if "schemaname" in node else node["relname"]
