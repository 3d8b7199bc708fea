"""Operators' SQL expressions (row filters, SQL masks): checked, and bound to typed literals by splicing.

The text is cut by sqlglot's tokenizer and stays as it was written but for placeholders, which become
literals, and unqualified names of functions and built-in types, which get ``pg_catalog.`` in front: a
client's search_path must not decide what a policy means. Nothing is regenerated. This module must not see a
client's text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from policies.errors import PoliciesError
from policies.literals import LiteralError, array_literal, list_literal, scalar_literal
from policies.model import Value
from policies.qualification import CLOSERS, OPENERS, STRINGS, ascii_lower, called_functions, qualified_names

# Limits that no sensible policy reaches; they keep the parsers away from their recursion limits.
MAX_LENGTH = 20_000
MAX_DEPTH = 60

# What PostgreSQL's scanner skips. sqlglot also skips Unicode spaces, which PostgreSQL reads as identifiers.
_SPACES = " \t\n\r\f\v"

_GAP_PROBLEM = "the expression contains a comment or a character that PostgreSQL doesn't skip"


class ExpressionError(PoliciesError):
    """An expression that can't be used, or an attribute in it that can't be bound."""


@dataclass(frozen=True, slots=True)
class _Splice:
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class _Placeholder:
    """``{name}`` at tokens[index : index + 3]. `is_in_list`: a whole item between the parentheses of IN."""

    name: str
    index: int
    start: int
    end: int
    is_in_list: bool


def bind_expression(expression: str, attributes: Mapping[str, Value], column_sql: str | None) -> str:
    """The expression with every ``{name}`` replaced by a literal of that attribute's value.

    ``{column}`` becomes `column_sql`, an already quoted reference, when that is given. Raises ExpressionError
    for an unknown attribute and for text that isn't one expression. The caller puts the result in
    parentheses.
    """
    tokens = _read(expression)
    splices = [_Splice(start, start, "pg_catalog.") for start in qualified_names(tokens)]
    for placeholder in _placeholders(tokens, expression):
        text = _bound(placeholder, attributes, column_sql)
        splices.append(_apart(expression, placeholder, text))
    return _apply(expression, splices).strip(_SPACES)


def check_expression(expression: str, has_column: bool = False) -> None:
    """Raises ExpressionError when the text isn't one expression that can be bound; attributes aren't looked
    up.

    `has_column` tells whether ``{column}`` has a meaning here.
    """
    expression_tree(expression)
    if not has_column and "column" in expression_attributes(expression, has_column=False):
        raise ExpressionError("{column} has no meaning in a row filter; name the column itself")


def expression_attributes(expression: str, has_column: bool = True) -> set[str]:
    """Names of the attributes that an expression needs, ``column`` not counted unless `has_column` is
    False."""
    names = {p.name for p in _placeholders(_read(expression), expression)}
    return names - {"column"} if has_column else names


def expression_columns(expression: str) -> set[str]:
    """Columns that an expression names, as written but folded: ``tenant_id`` or ``orders.tenant_id``.

    For checks at load only. Columns of subqueries' own tables are among them.
    """
    tree = expression_tree(expression)
    names = {".".join(map(_folded, column.parts)) for column in tree.find_all(exp.Column)}
    # sqlglot reads `f(meta -> 'key')` as a lambda, whose parameter isn't a column to it.
    for function in tree.find_all(exp.Lambda):
        names |= {_folded(name) for name in function.expressions if isinstance(name, exp.Identifier)}
    return names - {"*"}


def expression_tables(expression: str) -> set[str]:
    """Relations that subqueries of an expression read, ``schema.table`` or ``table``; names of CTEs left
    out."""
    tree = expression_tree(expression)
    ctes = {_folded(cte.args["alias"].this) for cte in tree.find_all(exp.CTE)}
    tables = (table for table in tree.find_all(exp.Table) if isinstance(table.this, exp.Identifier))
    return {".".join(map(_folded, table.parts)) for table in tables} - ctes


def expression_functions(expression: str) -> set[str]:
    """Functions called without a schema, folded: the names that `bind_expression` takes from pg_catalog."""
    return called_functions(_read(expression))


def _folded(identifier: exp.Expr) -> str:
    name = identifier.name
    return name if identifier.args.get("quoted") else ascii_lower(name)


def _read(expression: str) -> list[Token]:
    """The expression's tokens, after the checks that need no grammar. Raises ExpressionError."""
    if len(expression) > MAX_LENGTH:
        raise ExpressionError(f"the expression is longer than {MAX_LENGTH} characters")
    if "\0" in expression:
        raise ExpressionError("the expression contains a NUL character")
    try:
        tokens = Postgres().tokenize(expression)
    except SqlglotError as error:
        raise ExpressionError(f"the expression can't be read: {_first_line(error)}") from None
    if not tokens:
        raise ExpressionError("the expression is empty")
    _check_gaps(expression, tokens)
    _check_nesting(tokens)
    _check_kinds(tokens)
    return tokens


def _check_gaps(expression: str, tokens: Sequence[Token]) -> None:
    """Between tokens only PostgreSQL's own spaces may stand: no comment that could swallow what follows."""
    end = 0
    for token in tokens:
        if expression[end : token.start].strip(_SPACES):
            raise ExpressionError(_GAP_PROBLEM)
        end = token.end + 1
    if expression[end:].strip(_SPACES):
        raise ExpressionError(_GAP_PROBLEM)


def _check_nesting(tokens: Sequence[Token]) -> None:
    expected: list[TokenType] = []
    for token in tokens:
        if closer := OPENERS.get(token.token_type):
            expected.append(closer)
        elif token.token_type in CLOSERS and (not expected or expected.pop() is not token.token_type):
            raise ExpressionError("the expression's parentheses or brackets don't match")
        if len(expected) > MAX_DEPTH:
            raise ExpressionError(f"the expression is nested deeper than {MAX_DEPTH}")
    if expected:
        raise ExpressionError("the expression's parentheses or brackets don't match")


