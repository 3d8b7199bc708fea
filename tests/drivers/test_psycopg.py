"""psycopg 3: text and binary, prepared or not, pipelines, transactions, caps, cancel; what the records say of it."""

from __future__ import annotations

import asyncio
import datetime
import socket
import struct
import threading
from contextlib import suppress
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import errors
from psycopg.pq import TransactionStatus

from tests.fix_pgwarden import PATIENCE_S, Pgwarden

MASKED = "SELECT id, email, ssn, phone, birth_date, balance, preferences, tags, signature FROM shop.customers "
HIDDEN = "SELECT * FROM shop.salaries"


def connected(pgwarden: Pgwarden, user: str = "admin", **options: Any) -> psycopg.Connection[Any]:
    return psycopg.connect(pgwarden.dsn(user), **{"autocommit": True, **options})


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("prepare_threshold", [0, 5, None])
def test_an_administrator_gets_what_the_server_says(
    pgwarden: Pgwarden, binary: bool, prepare_threshold: int | None
) -> None:
    answers = []
    for dsn in (pgwarden.dsn(), pgwarden.direct_dsn):
        with psycopg.connect(dsn, prepare_threshold=prepare_threshold) as connection:
            cursor = connection.cursor(binary=binary)
            found = []
            for table in ("customers", "products", "orders", "events"):
                sql = f"SELECT * FROM shop.{table} WHERE id BETWEEN %s AND %s ORDER BY id"
                found += [cursor.execute(sql.encode(), (low, low + 40)).fetchall() for low in (1, 50, 900)]
            answers.append(found)
    assert answers[0] == answers[1]
    assert len(answers[0][0]) == 41


def test_masked_values_are_the_same_in_text_and_binary(pgwarden: Pgwarden) -> None:
    with connected(pgwarden, "ada") as connection:
        sql = MASKED + "WHERE id < %s ORDER BY id"
        text, binary = (connection.cursor(binary=binary).execute(sql, (200,)).fetchall() for binary in (False, True))
    assert text == binary
    assert len(text) > 100
    assert text[0] == (
        1,
        "g***@example.org",
        "REDACTED   ",
        "***********0613",
        datetime.date(1947, 1, 1),
        Decimal("-1000.00"),
        "REDACTED",
        [],
        None,
    )


def test_rows_are_filtered_by_tenant(pgwarden: Pgwarden) -> None:
    counts = {}
    for user in ("admin", "ada", "sam"):
        with connected(pgwarden, user) as connection:
            counts[user] = connection.execute(
                "SELECT count(*), min(tenant_id), max(tenant_id) FROM shop.orders"
            ).fetchone()
    assert counts["ada"][1:] == (1, 1)
    assert counts["sam"][1:] == (2, 2)
    assert counts["ada"][0] + counts["sam"][0] == counts["admin"][0] == 12000


def test_a_filter_holds_in_joins_subqueries_and_aggregates(pgwarden: Pgwarden) -> None:
    sql = """
        WITH big AS (SELECT customer_id, sum(total) AS spent FROM shop.orders GROUP BY customer_id)
        SELECT c.tenant_id, count(*), (SELECT count(*) FROM shop.customers) FROM shop.customers AS c
        JOIN big ON big.customer_id = c.id WHERE EXISTS (SELECT 1 FROM shop.orders WHERE customer_id = c.id)
        GROUP BY c.tenant_id"""
    with connected(pgwarden, "ada") as connection:
        ((tenant, _, customers),) = connection.execute(sql).fetchall()
    assert (tenant, customers) == (1, 2224)


@pytest.mark.parametrize("prepare_threshold", [0, None])
def test_a_refusal_leaves_the_connection_usable(pgwarden: Pgwarden, prepare_threshold: int | None) -> None:
    with connected(pgwarden, "ada", prepare_threshold=prepare_threshold) as connection:
        for _ in range(3):
            with pytest.raises(errors.InsufficientPrivilege) as refused:
                connection.execute(HIDDEN)
            assert "analysts/tables.block[0]" in str(refused.value)
            assert "policies.yaml:" in (refused.value.diag.message_detail or "")
            assert refused.value.diag.statement_position
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_blocked_column_is_refused(pgwarden: Pgwarden) -> None:
    with connected(pgwarden, "ada") as connection:
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT card_number FROM shop.payments")
        cursor = connection.execute("SELECT * FROM shop.payments LIMIT 1")
        assert "card_number" not in [column.name for column in cursor.description or ()]


