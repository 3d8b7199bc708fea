"""The two forms of a mask give the same bytes: run on real servers, in text and binary, for every type and kind.

MASK_EXAMPLES=500 in the environment looks at more values than the six draws that every run makes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.pq import ExecStatus, Format

from policies.masks import MaskError, check_type, sql_form, stream_form
from policies.model import MaskSpec
from proxy.installation import find_system, find_wheel
from tests.fix_servers import passing_server


def spec(kind: str, **parameters: Any) -> MaskSpec:
    return MaskSpec(kind, tuple(sorted(parameters.items())))


# PostgreSQL has neither NUL characters nor surrogates in texts.
CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=("Cs",))
TEXT = st.text(CHARACTERS, max_size=12) | st.sampled_from(
    [
        "",
        " ",
        "a ",
        " a",
        "é",
        "ab\\",
        "o'h",
        "日本語テキスト",
        "e\u0301x",
        "👩‍👩‍👧",
        "NULL",
        "null",
        "{",
        "a@",
        "@b",
        "\n@c",
        "x" * 300,
    ]
)
EMAIL = st.sampled_from(
    [
        "a@b.c",
        "ada@example.com",
        "é@example.com",
        "日本@例え.jp",
        "a b@x",
        "a@b@c",
        "@x",
        "x@",
        "a@b c",
        "A@B-1.x",
        "a@b.c ",
        "a@b\n",
        "a\n@b",
        "a@" + "b" * 9_997,
        "a@" + "b" * 9_998,
        "a@" + "b" * 9_998 + " ",
        "a@b\\c",
        "a@[b]",
        "a@ä.de",
    ]
)
EXAMPLES = int(os.environ.get("MASK_EXAMPLES", "6"))
SHORT = st.text(CHARACTERS, max_size=8)


def integers(size: int) -> st.SearchStrategy[str]:
    limit = 1 << (8 * size - 1)
    edges = [-limit, -limit + 1, limit - 1, 0, -1, 1]
    return (st.integers(-limit, limit - 1) | st.sampled_from(edges)).map(str)


MOMENTS = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)).map(str)
EDGES_OF_TIME = [
    "infinity",
    "-infinity",
    "4714-11-24 00:00:00 BC",
    "4713-01-01 00:00:00 BC",
    "294276-12-31 23:59:59.999999",
]
TIMES = MOMENTS | st.sampled_from([*EDGES_OF_TIME, "2024-02-29 23:59:59.999999", "1999-12-31 00:00:00"])
DATES = st.dates().map(str) | st.sampled_from(
    ["infinity", "-infinity", "4714-11-24 BC", "4713-01-01 BC", "0001-12-31 BC", "5874897-12-31", "294276-12-31"]
)
FLOATS = st.floats().map(str) | st.sampled_from(["1e308", "-1e308", "-0", "5e-324"])
SINGLES = st.floats(width=32).map(str) | st.sampled_from(["3.4028235e38", "-3.4028235e38", "1e-45"])
NUMERICS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20).map(
    lambda d: format(d, "f")
)


def array_of(elements: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """array_in's text for one- and two-dimensional arrays, with NULLs and odd lower bounds."""
    item = st.none() | elements
    flat = st.lists(item, max_size=4).map(array_text)
    bounded = st.lists(item, min_size=2, max_size=2).map(lambda e: "[-3:-2]=" + array_text(e))
    square = st.lists(item, min_size=4, max_size=4).map(
        lambda e: "{" + array_text(e[:2]) + "," + array_text(e[2:]) + "}"
    )
    return flat | bounded | square


def array_text(elements: Sequence[str | None]) -> str:
    quoted = ("NULL" if e is None else '"' + e.replace("\\", "\\\\").replace('"', '\\"') + '"' for e in elements)
    return "{" + ",".join(quoted) + "}"