def _check_kinds(tokens: Sequence[Token]) -> None:
    for token in tokens:
        match token.token_type:
            case TokenType.SEMICOLON:
                raise ExpressionError("the expression contains a semicolon")
            case TokenType.PARAMETER:
                raise ExpressionError("the expression contains a parameter such as $1; use {attribute}")
            case TokenType.BLOCK_START | TokenType.BLOCK_END:
                raise ExpressionError("an attribute is written {name}, with single braces")


def _placeholders(tokens: Sequence[Token], expression: str) -> Iterator[_Placeholder]:
    """Every ``{name}`` outside strings. Raises ExpressionError for other uses of braces."""
    openers: list[bool] = []  # for each open parenthesis, whether IN stands before it
    index = 0
    while index < len(tokens):
        match tokens[index].token_type:
            case TokenType.L_PAREN:
                openers.append(index > 0 and tokens[index - 1].token_type is TokenType.IN)
            case TokenType.R_PAREN:
                openers.pop()
            case TokenType.L_BRACE:
                yield _placeholder(tokens, index, expression, bool(openers) and openers[-1])
                index += 2
            case TokenType.R_BRACE:
                raise ExpressionError("the expression's braces don't match")
        index += 1


def _placeholder(tokens: Sequence[Token], index: int, expression: str, is_in: bool) -> _Placeholder:
    closed = index + 2 < len(tokens) and tokens[index + 2].token_type is TokenType.R_BRACE
    name = expression[tokens[index + 1].start : tokens[index + 1].end + 1] if closed else ""
    if not (name.isascii() and name.isidentifier()):
        raise ExpressionError("an attribute is written {name}, with letters, digits and underscores")
    before = tokens[index - 1].token_type if index else None
    after = tokens[index + 3].token_type if index + 3 < len(tokens) else None
    if {before, after} & (STRINGS | {TokenType.R_BRACE, TokenType.L_BRACE, TokenType.VAR, TokenType.IDENTIFIER}):
        _check_neighbours(tokens, index)
    is_item = before in (TokenType.L_PAREN, TokenType.COMMA) and after in (TokenType.R_PAREN, TokenType.COMMA)
    return _Placeholder(name, index, tokens[index].start, tokens[index + 2].end + 1, is_in and is_item)


def _check_neighbours(tokens: Sequence[Token], index: int) -> None:
    """A literal must stay one literal: none may merge with a string beside it, or be retyped by a name before
    it."""
    before = tokens[index - 1] if index else None
    after = tokens[index + 3] if index + 3 < len(tokens) else None
    if before and before.token_type in STRINGS | {TokenType.R_BRACE}:
        raise ExpressionError("an attribute can't stand directly after a string or another attribute")
    if after and after.token_type in STRINGS | {TokenType.L_BRACE}:
        raise ExpressionError("an attribute can't stand directly before a string or another attribute")
    if (
        before
        and before.end + 1 == tokens[index].start
        and before.token_type
        in (
            TokenType.VAR,
            TokenType.IDENTIFIER,
        )
    ):
        raise ExpressionError("an attribute can't be glued to a name")


def _bound(placeholder: _Placeholder, attributes: Mapping[str, Value], column_sql: str | None) -> str:
    name = placeholder.name
    if name == "column" and column_sql is not None:
        return column_sql
    if name not in attributes:
        raise ExpressionError(f"unknown attribute {name!r}")
    value = attributes[name]
    try:
        if isinstance(value, tuple | list):
            return list_literal(value) if placeholder.is_in_list else array_literal(value)
        return scalar_literal(value)
    except LiteralError as error:
        raise ExpressionError(f"attribute {name!r} can't be bound: {error}") from None


def _apart(expression: str, placeholder: _Placeholder, text: str) -> _Splice:
    """A literal is kept apart from whatever letter or operator stands beside its placeholder."""
    before, after = expression[: placeholder.start][-1:], expression[placeholder.end :][:1]
    left = "" if before in _SPACES + "(,[" else " "
    right = "" if after in _SPACES + "),]" else " "
    return _Splice(placeholder.start, placeholder.end, left + text + right)


def _apply(expression: str, splices: Sequence[_Splice]) -> str:
    parts: list[str] = []
    end = 0
    for splice in sorted(splices, key=lambda s: s.start):
        parts += expression[end : splice.start], splice.text
        end = splice.end
    return "".join([*parts, expression[end:]])


def expression_tree(expression: str) -> exp.Expression:
    """sqlglot's tree of the expression with NULL for every placeholder. Raises ExpressionError."""
    tokens = _read(expression)
    nulls = [_Splice(p.start, p.end, " NULL ") for p in _placeholders(tokens, expression)]
    try:
        trees = sqlglot.parse(f"SELECT ({_apply(expression, nulls)})", dialect="postgres")
    except (SqlglotError, RecursionError) as error:
        raise ExpressionError(f"the expression can't be read: {_first_line(error)}") from None
    tree = trees[0]
    if len(trees) != 1 or not isinstance(tree, exp.Select) or len(tree.expressions) != 1 or tree.args.get("from"):
        raise ExpressionError("the text isn't one expression")
    inner = tree.expressions[0]
    if not isinstance(inner, exp.Paren | exp.Subquery) or isinstance(inner.this, exp.Alias):
        raise ExpressionError("the text isn't one expression")
    return tree


def _first_line(error: Exception) -> str:
    text = str(error).splitlines()
    return text[0] if text else type(error).__name__
