"""The allow-everything policy: bytes pass unchanged. The text is still read, for the record and for what it leaves."""

from __future__ import annotations

from policies.compile.builtins import ALLOWED_ON_VISIBLE, SETTING_READERS
from policies.compile.effects import effect_of
from policies.compile.function_table import ALLOWED_NAMES
from policies.compile.leaving import leaves_of, unknown_leaves
from policies.compile.parse import ParseError, Statement, parse
from policies.compile.shape import shape_of
from policies.compile.statements import command_of
from policies.compile.tree import Tree, nodes_of, strings_of
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

_STATELESS = ALLOWED_NAMES | SETTING_READERS | ALLOWED_ON_VISIBLE.keys()


def decide_everything(sql: str, policy: EffectivePolicy, version: int) -> Decision:
    """One plan per statement; a text that libpg_query doesn't read goes on as one plan of unknown kind."""
    try:
        encoded = sql.encode()
        plans = tuple(_plan(encoded, statement) for statement in parse(sql))
    except (ParseError, RecursionError):
        plans = (Plan("unknown", sql, is_ddl=True, is_tainting=True, shape="", leaves=unknown_leaves()),)
    return Decision(sql, plans, None, (), policy.fingerprint, version)


def _plan(encoded: bytes, statement: Statement) -> Plan:
    text = encoded[statement.start : statement.end].decode("utf-8", "replace").strip()
    found = list(nodes_of(statement.tree))
    creates = "intoClause" in statement.tree or any(kind == "CreateTableAsStmt" for kind, _ in found)
    return Plan(
        command_of(statement),
        text,
        is_ddl=(statement.kind not in _NO_DDL or creates) and not _is_temporary(statement.tree),
        is_tainting=statement.kind not in _PLAIN or creates or any(map(_may_leave_state, found)),
        tables=tuple(sorted({_name(node) for kind, node in found if kind == "RangeVar"})),
        effect=effect_of(statement),
        shape=shape_of(text),
        leaves=leaves_of(statement, text),
    )


def _is_temporary(tree: Tree) -> bool:
    """CREATE TEMP TABLE and the like: the catalog leaves out what is temporary."""
    into: Tree = tree.get("into") or tree.get("intoClause") or {}
    made: Tree = tree.get("relation") or into.get("rel") or {}
    return bool(made.get("relpersistence") == "t")


def _may_leave_state(entry: tuple[str, Tree]) -> bool:
    """A call of anything but a reviewed built-in: a function may set settings and make temporary tables."""
    kind, node = entry
    if kind != "FuncCall":
        return False
    *schema, name = strings_of(node["funcname"])
    return schema not in ([], ["pg_catalog"]) or name not in _STATELESS


def _name(node: Tree) -> str:
    return f"{node['schemaname']}.{node['relname']}" if "schemaname" in node else node["relname"]
