"""The table of operators against pg_operator, and what it calls pure, run on the extremes of each type."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from catalog_servers import catalog_dsn

from policies.compile.function_table import FunctionClass, parse_line
from policies.compile.function_table import table_lines as function_lines
from policies.compile.operator_table import (
    ENUM,
    SAFE_OPERATORS,
    SAFE_TYPES,
    Operator,
    OperatorClass,
    is_array,
    operators,
    table_lines,
)
from policies.compile.rules.safe_expressions import FIELDS, FITTING_CASTS
from policies.compile.rules.silent_casts import FAILING

__all__ = ["catalog_dsn"]

_QUERY = """
SELECT o.oprname, coalesce(l.typname, ''), r.typname, t.typname, p.proname, p.proleakproof
FROM pg_operator AS o LEFT JOIN pg_type AS l ON l.oid = o.oprleft JOIN pg_type AS r ON r.oid = o.oprright
JOIN pg_type AS t ON t.oid = o.oprresult JOIN pg_proc AS p ON p.oid = o.oprcode WHERE o.oid < 16384
"""
# Texts of values at the ends of what each type holds, and odd ones between.
EXTREMES = {
    "bool": ["t", "f"],
    "bytea": ["", r"\x00ff", r"\x" + "ab" * 500],
    "name": ["", "a" * 63, "ß%_"],
    "int2": ["-32768", "-1", "0", "32767"],
    "int4": ["-2147483648", "-1", "0", "2147483647"],
    "int8": ["-9223372036854775808", "-1", "0", "9223372036854775807"],
    "oid": ["0", "4294967295"],
    "text": ["", " ", "ǆ\u0130ß\U0001f600", "\\", "%_\\", "x" * 5000],
    "varchar": ["", "a\u0301", "y" * 3000],
    "bpchar": ["", "a  ", "\u00e9"],
    "float4": ["NaN", "-Infinity", "3.4e38", "1e-45", "-0"],
    "float8": ["NaN", "Infinity", "-Infinity", "1.7e308", "5e-324", "-0"],
    "numeric": ["NaN", "Infinity", "-Infinity", "0", "-" + "9" * 1000, "1e-1000", "1e131071"],
    "money": ["-92233720368547758.08", "92233720368547758.07", "0"],
    "date": ["-infinity", "infinity", "4714-11-24 BC", "5874897-12-31", "2000-02-29"],
    "time": ["00:00", "24:00", "23:59:59.999999"],
    "timetz": ["00:00+15:59:59", "24:00-15:59:59"],
    "timestamp": ["-infinity", "infinity", "4714-11-24 BC", "294276-12-31 23:59:59.999999", "2000-02-29 12:00"],
    "timestamptz": ["-infinity", "infinity", "4714-11-24 00:00+00 BC", "294276-12-31 23:59:59.999999+00", "epoch"],
    "interval": ["-178000000 years", "178000000 years", "-1 day", "0", "2147483647 days 2562047788 hours"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "inet": ["0.0.0.0/0", "::/0", "255.255.255.255", "ffff::1/128"],
    "cidr": ["0.0.0.0/0", "::/0"],
    "macaddr": ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"],
    "macaddr8": ["00:00:00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff:ff:ff"],
    "bit": ["", "101"],
    "varbit": ["", "101" * 30],
    "jsonb": ["null", "1e400", '""', "[]", "{}", '{"a": {"b": [1, "x"]}}', "[" * 200 + "]" * 200, '[1, "a", null]'],
    "anyenum": ["calm", "cross"],
}
_NAMES = {"anyenum": "shop.mood"}
# For what may be of any type: a few of each kind.
_STAND_INS = {
    "anyarray": ["_int4", "_text", "_numeric", "_timestamptz", "_jsonb", "_float8"],
    "anyelement": ["int4", "numeric", "date", "timestamptz"],
    "any": ["int4", "text", "jsonb"],
}
_RANGES = {"int4": "int4range", "numeric": "numrange", "date": "daterange", "timestamptz": "tstzrange"}
_MULTIRANGES = {name: made.replace("range", "multirange") for name, made in _RANGES.items()}


def _values(type_name: str) -> str:
    """A FROM item v(x) of the type's extremes."""
    texts, made = EXTREMES.get(type_name.lstrip("_"), []), _NAMES.get(type_name, type_name)
    assert texts, f"give extremes of {type_name}"
    if is_array(type_name):
        listed = ", ".join(_quoted(text) + f"::{type_name[1:]}" for text in texts)
        return f"(VALUES (ARRAY[{listed}]), ('{{}}'::{made}), (ARRAY[[NULL::{type_name[1:]}]])) AS"
    return f"(VALUES {', '.join(f'({_quoted(text)}::{made})' for text in texts)}) AS"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _questions(one: Operator) -> Iterator[str]:
    """SQL that runs the operator on all pairs of extremes."""
    pairs = [(one.left, one.right)]
    if "any" in one.left + one.right and ENUM not in (one.left, one.right):
        stand_ins = _STAND_INS["anyarray" if "array" in one.left + one.right else "anyelement"]
        pairs = [(_made(one.left, base), _made(one.right, base)) for base in stand_ins]
    for left, right in pairs:
        if one.left == "":
            yield f"SELECT count(OPERATOR(pg_catalog.{one.name}) y) FROM {_source(right, 'b', 'y')}"
            continue
        both = f"{_source(left, 'a', 'x')} CROSS JOIN {_source(right, 'b', 'y')}"
        yield f"SELECT count(x OPERATOR(pg_catalog.{one.name}) y) FROM {both}"


