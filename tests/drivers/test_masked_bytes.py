"""Every path by which rows can travel gives the same masked bytes: those of the sanitized copy.

Two bare sockets, one through pgwarden under a policy, one on the bare server asking the copy. What a client sees of
rows and of copied data must be equal byte for byte; descriptions may differ in where a column comes from, no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import urlsplit

import pytest

from tests.drivers.sanitized import on_the_copy
from tests.fix_pgwarden import PATIENCE_S, Pgwarden
from tests.security.raw_client import (
    BINARY,
    SYNC,
    TEXT,
    RawClient,
    bind,
    close,
    describe,
    execute,
    parse,
    query,
)

READERS = ["ada", "wes"]
COLUMNS: Final = "id, email, ssn, phone, birth_date, balance, preferences, tags, signature, name, created_at"
ROWS: Final = f"SELECT {COLUMNS} FROM shop.customers WHERE id <= 300 ORDER BY id"
ASKED: Final = (
    ROWS,
    f"SELECT * FROM (SELECT {COLUMNS} FROM shop.customers) AS t WHERE id < 50 ORDER BY id",
    "SELECT upper(email), length(ssn), birth_date + 1, balance * 2, tags || 'x'::text FROM shop.customers ORDER BY id",
    "SELECT email, count(*), max(balance) FROM shop.customers GROUP BY email ORDER BY email LIMIT 50",
    "SELECT DISTINCT phone FROM shop.customers ORDER BY phone LIMIT 50",
    "SELECT to_jsonb(c) FROM shop.customers AS c ORDER BY id LIMIT 20",
    "SELECT c.email, total FROM shop.customers AS c JOIN shop.orders AS o ON customer_id = c.id ORDER BY o.id LIMIT 50",
    "SELECT email, rank() OVER (ORDER BY balance) FROM shop.customers ORDER BY balance, id LIMIT 50",
    f"WITH c AS MATERIALIZED (SELECT {COLUMNS} FROM shop.customers) SELECT * FROM c ORDER BY id LIMIT 20",
    "SELECT email FROM shop.customers WHERE id < 9 UNION ALL SELECT name FROM shop.customers WHERE id < 9 ORDER BY 1",
    "SELECT birth_date, balance, preferences, tags, signature FROM shop.customers WHERE false",
)
Pair = tuple[RawClient, RawClient]
Turn = tuple[str, Callable[[str], list[bytes]]]  # a text, and the frames that carry it up to one ReadyForQuery


@pytest.fixture(params=READERS)
def pair(request: pytest.FixtureRequest, pgwarden: Pgwarden) -> Iterator[Pair]:
    """A client through pgwarden, and one of the bare server."""
    with connected(pgwarden.dsn(request.param)) as through, connected(pgwarden.direct_dsn) as direct:
        yield through, direct


@pytest.fixture
def writers(pgwarden: Pgwarden) -> Iterator[Pair]:
    """The same for who may declare, prepare and copy."""
    with connected(pgwarden.dsn("wes")) as through, connected(pgwarden.direct_dsn) as direct:
        yield through, direct


def connected(dsn: str) -> RawClient:
    url = urlsplit(dsn)
    assert url.hostname
    assert url.port
    options = {"client_encoding": "UTF8", "DateStyle": "ISO, MDY", "TimeZone": "UTC"}
    client = RawClient(url.hostname, url.port, url.username or "", url.password or "", url.path[1:], options)
    client.socket.settimeout(PATIENCE_S)
    return client


def assert_same(pair: Pair, *turns: Turn) -> None:
    told = []
    for client, user in zip(pair, ("admin", "ada"), strict=True):
        answers = [client.roundtrip(*made(on_the_copy(user, sql))) for sql, made in turns]
        assert [answer.error for answer in answers if answer.error] == []
        told.append([(a.columns, a.type_oids, a.formats, a.rows, a.copied, a.tags) for a in answers])
    assert told[0] == told[1]
    assert any(rows or copied for *_, rows, copied, _ in told[0]) or "false" in turns[0][0]


@pytest.mark.parametrize("sql", ASKED)
def test_simple(pair: Pair, sql: str) -> None:
    assert_same(pair, (sql, lambda text: [query(text)]))


@pytest.mark.parametrize("result", [TEXT, BINARY])
@pytest.mark.parametrize("sql", ASKED)
def test_extended(pair: Pair, sql: str, result: int) -> None:
    assert_same(pair, (sql, lambda text: [parse(text), bind((), result), describe(), execute(), SYNC]))


@pytest.mark.parametrize("result", [TEXT, BINARY, (TEXT, BINARY) * 5 + (TEXT,)])
def test_named_statements_and_portals_in_parts(pair: Pair, result: int | tuple[int, ...]) -> None:
    """Described before the portal, bound twice, read in parts with other work between them."""
    opened = [bind((), result, "s", "p"), bind((), result, "s", "q"), describe(b"P", "p")]
    parts = [execute("p", 7), execute("q", 100), execute("p", 3), describe(b"P", "q"), execute("p"), close(b"P", "q")]
    assert_same(
        pair,
        ("BEGIN", lambda text: [query(text)]),
        (ROWS, lambda text: [parse(text, "s"), describe(b"S", "s"), SYNC]),
        (ROWS, lambda text: [*opened, *parts, SYNC]),
        ("COMMIT", lambda text: [query(text)]),
    )


def test_several_statements_in_one_text(pair: Pair) -> None:
    assert_same(pair, (f"SELECT 1; {ROWS}; SELECT 2; {ROWS} LIMIT 3", lambda text: [query(text)]))


@pytest.mark.parametrize("kind", ["", "BINARY", "SCROLL", "INSENSITIVE", "BINARY SCROLL", "NO SCROLL"])
def test_cursors(writers: Pair, kind: str) -> None:
    moves = ["3", "NEXT", "FORWARD 5", "ALL"]
    if kind.endswith("SCROLL") and "NO" not in kind:
        moves += ["PRIOR", "FIRST", "LAST", "ABSOLUTE 9", "RELATIVE -3", "BACKWARD 4", "BACKWARD ALL"]
    declared = f"DECLARE parts {kind} CURSOR FOR {ROWS}"
    fetched = [(f"FETCH {move} FROM parts", lambda text: [query(text)]) for move in moves]
    bound = [(sql, lambda text: [parse(text), bind((), BINARY), describe(), execute(), SYNC]) for sql, _ in fetched]
    begin, end = [(sql, lambda text: [query(text)]) for sql in ("BEGIN", "ROLLBACK")]
    for reads in (fetched, bound):
        assert_same(writers, begin, (declared, lambda text: [query(text)]), *reads, end)


def test_a_declared_cursor_is_a_portal_too(writers: Pair) -> None:
    assert_same(
        writers,
        ("BEGIN", lambda text: [query(text)]),
        (f"DECLARE parts CURSOR FOR {ROWS}", lambda text: [parse(text), bind(), execute(), SYNC]),
        ("", lambda _: [describe(b"P", "parts"), execute("parts", 5), execute("parts"), close(b"P", "parts"), SYNC]),
        ("ROLLBACK", lambda text: [query(text)]),
    )


def test_sqls_prepared_statements(writers: Pair) -> None:
    prepared = ROWS.replace("300", "$1")
    assert_same(
        writers,
        (f"PREPARE one (int) AS {prepared}", lambda text: [query(text)]),
        ("EXECUTE one (40)", lambda text: [query(text)]),
        ("EXECUTE one (40)", lambda text: [parse(text), bind((), BINARY), describe(), execute(), SYNC]),
        ("", lambda _: [bind((b"41",), BINARY, "one"), describe(), execute(), SYNC]),
        ("DEALLOCATE one", lambda text: [query(text)]),
    )


@pytest.mark.parametrize("form", ["text", "csv", "csv, HEADER", "binary"])
def test_copies(writers: Pair, form: str) -> None:
    query_form = f"COPY ({ROWS}) TO STDOUT (FORMAT {form})"
    assert_same(
        writers,
        (query_form, lambda text: [query(text)]),
        (query_form, lambda text: [parse(text), bind(), describe(), execute(), SYNC]),
        (f"SELECT 1; {query_form}; SELECT 2", lambda text: [query(text)]),
    )


def test_temporary_tables_hold_masked_values(writers: Pair) -> None:
    assert_same(
        writers,
        ("BEGIN", lambda text: [query(text)]),
        (f"CREATE TEMP TABLE kept AS {ROWS}", lambda text: [query(text)]),
        ("TABLE kept", lambda text: [query(text)]),
        ("SELECT * FROM pg_temp.kept", lambda text: [parse(text), bind((), BINARY), describe(), execute(), SYNC]),
        ("COPY kept TO STDOUT (FORMAT binary)", lambda text: [query(text)]),
        ("ROLLBACK", lambda text: [query(text)]),
    )