# type name -> (OID, values in text form)
TYPES: dict[str, tuple[int, st.SearchStrategy[str]]] = {
    "text": (25, TEXT | EMAIL),
    "character varying": (1043, TEXT | EMAIL),
    "character varying(80)": (1043, SHORT | EMAIL),
    "character varying(5)": (1043, st.text(CHARACTERS, max_size=5) | EMAIL.map(lambda e: e[:5])),
    "character(12)": (1042, SHORT | EMAIL.map(lambda e: e[:12])),
    "character(70)": (1042, SHORT | EMAIL),
    "bpchar": (1042, TEXT | EMAIL),
    "smallint": (21, integers(2)),
    "integer": (23, integers(4)),
    "bigint": (20, integers(8)),
    "numeric": (1700, NUMERICS | st.sampled_from(["NaN", "Infinity", "-Infinity"])),
    "numeric(6,2)": (1700, st.integers(-999_999, 999_999).map(lambda n: str(n / 100)) | st.just("NaN")),
    "numeric(3,-2)": (1700, st.integers(-99_900, 99_900).map(str)),
    "real": (700, SINGLES),
    "double precision": (701, FLOATS),
    "boolean": (16, st.sampled_from(["t", "f"])),
    "date": (1082, DATES),
    "timestamp without time zone": (1114, TIMES),
    "timestamp(0) without time zone": (1114, MOMENTS),
    "timestamp with time zone": (1184, TIMES.map(lambda t: t.replace(" BC", "+00 BC") if "BC" in t else t)),
    "uuid": (2950, st.uuids().map(str)),
    "json": (114, st.sampled_from(["null", '{"a": 1}', "[ ]", '"x"'])),
    "jsonb": (3802, st.sampled_from(["null", '{"a": 1}', "[]", '"x"'])),
    "bytea": (17, st.binary(max_size=20).map(lambda b: "\\x" + b.hex())),
    "text[]": (1009, array_of(TEXT | EMAIL)),
    "character varying[]": (1015, array_of(TEXT)),
    "character varying(6)[]": (1015, array_of(st.text(CHARACTERS, max_size=6) | st.just("a@b.c"))),
}

TEXT_CONSTANTS = ["", "x", 'o\'h\\ "é"', "a "]
CONSTANTS: dict[str, list[Any]] = {
    "text": TEXT_CONSTANTS,
    "character varying": TEXT_CONSTANTS,
    "character varying(80)": TEXT_CONSTANTS,
    "character varying(5)": ["", "ééééé"],
    "character(12)": TEXT_CONSTANTS,
    "character(70)": TEXT_CONSTANTS,
    "bpchar": TEXT_CONSTANTS,
    "smallint": [-32768, 32767, 0],
    "integer": [-(2**31), 2**31 - 1],
    "bigint": [-(2**63), 2**63 - 1, 5],
    "numeric": [
        0,
        -1,
        "1.50",
        1e20,
        "123456789012345678901234567890.000100",
        "-0.00001",
        10000,
        "1e-9",
        "00012.5",
        "-0",
    ],
    "numeric(6,2)": [0, -9999.99, "1.5", 100],
    "numeric(3,-2)": [0, -99900, 100],
    "real": [0, 1.5, -3.4e38, 1e-45, 123456, 1234567, 0.0001, 0.00001, 16777216, 0.1, 1e20, "-0"],
    "double precision": [0, 0.1, 1e15, 1e14, 123456789.125, -1e-5, 0.0001, 1.7e308, 5e-324, 1e22, "-0.0", "-12e3"],
    "boolean": [True, False],
    "date": ["0001-01-01", "9999-12-31", date(2024, 2, 29)],
    "timestamp without time zone": ["1999-12-31 23:59:59.5", datetime(1, 1, 1), "2000-01-01"],
    "timestamp(0) without time zone": ["1999-12-31T23:59:59"],
    "timestamp with time zone": ["1999-12-31 23:59:59.000001+02:30", datetime(2024, 1, 1, tzinfo=UTC)],
    "uuid": ["00000000-0000-0000-0000-0000000000FF", "{12345678123456781234567812345678}"],
    "json": ['{"b":1, "a": [1.50,null]} ', 0, True, "null"],
    "jsonb": [
        '{"bb":1, "c": [1.50, null, -0.0, 1e3, 1E-3, -0, 0e5], "é": "\\u00e9\\n\\u0001\\"\\\\/\x7f", "a": {}, "B": []}',
        1.5,
        "null",
        '"x"',
        "[true, false, 12345678901234567890123]",
    ],
    "bytea": ["\\x", "\\x00ff5c41"],
    "text[]": [[], ["a"], ["", "NULL", 'q"\\', "{,}", "é", " "]],
    "character varying[]": [[], ["a", "b c"]],
    "character varying(6)[]": [[], ["abcdef"]],
}

