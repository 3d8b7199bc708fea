"""psqlODBC through pyodbc: declare/fetch or not, server-side prepare or not, catalog functions, error handling."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.drivers.programs import COLUMNS, LAST_ID, SAME_SQL, leaked, normal, sanitized
from tests.fix_pgwarden import Pgwarden

if TYPE_CHECKING:
    import pyodbc
else:
    pyodbc = pytest.importorskip("pyodbc", reason="pyodbc isn't installed (PyPI; `make test-drivers` installs it)")

LIBRARIES = sorted(Path("/usr/lib").glob("*/odbc/psqlodbc?.so"))
pytestmark = pytest.mark.skipif(
    not LIBRARIES, reason="psqlODBC isn't installed (Debian: odbc-postgresql; `make test-drivers` installs it)"
)
WAYS = [{"UseDeclareFetch": fetch, "UseServerSidePrepare": prepare} for fetch, prepare in itertools.product("01", "01")]
FEW = "SELECT id, name, birth_date, balance, is_active FROM shop.customers WHERE id BETWEEN ? AND ? ORDER BY id"
TYPES = "SELECT ?::text, ?::int, ?::bytea, ?::float8"
MASKED = f"SELECT {COLUMNS} FROM shop.customers WHERE id <= "


@contextmanager
def connected(dsn: str, library: int = -1, *, autocommit: bool = True, **options: str) -> Iterator[pyodbc.Connection]:
    """`library`: psqlodbca speaks bytes, psqlodbcw, the last, Unicode."""
    url = urlsplit(dsn)
    parts = {
        "Driver": str(LIBRARIES[library]),
        "Server": url.hostname,
        "Port": url.port,
        "UID": unquote(url.username or ""),
        "PWD": unquote(url.password or ""),
        "Database": unquote(url.path[1:]),
        "BoolsAsChar": "0",
        "MaxVarcharSize": "4096",
    }
    text = ";".join(f"{key}={value}" for key, value in {**parts, **options}.items())
    connection = pyodbc.connect(text, autocommit=autocommit, timeout=30)
    try:
        yield connection
    finally:
        connection.close()


def asked(connection: pyodbc.Connection, sql: str, *values: object) -> list[Any]:
    """What comes of a statement, errors too, without what the driver says of itself."""
    cursor = connection.cursor()
    try:
        cursor.execute(sql, *values)
        if cursor.description is None:
            return ["rows", cursor.rowcount]
        return [[column[:2] for column in cursor.description], [tuple(row) for row in cursor.fetchall()]]
    except pyodbc.Error as error:
        return [type(error).__name__, *error.args]
    finally:
        cursor.close()


def sqlstate_of(connection: pyodbc.Connection, sql: str, *values: object) -> str:
    answer = asked(connection, sql, *values)
    return str(answer[1]) if isinstance(answer[0], str) else "none"


@pytest.mark.parametrize(("library", "way"), [(0, {}), *((-1, way) for way in WAYS)])
def test_an_administrator_sees_what_the_server_says(pgwarden: Pgwarden, library: int, way: dict[str, str]) -> None:
    answers = []
    for dsn in (pgwarden.dsn("admin"), pgwarden.direct_dsn):
        with connected(dsn, library, **way) as connection:
            found = [(sql, asked(connection, sql)) for sql in SAME_SQL.read_text("utf-8").splitlines()]
            found += [(FEW, asked(connection, FEW, low, low + 5)) for low in (1, 2, 3)]
            found.append((TYPES, asked(connection, TYPES, "é", 7, b"\0\xff", 0.1)))
            answers.append(map(repr, found))  # NaN isn't equal to itself
    for seen, expected in zip(*answers, strict=True):
        assert seen == expected


def test_catalog_functions_of_an_administrator(pgwarden: Pgwarden) -> None:
    answers = []
    for dsn in (pgwarden.dsn("admin"), pgwarden.direct_dsn):
        with connected(dsn) as connection:
            # The first column is the database, which bears another name to the clients of pgwarden.
            answers.append([[tuple(row)[1:] for row in rows] for rows in _catalogs(connection)])
    assert answers[0] == answers[1]
    assert all(answers[0][:5])


def _catalogs(connection: pyodbc.Connection) -> list[list[Any]]:
    cursor = connection.cursor()
    return [
        cursor.tables(schema="shop").fetchall(),
        cursor.tables(schema="%", catalog="", table="").fetchall(),
        cursor.columns(schema="shop").fetchall(),
        cursor.primaryKeys("customers", schema="shop").fetchall(),
        cursor.statistics("customers", schema="shop").fetchall(),
        cursor.rowIdColumns("customers", schema="shop").fetchall(),
        cursor.rowVerColumns("customers", schema="shop").fetchall(),
        cursor.procedures(schema="shop").fetchall(),
        cursor.getTypeInfo().fetchall(),
    ]


def test_foreign_keys(pgwarden: Pgwarden) -> None:
    for dsn in (pgwarden.dsn("admin"), pgwarden.dsn("ada"), pgwarden.direct_dsn):
        with connected(dsn) as connection:
            rows = connection.cursor().foreignKeys(table="customers", schema="shop").fetchall()
            names = {(row.fktable_name, row.fkcolumn_name, row.pkcolumn_name) for row in rows}
        assert names == {("orders", "customer_id", "id"), ("support_tickets", "customer_id", "id")}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(way.values()))
def test_transactions_batches_and_errors(pgwarden: Pgwarden, way: dict[str, str]) -> None:
    with connected(pgwarden.dsn("admin"), autocommit=False, **way) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TEMP TABLE t (a int PRIMARY KEY, b text)")
        cursor.executemany("INSERT INTO t VALUES (?, ?)", [(number, f"row {number}") for number in range(100)])
        cursor.fast_executemany = True
        cursor.executemany("INSERT INTO t VALUES (?, ?)", [(number, f"row {number}") for number in range(100, 200)])
        # The driver sets a savepoint before each statement, so that a failed one leaves the others standing.
        with pytest.raises(pyodbc.IntegrityError) as failed:
            cursor.execute("INSERT INTO t VALUES (5, 'twice')")
        assert failed.value.args[0] == "23505"
        assert tuple(cursor.execute("SELECT count(*), max(b) FROM t").fetchone()) == (200, "row 99")
        connection.rollback()
        assert asked(connection, "SELECT * FROM t")[1] == "42P01"


def test_cancel(pgwarden: Pgwarden) -> None:
    with connected(pgwarden.dsn("admin")) as connection:
        cursor = connection.cursor()
        timer = threading.Timer(0.3, cursor.cancel)
        timer.start()
        with pytest.raises(pyodbc.Error) as cancelled:
            cursor.execute("SELECT pg_sleep(60)")
        timer.join()
        assert cancelled.value.args[0] in ("57014", "HY008")
        cursor.close()
        assert asked(connection, "SELECT 1")[1] == [(1,)]


@pytest.mark.parametrize(("user", "way"), [*(("wes", way) for way in WAYS), *(("ada", way) for way in WAYS[:2])])
def test_masks_and_refusals_on_every_path(pgwarden: Pgwarden, user: str, way: dict[str, str]) -> None:
    expected, secrets = sanitized(pgwarden.direct_dsn)
    with connected(pgwarden.dsn(user), **way) as connection:
        for sql, values in ((f"{MASKED} {LAST_ID} ORDER BY id", ()), (f"{MASKED} ? ORDER BY id", (LAST_ID,))):
            for _ in range(2):
                _, rows = asked(connection, sql, *values)
                assert [normal([value if value is None else str(value) for value in row]) for row in rows] == expected
        assert sqlstate_of(connection, "SELECT * FROM shop.salaries") == "42501"
        assert sqlstate_of(connection, "SELECT * FROM shop.salaries WHERE amount > ?", 1) == "42501"
        assert sqlstate_of(connection, "SELECT card_number FROM shop.payments") == "42501"
        assert sqlstate_of(connection, "SELECT pg_read_file('/etc/passwd')") == "42501"
        everyone = repr(asked(connection, "SELECT * FROM shop.customers LIMIT 500"))
    assert leaked(everyone, secrets) == set()
    assert everyone.count("***@") == 500


def test_an_analyst_declares_no_cursor_and_writes_nothing(pgwarden: Pgwarden) -> None:
    """With UseDeclareFetch the driver turns every SELECT into a cursor, which takes a grant of its own."""
    with connected(pgwarden.dsn("ada"), UseDeclareFetch="1") as connection:
        assert sqlstate_of(connection, "SELECT 1") == "42501"
    with connected(pgwarden.dsn("ada")) as connection:
        assert sqlstate_of(connection, "DELETE FROM shop.orders WHERE id = ?", 1) == "42501"


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(way.values()))
def test_a_refusal_in_a_transaction(pgwarden: Pgwarden, way: dict[str, str]) -> None:
    with connected(pgwarden.dsn("wes"), autocommit=False, **way) as connection:
        assert asked(connection, "SELECT count(*) FROM shop.customers")[1] == [(2224,)]
        assert sqlstate_of(connection, "SELECT * FROM shop.salaries") == "42501"
        assert asked(connection, "SELECT count(*) FROM shop.customers")[1] == [(2224,)]


def test_catalog_functions_of_an_analyst(pgwarden: Pgwarden) -> None:
    with connected(pgwarden.dsn("ada")) as connection:
        tables, _, columns, key, *_ = _catalogs(connection)
        seen = {row.table_name for row in tables}
        assert "customers" in seen
        assert "salaries" not in seen
        assert ("payments", "amount") in {(row.table_name, row.column_name) for row in columns}
        assert ("payments", "card_number") not in {(row.table_name, row.column_name) for row in columns}
        assert [row.column_name for row in key] == ["id"]
