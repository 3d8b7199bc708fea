from __future__ import annotations

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from policies.expressions import (
    ExpressionError,
    bind_expression,
    check_expression,
    expression_attributes,
    expression_columns,
    expression_functions,
    expression_tables,
)
from policies.model import Value

ANY_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))


@pytest.mark.parametrize(
    ("expression", "value", "bound"),
    [
        ("a = {x}", 1, "a = 1"),
        ("a = {x}", -1, "a = (-1)"),
        ("a -{x}", -1, "a - (-1)"),
        ("a={x}", 1.5, "a= 1.5"),
        ("a = {x}", -0.5, "a = (-0.5)"),
        ("a = {x}", True, "a = TRUE"),
        ("a = {x}", False, "a = FALSE"),
        ("a = {x}", "O'Hara", "a = 'O''Hara'"),
        ("a = {x}", "\\'; $$ -- /* é\n", "a = '\\''; $$ -- /* é\n'"),
        ("a IN ({x})", (1, -2), "a IN (1, (-2))"),
        ("a in ({x})", (), "a in (NULL)"),
        ("a NOT IN (0, {x}, 9)", ("b", "c'"), "a NOT IN (0, 'b', 'c''', 9)"),
        ("a = ANY({x})", (1, 2), "a = ANY(ARRAY[1, 2])"),
        ("a = ANY ({x})", (), "a = ANY ('{}')"),
        ("a IN ({x})", 5, "a IN (5)"),
        ("a IN (abs({x}))", 5, "a IN (pg_catalog.abs(5))"),
        ("a = '{x}' AND b = \"{x}\" AND c = $${x}$$", 1, "a = '{x}' AND b = \"{x}\" AND c = $${x}$$"),
    ],
)
def test_placeholders_become_typed_literals(expression: str, value: Value, bound: str) -> None:
    assert bind_expression(expression, {"x": value}, None) == bound


def test_a_list_inside_a_call_inside_in_is_an_array() -> None:
    bound = bind_expression("a IN (shop.f({x}))", {"x": (1, 2)}, None)
    assert bound == "a IN (shop.f(ARRAY[1, 2]))"


def test_names_of_attributes_may_be_keywords() -> None:
    assert bind_expression("team = {user} AND {order} > 0", {"user": "u", "order": 2}, None) == "team = 'u' AND 2 > 0"


def test_column_is_spliced_as_given() -> None:
    assert bind_expression("left({column}, 2)", {"column": "no"}, '"t"."c"') == 'pg_catalog.left("t"."c", 2)'


