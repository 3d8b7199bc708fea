"""Limits through a running pgwarden and real clients: results cut short and cut off, the session in step afterwards."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import subprocess
from collections.abc import Iterator

import asyncpg
import psycopg
import pytest
from psycopg import errors
from psycopg.pq import TransactionStatus

from tests.fix_pgwarden import DATABASE, Pgwarden, password_of, run_pgwarden, until
from tests.fix_servers import TestServer
from tests.security import raw_client as raw

PRINCIPALS = """
principals:
  - {user: admin, tenant: hq, roles: [admin], auth: {scram: "@admin@"}}
  - {user: ada, tenant: acme, roles: [short], auth: {scram: "@ada@"}}
  - {user: sam, tenant: acme, roles: [busy], auth: {scram: "@sam@"}}
  - {user: tim, tenant: acme, roles: [small], auth: {scram: "@tim@"}}
  - {user: wes, tenant: acme, roles: [trial], auth: {scram: "@wes@"}}
"""
POLICIES = (
    PRINCIPALS
    + """
policies:
  - name: administrators
    subjects: {roles: [admin]}
    statements: [all]
    tables: {allow: ["*.*"]}
    functions: {allow: ["*"]}
  - name: short
    subjects: {roles: [short]}
    statements: [select, insert, copy_to, cursor, prepare, temp_tables]
    tables: {allow: ["shop.*"]}
    limits: {rows: 10, at_cap: truncate}
  - name: small
    subjects: {roles: [small]}
    statements: [select, copy_to, cursor]
    tables: {allow: ["shop.*"]}
    rows:
      - {table: shop.customers, filter: "tenant_id = 1"}
    functions: {allow: [shop.tell]}
    limits: {bytes: 100kB}
  - name: busy
    subjects: {roles: [busy]}
    statements: [select]
    tables: {allow: ["shop.*"]}
    limits: {concurrent: 1, statements_per_minute: 12}
  - name: trial
    mode: shadow
    subjects: {roles: [trial]}
    statements: [select]
    tables: {allow: [shop.products]}
  - name: tried
    subjects: {roles: [trial]}
    statements: [all]
    tables: {allow: ["*.*"]}
    functions: {allow: ["*"]}
"""
)
MANY = "SELECT i FROM generate_series(1, 1000) AS g(i)"
TELL = """
CREATE FUNCTION shop.tell(code text) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RAISE NOTICE 'canary of a notice';
    RAISE EXCEPTION 'canary of %', (SELECT count(*) FROM shop.customers)
        USING ERRCODE = code, HINT = 'canary of a hint';