SPECS = [
    spec("nullify"),
    spec("redact"),
    spec("hash"),
    spec("hash", salt="s'\\alt é"),
    spec("email"),
    spec("partial"),
    spec("partial", keep_first=1),
    spec("partial", keep_last=4),
    spec("partial", keep_first=2, keep_last=1, fill="é"),
    spec("partial", keep_first=1, keep_last=1, fill="'"),
    spec("partial", keep_last=1, fill=" "),
    spec("partial", keep_first=1, fill="\\"),
    spec("truncate", bucket=2),
    spec("truncate", bucket=1000),
    spec("truncate", bucket=32768),
    spec("truncate", bucket=2**63 - 1),
    spec("truncate", bucket=0.5),
    spec("truncate", bucket="2000"),
    *(spec("truncate", unit=unit) for unit in ("year", "quarter", "month", "week", "day", "hour", "second")),
]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[psycopg.Connection]]:
    """One connection to each PostgreSQL there is: the wheel's and, where one is installed, the system's."""
    found = [installation for installation in (find_wheel(), find_system()) if installation is not None]
    assert found
    with ExitStack() as stack:
        connections = []
        for installation in found:
            directory = tmp_path_factory.mktemp("server")
            server = stack.enter_context(passing_server(directory, installation, settings={"fsync": "off"}))
            options = "-c timezone=UTC -c client_encoding=UTF8"
            connection = psycopg.connect(server.dsn(), autocommit=True, options=options)
            connections.append(stack.enter_context(connection))
        yield connections


def fits(mask: MaskSpec, type_name: str) -> bool:
    try:
        check_type(mask, TYPES[type_name][0], type_name)
    except MaskError:
        return False
    return True


CASES = [(name, mask) for name in TYPES for mask in SPECS if fits(mask, name)]
CASES += [(name, spec("constant", value=value)) for name, values in CONSTANTS.items() for value in values]


def described(case: tuple[str, MaskSpec]) -> str:
    name, mask = case
    return f"{name}-{mask.kind}-{','.join(f'{k}={v}' for k, v in mask.parameters)}".encode("unicode_escape").decode()


def masked_query(type_name: str, masked: str) -> str:
    """Gives (value, masked value) for each text of a JSON array, the value in column c of the type."""
    return (
        f"SELECT c, {masked} FROM (SELECT CAST(v AS {type_name}) AS c"
        " FROM jsonb_array_elements_text($1::jsonb) WITH ORDINALITY AS e(v, n) ORDER BY n OFFSET 0) AS t"
    )


def fetch(connection: psycopg.Connection, sql: str, values: str, result: Format) -> list[tuple[bytes | None, ...]]:
    answer = connection.pgconn.exec_params(sql.encode(), [values.encode()], result_format=result)
    assert answer.status == ExecStatus.TUPLES_OK, answer.error_message.decode()
    return [(answer.get_value(row, 0), answer.get_value(row, 1)) for row in range(answer.ntuples)]


@pytest.mark.parametrize("case", CASES, ids=described)
@settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_forms_agree(case: tuple[str, MaskSpec], servers: list[psycopg.Connection], data: st.DataObject) -> None:
    name, mask = case
    oid, strategy = TYPES[name]
    masked = sql_form(mask, oid, name, "c", {})
    stream = stream_form(mask, oid, name)
    values = json.dumps([None, *data.draw(st.lists(strategy, min_size=1, max_size=12))])
    sql = masked_query(name, masked)
    for connection in servers:
        for result in (Format.TEXT, Format.BINARY):
            for raw, expected in fetch(connection, sql, values, result):
                if raw is None:
                    assert expected is None
                elif stream is not None:
                    assert stream.mask(raw, result) == expected


