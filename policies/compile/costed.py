"""What of a statement the planner can put a price on: the query that it runs, taken out of its own text.

The text is one that was decided already; this only finds places in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from policies.compile.guards import quote
from policies.compile.parse import Statement, Token, parse, scan

_QUERIES: Final = frozenset({"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
_OLD_OPTIONS: Final = frozenset({"analyze", "analyse", "verbose"})


@dataclass(frozen=True, slots=True)
class Costed:
    """`query` can be prepared; `types` are those that PREPARE declared for it, as written. `is_whole`: it can't, it is
    for EXPLAIN as it stands."""

    query: str
    types: str = ""
    is_whole: bool = False


def costed_statement(text: str, index: int) -> Costed | None:
    """What the text's statement of this number runs; None when it runs nothing the planner plans. Raises ParseError."""
    statement = parse(text)[index]
    own = _between(text, statement.start, statement.end)
    if statement.kind == "CreateTableAsStmt" or "intoClause" in statement.tree:
        return Costed(own, is_whole=True)
    if statement.kind in _QUERIES:
        return Costed(own)
    return _inside(statement, own)


def _inside(statement: Statement, own: str) -> Costed | None:
    tokens = scan(own)
    match statement.kind:
        case "DeclareCursorStmt":
            return Costed(_between(own, _after(tokens, "for"), None))
        case "PrepareStmt":
            return _prepared(own, tokens)
        case "ExplainStmt" if _runs(statement):
            return Costed(_between(own, _behind_options(tokens), None))
        case "CopyStmt" if "query" in statement.tree:
            first = next(index for index, token in enumerate(tokens) if token.word == "(")
            last = _closing(tokens, first)
            return Costed(_between(own, tokens[first].end, tokens[last].start))
        case "CopyStmt" if not statement.tree.get("is_from"):
            return Costed(_table_read(statement.tree["relation"]))
        case _:
            return None


def _table_read(relation: dict[str, Any]) -> str:
    """COPY of a table reads what a query of it alone reads, without its children."""
    names = (relation.get("catalogname"), relation.get("schemaname"), relation["relname"])
    return "SELECT * FROM ONLY " + ".".join(quote(name) for name in names if name)


def _prepared(own: str, tokens: list[Token]) -> Costed:
    types = ""
    if tokens[2].word == "(":
        types = _between(own, tokens[2].end, tokens[_closing(tokens, 2)].start)
    return Costed(_between(own, _after(tokens, "as"), None), types)


def _runs(statement: Statement) -> bool:
    """Whether EXPLAIN has ANALYZE: any value but a plain no counts."""
    options = [option.get("DefElem", {}) for option in statement.tree.get("options") or ()]
    return any(option.get("defname") in ("analyze", "analyse") for option in options)


def _behind_options(tokens: list[Token]) -> int:
    at = 1
    if tokens[1].word == "(" and tokens[2].word not in ("select", "with", "values", "table", "("):
        at = _closing(tokens, 1) + 1
    while tokens[at].word in _OLD_OPTIONS:
        at += 1
    return tokens[at].start


def _after(tokens: list[Token], word: str) -> int:
    """Behind the first such keyword outside of brackets; reserved, so it is nobody's name."""
    depth = 0
    for token in tokens:
        depth += (token.word == "(") - (token.word == ")")
        if depth == 0 and token.word == word:
            return token.end
    raise ValueError(f"no {word}")


def _closing(tokens: list[Token], at: int) -> int:
    depth = 0
    for index in range(at, len(tokens)):
        depth += (tokens[index].word == "(") - (tokens[index].word == ")")
        if depth == 0:
            return index
    raise ValueError("no closing bracket")


def _between(own: str, start: int, end: int | None) -> str:
    """Offsets are bytes."""
    return own.encode()[start:end].decode().strip()
