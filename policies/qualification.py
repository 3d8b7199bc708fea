"""Which names in an operator's expression search_path would decide about: unqualified functions, built-in types.

It works on sqlglot's tokens, whose brackets match. It must not know placeholders or values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot.tokenizer_core import Token, TokenType

OPENERS = {TokenType.L_PAREN: TokenType.R_PAREN, TokenType.L_BRACKET: TokenType.R_BRACKET}
CLOSERS = frozenset(OPENERS.values())
STRINGS = frozenset(
    {
        TokenType.STRING,
        TokenType.BYTE_STRING,
        TokenType.UNICODE_STRING,
        TokenType.NATIONAL_STRING,
        TokenType.HEREDOC_STRING,
        TokenType.RAW_STRING,
        TokenType.BIT_STRING,
        TokenType.HEX_STRING,
    }
)

# Words that may stand before "(" without naming a function that lives in a schema: syntax of the grammar itself.
_SYNTAX_WORDS = """
all and any array as between by case cast coalesce collate cross distinct else end escape except exists
extract fetch filter first for from full group grouping greatest having ilike in inner intersect is isnull
join json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize
json_table json_value last lateral least like limit natural normalize not notnull nullif nulls
of offset on operator or order over overlaps partition position rollup row rows select sets similar some
symmetric then to treat trim union unique using values when where window with within xmlconcat xmlelement
xmlexists xmlforest xmlparse xmlpi xmlroot xmlserialize xmltable
bigint bit boolean char character dec decimal double float int integer interval national nchar numeric
precision real setof smallint time timestamp varchar varying
"""
_SYNTAX = frozenset(_SYNTAX_WORDS.split())
# Calls that have a special grammar when one of these words stands among their arguments.
_SPECIAL_CALLS = {
    "substring": frozenset({"from", "for", "similar"}),
    "overlay": frozenset({"placing"}),
}
# Built-in types whose names are ordinary identifiers, so that search_path decides about them.
_TYPE_WORDS = """
bool bpchar bytea cidr date daterange float4 float8 inet int2 int4 int4range int8 int8range json jsonb
jsonpath macaddr macaddr8 money name numrange oid regclass regconfig regproc regrole regtype text
timestamptz timetz tsquery tsrange tstzrange tsvector uuid varbit xml
"""
_TYPES = frozenset(_TYPE_WORDS.split())


def qualified_names(tokens: Sequence[Token]) -> list[int]:
    """Where ``pg_catalog.`` must be put in front of a name: offsets into the text, in order."""
    return [tokens[index].start for index in sorted({*_calls(tokens), *_type_names(tokens)})]


def called_functions(tokens: Sequence[Token]) -> set[str]:
    """Names of the functions called without a schema, folded."""
    return {_folded_token(tokens[index]) for index in _calls(tokens)}


def ascii_lower(name: str) -> str:
    """PostgreSQL folds ASCII letters only (in UTF-8 databases)."""
    return "".join(c.lower() if c.isascii() else c for c in name)


def _folded_token(token: Token) -> str:
    return token.text if token.token_type is TokenType.IDENTIFIER else ascii_lower(token.text)


def _calls(tokens: Sequence[Token]) -> Iterator[int]:
    """Indexes of tokens that name an unqualified function."""
    for index in range(len(tokens) - 1):
        if tokens[index + 1].token_type is TokenType.L_PAREN and _is_call(tokens, index):
            yield index


def _is_call(tokens: Sequence[Token], index: int) -> bool:
    token = tokens[index]
    is_quoted = token.token_type is TokenType.IDENTIFIER
    if not is_quoted and (not _is_word(token.text) or ascii_lower(token.text) in _SYNTAX):
        return False
    before = tokens[index - 1] if index else None
    if before is not None and not _may_precede_call(before):
        return False
    close = _closing(tokens, index + 1)
    if _is_cte(tokens, close):
        return False
    special = _SPECIAL_CALLS.get("" if is_quoted else ascii_lower(token.text), frozenset())
    return not special & {ascii_lower(word) for word in _words_inside(tokens, index + 1, close)}


def _is_word(text: str) -> bool:
    return (text[:1].isalpha() or text[:1] == "_") and text.replace("$", "_").isidentifier()


def _may_precede_call(before: Token) -> bool:
    """A name after a dot is qualified; after a name, a literal, ``)``, AS or ``::`` it is an alias or a
    type."""
    if before.token_type in (TokenType.VAR, TokenType.IDENTIFIER):
        return before.token_type is TokenType.VAR and ascii_lower(before.text) in _SYNTAX
    return before.token_type not in STRINGS | {
        TokenType.DOT,
        TokenType.DCOLON,
        TokenType.ALIAS,
        TokenType.R_PAREN,
        TokenType.R_BRACKET,
        TokenType.NUMBER,
    }


def _closing(tokens: Sequence[Token], opening: int) -> int:
    depth = 0
    for index in range(opening, len(tokens)):
        depth += (tokens[index].token_type in OPENERS) - (tokens[index].token_type in CLOSERS)
        if depth == 0:
            return index
    return len(tokens)


def _is_cte(tokens: Sequence[Token], close: int) -> bool:
    """``name(columns) AS (``"""
    following = [token.token_type for token in tokens[close + 1 : close + 3]]
    return following == [TokenType.ALIAS, TokenType.L_PAREN]


def _words_inside(tokens: Sequence[Token], opening: int, close: int) -> Iterator[str]:
    """Texts of the tokens directly inside a pair of parentheses, not deeper."""
    depth = 0
    for token in tokens[opening + 1 : close]:
        depth += (token.token_type in OPENERS) - (token.token_type in CLOSERS)
        if depth == 0 and token.token_type not in STRINGS | {TokenType.IDENTIFIER}:
            yield token.text


def _type_names(tokens: Sequence[Token]) -> Iterator[int]:
    """Indexes of built-in types' names after ``::``, in CAST(... AS ...) and before a string."""
    openers: list[bool] = []
    for index, token in enumerate(tokens):
        before = tokens[index - 1].token_type if index else None
        match token.token_type:
            case TokenType.L_PAREN:
                openers.append(index > 0 and tokens[index - 1].text.lower() == "cast")
            case TokenType.R_PAREN:
                openers.pop()
        is_cast = before is TokenType.DCOLON or (before is TokenType.ALIAS and bool(openers) and openers[-1])
        if (is_cast or _is_typed_literal(tokens, index)) and _is_builtin_type(token):
            yield index


def _is_typed_literal(tokens: Sequence[Token], index: int) -> bool:
    if index + 1 == len(tokens) or tokens[index + 1].token_type is not TokenType.STRING:
        return False
    return index == 0 or tokens[index - 1].token_type is not TokenType.DOT


def _is_builtin_type(token: Token) -> bool:
    return token.token_type is not TokenType.IDENTIFIER and ascii_lower(token.text) in _TYPES