def masked_at_source(connection: psycopg.Connection, type_name: str, mask: MaskSpec, value: str | None) -> str | None:
    sql = masked_query(type_name, sql_form(mask, TYPES[type_name][0], type_name, "c", {"k": "o'k"}))
    ((_, masked),) = fetch(connection, sql, json.dumps([value]), Format.TEXT)
    return None if masked is None else masked.decode()


@pytest.mark.parametrize(
    ("type_name", "mask", "value", "expected"),
    [
        ("date", spec("truncate", unit="year"), "1984-05-17", "1984-01-01"),
        ("date", spec("truncate", unit="week"), "2024-02-29", "2024-02-26"),
        ("date", spec("truncate", unit="quarter"), "5874897-12-31", "infinity"),
        ("date", spec("truncate", unit="year"), "4714-11-24 BC", "-infinity"),
        ("timestamp without time zone", spec("truncate", unit="hour"), "2024-02-29 23:59:59.9", "2024-02-29 23:00:00"),
        ("timestamp with time zone", spec("truncate", unit="day"), "2024-02-29 23:30+00", "2024-02-29 00:00:00+00"),
        ("timestamp with time zone", spec("truncate", unit="day"), "-infinity", "-infinity"),
        ("integer", spec("truncate", bucket=1000), "-1", "-1000"),
        ("integer", spec("truncate", bucket=1000), "-2147483648", "-2147483648"),
        ("bigint", spec("truncate", bucket=2**63 - 1), "9223372036854775806", "0"),
        ("numeric", spec("truncate", bucket=0.5), "-12.26", "-12.5"),
        ("numeric", spec("truncate", bucket=10), "12.34", "10"),
        ("numeric", spec("truncate", bucket=10), "-Infinity", "-Infinity"),
        ("numeric(6,2)", spec("truncate", bucket=1000), "-9999.99", "-9999.99"),
        ("double precision", spec("truncate", bucket=0.5), "-0.1", "-0.5"),
        ("double precision", spec("truncate", bucket=1000), "5e-324", "0"),
        ("double precision", spec("truncate", bucket=1000), "1999.5", "1000"),
        ("real", spec("truncate", bucket=1000), "NaN", "NaN"),
        ("text", spec("sql", expression="upper(left({column}, 1)) || {k}"), "ada", "Ao'k"),
        ("text", spec("sql", expression="'x'"), None, None),
        ("character varying(5)", spec("sql", expression="repeat({column}, 3)"), "ab", "ababa"),
        ("integer", spec("sql", expression="{column} / 10 * 10"), "57", "50"),
        ("text[]", spec("sql", expression="{column}[1:1]"), "{a,b}", "{a}"),
    ],
)
def test_what_only_the_source_can_do(
    servers: list[psycopg.Connection], type_name: str, mask: MaskSpec, value: str | None, expected: str | None
) -> None:
    for connection in servers:
        assert masked_at_source(connection, type_name, mask, value) == expected


@pytest.mark.parametrize("mask", [spec("redact"), spec("hash"), spec("constant", value="\\x005cff")])
@pytest.mark.parametrize("value", ["\\x", "\\x005c5cff41", "\\x5c78"])
def test_bytea_keeps_the_style_it_came_in(servers: list[psycopg.Connection], mask: MaskSpec, value: str) -> None:
    stream = stream_form(mask, 17, "bytea")
    sql = masked_query("bytea", sql_form(mask, 17, "bytea", "c", {}))
    for connection in servers:
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL bytea_output = escape")
            ((raw, expected),) = fetch(connection, sql, json.dumps([value]), Format.TEXT)
            assert stream is not None
            assert stream.mask(raw or b"", 0) == expected


