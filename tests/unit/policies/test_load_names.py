"""Names of tables, columns and functions, folded as PostgreSQL's scanner folds them."""

from __future__ import annotations

import pytest

from policies.model import ColumnName, TablePattern
from policies.names import (
    MalformedNameError,
    fold,
    parse_column,
    parse_function_pattern,
    parse_table,
    parse_table_pattern,
    quote,
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("shop.customers", ("shop", "customers")),
        ("Shop.CUSTOMERS", ("shop", "customers")),
        ('shop."Weird Name"', ("shop", "Weird Name")),
        ('"S.1"."T.2"', ("S.1", "T.2")),
        ('s."say ""hi"""', ("s", 'say "hi"')),
        ("s.ÄRGER", ("s", "Ärger")),
        ("s.t$1", ("s", "t$1")),
        ("_s._t", ("_s", "_t")),
        ('s."*x"', ("s", "*x")),
        (f"s.{'x' * 63}", ("s", "x" * 63)),
    ],
)
def test_tables(text: str, parts: tuple[str, str]) -> None:
    assert parse_table(text) == parts


def test_columns() -> None:
    assert parse_column('shop."Weird Name".X') == ColumnName("shop", "Weird Name", "x")


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("s.*", TablePattern("s", "*")),
        ("*.*", TablePattern("*", "*")),
        ("*.Salaries", TablePattern("*", "salaries")),
    ],
)
def test_patterns(text: str, pattern: TablePattern) -> None:
    assert parse_table_pattern(text) == pattern


@pytest.mark.parametrize(("text", "pattern"), [("*", "*"), ("S.*", "s.*"), ('s."F"', "s.F")])
def test_functions(text: str, pattern: str) -> None:
    assert parse_function_pattern(text) == pattern


@pytest.mark.parametrize(
    "text",
    ["", ".", "a", "a.", ".a", "a..b", "a.b.c", "a b.c", "1a.b", "a.b ", " a.b", 'a."', 'a.""', 'a."b"c', "a.b*",
     "$a.b", "a.\x00", 'a."\x00"', "a.b;", "a.'b'", 'a."*"', f"a.{'é' * 32}"],
)  # fmt: skip
def test_malformed_tables(text: str) -> None:
    with pytest.raises(MalformedNameError):
        parse_table(text)


@pytest.mark.parametrize("text", ["*.f", "f", "a.b.c", '"a.b".c', '"*"', "**"])
def test_malformed_functions(text: str) -> None:
    with pytest.raises(MalformedNameError):
        parse_function_pattern(text)


def test_only_ascii_is_folded() -> None:
    assert fold("AZÄİK") == "azÄİk"


@pytest.mark.parametrize(("name", "text"), [("a_1$", "a_1$"), ("A", '"A"'), ('a"b', '"a""b"'), ("1a", '"1a"')])
def test_quote(name: str, text: str) -> None:
    assert quote(name) == text