def _made(wanted: str, base: str) -> str:
    return {"anyrange": _RANGES.get(base, ""), "anymultirange": _MULTIRANGES.get(base, "")}.get(wanted, base)


def _source(type_name: str, alias: str, column: str) -> str:
    if type_name.endswith("range"):
        texts = ["empty", "(,)"] if "multi" not in type_name else ["{}", "{(,)}"]
        return f"(VALUES {', '.join(f'({_quoted(text)}::{type_name})' for text in texts)}) AS {alias}({column})"
    return f"{_values(type_name)} {alias}({column})"


def _run(dsn: str, questions: Iterator[str]) -> int:
    """How many ran; the first that fails is the test's failure."""
    listed = list(questions)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for question in listed:
            for zone in ("Pacific/Kiritimati", "America/Los_Angeles"):
                connection.execute(f"SET TimeZone = '{zone}'".encode())
                connection.execute(f"SELECT sum(length(q::text)) FROM ({question}) AS q".encode()).fetchall()
    return len(listed)


LINES = [line.split("\t") for line in table_lines()]
PURE = [Operator(n, a, b, r, OperatorClass(kind)) for n, a, b, r, _, _, kind in LINES if kind == "pure"]
SAFE = {*SAFE_TYPES.values(), ENUM}


def _is_run(one: Operator) -> bool:
    """Whether values of safe types may meet in it."""
    known = {*SAFE, "", "anyarray", "anyelement", "anyrange", "anymultirange"}
    return one.left in known and one.right in known