HOSTILE = """
    CREATE SCHEMA evil;
    CREATE FUNCTION evil.left(text, int) RETURNS text LANGUAGE sql AS 'SELECT $1';
    CREATE FUNCTION evil.textcat(text, text) RETURNS text LANGUAGE sql AS 'SELECT $2';
    CREATE FUNCTION evil.same(int, int) RETURNS bool LANGUAGE sql AS 'SELECT false';
    CREATE OPERATOR evil.> (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.same);
    CREATE DOMAIN evil.text AS pg_catalog.varchar(1);
    CREATE TEMP TABLE uuid (x int);
    SET LOCAL search_path = evil, pg_catalog;
    SET LOCAL DateStyle = 'German';
    SET LOCAL extra_float_digits = -5;
"""


@pytest.mark.parametrize(
    ("type_name", "mask", "value"),
    [
        ("pg_catalog.text", spec("partial", keep_first=1), "secret"),
        ("pg_catalog.text", spec("email"), "ada@example.com"),
        ("pg_catalog.text", spec("hash", salt="s"), "x"),
        ("pg_catalog.uuid", spec("hash"), "00000000-0000-0000-0000-000000000001"),
        ("pg_catalog.int4", spec("truncate", bucket=10), "57"),
        ("pg_catalog.text[]", spec("partial", keep_last=1), "{ab,NULL}"),
        ("pg_catalog.text", spec("sql", expression="left({column}::text, 1)"), "secret"),
    ],
)
def test_search_path_and_settings_do_not_matter(
    servers: list[psycopg.Connection], type_name: str, mask: MaskSpec, value: str
) -> None:
    short = {"int4": "integer"}.get(type_name.split(".")[1], type_name.split(".")[1])
    sql = masked_query(type_name, sql_form(mask, TYPES[short][0], short, "c", {}))
    for connection in servers:
        plain = fetch(connection, sql, json.dumps([value]), Format.TEXT)
        with connection.transaction(force_rollback=True):
            connection.execute(HOSTILE)
            assert fetch(connection, sql, json.dumps([value]), Format.TEXT) == plain


def test_type_modifier_and_collation_stay(servers: list[psycopg.Connection]) -> None:
    for connection in servers:
        for name, oid in {"character varying(20)": 1043, "character(9)": 1042, "numeric(6,2)": 1700}.items():
            masked = sql_form(spec("redact"), oid, name, "c", {})
            answer = connection.execute(f"SELECT {masked} AS m FROM (SELECT CAST('1' AS {name}) AS c) AS t")
            plain = connection.execute(f"SELECT CAST('1' AS {name}) AS m")
            assert answer.pgresult is not None
            assert plain.pgresult is not None
            assert (answer.pgresult.ftype(0), answer.pgresult.fmod(0)) == (oid, plain.pgresult.fmod(0))
        masked = sql_form(spec("email"), 25, "text", "c", {})
        row = connection.execute(
            f"SELECT pg_collation_for({masked}) FROM (SELECT 'a@b.c'::text COLLATE \"C\" AS c) AS t"
        ).fetchone()
        assert row == ('"C"',)


def test_a_domain_is_masked_as_its_base_type(servers: list[psycopg.Connection]) -> None:
    mask = spec("partial", keep_first=1)
    stream = stream_form(mask, 1043, "shop.code")
    sql = masked_query("code", sql_form(mask, 1043, "shop.code", "c", {}))
    for connection in servers:
        with connection.transaction(force_rollback=True):
            connection.execute("CREATE DOMAIN code AS varchar(5) CHECK (VALUE ~ '^[0-9]+$')")
            ((raw, expected),) = fetch(connection, sql, '["12345"]', Format.TEXT)
            assert expected == b"1****"
            assert stream is not None
            assert stream.mask(raw or b"", 0) == expected


def test_any_type_can_be_nullified(servers: list[psycopg.Connection]) -> None:
    masked = sql_form(spec("nullify"), 869, "inet", "c", {})
    for connection in servers:
        answer = connection.execute(f"SELECT {masked} FROM (SELECT '::1'::inet AS c) AS t")
        assert answer.fetchone() == (None,)
        assert answer.pgresult is not None
        assert answer.pgresult.ftype(0) == 869