END $$
"""


@pytest.fixture(scope="module")
def limited(server18: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    with run_pgwarden(tmp_path_factory.mktemp("limited"), server18, policies=POLICIES, is_started=False) as instance:
        with psycopg.connect(server18.dsn(instance.database), autocommit=True) as direct:
            direct.execute(TELL)
            direct.execute("GRANT EXECUTE ON FUNCTION shop.tell TO PUBLIC")
        instance.start()
        yield instance
        assert instance.stop() == 0
        # A shadow decision that failed would be told here.
        assert instance.faults() == []


@pytest.fixture
def short(limited: Pgwarden) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(limited.dsn("ada"), autocommit=True) as connection:
        yield connection


def notices_of(connection: psycopg.Connection[tuple[object, ...]]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    connection.add_notice_handler(lambda d: found.append((d.sqlstate or "", d.message_primary or "")))
    return found


NOTICE = ("01000", "the result was cut off after 10 rows (rule short/limits.rows)")


# cut short


@pytest.mark.parametrize("kind", [psycopg.ClientCursor, psycopg.Cursor])
@pytest.mark.parametrize("threshold", [None, 0])
def test_a_result_is_cut_short_and_the_session_goes_on(
    limited: Pgwarden, kind: type[psycopg.Cursor[tuple[object, ...]]], threshold: int | None
) -> None:
    with psycopg.connect(limited.dsn("ada"), autocommit=True, prepare_threshold=threshold) as connection:
        told = notices_of(connection)
        for _ in range(3):
            cursor = kind(connection).execute(MANY)
            assert [row[0] for row in cursor] == list(range(1, 11))
            assert cursor.statusmessage == "SELECT 10"
            assert connection.info.transaction_status is TransactionStatus.IDLE
            assert kind(connection).execute("SELECT 1").fetchall() == [(1,)]
        assert told == [NOTICE] * 3


def test_a_transaction_block_stays_whole(short: psycopg.Connection[tuple[object, ...]]) -> None:
    with short.transaction():
        short.execute("CREATE TEMPORARY TABLE kept (x integer)")
        short.execute("INSERT INTO kept SELECT generate_series(1, 50)")
        assert len(short.execute("SELECT x FROM kept").fetchall()) == 10
        assert short.info.transaction_status is TransactionStatus.INTRANS
        short.execute("INSERT INTO kept VALUES (51)")
    assert short.execute("SELECT count(*) FROM kept").fetchall() == [(51,)]


def test_a_pipeline_is_one_transaction_and_nothing_of_it_is_undone(
    short: psycopg.Connection[tuple[object, ...]],
) -> None:
    short.execute("CREATE TEMPORARY TABLE piped (x integer)")
    with short.pipeline() as pipeline:
        short.execute("INSERT INTO piped VALUES (1)")
        many = short.execute(MANY)
        short.execute("INSERT INTO piped VALUES (2)")
        pipeline.sync()
        assert len(many.fetchall()) == 10
    assert short.execute("SELECT count(*) FROM piped").fetchall() == [(2,)]


def test_texts_with_several_statements(limited: Pgwarden) -> None:
    environment = {**os.environ, "PGPASSWORD": password_of("ada")}
    command = ["psql", "-XAt", limited.dsn("ada"), "-c", f"{MANY}; SELECT 'between'; {MANY}"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30, check=True)
    numbers = [str(number) for number in range(1, 11)]
    assert done.stdout.split() == [*numbers, "between", *numbers]
    assert done.stderr.count("cut off after 10 rows") == 2


def test_rows_of_writes_are_all_or_an_error(short: psycopg.Connection[tuple[object, ...]]) -> None:
    short.execute("CREATE TEMPORARY TABLE written (x integer)")
    with pytest.raises(errors.QueryCanceled), short.transaction():
        short.execute("INSERT INTO written SELECT generate_series(1, 50) RETURNING x")
    assert short.execute("SELECT count(*) FROM written").fetchall() == [(0,)]
    with pytest.raises(errors.QueryCanceled), short.transaction():
        short.execute("PREPARE p AS INSERT INTO written SELECT generate_series(1, 50) RETURNING x")
        short.execute("EXECUTE p")
    assert short.execute("SELECT count(*) FROM written").fetchall() == [(0,)]


def test_rows_that_a_with_or_a_copy_writes_are_all_or_an_error(short: psycopg.Connection[tuple[object, ...]]) -> None:
    short.execute("CREATE TEMPORARY TABLE written (x integer)")
    writing = "INSERT INTO written SELECT generate_series(1, 50) RETURNING x"
    with pytest.raises(errors.QueryCanceled), short.transaction():
        short.execute(f"WITH w AS ({writing}) SELECT * FROM w")
    with (
        pytest.raises(errors.QueryCanceled),
        short.transaction(),
        short.cursor() as cursor,
        cursor.copy(f"COPY ({writing}) TO STDOUT") as out,
    ):
        list(out)
    assert short.execute("SELECT count(*) FROM written").fetchall() == [(0,)]


def test_a_setting_made_beside_rows_is_kept(short: psycopg.Connection[tuple[object, ...]]) -> None:
    short.execute("SELECT set_config('application_name', 'kept', false), i FROM generate_series(1, 200000) AS g(i)")
    assert short.execute("SHOW application_name").fetchall() == [("kept",)]


def test_a_column_that_is_called_header_is_none(short: psycopg.Connection[tuple[object, ...]]) -> None:
    with short.cursor() as cursor, cursor.copy(f"COPY (SELECT i AS header FROM ({MANY}) AS m) TO STDOUT") as copy:
        assert len(b"".join(bytes(piece) for piece in copy).split()) == 10


def test_cursors_of_sql_give_no_more_than_the_cap_in_all(short: psycopg.Connection[tuple[object, ...]]) -> None:
    with short.transaction(), short.cursor("named") as cursor:
        cursor.itersize = 4
        assert [row[0] for row in cursor.execute(MANY)] == list(range(1, 11))
        assert cursor.fetchall() == []
        assert short.info.transaction_status is TransactionStatus.INTRANS


def test_a_portal_asked_in_pieces_at_once_gives_no_more_than_the_cap(limited: Pgwarden) -> None:
    """Executes that were sent before the first of them was answered."""
    with raw_client_of(limited, "ada") as client:
        pieces = [raw.execute("", 4)] * 4
        answer = client.roundtrip(raw.parse(MANY), raw.bind(), *pieces, raw.SYNC)
        assert [row[0] for row in answer.rows] == [str(number).encode() for number in range(1, 11)]
        assert client.roundtrip(raw.parse(MANY), raw.bind(), raw.execute("", 4), raw.SYNC).kinds[-2:] == [b"s", b"Z"]
    with raw_client_of(limited, "tim") as client:
        big = "SELECT repeat('x', 30000) FROM generate_series(1, 100)"
        answer = client.roundtrip(raw.parse(big), raw.bind(), *[raw.execute("", 2)] * 10, raw.SYNC)
        assert (len(answer.rows), answer.sqlstate) == (3, "57014")


def raw_client_of(limited: Pgwarden, user: str) -> raw.RawClient:
    return raw.RawClient(limited.host, limited.port, user, password_of(user), DATABASE)


async def test_asyncpg_reads_portals_piece_by_piece(limited: Pgwarden) -> None:
    connection = await asyncpg.connect(limited.dsn("ada"))
    try:
        for _ in range(2):
            assert [row[0] for row in await connection.fetch(MANY)] == list(range(1, 11))
        async with connection.transaction():
            assert [row[0] async for row in connection.cursor(MANY, prefetch=4)] == list(range(1, 11))
            cursor = await connection.cursor(MANY)
            assert len(await cursor.fetch(8)) == 8
            assert len(await cursor.fetch(8)) == 2
            assert await cursor.fetch(8) == []
            assert await connection.fetchval("SELECT 1") == 1
        assert await connection.fetchval("SELECT 1") == 1
    finally:
        await connection.close()


@pytest.mark.parametrize("in_block", [False, True])
def test_copy_ends_well_formed(short: psycopg.Connection[tuple[object, ...]], in_block: bool) -> None:
    short.autocommit = not in_block
    with short.cursor() as cursor:
        for options in ("", " (FORMAT csv, HEADER)"):
            with cursor.copy(f"COPY ({MANY}) TO STDOUT{options}") as copy:
                text = b"".join(bytes(piece) for piece in copy).decode()
            rows = list(csv.reader(io.StringIO(text)))
            assert [row[0] for row in rows[bool(options) :]] == [str(number) for number in range(1, 11)]
        with cursor.copy(f"COPY ({MANY}) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int4"])
            assert [row[0] for row in copy.rows()] == list(range(1, 11))
        with cursor.copy(f"COPY ({MANY}) TO STDOUT (FORMAT binary)") as copy:
            data = b"".join(bytes(piece) for piece in copy)
        assert data.startswith(b"PGCOPY\n\xff\r\n\0")
        assert data.endswith(b"\xff\xff")
        assert cursor.execute("SELECT 1").fetchall() == [(1,)]


async def test_asyncpg_copies_what_there_is(limited: Pgwarden, server18: TestServer) -> None:
    """The binary form is loaded again by the server itself."""
    connection = await asyncpg.connect(limited.dsn("ada"))
    direct = await asyncpg.connect(server18.dsn(server18.empty()))
    try:
        piece = io.BytesIO()
        assert await connection.copy_from_query(MANY, output=piece, format="binary") == "COPY 10"
        await direct.execute("CREATE TABLE loaded (i integer)")
        piece.seek(0)
        await direct.copy_to_table("loaded", source=piece, format="binary")
        assert await direct.fetchval("SELECT array_agg(i) FROM loaded") == list(range(1, 11))
    finally:
        await connection.close()
        await direct.close()


def test_a_result_cut_short_is_in_the_record(limited: Pgwarden, short: psycopg.Connection[tuple[object, ...]]) -> None:
    short.execute(f"{MANY} /* recorded */")
    outcome = limited.records_of("/* recorded */")[-1]
    assert (outcome["stage"], outcome["rows"], outcome["sqlstate"]) == ("outcome", 10, "01000")
    assert "short/limits.rows" in outcome["rule_ids"]
    assert limited.metric('pgwarden_limits_reached_total{limit="rows"}') >= 1


# bytes


def test_bytes_stop_a_result_a_copy_and_a_single_row(limited: Pgwarden) -> None:
    with psycopg.connect(limited.dsn("tim"), autocommit=True) as connection:
        for sql in ("SELECT i FROM generate_series(1, 100000) AS g(i)", "SELECT repeat('x', 3000000)"):
            with pytest.raises(errors.QueryCanceled) as caught:
                connection.execute(sql)
            assert "100000 bytes" in (caught.value.diag.message_primary or "")
            assert connection.execute("SELECT 1").fetchall() == [(1,)]
        copying = "COPY (SELECT repeat('x', 3000) FROM generate_series(1, 1000)) TO STDOUT"
        with connection.cursor() as cursor, pytest.raises(errors.QueryCanceled), cursor.copy(copying) as copy:
            assert sum(len(piece) for piece in copy) <= 100_000
        assert connection.execute("SELECT repeat('x', 90000)").fetchall() == [("x" * 90_000,)]


# over all sessions


def is_running(limited: Pgwarden, part: str) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND strpos(query, %s) > 0 AND pid <> %s"
    with psycopg.connect(limited.direct_dsn) as direct:
        found = direct.execute(query, (part, direct.info.backend_pid)).fetchone()
    return found is not None and found[0] > 0


async def test_one_statement_at_a_time_over_all_sessions(limited: Pgwarden) -> None:
    first, second = [await asyncpg.connect(limited.dsn("sam")) for _ in range(2)]
    slow = asyncio.create_task(first.fetch("SELECT count(*) FROM generate_series(1, 500000000) AS slow"))
    try:
        await asyncio.sleep(0)
        await asyncio.to_thread(until, lambda: is_running(limited, "AS slow"))
        with pytest.raises(asyncpg.ConfigurationLimitExceededError, match="busy/limits.concurrent"):
            await second.fetchval("SELECT 1")
    finally:
        first.terminate()  # without a word: what it had under way counts no more
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await slow
    assert await _until_allowed(second) == 1
    with pytest.raises(asyncpg.ConfigurationLimitExceededError, match="busy/limits.statements_per_minute") as caught:
        for _ in range(13):
            await second.fetchval("SELECT 1")
    assert "Try again in" in (caught.value.hint or "")
    await second.close()


async def _until_allowed(connection: asyncpg.Connection) -> int:
    """The gateway hears of a client's death a moment later."""
    while True:
        try:
            return await connection.fetchval("SELECT 1")
        except asyncpg.ConfigurationLimitExceededError as error:
            if "limits.concurrent" not in str(error):
                raise
            await asyncio.sleep(0.02)


