"""psycopg2: simple queries only, named cursors, COPY with files, its asynchronous mode, notifications, two phases."""

from __future__ import annotations

import io
import select
import time
from contextlib import closing
from typing import Any

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import psycopg2.extras
import pytest

from tests.drivers.interrupt import cancelled, endless
from tests.drivers.sanitized import COUNTS, on_the_copy
from tests.fix_pgwarden import PATIENCE_S, Pgwarden

EVERYBODY = ["admin", "ada", "wes"]
GRANTED = ["admin", "wes"]
CUSTOMERS = "SELECT * FROM shop.customers ORDER BY id"


def connected(dsn: str, **options: Any) -> Any:
    return closing(psycopg2.connect(dsn, **options))


def both(pgwarden: Pgwarden, user: str, sql: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Where and what to ask through pgwarden, and on the copy."""
    return (pgwarden.dsn(user), sql), (pgwarden.direct_dsn, on_the_copy(user, sql))


@pytest.mark.parametrize("user", EVERYBODY)
def test_rows_and_descriptions(pgwarden: Pgwarden, user: str) -> None:
    answers = []
    for dsn, sql in both(
        pgwarden, user, "SELECT * FROM shop.customers WHERE id < %(low)s OR name = %(name)s ORDER BY id"
    ):
        with connected(dsn) as connection, connection.cursor() as cursor:
            cursor.execute(sql, {"low": 900, "name": "O'Reilly"})
            answers.append(
                (cursor.fetchall(), [(c.name, c.type_code) for c in cursor.description], cursor.statusmessage)
            )
    assert answers[0] == answers[1]
    assert len(answers[0][0]) > 400


@pytest.mark.parametrize("user", EVERYBODY)
def test_factories(pgwarden: Pgwarden, user: str) -> None:
    for factory in (psycopg2.extras.RealDictCursor, psycopg2.extras.NamedTupleCursor, psycopg2.extras.DictCursor):
        answers = []
        for dsn, sql in both(pgwarden, user, CUSTOMERS + " LIMIT 5"):
            with connected(dsn, cursor_factory=factory) as connection, connection.cursor() as cursor:
                cursor.execute(sql)
                answers.append(cursor.fetchall())
        assert answers[0] == answers[1]
        assert len(answers[0]) == 5


@pytest.mark.parametrize("scrollable", [None, True])
@pytest.mark.parametrize("user", GRANTED)
def test_named_cursors(pgwarden: Pgwarden, user: str, scrollable: bool | None) -> None:
    answers = []
    for dsn, sql in both(pgwarden, user, CUSTOMERS):
        with connected(dsn) as connection, connection.cursor("a cursor", scrollable=scrollable) as cursor:
            cursor.itersize = 321
            cursor.execute(sql)
            found = [cursor.fetchone(), *cursor.fetchmany(9)]
            if scrollable:
                cursor.scroll(-3)
                found += cursor.fetchmany(3)
                cursor.scroll(1000, "absolute")
            answers.append([*found, *cursor])
    assert answers[0] == answers[1]
    assert len(answers[0]) == (COUNTS[user] if scrollable is None else COUNTS[user] - 1000 + 13)


@pytest.mark.parametrize("user", GRANTED)
def test_cursors_with_hold(pgwarden: Pgwarden, user: str) -> None:
    answers = []
    for dsn, sql in both(pgwarden, user, CUSTOMERS):
        with connected(dsn) as connection:
            cursor = connection.cursor("held", withhold=True)
            cursor.execute(sql)
            found = cursor.fetchmany(10)
            connection.commit()
            answers.append(found + cursor.fetchall())
            cursor.close()
    assert answers[0] == answers[1]
    assert len(answers[0]) == COUNTS[user]


@pytest.mark.parametrize("form", ["text", "csv, HEADER", "binary"])
@pytest.mark.parametrize("user", GRANTED)
def test_copy_expert_out(pgwarden: Pgwarden, user: str, form: str) -> None:
    files = []
    for dsn, sql in both(pgwarden, user, f"COPY ({CUSTOMERS}) TO STDOUT (FORMAT {form})"):
        with connected(dsn) as connection, connection.cursor() as cursor:
            file = io.BytesIO()
            cursor.copy_expert(sql, file)
            files.append((file.getvalue(), cursor.rowcount))
    assert files[0] == files[1]
    assert files[0][1] == COUNTS[user]


@pytest.mark.parametrize("user", GRANTED)
def test_copy_to_and_copy_from(pgwarden: Pgwarden, user: str) -> None:
    """copy_to names the table in quotes, `"shop.products"`: a temporary table needs no schema."""
    with connected(pgwarden.dsn(user)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE loaded (a int, b text)")
        cursor.copy_from(io.StringIO("1|one\n2|\\N\n3|drei\n"), "loaded", sep="|", columns=("a", "b"))
        assert cursor.rowcount == 3
        file = io.StringIO()
        cursor.copy_to(file, "loaded", sep=",", null="-", columns=("b", "a"))
        assert file.getvalue() == "one,1\n-,2\ndrei,3\n"
        with pytest.raises(psycopg2.errors.InvalidTextRepresentation):
            cursor.copy_from(io.StringIO("x\ty\n"), "loaded")
        connection.rollback()


@pytest.mark.parametrize("user", GRANTED)
def test_execute_values_and_batches(pgwarden: Pgwarden, user: str) -> None:
    with connected(pgwarden.dsn(user)) as connection, connection.cursor() as cursor:
        rows = [(1, 1, f"note {number}") for number in range(250)]
        sql = "INSERT INTO shop.orders (tenant_id, customer_id, note, ordered_at) VALUES %s RETURNING id, note"
        found = psycopg2.extras.execute_values(cursor, sql, rows, "(%s, %s, %s, now())", page_size=100, fetch=True)
        assert [note for _, note in found] == [note for *_, note in rows]
        psycopg2.extras.execute_batch(
            cursor,
            "UPDATE shop.orders SET total = %s WHERE id = %s",
            [(number, row[0]) for number, row in enumerate(found)],
        )
        cursor.execute("SELECT count(*), sum(total) FROM shop.orders WHERE id = ANY(%s)", ([row[0] for row in found],))
        assert cursor.fetchone() == (250, sum(range(250)))
        connection.rollback()


@pytest.mark.parametrize("user", GRANTED)
def test_notifications_are_polled(pgwarden: Pgwarden, user: str) -> None:
    channel = f"news2_{user}"
    with connected(pgwarden.dsn(user)) as connection, connection.cursor() as cursor:
        connection.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_AUTOCOMMIT)
        cursor.execute(f"LISTEN {channel}")
        cursor.execute(f"NOTIFY {channel}, 'to myself'")
        deadline = time.monotonic() + PATIENCE_S
        while not connection.notifies and time.monotonic() < deadline:
            select.select([connection], [], [], 1)
            connection.poll()
        (told,) = connection.notifies
        assert (told.channel, told.payload, told.pid) == (channel, "to myself", connection.info.backend_pid)


def finish(connection: Any) -> None:
    """The loop that users of the asynchronous mode write."""
    while (state := connection.poll()) != psycopg2.extensions.POLL_OK:
        is_reading = state == psycopg2.extensions.POLL_READ
        lists = ([connection], []) if is_reading else ([], [connection])
        assert any(select.select(*lists, [], PATIENCE_S))


@pytest.mark.parametrize("user", EVERYBODY)
def test_asynchronous_mode(pgwarden: Pgwarden, user: str) -> None:
    answers = []
    for dsn, sql in both(pgwarden, user, CUSTOMERS):
        with connected(dsn, async_=1) as connection:
            finish(connection)
            cursor = connection.cursor()
            cursor.execute(sql)
            finish(connection)
            answers.append(cursor.fetchall())
            cursor.execute("SELECT 1 / 0")
            with pytest.raises(psycopg2.errors.DivisionByZero):
                finish(connection)
    assert answers[0] == answers[1]
    assert len(answers[0]) == COUNTS[user]


@pytest.mark.parametrize("user", EVERYBODY)
def test_cancel(pgwarden: Pgwarden, user: str) -> None:
    mark = f"psycopg2 of {user}"
    with connected(pgwarden.dsn(user)) as connection, connection.cursor() as cursor:
        with cancelled(pgwarden, mark, connection.cancel), pytest.raises(psycopg2.errors.QueryCanceled):
            cursor.execute(endless(mark))
        connection.rollback()
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


@pytest.mark.parametrize("user", EVERYBODY)
def test_sessions(pgwarden: Pgwarden, user: str) -> None:
    """Autocommit and back, the characteristics of transactions, errors, `reset`."""
    with connected(pgwarden.dsn(user)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("SHOW transaction_isolation")
        assert connection.status == psycopg2.extensions.STATUS_READY
        connection.autocommit = False
        connection.set_session(isolation_level="SERIALIZABLE", readonly=True, deferrable=True)
        cursor.execute("SHOW transaction_isolation")
        assert cursor.fetchone() == ("serializable",)
        connection.rollback()
        connection.set_session(readonly=True, autocommit=True)  # these are kept in the session's defaults then
        cursor.execute("SHOW transaction_read_only")
        assert cursor.fetchone() == ("on",)
        connection.set_session(readonly=False, isolation_level="DEFAULT", deferrable=False, autocommit=False)
        with pytest.raises(psycopg2.errors.UndefinedColumn):
            cursor.execute("SELECT missing FROM shop.customers")
        with pytest.raises(psycopg2.errors.InFailedSqlTransaction):
            cursor.execute("SELECT 1")
        connection.reset()
        cursor.execute("SELECT count(*) FROM shop.customers")
        assert cursor.fetchone() == (COUNTS[user],)


def test_encodings_of_an_administrator(pgwarden: Pgwarden) -> None:
    answers = []
    for dsn in (pgwarden.dsn(), pgwarden.direct_dsn):
        with connected(dsn) as connection, connection.cursor() as cursor:
            connection.set_client_encoding("LATIN1")
            cursor.execute("SELECT name FROM shop.customers WHERE name LIKE 'Zoë%' ORDER BY id LIMIT 3")
            found = [cursor.fetchall(), connection.encoding]
            with pytest.raises(psycopg2.errors.UntranslatableCharacter):
                cursor.execute("SELECT name FROM shop.customers WHERE name LIKE chr(321) || '%'")
            answers.append(found)
    assert answers[0] == answers[1]
    assert answers[0][1] == "LATIN1"


@pytest.mark.parametrize("user", ["ada", "wes"])
def test_other_encodings_are_refused_where_texts_are_read(pgwarden: Pgwarden, user: str) -> None:
    with connected(pgwarden.dsn(user)) as connection, connection.cursor() as cursor:
        with pytest.raises(psycopg2.Error, match="client_encoding"):
            connection.set_client_encoding("LATIN1")
        connection.rollback()
        connection.set_client_encoding("UTF8")
        cursor.execute("SELECT name FROM shop.customers WHERE name LIKE 'Zoë%' LIMIT 1")
        assert cursor.fetchone()[0].startswith("Zoë")


def test_two_phases_are_answered_as_the_server_answers(pgwarden: Pgwarden) -> None:
    """The servers of the tests have no prepared transactions."""
    messages = []
    for dsn in (pgwarden.dsn(), pgwarden.direct_dsn):
        with connected(dsn) as connection:
            assert connection.tpc_recover() == []
            connection.rollback()
            connection.tpc_begin(connection.xid(1, "global", "branch"))
            connection.cursor().execute("SELECT 1")
            with pytest.raises(psycopg2.Error) as refused:
                connection.tpc_prepare()
            messages.append((str(refused.value), refused.value.pgcode))
    assert messages[0] == messages[1]


def test_two_phases_are_refused_under_a_policy(pgwarden: Pgwarden) -> None:
    with connected(pgwarden.dsn("wes")) as connection:
        connection.tpc_begin(connection.xid(1, "global", "branch"))
        connection.cursor().execute("SELECT 1")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            connection.tpc_prepare()


def test_replication_is_refused(pgwarden: Pgwarden) -> None:
    for user in EVERYBODY:
        with pytest.raises(psycopg2.Error, match="replication"):
            psycopg2.connect(pgwarden.dsn(user), connection_factory=psycopg2.extras.LogicalReplicationConnection)