def test_a_refusal_inside_a_transaction_aborts_it(pgwarden: Pgwarden) -> None:
    with connected(pgwarden, "ada", autocommit=False) as connection:
        connection.execute("SELECT 1")
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(HIDDEN)
        assert connection.info.transaction_status is TransactionStatus.INERROR
        with pytest.raises(errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        connection.rollback()
        with connection.transaction():
            connection.execute("SELECT 1")
            with pytest.raises(errors.InsufficientPrivilege), connection.transaction():
                connection.execute(HIDDEN)
            assert connection.execute("SELECT 2").fetchone() == (2,)


def test_several_statements_in_one_text(pgwarden: Pgwarden) -> None:
    with connected(pgwarden, "ada") as connection:
        cursor = connection.execute("SELECT 1; SELECT count(*) FROM shop.customers")
        assert cursor.fetchall() == [(1,)]
        assert cursor.nextset()
        assert cursor.fetchall() == [(2224,)]
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("SELECT 1; SELECT * FROM shop.salaries; SELECT 3")
        assert connection.execute("SELECT 4").fetchone() == (4,)


def test_a_pipeline_as_administrator(pgwarden: Pgwarden) -> None:
    with connected(pgwarden) as connection, connection.pipeline():
        cursors = [
            connection.execute("SELECT %s::int, name FROM shop.customers WHERE id = %s", (n, n)) for n in range(1, 51)
        ]
        assert [row[0] for cursor in cursors for row in cursor.fetchall()] == list(range(1, 51))


def test_a_refusal_in_a_pipeline_stands_in_its_own_place(pgwarden: Pgwarden) -> None:
    with connected(pgwarden, "ada") as connection:
        with connection.pipeline() as pipeline:
            before = connection.execute("SELECT 'before'")
            refused, skipped = connection.cursor(), connection.cursor()
            # psycopg reads what has come whenever it sends: any of these may meet the error.
            with pytest.raises(errors.InsufficientPrivilege):
                refused.execute(HIDDEN)
                skipped.execute("SELECT 'skipped'")
                pipeline.sync()
            with suppress(errors.PipelineAborted):
                pipeline.sync()
            assert before.fetchall() == [("before",)]
            with pytest.raises(psycopg.Error):
                refused.fetchall()
            with pytest.raises(psycopg.Error):
                skipped.fetchall()
            after = connection.execute("SELECT count(*) FROM shop.customers")
            assert after.fetchall() == [(2224,)]
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_server_cursors(pgwarden: Pgwarden) -> None:
    sql = "SELECT id FROM shop.customers ORDER BY id"
    with connected(pgwarden, autocommit=False) as connection, connection.cursor("parts") as cursor:
        assert sum(1 for _ in cursor.execute(sql)) == 4000
    with connected(pgwarden, "ada", autocommit=False) as connection:
        with connection.cursor("parts") as cursor, pytest.raises(psycopg.Error) as refused:
            cursor.execute(sql)
        assert refused.value.sqlstate in ("42501", "0A000")
        assert "cursor" in str(refused.value)
        connection.rollback()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_rows_come_in_chunks(pgwarden: Pgwarden) -> None:
    with connected(pgwarden, "ada") as connection, connection.cursor() as cursor:
        found = list(cursor.stream("SELECT id, email FROM shop.customers ORDER BY id"))
    assert len(found) == 2224
    assert all(email.partition("@")[0].endswith("***") for _, email in found)


def test_copy(pgwarden: Pgwarden) -> None:
    with connected(pgwarden) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE t (a int, b text)")
        with cursor.copy("COPY t FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            for number in range(1000):
                copy.write_row((number, f"row {number}"))
        with cursor.copy("COPY t TO STDOUT") as copy:
            assert sum(1 for _ in copy.rows()) == 1000
    with connected(pgwarden, "ada") as connection:
        with pytest.raises(psycopg.Error) as refused, connection.cursor().copy("COPY shop.customers TO STDOUT"):
            pass
        assert refused.value.sqlstate in ("42501", "0A000")
        assert connection.execute("SELECT 1").fetchone() == (1,)


async def test_async(pgwarden: Pgwarden) -> None:
    async def count(user: str) -> int:
        async with await psycopg.AsyncConnection.connect(pgwarden.dsn(user)) as connection:
            row = await (await connection.execute("SELECT count(*) FROM shop.customers")).fetchone()
            assert row is not None
            return int(row[0])

    assert await asyncio.gather(*map(count, ["admin", "ada", "sam"] * 4)) == [4000, 2224, 1776] * 4


def test_row_limit(pgwarden: Pgwarden) -> None:
    with connected(pgwarden, "tim") as connection:
        assert len(connection.execute("SELECT id FROM shop.products LIMIT 10").fetchall()) == 10
        for binary in (False, True):
            with pytest.raises(errors.QueryCanceled) as cut:
                connection.cursor(binary=binary).execute("SELECT id FROM shop.products LIMIT 11")
            assert "trainees/limits.rows" in str(cut.value)
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_runtime_limit(pgwarden: Pgwarden) -> None:
    slow = "SELECT count(*) FROM generate_series(1, 5000) AS a, generate_series(1, 1000000) AS b"
    with connected(pgwarden, "tim") as connection:
        with pytest.raises(errors.QueryCanceled) as cut:
            connection.execute(slow)
        assert "trainees/limits.runtime" in str(cut.value)
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with psycopg.connect(pgwarden.server.dsn(pgwarden.database)) as direct:
        running = (
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT count(*) FROM gen%'"
        )
        assert direct.execute(running).fetchone() == (0,)


def test_cancel(pgwarden: Pgwarden) -> None:
    with connected(pgwarden) as connection:
        timer = threading.Timer(0.3, connection.cancel)
        timer.start()
        with pytest.raises(errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(20)")
        timer.join()
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("secret", [b"\0\0\0\0", b"wrong-secret-of-another-length"])
def test_a_cancel_with_a_wrong_secret_does_nothing(pgwarden: Pgwarden, secret: bytes) -> None:
    with connected(pgwarden) as connection:
        body = struct.pack("!ii", 80877102, connection.info.backend_pid) + secret

        def cancel() -> None:
            with socket.create_connection((pgwarden.host, pgwarden.port), PATIENCE_S) as link:
                link.sendall(struct.pack("!i", len(body) + 4) + body)
                assert link.recv(1) == b""

        timer = threading.Timer(0.1, cancel)
        timer.start()
        assert connection.execute("SELECT 1 FROM pg_sleep(0.5)").fetchone() == (1,)
        timer.join()
    # pgwarden's own secret isn't the server's: it must not work there.
    assert pgwarden.process is not None
    assert pgwarden.process.poll() is None


def test_the_backend_process_id_is_the_servers(pgwarden: Pgwarden) -> None:
    with connected(pgwarden) as connection:
        assert connection.execute("SELECT pg_backend_pid()").fetchone() == (connection.info.backend_pid,)


def test_notifications(pgwarden: Pgwarden) -> None:
    with connected(pgwarden) as listener, connected(pgwarden) as speaker:
        listener.execute("LISTEN news")
        speaker.execute("NOTIFY news, 'hello'")
        (told,) = listener.notifies(timeout=PATIENCE_S, stop_after=1)
        assert (told.payload, told.pid) == ("hello", speaker.info.backend_pid)


def test_intent_and_outcome_are_recorded(pgwarden: Pgwarden) -> None:
    options: dict[str, Any] = {"application_name": "ledger-test"}
    with connected(pgwarden, "ada", **options) as connection:
        connection.execute("SELECT email, 'ledger mark' FROM shop.customers WHERE id < 4")
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("SELECT 'ledger mark', * FROM shop.salaries")
        with pytest.raises(errors.DivisionByZero):
            connection.execute("SELECT 'ledger mark', 1 / 0")
    found = pgwarden.records_of("ledger mark", outcomes=3)
    assert [(r["stage"], r["decision"], r["sqlstate"]) for r in found] == [
        ("intent", "rewrite", ""),
        ("outcome", "rewrite", ""),
        ("intent", "deny", "42501"),
        ("intent", "allow", ""),
        ("outcome", "allow", "22012"),
    ]
    intent, outcome, refused = found[:3]
    assert intent["sql_text"] == "SELECT email, 'ledger mark' FROM shop.customers WHERE id < 4"
    assert {record["application"] for record in found} == {"ledger-test"}
    assert {(r["tenant"], r["team"], r["user"], r["database"]) for r in found} == {("acme", "finance", "ada", "shop")}
    assert intent["masked_columns"] == ["shop.customers.email"]
    assert intent["filtered_tables"] == ["shop.customers"]
    assert "analysts/rows[0]" in intent["rule_ids"]
    assert outcome["rows"] == 3
    assert outcome["cost"] > 0
    assert outcome["currency"] == "USD"
    assert refused["rule_ids"] == ["analysts/tables.block[0]"]


def test_application_name_may_change(pgwarden: Pgwarden) -> None:
    with connected(pgwarden, "ada") as connection:
        connection.execute("SET application_name = 'renamed'")
        connection.execute("SELECT 'renaming mark'")
    assert {record["application"] for record in pgwarden.records_of("renaming mark")} == {"renamed"}
