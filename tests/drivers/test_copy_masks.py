"""COPY's rows masked as they pass are those that the server gives with its masks in the statement, byte for byte.

On real servers of both kinds, with values that look like the format's own signs, for each format and many options.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.compile.kinds.copy_options import copy_options
from policies.compile.parse import parse
from policies.copy_masks import CopyFormat, CopyMask, CopyMasks
from policies.masks import sql_form, stream_form
from policies.model import MaskSpec
from proxy.session.masked_copy import place_copy_masks
from proxy.wire import messages as m
from proxy.wire.codec import encode
from tests.fix_servers import TestServer

TYPES = {"a": (25, "text"), "b": (1043, "character varying(40)"), "c": (1009, "text[]"), "d": (23, "integer")}
TYPES |= {"e": (17, "bytea"), "f": (1042, "character(9)")}
Row = tuple[Any, ...]


def spec(kind: str, **parameters: Any) -> MaskSpec:
    return MaskSpec(kind, tuple(sorted(parameters.items())))


MASKS: list[dict[str, MaskSpec]] = [
    {"a": spec("partial", keep_first=2, keep_last=1, fill="é"), "c": spec("partial", keep_last=1)},
    {"a": spec("constant", value='\t"\\,;\n'), "e": spec("hash", salt="s"), "f": spec("partial", keep_first=3)},
    {"a": spec("email"), "b": spec("partial", keep_first=9, fill='"'), "d": spec("truncate", bucket=100)},
    {"b": spec("constant", value=""), "c": spec("redact"), "d": spec("nullify"), "f": spec("redact")},
    {"a": spec("constant", value="\\."), "b": spec("constant", value="\\N"), "e": spec("redact")},
    {"a": spec("partial", keep_first=300), "b": spec("email")},
]
OPTIONS = [
    "",
    "(DELIMITER '|')",
    "(DELIMITER E'\\x01')",
    "(FORMAT csv)",
    "(FORMAT csv, HEADER, FORCE_QUOTE *)",
    "(FORMAT csv, NULL 'x', DELIMITER E'\\t', QUOTE '''')",
    "(FORMAT csv, NULL '\\N', ESCAPE '\\', FORCE_QUOTE (a, d))",
    "(FORMAT csv, NULL '\\', ESCAPE '\\')",
    "(FORMAT binary)",
]
SIGNS = st.sampled_from(
    ["\\", '"', "'", ",", ";", "|", "\t", "\n", "\r", "\x01", "\x08", "\v", "\f", "N", "é", "x", "@"]
)
NASTY = st.one_of(
    st.sampled_from(
        ["", "\\N", "\\.", "x", "NULL", "\\", '"', "a@b.c", "a\\@b", "日本@例え.jp", "\\\\.", "l" * 70_000]
    ),
    st.lists(SIGNS, max_size=8).map("".join),
    st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20),
)
ROWS = st.lists(
    st.tuples(
        st.none() | NASTY,
        st.none() | NASTY.map(lambda text: text[:40]),
        st.none() | st.lists(st.none() | NASTY.map(lambda text: text[:99]), max_size=3),
        st.none() | st.integers(-(2**31), 2**31 - 1),
        st.none() | st.binary(max_size=9),
        st.none() | NASTY.map(lambda text: text[:9]),
    ),
    max_size=5,
)


@pytest.fixture(scope="module")
def connections(server15: TestServer, server18: TestServer) -> Iterator[list[psycopg.Connection]]:
    with ExitStack() as stack:
        found = [stack.enter_context(psycopg.connect(one.dsn(), autocommit=True)) for one in (server15, server18)]
        columns = ", ".join(f"{name} {type_name}" for name, (_, type_name) in TYPES.items())
        for connection in found:
            connection.execute(f"CREATE TEMP TABLE nasty (n serial, {columns})".encode())
        yield found


def copied(connection: psycopg.Connection, sql: str) -> list[bytes]:
    """The body of each CopyData message."""
    with connection.cursor().copy(sql.encode()) as copy:
        return [bytes(body) for body in copy]


def masks_of(options: str, names: list[str], masks: dict[str, MaskSpec]) -> CopyMasks:
    (statement,) = parse(f"COPY t TO STDOUT {options}")
    found = copy_options(statement.tree)
    assert found is not None
    columns = []
    for name in sorted(names):
        mask = stream_form(masks[name], *TYPES[name]) if name in masks else None
        if mask is not None:
            columns.append(
                CopyMask(sorted(names).index(name), name, mask, found.forced is None or name in found.forced)
            )
    return CopyMasks(found.layout, len(names), tuple(columns))


def put(connection: psycopg.Connection, rows: list[Row]) -> None:
    connection.execute("TRUNCATE nasty")
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO nasty (a, b, c, d, e, f) VALUES (%s, %s, %s, %s, %s, %s)", rows)


def assert_same(connection: psycopg.Connection, options: str, names: list[str], masks: dict[str, MaskSpec]) -> None:
    expressions = [f"{sql_form(masks[n], *TYPES[n], n, {})} AS {n}" if n in masks else n for n in names]
    raw = copied(connection, f"COPY (SELECT {', '.join(names)} FROM nasty ORDER BY n) TO STDOUT {options}")
    wanted = copied(connection, f"COPY (SELECT {', '.join(expressions)} FROM nasty ORDER BY n) TO STDOUT {options}")
    plan = masks_of(options, names, masks)
    is_binary = plan.layout.format is CopyFormat.BINARY
    formats = (int(is_binary),) * len(names)
    rows = place_copy_masks(plan, m.CopyOutResponse(int(is_binary), formats))
    data = b"".join(encode(m.CopyData(body)) for body in raw)
    shown, _ = rows.mask(data, 0, len(data))
    assert bytes(shown) == b"".join(encode(m.CopyData(body)) for body in wanted)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("masks", MASKS, ids=lambda masks: "-".join(f"{k}_{v.kind}" for k, v in masks.items()))
@settings(max_examples=4, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(rows=ROWS)
def test_masked_as_at_the_source(
    connections: list[psycopg.Connection], masks: dict[str, MaskSpec], options: str, rows: list[Row]
) -> None:
    for connection in connections:
        put(connection, rows)
        assert_same(connection, options, sorted(TYPES), masks)


@pytest.mark.parametrize("options", [one for one in OPTIONS if "(a, d)" not in one])
@pytest.mark.parametrize("mask", [spec("constant", value="\\."), spec("partial", keep_first=9), spec("nullify")])
def test_a_column_that_stands_alone(connections: list[psycopg.Connection], mask: MaskSpec, options: str) -> None:
    """In CSV, what would look like the end of the data is quoted there."""
    rows = [(value, None, None, None, None, None) for value in ("\\.", "\\N", "", None, "x", "\\", "a,b")]
    for connection in connections:
        put(connection, rows)
        assert_same(connection, options, ["a"], {"a": mask})
