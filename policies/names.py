"""Names of relations, columns and functions as operators write them, folded as PostgreSQL folds them.

Knows PostgreSQL's lexical rules for identifiers, nothing about YAML or policies.
"""

from __future__ import annotations

import re

from policies.errors import PoliciesError
from policies.model import ColumnName, TablePattern

MAX_IDENTIFIER_BYTES = 63  # NAMEDATALEN - 1; the server cuts longer names, so none such exists

# The manual's 4.1.1: a letter (any byte above 127 is one) or underscore, then also digits and dollar signs.
_QUOTED = r'"((?:[^"\x00]|"")+)"'
_PLAIN = r"([A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_$\u0080-\U0010ffff]*)"
_PART = re.compile(rf"{_QUOTED}|{_PLAIN}|(\*)")
_PLAIN_FOLDED = re.compile(r"[a-z_][a-z0-9_$]*\Z")
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


class MalformedNameError(PoliciesError):
    """A name that PostgreSQL couldn't have, or that has the wrong number of parts."""


def fold(identifier: str) -> str:
    """ASCII to lower case and nothing else, as the server does in a multi-byte encoding."""
    return identifier.translate(_ASCII_LOWER)


def parse_column(text: str) -> ColumnName:
    """``schema.table.column``, no wildcard."""
    return ColumnName(*_exact(text, 3, "schema.table.column"))


def parse_table(text: str) -> tuple[str, str]:
    """``schema.table``, no wildcard."""
    schema, table = _exact(text, 2, "schema.table")
    return schema, table


def parse_table_pattern(text: str) -> TablePattern:
    """``schema.table`` where either part may be ``*``."""
    return TablePattern(*_parts(text, 2, "schema.table, schema.* or *.*"))


def parse_function_pattern(text: str) -> str:
    """``schema.name``, ``schema.*`` or ``*`` for all; returned folded and unquoted, parts joined by a dot."""
    if text.strip() == "*":
        return "*"
    schema, name = _parts(text, 2, "schema.name, schema.* or *")
    if schema == "*":
        raise MalformedNameError(f"{text!r}: the schema of a function can't be a wildcard; write '*' for all")
    if "." in schema:
        raise MalformedNameError(f"{text!r}: a dot inside a schema's name is not supported for functions")
    return f"{schema}.{name}"


def quote(identifier: str) -> str:
    """As an operator would write it: quoted only where folding would change it."""
    return identifier if _PLAIN_FOLDED.match(identifier) else '"' + identifier.replace('"', '""') + '"'


def _exact(text: str, count: int, form: str) -> list[str]:
    parts = _parts(text, count, form)
    if "*" in parts:
        raise MalformedNameError(f"{text!r}: no wildcard here; write {form}")
    return parts


def _parts(text: str, count: int, form: str) -> list[str]:
    parts: list[str] = []
    position = 0
    while match := _PART.match(text, position):
        parts.append(_identifier(match, text))
        position = match.end()
        if text[position : position + 1] != ".":
            break
        position += 1
    if match is None or position != len(text):
        raise MalformedNameError(f'{text!r} is no name: write {form}, with "…" around unusual names')
    if len(parts) != count:
        raise MalformedNameError(f"{text!r} has {len(parts)} part{'s' * (len(parts) > 1)}: write {form}")
    return parts


def _identifier(match: re.Match[str], text: str) -> str:
    quoted, plain, wildcard = match.groups()
    if wildcard:
        return "*"
    identifier = fold(plain) if plain else quoted.replace('""', '"')
    if identifier == "*":
        raise MalformedNameError(f"{text!r}: a name that is a quoted asterisk is not supported")
    if len(identifier.encode()) > MAX_IDENTIFIER_BYTES:
        raise MalformedNameError(f"{text!r}: an identifier has at most {MAX_IDENTIFIER_BYTES} bytes")
    return identifier
