"""Under the allow-everything policy every byte that a driver sees after the login is what the server sent.

Two bare sockets, one through pgwarden and one directly, ask the same things; the bytes that came must be the same.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import pytest

from tests.fix_pgwarden import PATIENCE_S, Pgwarden
from tests.security.raw_client import (
    BINARY,
    FLUSH,
    SYNC,
    TEXT,
    RawClient,
    bind,
    close,
    describe,
    execute,
    frame,
    parse,
    query,
    string,
)

ONE_BY_ONE: Final = (
    "SELECT 1",
    "SELECT 1 AS a, 'x'::text AS b, NULL AS c",
    "",
    "  -- nothing but a comment",
    "SELECT * FROM shop.customers ORDER BY id LIMIT 50",
    "SELECT * FROM shop.products ORDER BY id LIMIT 50",
    "SELECT * FROM shop.orders ORDER BY id LIMIT 50",
    "SELECT id, happened_at, client_address, payload FROM shop.events ORDER BY id LIMIT 50",
    "SELECT c FROM shop.customers AS c ORDER BY id LIMIT 3",
    "SELECT array_agg(status ORDER BY id) FROM shop.orders WHERE id < 20",
    "SELECT status, count(*), sum(total) FROM shop.orders GROUP BY status ORDER BY status",
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 100) SELECT n FROM t",
    "SELECT 1::int2, 2::int4, 3::int8, 1.5::numeric(10, 3), 'NaN'::numeric, 1e-7::float8, '-inf'::float4, true",
    "SELECT '2024-02-29'::date, '12:34:56.789'::time, '2024-02-29 23:59:60+02'::timestamptz, 'infinity'::timestamp",
    "SELECT '1 year 2 months -3 days 04:05:06.7'::interval, '10.0.0.0/8'::cidr, '08:00:2b:01:02:03'::macaddr",
    "SELECT '\\x00ff'::bytea, '{\"a\": [1, null]}'::jsonb, '{\"a\" :1}'::json, '<a/>'::xml IS DOCUMENT",
    "SELECT ARRAY[[1, 2], [3, NULL]], '[1,5)'::int4range, 'a b'::tsvector, B'1010', '(1,2)'::point, ROW(1, 'x', NULL)",
    "SELECT repeat('é', 100000), repeat('x', 2000000)",
    "SELECT g, repeat('y', 200) FROM generate_series(1, 5000) AS g",
    "SELECT current_user, session_user, current_database() = current_catalog",
    "SHOW search_path",
    "SHOW DateStyle",
    "SET application_name = 'bytes'",
    "SET extra_float_digits = 0",
    "SELECT 0.1::float8 + 0.2::float8",
    "SET TimeZone = 'Asia/Kolkata'",
    "SELECT '2024-01-01 00:00+00'::timestamptz",
    "RESET ALL",
    "SELEC 1",
    "SELECT missing FROM shop.customers",
    "SELECT * FROM shop.missing",
    "SELECT 1 / 0",
    "SELECT 1 / (id - 7) FROM shop.customers ORDER BY id",
    "SELECT 'x'::int",
    "INSERT INTO shop.tenants VALUES (1, 'twice')",
    "INSERT INTO shop.orders (tenant_id, customer_id, ordered_at) VALUES (99, 1, now())",
    "DO $$ BEGIN RAISE NOTICE 'told %', 1; RAISE WARNING 'warned'; END $$",
    "DO $$ BEGIN RAISE EXCEPTION 'own' USING ERRCODE = 'UE001', DETAIL = 'd', HINT = 'h'; END $$",
    "BEGIN",
    "UPDATE shop.orders SET note = 'changed' WHERE id < 10 RETURNING id, note",
    "SAVEPOINT a",
    "SELECT 1 / 0",
    "SELECT 'in a failed transaction'",
    "ROLLBACK TO a",
    "DELETE FROM shop.order_items WHERE order_id = 1",
    "ROLLBACK",
    "ROLLBACK",
    "CREATE TEMP TABLE kept (a int PRIMARY KEY, b text)",
    "CREATE TEMP TABLE IF NOT EXISTS kept (a int)",
    "INSERT INTO kept SELECT g, 'row ' || g FROM generate_series(1, 10) AS g",
    "COPY kept TO STDOUT",
    "COPY kept TO STDOUT (FORMAT csv, HEADER)",
    "COPY kept TO STDOUT (FORMAT binary)",
    "COPY (SELECT * FROM shop.customers ORDER BY id LIMIT 500) TO STDOUT",
    "COPY kept FROM STDIN",
    "TRUNCATE kept",
    "PREPARE p (int) AS SELECT name FROM shop.customers WHERE id = $1",
    "EXECUTE p (5)",
    "EXECUTE p (5, 6)",
    "DEALLOCATE p",
    "EXECUTE p (5)",
    "EXPLAIN (COSTS off) SELECT * FROM shop.customers WHERE id = 5",
    "EXPLAIN (COSTS off, FORMAT json) SELECT * FROM shop.customers WHERE id = 5",
    "BEGIN READ ONLY",
    "DECLARE c SCROLL CURSOR FOR SELECT id, name FROM shop.customers ORDER BY id",
    "FETCH 3 FROM c",
    "FETCH BACKWARD 1 FROM c",
    "MOVE 10 FROM c",
    "CLOSE c",
    "UPDATE shop.orders SET note = ''",
    "COMMIT",
    "LISTEN news",
    "UNLISTEN *",
    "DISCARD ALL",
    "VACUUM kept",
    "SELECT FROM shop.tenants",
    "SELECT * FROM shop.safe_report('2025-03-01')",
    "SELECT relname FROM pg_class WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1",
    "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'shop.customers'::regclass",
    "SELECT lo_create(0) IS NOT NULL",
)
TOGETHER: Final = (
    "SELECT 1; SELECT 2",
    "SELECT 1;;SELECT 'two' ;",
    "SELECT 1; SELECT 1 / 0; SELECT 3",
    "BEGIN; SELECT 1; COMMIT; SELECT 2",
    "BEGIN; SELECT 1 / 0; COMMIT",
    "ROLLBACK",
    "CREATE TEMP TABLE many (a int); INSERT INTO many VALUES (1); SELECT a + 0 FROM many; DROP TABLE many",
    "SELECT 1; SELEC 2",
    "COPY (SELECT 1) TO STDOUT; SELECT 2; COPY (SELECT 3) TO STDOUT",
)
Pair = tuple[RawClient, RawClient]


@pytest.fixture
def pair(pgwarden: Pgwarden) -> Iterator[Pair]:
    """A client through pgwarden and one without it."""
    with _connected(pgwarden.dsn()) as through, _connected(pgwarden.direct_dsn) as direct:
        yield through, direct


def _connected(dsn: str) -> RawClient:
    url = urlsplit(dsn)
    assert url.hostname
    assert url.port
    options = {"client_encoding": "UTF8", "DateStyle": "ISO, MDY"}
    client = RawClient(url.hostname, url.port, url.username or "", url.password or "", url.path[1:], options)
    client.socket.settimeout(PATIENCE_S)
    return client


def _assert_same(pair: Pair, what: str, *frames: bytes) -> None:
    _assert_all_same(pair, [(what, frames)])


def _assert_all_same(pair: Pair, questions: list[tuple[str, tuple[bytes, ...]]]) -> None:
    """One after the other, so that neither waits for what the other has locked."""
    seen, expected = ([_answer(client, frames) for _, frames in questions] for client in pair)
    for (what, _), one, other in zip(questions, seen, expected, strict=True):
        assert one == other, what


def _answer(client: RawClient, frames: tuple[bytes, ...]) -> bytes:
    client.seen.clear()
    client.roundtrip(*frames)
    return bytes(client.seen)


def test_simple(pair: Pair) -> None:
    _assert_all_same(pair, [(sql, (query(sql),)) for sql in (*ONE_BY_ONE, *TOGETHER)])


@pytest.mark.parametrize("result", [TEXT, BINARY])
def test_extended(pair: Pair, result: int) -> None:
    # A Sync that arrives while the server copies in is ignored by it: see test_copy_in.
    asked = [sql for sql in (*ONE_BY_ONE, *TOGETHER) if not sql.endswith("FROM STDIN")]
    tail = (bind((), result), describe(), execute(), SYNC)
    _assert_all_same(pair, [(sql, (parse(sql), *tail)) for sql in asked])


@pytest.mark.parametrize("result", [TEXT, BINARY])
def test_named_statements_with_parameters(pair: Pair, result: int) -> None:
    sql = "SELECT id, name, balance, created_at FROM shop.customers WHERE id = $1 OR email = $2"
    _assert_same(pair, "parse", parse(sql, "s1", (23, 25)), describe(b"S", "s1"), SYNC)
    for values in ((b"5", None), (b"6", b"nobody"), (None, None), (b"five", None)):
        _assert_same(pair, str(values), bind(values, result, "s1"), execute(), SYNC)
    _assert_same(pair, "a taken name", parse(sql, "s1"), SYNC)
    _assert_same(pair, "closed", close(b"S", "s1"), SYNC)
    _assert_same(pair, "gone", bind((b"5", None), result, "s1"), describe(), execute(), SYNC)
    _assert_same(pair, "unknown", describe(b"S", "never"), SYNC)
    _assert_same(pair, "unknown portal", execute("never"), SYNC)
    _assert_same(pair, "closing what isn't there", close(b"P", "never"), close(b"S", "never"), SYNC)


def test_portals_in_parts(pair: Pair) -> None:
    sql = "SELECT id, name FROM shop.customers ORDER BY id LIMIT 25"
    opened = (parse(sql, "s2"), bind((), BINARY, "s2", "p2"), describe(b"P", "p2"))
    _assert_same(pair, "begin", query("BEGIN"))
    _assert_same(pair, "first part", *opened, execute("p2", 10), SYNC)
    _assert_same(pair, "next parts", execute("p2", 10), execute("p2", 10), SYNC)
    _assert_same(pair, "after the end", execute("p2", 10), SYNC)
    _assert_same(pair, "closed", close(b"P", "p2"), execute("p2", 10), SYNC)
    _assert_same(pair, "failed", query("SELECT 1"))
    _assert_same(pair, "rollback", query("ROLLBACK"))


def test_a_pipeline_with_an_error_in_it(pair: Pair) -> None:
    def run(sql: str) -> bytes:
        return parse(sql) + bind() + describe() + execute()

    _assert_same(pair, "skips to Sync", run("SELECT 1"), run("SELECT 1 / 0"), run("SELECT 3"), SYNC)
    _assert_same(pair, "bad text", run("SELECT 1"), run("SELEC"), run("SELECT 3"), SYNC)
    for client in pair:
        client.seen.clear()
        client.send(run("SELECT 1"), SYNC, run("SELECT 1 / 0"), run("SELECT 2"), SYNC, run("SELECT 3"), SYNC)
        for _ in range(3):
            client.receive()
    assert pair[0].seen == pair[1].seen


def test_flush_answers_without_sync(pair: Pair) -> None:
    for client in pair:
        client.seen.clear()
        client.send(parse("SELECT 5"), bind(), describe(), execute(), FLUSH)
        client.receive(until=b"C")
        client.send(SYNC)
        client.receive()
    assert pair[0].seen == pair[1].seen


def test_copy_in(pair: Pair) -> None:
    _assert_same(pair, "table", query("CREATE TEMP TABLE loaded (a int, b text)"))
    lines = b"".join(frame(b"d", f"{n}\trow {n}\n".encode()) for n in range(1000))
    for sql, sent in (
        ("COPY loaded FROM STDIN", lines + frame(b"c")),
        ("COPY loaded FROM STDIN", frame(b"d", b"x\ty\n") + frame(b"c")),
        ("COPY loaded FROM STDIN", lines + frame(b"f", string("changed my mind"))),
    ):
        for client in pair:
            client.seen.clear()
            client.send(query(sql), sent)
            client.receive()
        assert pair[0].seen == pair[1].seen, sql
    _assert_same(pair, "all there", query("SELECT count(*), sum(a) FROM loaded"))


def test_fast_path_function_call(pair: Pair) -> None:
    """The manual calls it obsolete; libpq's large objects still use it. 1251 is int4abs."""
    argument = struct.pack("!hh h i i h", 1, 1, 1, 4, -5, 1)
    _assert_same(pair, "int4abs", frame(b"F", struct.pack("!I", 1251), argument))
    _assert_same(pair, "no such function", frame(b"F", struct.pack("!I", 4_000_000_000), argument))


def test_the_login_says_the_same(pgwarden: Pgwarden) -> None:
    """All but the secret key, the SASL exchange and what pgwarden pins."""
    with _connected(pgwarden.dsn()) as through, _connected(pgwarden.direct_dsn) as direct:
        seen, expected = _parameters(through.login_bytes), _parameters(direct.login_bytes)
        pid = through.simple("SELECT pg_backend_pid()").rows[0][0]
    assert seen == expected
    assert pid == str(_process_id(through.login_bytes)).encode()


def _parameters(login: bytes) -> dict[bytes, bytes]:
    pairs = (body[:-1].split(b"\0") for kind, body in _frames(login) if kind == b"S")
    return {name: value for name, value in pairs}


def _process_id(login: bytes) -> int:
    (body,) = (body for kind, body in _frames(login) if kind == b"K")
    return int(struct.unpack("!i", body[:4])[0])


def _frames(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        (length,) = struct.unpack("!i", data[at + 1 : at + 5])
        yield data[at : at + 1], data[at + 5 : at + 1 + length]
        at += 1 + length
