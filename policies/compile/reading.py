"""Whether a statement certainly only reads, so that a server which takes no writes can answer it. By its text alone."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from policies.compile.function_table import ALLOWED_NAMES
from policies.compile.parse import ParseError, parse
from policies.compile.tree import nodes_of, strings_of

_WRITES: Final = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "LockingClause", "IntoClause"})
_LONGEST: Final = 100_000


@lru_cache(maxsize=1024)
def only_reads(text: str) -> bool:
    """One SELECT without locks, writing CTEs, INTO, and functions other than reviewed ones. In doubt, False."""
    if len(text) > _LONGEST:
        return False
    try:
        statements = parse(text)
    except (ParseError, RecursionError):
        return False
    if len(statements) != 1 or statements[0].kind != "SelectStmt" or "intoClause" in statements[0].tree:
        return False
    return all(kind not in _WRITES and _is_known(kind, node) for kind, node in nodes_of(statements[0].tree))


def _is_known(kind: str, node: object) -> bool:
    if kind != "FuncCall" or not isinstance(node, dict):
        return True
    *schema, name = strings_of(node["funcname"])
    return schema in ([], ["pg_catalog"]) and name in ALLOWED_NAMES
