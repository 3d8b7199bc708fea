"""Clients that fill columns instead of rows: ADBC and polars, connectorx, DuckDB's scanner. They read by COPY of a
query in binary, or by the extended protocol in binary; what they hold must be what the sanitized copy gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.drivers.sanitized import COUNTS, on_the_copy
from tests.fix_pgwarden import Pgwarden

READERS = ["admin", "ada", "wes"]
COPIERS = ["admin", "wes"]
COLUMNS = "id, tenant_id, name, email, phone, birth_date, balance, is_active, tags, signature, created_at"
QUERY = f"SELECT {COLUMNS} FROM shop.customers ORDER BY id"


def both(pgwarden: Pgwarden, user: str, sql: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Where and what to ask through pgwarden, and on the copy."""
    return (pgwarden.dsn(user), sql), (pgwarden.direct_dsn, on_the_copy(user, sql))


@pytest.mark.parametrize("uses_copy", [True, False])
@pytest.mark.parametrize("user", READERS)
def test_adbc(pgwarden: Pgwarden, user: str, uses_copy: bool) -> None:
    """Arrow's driver: COPY (query) TO STDOUT (FORMAT binary), unless told to execute the query itself."""
    dbapi = pytest.importorskip("adbc_driver_postgresql.dbapi", reason="adbc-driver-postgresql isn't installed")
    answers = []
    for dsn, sql in both(pgwarden, user, QUERY):
        with dbapi.connect(dsn) as connection, connection.cursor() as cursor:
            cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": str(uses_copy).lower()})
            if uses_copy and user not in COPIERS and dsn == pgwarden.dsn(user):
                with pytest.raises(dbapi.Error, match="copy_to"):
                    cursor.execute(sql)
                    cursor.fetch_arrow_table()
                return
            cursor.execute(sql)
            answers.append(cursor.fetch_arrow_table())
    assert answers[0].equals(answers[1])
    assert answers[0].num_rows == COUNTS[user]


@pytest.mark.parametrize("user", COPIERS)
def test_adbc_ingests(pgwarden: Pgwarden, user: str) -> None:
    """CREATE TABLE and COPY FROM STDIN in binary, into a temporary table."""
    dbapi = pytest.importorskip("adbc_driver_postgresql.dbapi", reason="adbc-driver-postgresql isn't installed")
    arrow = pytest.importorskip("pyarrow", reason="pyarrow isn't installed")
    table = arrow.table({"a": arrow.array(range(500), arrow.int32()), "b": [f"row {n}" for n in range(500)]})
    with dbapi.connect(pgwarden.dsn(user)) as connection, connection.cursor() as cursor:
        assert cursor.adbc_ingest("loaded", table, mode="create", temporary=True) == 500
        cursor.execute("SELECT count(*), sum(a) FROM loaded")
        assert cursor.fetchone() == (500, sum(range(500)))
        assert cursor.adbc_ingest("loaded", table, mode="append", temporary=True) == 500


@pytest.mark.parametrize("user", READERS)
def test_connectorx(pgwarden: Pgwarden, user: str) -> None:
    """Its three protocols: COPY in binary and in CSV, and cursors of the extended protocol; in two partitions."""
    connectorx = pytest.importorskip("connectorx", reason="connectorx isn't installed")
    pytest.importorskip("polars", reason="polars isn't installed")
    query = QUERY.replace("tags, signature, ", "").replace(" ORDER BY id", "")
    for protocol in ("binary", "csv", "cursor"):
        answers = []
        for dsn, sql in both(pgwarden, user, query):
            options = {"protocol": protocol, "return_type": "polars", "partition_on": "id", "partition_num": 2}
            if protocol != "cursor" and user not in COPIERS and dsn == pgwarden.dsn(user):
                with pytest.raises(RuntimeError):
                    connectorx.read_sql(dsn, sql, **options)
                break
            answers.append(connectorx.read_sql(dsn, sql, **options).sort("id"))
        else:
            assert answers[0].equals(answers[1])
            assert len(answers[0]) == COUNTS[user]


@pytest.mark.parametrize("user", READERS)
def test_polars(pgwarden: Pgwarden, user: str) -> None:
    """Over a DB-API connection, and over a URL with connectorx (COPY) where that is granted."""
    polars = pytest.importorskip("polars", reason="polars isn't installed")
    frames = []
    for dsn, sql in both(pgwarden, user, QUERY):
        with psycopg.connect(dsn) as connection:
            frames.append(polars.read_database(sql, connection))
    assert frames[0].equals(frames[1])
    assert len(frames[0]) == COUNTS[user]


@pytest.fixture
def duck() -> Iterator[Any]:
    duckdb = pytest.importorskip("duckdb", reason="duckdb isn't installed")
    extensions = pytest.importorskip("duckdb_extensions", reason="duckdb-extensions isn't installed")
    pytest.importorskip("duckdb_extension_postgres_scanner", reason="duckdb-extension-postgres-scanner isn't installed")
    extensions.import_extension("postgres_scanner")
    with closing(duckdb.connect()) as connection:
        yield connection


def attached(duck: Any, dsn: str, name: str) -> None:
    url = urlsplit(dsn)
    parts = {
        "host": url.hostname,
        "port": url.port,
        "dbname": url.path[1:],
        "user": url.username,
        "password": url.password,
    }
    text = " ".join(f"{key}={value}" for key, value in parts.items())
    duck.execute(f"ATTACH '{text}' AS {name} (TYPE postgres)")


@pytest.mark.parametrize("user", COPIERS)
def test_duckdb(pgwarden: Pgwarden, duck: Any, user: str) -> None:
    """It reads the catalogs, then COPY (SELECT ... WHERE ctid BETWEEN ...) TO STDOUT (FORMAT binary)."""
    attached(duck, pgwarden.dsn(user), "through")
    attached(duck, pgwarden.direct_dsn, "direct")
    names = duck.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'through'").fetchall()
    assert (("salaries",) in names) == (user == "admin")
    query = QUERY.replace(", created_at", "")  # duckdb needs pytz to show a timestamptz
    inner = on_the_copy(user, query).replace("'", "''")
    expected = duck.execute(f"SELECT * FROM postgres_query('direct', '{inner}')").fetchall()
    assert duck.execute(f"SELECT * FROM postgres_query('through', '{query}')").fetchall() == expected
    assert len(expected) == COUNTS[user]
    listed = query.replace("SELECT ", "").partition(" FROM")[0]
    scan = f"SELECT {listed} FROM through.shop.customers WHERE email LIKE '%' ORDER BY id"
    assert duck.execute(scan).fetchall() == expected


@pytest.mark.parametrize("user", COPIERS)
def test_duckdb_writes(pgwarden: Pgwarden, duck: Any, user: str) -> None:
    """Its INSERT is COPY FROM STDIN in binary."""
    attached(duck, pgwarden.dsn(user), "through")
    duck.execute("BEGIN")
    duck.execute(
        "INSERT INTO through.shop.products (sku, name, category, price, weight_kg, details) "
        "SELECT 'D-' || i, 'duck', 'decor', i, 1, '{}' FROM range(300) AS r(i)"
    )
    mine = "FROM through.shop.products WHERE name = 'duck'"
    assert duck.execute(f"SELECT count(*), sum(price) {mine}").fetchone() == (300, sum(range(300)))
    duck.execute("ROLLBACK")
    assert duck.execute(f"SELECT count(*) {mine}").fetchone() == (0,)
