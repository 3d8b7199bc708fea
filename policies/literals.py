"""Python values as SQL literals. Every piece of data that enters a statement of ours goes through here.

The texts hold under standard_conforming_strings=on, which the gateway pins upstream.
"""

from __future__ import annotations

import math

from policies.errors import PoliciesError


class LiteralError(PoliciesError):
    """A value that PostgreSQL has no literal for. The text does not quote the value."""


def quote_string(text: str) -> str:
    """``O'Hara`` -> ``'O''Hara'``. Raises LiteralError for NUL characters and lone surrogates."""
    if "\0" in text:
        raise LiteralError("a text with a NUL character can't be sent to PostgreSQL")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise LiteralError("a text that isn't valid Unicode can't be sent to PostgreSQL") from None
    return "'" + text.replace("'", "''") + "'"


def scalar_literal(value: str | int | float | bool) -> str:
    """A literal that PostgreSQL types by its form; a negative number stands in parentheses.

    A string stays an untyped literal, so that it takes the type of what it is compared with.
    """
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case int() | float():
            return _number(value)
        case str():
            return quote_string(value)
    raise LiteralError(f"a value of type {type(value).__name__} can't be bound")


def _number(value: int | float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        raise LiteralError("NaN and infinity can't be bound")
    text = repr(value)
    return f"({text})" if text.startswith("-") else text


def list_literal(values: tuple[str | int | float | bool, ...] | list[str | int | float | bool]) -> str:
    """A comma list for ``IN (...)``. An empty list becomes NULL, so that nothing is ever in it."""
    return ", ".join(map(scalar_literal, values)) or "NULL"


def array_literal(values: tuple[str | int | float | bool, ...] | list[str | int | float | bool]) -> str:
    """``ARRAY[...]``; an empty one is the untyped ``'{}'``, because ``ARRAY[]`` has no type of its own."""
    return f"ARRAY[{list_literal(values)}]" if values else "'{}'"
