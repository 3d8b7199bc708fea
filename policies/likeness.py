"""Whether two texts are the same statement but for constants: for comparing what was sent with what the server counted.

Goes by the tokens, so that texts with places ($1) where no grammar has them, as pg_stat_statements writes them, can be
read, too. Never for decisions: two texts that are alike may mean different things.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Final

from policies.compile.function_table import FunctionClass, signatures
from policies.compile.parse import ParseError, Token, Tree, parse, scan

_ANY: Final = "?"
_OPERATOR: Final = "+-*/<>=~!@#%^&|`?"
_CONSTANTS: Final = frozenset({"true", "false", "null"})
# Behind these a minus belongs to the number that comes next.
_BEFORE_SIGN: Final = frozenset({"(", ",", "[", "=", "<", ">", "+", "-", "*", "/", "||", "<=", ">=", "<>", "!="})
_WORDS_BEFORE_SIGN: Final = frozenset(
    {"select", "where", "and", "or", "not", "limit", "offset", "between", "then", "else", "when", "values", "in", "by"}
)
_HOUSEKEEPING: Final = frozenset(
    {"VariableSetStmt", "VariableShowStmt", "TransactionStmt", "DeallocateStmt", "DiscardStmt", "ClosePortalStmt"}
)
_FAR: Final = frozenset({FunctionClass.FILES, FunctionClass.SQL, FunctionClass.STATE, FunctionClass.PLUMBING})
_SETTINGS: Final = frozenset({"set_config", "current_setting"})
_CATALOGS: Final = frozenset({"pg_catalog", "information_schema"})


class Reach(Enum):
    """What a statement can get at, as far as its text tells without a catalog."""

    NOTHING = "the session's own settings and transactions"
    CATALOGS = "tables of the system catalogs alone"
    DATA = "anything else"


def likeness(sql: str) -> str:
    """The text with a mark for each constant or place, without comments, blanks and case. A text that can't be cut into
    tokens is like itself alone.
    """
    try:
        tokens = scan(sql)
    except ParseError:
        return sql
    return " ".join(_joined(list(_words(tokens))))


def filled(sql: str) -> str:
    """A redacted text with NULL for each of its marks, so that it can be read again."""
    encoded, parts, end = sql.encode(), [], 0
    if _is_readable(sql):
        return sql
    for mark in _tokens(sql):
        if mark.word.endswith(_ANY) and mark.word.strip(_OPERATOR) == "":
            parts += [encoded[end : mark.end - 1], b" NULL"]
            end = mark.end
    return b"".join([*parts, encoded[end:]]).decode()


def _is_readable(sql: str) -> bool:
    try:
        parse(sql, has_places=False)
    except ParseError:
        return False
    return True


def _tokens(sql: str) -> list[Token]:
    try:
        return scan(sql)
    except ParseError:
        return []


def reach(sql: str) -> Reach:
    try:
        statements = parse(sql, has_places=False)
    except ParseError:
        return Reach.DATA
    if statements and all(one.kind in _HOUSEKEEPING for one in statements):
        return Reach.NOTHING
    relations = [relation for one in statements for relation in _relations(one.tree)]
    called = {name for one in statements for name in _called(one.tree)}
    if called and not relations and called <= _SETTINGS and all(one.kind == "SelectStmt" for one in statements):
        return Reach.NOTHING
    own = {name for one in statements for name in _named(one.tree)}
    read = [relation for relation in relations if relation.get("schemaname") or relation.get("relname") not in own]
    is_harmless = all(map(_is_catalog, read)) and all(map(_keeps_to_catalogs, called))
    return Reach.CATALOGS if read and is_harmless else Reach.DATA


def _words(tokens: list[Token]) -> Iterator[str]:
    for token in tokens:
        is_place = token.word.startswith("$") and token.word[1:].isdigit()
        if token.literal or is_place or token.word in _CONSTANTS:
            yield _ANY
        elif token.word.endswith(_ANY) and token.word.strip(_OPERATOR) == "":
            yield from (part for part in (token.word[:-1], _ANY) if part)  # a redacted text's mark, behind a sign
        elif token.word != ";":
            yield token.word


def _joined(words: list[str]) -> list[str]:
    """Signs go into their numbers, and a list of constants is as one."""
    found: list[str] = []
    for word in words:
        if word == _ANY:
            _drop_sign(found)
            if found[-1:] == [_ANY]:
                continue  # a string constant in two pieces
            if found[-2:] == [_ANY, ","]:
                found.pop()
                continue
        found.append(word)
    return found


def _drop_sign(found: list[str]) -> None:
    if found[-1:] == ["-"] and (len(found) == 1 or found[-2] in _BEFORE_SIGN or found[-2] in _WORDS_BEFORE_SIGN):
        found.pop()


def _relations(tree: object) -> Iterator[Tree]:
    match tree:
        case dict():
            for name, node in tree.items():
                if name in ("RangeVar", "relation") and isinstance(node, dict) and "relname" in node:
                    yield node
                yield from _relations(node)
        case list():
            for node in tree:
                yield from _relations(node)


def _named(tree: object) -> Iterator[str]:
    """Names of WITH queries: they are no tables."""
    match tree:
        case dict():
            if "ctename" in tree:
                yield tree["ctename"]
            for node in tree.values():
                yield from _named(node)
        case list():
            for node in tree:
                yield from _named(node)


def _called(tree: object) -> Iterator[str]:
    """Names of functions, without a schema where that is the system's."""
    match tree:
        case dict():
            if isinstance(call := tree.get("FuncCall"), dict):
                parts = [part.get("String", {}).get("sval", "") for part in call.get("funcname", ())]
                yield ".".join(parts[1:] if parts[:1] == ["pg_catalog"] else parts)
            for node in tree.values():
                yield from _called(node)
        case list():
            for node in tree:
                yield from _called(node)


def _keeps_to_catalogs(function: str) -> bool:
    """One that reads no files, runs no text and changes nothing."""
    found = signatures(function)
    return bool(found) and not any(one.kind in _FAR for one in found)


def _is_catalog(relation: Tree) -> bool:
    schema = relation.get("schemaname", "")
    return schema in _CATALOGS or (not schema and str(relation.get("relname", "")).startswith("pg_"))