@pytest.mark.parametrize(
    ("expression", "bound"),
    [
        ("lower(a) = UPPER (b)", "pg_catalog.lower(a) = pg_catalog.UPPER (b)"),
        ("shop.f(a) AND pg_catalog.abs(1) = 1", "shop.f(a) AND pg_catalog.abs(1) = 1"),
        ("coalesce(a, nullif(b, 1)) IN (1)", "coalesce(a, nullif(b, 1)) IN (1)"),
        ("extract(year FROM d) = 1", "extract(year FROM d) = 1"),
        ("substring(a FROM 1 FOR 2) = 'x'", "substring(a FROM 1 FOR 2) = 'x'"),
        ("substring(a, 1, 2) = 'x'", "pg_catalog.substring(a, 1, 2) = 'x'"),
        ("a::text = 'x'::varchar(3)", "a::pg_catalog.text = 'x'::varchar(3)"),
        ("CAST(a AS uuid) = b", "CAST(a AS pg_catalog.uuid) = b"),
        ("CAST(a AS numeric(10, 2)) = b", "CAST(a AS numeric(10, 2)) = b"),
        ("d > date '2020-01-01'", "d > pg_catalog.date '2020-01-01'"),
        ('"Odd"(a) = 1', 'pg_catalog."Odd"(a) = 1'),
        ("EXISTS (SELECT 1 FROM s.t AS u(a) WHERE u.a = b)", "EXISTS (SELECT 1 FROM s.t AS u(a) WHERE u.a = b)"),
        (
            "EXISTS (WITH w(a) AS (SELECT 1) SELECT 1 FROM w, unnest(ARRAY[1]) x(y))",
            "EXISTS (WITH w(a) AS (SELECT 1) SELECT 1 FROM w, pg_catalog.unnest(ARRAY[1]) x(y))",
        ),
        ("a BETWEEN SYMMETRIC abs(1) AND sign(2)", "a BETWEEN SYMMETRIC pg_catalog.abs(1) AND pg_catalog.sign(2)"),
    ],
)
def test_unqualified_names_are_taken_from_pg_catalog(expression: str, bound: str) -> None:
    assert bind_expression(expression, {}, None) == bound


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "   ",
        "a = 1; DROP TABLE t",
        "a = 1;",
        "a = 1 -- tail",
        "a /* x */ = 1",
        "a = 1) OR (TRUE",
        "(a = 1",
        "a[1 = 2",
        "(a[1)]",
        "a = 'open",
        "a = $$open",
        "a = $1",
        "a = {x",
        "a = x}",
        "a = {{x}}",
        "a = {%x%}",
        "a = {}",
        "a = {x y}",
        "a = {é}",
        "a = E{x}",
        "a = {x}{x}",
        "a = {x}\n'b'",
        "a = 'b' {x}",
        "a\u00a0= 1",
        "a = 1\0",
        "(" * 100 + "1" + ")" * 100,
        "a = '" + "x" * 30_000 + "'",
    ],
)
def test_text_that_is_not_one_expression_is_refused(expression: str) -> None:
    with pytest.raises(ExpressionError):
        bind_expression(expression, {"x": "v"}, None)


@pytest.mark.parametrize("expression", ["a FROM t", "a, b", "a AS b", "a = ", "DELETE FROM t"])
def test_check_refuses_what_only_a_grammar_can_tell(expression: str) -> None:
    with pytest.raises(ExpressionError):
        check_expression(expression)


def test_column_has_no_meaning_in_a_filter() -> None:
    check_expression("upper({column})", has_column=True)
    with pytest.raises(ExpressionError, match="column"):
        check_expression("{column} = 1")


def test_an_unknown_attribute_is_named() -> None:
    with pytest.raises(ExpressionError, match="'tenant'"):
        bind_expression("a = {tenant}", {"team": 1}, None)


@pytest.mark.parametrize("value", ["a\0b", "\ud800", float("nan"), float("inf"), None, {"a": 1}, ("a\0",)])
def test_values_without_a_literal_are_refused_and_not_quoted(value: Value) -> None:
    with pytest.raises(ExpressionError, match="'x' can't be bound") as caught:
        bind_expression("a = {x}", {"x": value}, None)
    assert "a\0" not in str(caught.value)


@given(ANY_TEXT, ANY_TEXT)
def test_a_string_stays_one_literal(one: str, other: str) -> None:
    bound = bind_expression("a = {x} AND b IN ({y})", {"x": one, "y": (other, one)}, None)
    tree = sqlglot.parse_one(f"SELECT {bound}", dialect="postgres")
    literals = [literal.this for literal in tree.find_all(exp.Literal, bfs=False)]
    assert sorted(literals) == sorted([one, other, one])


def test_columns_tables_functions_and_attributes_are_listed() -> None:
    expression = (
        "Tenant_ID = {tenant} AND \"Odd\" = lower(c.name) AND f(meta -> 'k') AND EXISTS "
        "(WITH w AS (SELECT 1 AS one) SELECT 1 FROM shop.grants AS g, w WHERE g.user_name = {user})"
    )
    assert expression_columns(expression) == {"tenant_id", "Odd", "c.name", "meta", "g.user_name"}
    assert expression_tables(expression) == {"shop.grants"}
    assert expression_functions(expression) == {"lower", "f"}
    assert expression_attributes(expression) == {"tenant", "user"}