def test_the_table_is_what_the_server_has(catalog_dsn: str) -> None:
    with psycopg.connect(catalog_dsn) as connection:
        version = str(connection.info.server_version // 10_000)
        found = {tuple(row[:5]) for row in connection.execute(_QUERY).fetchall()}
    listed = {tuple(line[:5]) for line in LINES if version in line[5].split()}
    assert len(found) > 700
    assert (sorted(found - listed), sorted(listed - found)) == ([], [])


def test_what_is_pure_is_leakproof_or_was_reviewed(catalog_dsn: str) -> None:
    """A review of an operator is of the function behind it, so both tables must say so where both speak."""
    kinds = {(name, one.arguments): one.kind for name, one in map(parse_line, function_lines())}
    with psycopg.connect(catalog_dsn) as connection:
        rows = connection.execute(_QUERY).fetchall()
    table = {tuple(line[:4]): line for line in LINES}
    refused = {FunctionClass.MAY_FAIL, FunctionClass.SETTINGS}
    for name, left, right, result, function, is_leakproof in rows:
        kind = table[name, left, right, result][6]
        arguments = (*filter(None, (left,)), right)
        assert kind != "pure" or is_leakproof or kinds[function, arguments] not in refused, (name, arguments)
        if is_leakproof:
            assert kind == "pure", name


def test_pure_operators_survive_the_extremes(catalog_dsn: str) -> None:
    assert _run(catalog_dsn, (question for one in PURE if _is_run(one) for question in _questions(one))) > 300


def test_divisions_by_a_number_survive_the_extremes(catalog_dsn: str) -> None:
    kinds = [line for line in LINES if line[6] == "divides"]
    assert _run(catalog_dsn, (f"SELECT x {n} 7, x {n} -2 FROM {_source(a, 'a', 'x')}" for n, a, *_ in kinds)) == 12


def test_pure_functions_survive_the_extremes(catalog_dsn: str) -> None:
    with psycopg.connect(catalog_dsn) as connection:
        version = str(connection.info.server_version // 10_000)

    def questions() -> Iterator[str]:
        for line in function_lines():
            name, one = parse_line(line)
            if (
                one.kind is FunctionClass.PURE
                and {*one.arguments} - {"any"} <= SAFE
                and version in line.split("\t")[3].split()
            ):
                columns = [f"a{number}" for number in range(len(one.arguments))]
                types = [_STAND_INS["any"][1] if kind == "any" else kind for kind in one.arguments]
                froms = " CROSS JOIN ".join(
                    _source(kind, f"t{column}", column) for kind, column in zip(types, columns, strict=True)
                )
                given = ", ".join(columns[:-1] + [f"VARIADIC {columns[-1]}"] if one.is_variadic else columns)
                yield f'SELECT pg_catalog."{name}"({given}) FROM {froms}'

    assert _run(catalog_dsn, questions()) > 70


def test_fitting_casts_survive_the_extremes(catalog_dsn: str) -> None:
    questions = (
        f"SELECT CAST(x AS {target}) FROM {_source(source, 'a', 'x')}"
        for source, targets in FITTING_CASTS.items()
        for target in sorted(targets)
    )
    assert _run(catalog_dsn, questions) > 70


def test_fields_of_times_survive_the_extremes(catalog_dsn: str) -> None:
    questions = (
        f"SELECT {call} FROM {_source(source, 'a', 'x')}"
        for source, names in FIELDS.items()
        for name in sorted(names)
        for call in (f"extract({name} FROM x)", f"date_part('{name}', x)")
        if source != "date" or "FROM" in call
    )
    assert _run(catalog_dsn, questions) > 100


def test_no_other_silent_cast_between_safe_types_can_fail(catalog_dsn: str) -> None:
    query = """
        SELECT s.typname, t.typname FROM pg_cast AS c JOIN pg_type AS s ON s.oid = c.castsource
        JOIN pg_type AS t ON t.oid = c.casttarget WHERE c.castcontext = 'i' AND c.castfunc <> 0
          AND c.oid < 16384 AND s.oid <> t.oid"""
    with psycopg.connect(catalog_dsn) as connection:
        casts = [row for row in connection.execute(query).fetchall() if row[0] in SAFE]
    others = {row for row in casts if row[1] in SAFE} - FAILING
    assert _run(catalog_dsn, (f"SELECT x::{_NAMES.get(t, t)} FROM {_source(s, 'a', 'x')}" for s, t in others)) > 15
    failing = {(source, target) for source, target in casts if (source, target) in FAILING}
    assert failing == FAILING
    # To names of objects: silent_casts counts every type of theirs as an OID. No safe operator takes a macaddr8.
    assert {target for _, target in casts if target not in SAFE} <= {
        *("regproc", "regprocedure", "regoper", "regoperator", "regclass", "regcollation", "regtype", "regconfig"),
        *("regdictionary", "regrole", "regnamespace", "regdatabase", "macaddr8"),
    }


@pytest.mark.parametrize("name", ["=", "<>", "!=", "<", "<=", ">", ">=", "~~", "!~~*", "?", "@>", "&&"])
def test_everyday_comparisons_are_safe_by_name(name: str) -> None:
    assert name in SAFE_OPERATORS


@pytest.mark.parametrize("name", ["+", "-", "*", "/", "%", "||", "~", "->", "->>", "@@", "@?", "<<", "&", "^"])
def test_what_fails_for_some_type_is_not(name: str) -> None:
    assert name not in SAFE_OPERATORS


def test_operands_choose_among_operators() -> None:
    assert {one.kind for one in operators("->>", "jsonb", None)} == {OperatorClass.PURE}
    assert {one.kind for one in operators("->>", "json", None)} == {OperatorClass.MAY_FAIL}
    assert {one.kind for one in operators("%", "int4", "int4")} == {OperatorClass.DIVIDES}
    assert {one.kind for one in operators("-", "", "float8")} == {OperatorClass.PURE}
    assert {one.kind for one in operators("-", "", "int4")} == {OperatorClass.MAY_FAIL}
    assert operators("~", "varchar", None) == operators("~", "text", None)
    assert operators("=", "point", "int4") == ()
    assert len(operators("&&", "_int4", "_int4")) == 1
