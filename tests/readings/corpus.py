"""The SELECTs of PostgreSQL's regression suite: its psql scripts cut into statements, each with its file and path.

What psql would change before sending (variables) doesn't parse and is left out; so is what isn't one plain query.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from policies.compile.parse import ParseError, deep_recursion, parse

# Strings, quoted names, dollar quotes, comments, psql's commands, semicolons, parentheses: whatever ends or hides one.
_PIECES: Final = re.compile(
    r"""--[^\n]*
    | /\*(?:[^*]|\*(?!/))*\*/
    | [eE]'(?:[^'\\]|''|\\.)*'
    | '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | (?<![\w$])\$(?P<tag>[A-Za-z_]\w*)?\$.*?\$(?P=tag)?\$
    | \\[^\n]*
    | ; | \( | \)
    """,
    re.VERBOSE | re.DOTALL,
)
_COPIES: Final = re.compile(r"^\s*copy\b.*\bfrom\s+stdin\b", re.IGNORECASE | re.DOTALL)
_SETS_PATH: Final = re.compile(r"^\s*set\s+search_path\s*(?:=|to)\s*(.*)$", re.IGNORECASE | re.DOTALL)
_DOLLARS: Final = re.compile(r"\$(?:[A-Za-z_]\w*)?\$")
DEFAULT_PATH: Final = ("public",)


@dataclass(frozen=True, slots=True)
class Query:
    """One SELECT of the suite. `path` is the search_path that its file had set by then."""

    file: str
    line: int
    text: str
    path: tuple[str, ...] = DEFAULT_PATH


def queries_of(folder: Path) -> tuple[list[Query], int]:
    """The distinct queries of all ``*.sql`` in `folder`, and how many statements begin like one but don't parse."""
    found: dict[tuple[str, tuple[str, ...]], Query] = {}
    unparseable = 0
    for path in sorted(folder.glob("*.sql")):
        search_path = DEFAULT_PATH
        for line, text in statements_of(path.read_text("utf-8", "replace")):
            search_path = _path_after(text, search_path)
            verdict = _is_query(text)
            unparseable += verdict is None
            if verdict:
                query = Query(path.stem, line, text, search_path)
                found.setdefault((text, search_path), query)
    return list(found.values()), unparseable


def statements_of(script: str) -> Iterator[tuple[int, str]]:
    """(line, text) of each statement that psql would send; rows of COPY aren't statements."""
    begin = at = depth = 0
    while at < len(script):
        piece = _next_piece(script, at)
        if piece is None:
            break
        word = script[piece[0]]
        at = piece[1]
        if word in "()":
            depth += 1 if word == "(" else -1
        ends = word == "\\" or (word == ";" and depth <= 0)
        if not ends:
            continue
        text = script[begin : piece[0]].strip()
        if text:
            yield script.count("\n", 0, begin + _leading(script[begin : piece[0]])) + 1, text
        depth = 0
        if _COPIES.match(text):
            at = _after_rows(script, at)
        begin = at


def _next_piece(script: str, at: int) -> tuple[int, int] | None:
    """The place of the next piece from `at` on."""
    found = _PIECES.search(script, at)
    if found is None:
        return None
    opening = _DOLLARS.match(script, found.start())
    if opening is None:
        return found.span()
    end = script.find(opening.group(), opening.end())
    return found.start(), (end + len(opening.group()) if end >= 0 else len(script))


def _leading(text: str) -> int:
    return len(text) - len(text.lstrip())


def _after_rows(script: str, at: int) -> int:
    end = script.find("\n\\.", at)
    return script.find("\n", end + 3) if end >= 0 else len(script)


def _path_after(text: str, path: tuple[str, ...]) -> tuple[str, ...]:
    bare = re.sub(r"--[^\n]*", "", text).strip()
    if re.match(r"(?i)reset\s+(search_path|all)$", bare):
        return DEFAULT_PATH
    found = _SETS_PATH.match(bare)
    if found is None:
        return path
    names = [name.strip().strip("'\"").lower() for name in found[1].split(",")]
    return tuple(name for name in names if name and not name.startswith(("$", "pg_temp"))) or DEFAULT_PATH


def _is_query(text: str) -> bool | None:
    """None for what begins like a query but doesn't parse."""
    bare = re.sub(r"^(\s|--[^\n]*\n|/\*.*?\*/|\()+", "", text, flags=re.DOTALL)
    if not re.match(r"(?i)(select|with|values|table)\b", bare):
        return False
    try:
        with deep_recursion():
            statements = parse(text)
    except ParseError:
        return None
    return len(statements) == 1 and statements[0].kind == "SelectStmt" and "intoClause" not in statements[0].tree