# what functions say


@pytest.mark.parametrize("code", ["P0001", "42501", "55000", "57014"])
def test_what_a_granted_function_raises_is_in_the_record_alone(limited: Pgwarden, code: str) -> None:
    with psycopg.connect(limited.dsn("tim"), autocommit=True) as connection:
        heard: list[str] = []
        connection.add_notice_handler(lambda d: heard.append(f"{d.message_primary} {d.context}"))
        for kind in (psycopg.ClientCursor, psycopg.Cursor):
            with pytest.raises(psycopg.Error) as caught:
                kind(connection).execute(f"SELECT shop.tell('{code}')")
            diagnostic = caught.value.diag
            assert diagnostic.sqlstate == code
            said = (diagnostic.message_primary, diagnostic.message_detail, diagnostic.message_hint, diagnostic.context)
            assert "canary" not in f"{said}{heard}"
            assert "tell" not in f"{diagnostic.context}{heard}"
    outcome = limited.records_of(f"shop.tell('{code}')", outcomes=2)[-1]
    assert outcome["sqlstate"] == code
    for text in ("canary of a notice", "canary of ", "HINT: canary of a hint", "CONTEXT: PL/pgSQL function shop.tell"):
        assert text in outcome["server_error"]


# shadow


def test_what_a_shadow_policy_would_do_is_in_the_record_alone(limited: Pgwarden) -> None:
    with psycopg.connect(limited.dsn("wes"), autocommit=True) as connection:
        for sql in ("SELECT /* bad */ count(*) FROM shop.customers", "SELECT /* good */ count(*) FROM shop.products"):
            assert connection.execute(sql).fetchone() is not None
        connection.execute("CREATE TEMPORARY TABLE /* made */ t (x integer)")
    expected = {"/* bad */": "deny", "/* good */": "allow", "/* made */": "deny"}
    for part, decision in expected.items():
        intent = limited.records_of(part)[0]
        assert (intent["decision"], intent["shadow_decision"]) == ("allow", decision)
        assert bool(intent["shadow_rule_ids"]) == (decision == "deny")
    assert limited.metric('pgwarden_shadow_decisions_total{decision="deny"}') >= 2


def test_the_memory_verifies_with_the_later_fields(limited: Pgwarden) -> None:
    def verified() -> str:
        done = limited.run("audit", "verify")
        return done.stdout if done.returncode == 0 else ""

    assert until(verified, "a chain without a fault")
