"""Writes a statement otherwise without changing what it means: case, quotes, comments, blanks, kinds of literals."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Final

_TOKENS: Final = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\$\d+|[A-Za-z_][A-Za-z_0-9]*|\s+|.""", re.DOTALL)
_COMMENTS: Final = ("/* it's */", '/* a /* nested " */ one */', "-- until' here\n", "/*$$*/", "\n", "\t", " ")
_CASES: Final = (str.upper, str.lower, str.title)
Change = Callable[[Random, str], str]


def mutated(random: Random, sql: str) -> str:
    """Equal in meaning to `sql`; often `sql` itself."""
    if random.random() < 0.6:
        return sql
    change = random.choice((_recased, _commented, _requoted, _respelled, _wrapped))
    return change(random, sql)


def _each(sql: str, change: Callable[[list[str], int], str]) -> str:
    tokens = _TOKENS.findall(sql)
    return "".join(change(tokens, index) for index in range(len(tokens)))


def _recased(random: Random, sql: str) -> str:
    how = random.choice(_CASES)
    return _each(
        sql, lambda tokens, at: how(tokens[at]) if _is_word(tokens, at) and random.random() < 0.7 else tokens[at]
    )


def _is_word(tokens: list[str], at: int) -> bool:
    """No prefix of a literal, either."""
    return tokens[at][0].isalpha() and tokens[at].isascii() and not (at + 1 < len(tokens) and tokens[at + 1][0] == "'")


def _commented(random: Random, sql: str) -> str:
    return _each(
        sql,
        lambda tokens, at: (
            f" {random.choice(_COMMENTS)} " if tokens[at].isspace() and random.random() < 0.2 else tokens[at]
        ),
    )


def _requoted(random: Random, sql: str) -> str:
    """Column names behind a dot, in quotes or in escapes."""

    def change(tokens: list[str], at: int) -> str:
        token = tokens[at]
        if (
            at
            and tokens[at - 1] == "."
            and token[0].islower()
            and token.isascii()
            and random.random() < 0.6
            and (at + 1 == len(tokens) or tokens[at + 1] != "(")
        ):
            escaped = f"\\{ord(token[0]):04x}{token[1:]}"
            return random.choice((f'"{token}"', f' U&"{escaped}"'.strip()))
        return token

    return _each(sql, change)


def _respelled(random: Random, sql: str) -> str:
    """Literals as dollar quotes, escape strings and unicode strings."""

    def change(tokens: list[str], at: int) -> str:
        token = tokens[at]
        if token[0] != "'" or "\\" in token or random.random() < 0.4:
            return token
        if at and (tokens[at - 1].isalpha() or tokens[at - 1] == "&"):
            return token
        if "''" in token and token != "''":
            return f" E{token}"
        return random.choice((f" $q${token[1:-1]}$q$ ", f" E{token}", f" U&{token}"))

    return _each(sql, change)


def _wrapped(random: Random, sql: str) -> str:
    return random.choice((f"{sql};", f"  {sql} ; ", f"{sql} -- the end", f"/* for you */ {sql}"))
