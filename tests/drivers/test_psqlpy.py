"""psqlpy, a driver in Rust on tokio-postgres: prepared statements in binary, portals, COPY, a pool."""

from __future__ import annotations

from typing import Any

import pytest

from tests.drivers.sanitized import COUNTS, on_the_copy
from tests.fix_pgwarden import Pgwarden

psqlpy = pytest.importorskip("psqlpy", reason="psqlpy isn't installed")

EVERYBODY = ["admin", "ada", "wes"]
GRANTED = ["admin", "wes"]
COLUMNS = (
    "id, tenant_id, external_id, name, email, phone, birth_date, balance, preferences, tags, signature, created_at"
)


async def asked(dsn: str, sql: str, parameters: list[Any], *, is_prepared: bool = True) -> list[dict[str, Any]]:
    pool = psqlpy.ConnectionPool(dsn=dsn, max_db_pool_size=2)
    connection = await pool.connection()
    found = await connection.execute(sql, parameters, prepared=is_prepared)
    pool.close()
    return list(found.result())


@pytest.mark.parametrize("is_prepared", [True, False])
@pytest.mark.parametrize("user", EVERYBODY)
async def test_rows(pgwarden: Pgwarden, user: str, is_prepared: bool) -> None:
    question = f"SELECT {COLUMNS} FROM shop.customers WHERE id < $1 ORDER BY id"
    answers = [
        await asked(dsn, sql, [500], is_prepared=is_prepared)
        for dsn, sql in ((pgwarden.dsn(user), question), (pgwarden.direct_dsn, on_the_copy(user, question)))
    ]
    assert answers[0] == answers[1]
    assert len(answers[0]) > 200


@pytest.mark.parametrize("user", GRANTED)
async def test_transactions_and_cursors(pgwarden: Pgwarden, user: str) -> None:
    pool = psqlpy.ConnectionPool(dsn=pgwarden.dsn(user), max_db_pool_size=2)
    connection = await pool.connection()
    async with connection.transaction() as transaction:
        sql = (
            "INSERT INTO shop.orders (tenant_id, customer_id, ordered_at, note) VALUES (1, 1, now(), $1) RETURNING note"
        )
        made = await transaction.execute(sql, ["rusty"])
        assert made.result() == [{"note": "rusty"}]
        await transaction.execute("DELETE FROM shop.orders WHERE note = 'rusty'")
        async with transaction.cursor("SELECT id FROM shop.customers ORDER BY id") as cursor:
            found = (await cursor.fetchone()).result()
            while part := (await cursor.fetchmany(1000)).result():
                found += part
    assert len(found) == COUNTS[user]
    pool.close()


@pytest.mark.parametrize("user", EVERYBODY)
async def test_errors(pgwarden: Pgwarden, user: str) -> None:
    pool = psqlpy.ConnectionPool(dsn=pgwarden.dsn(user), max_db_pool_size=2)
    connection = await pool.connection()
    for sql in ("SELECT 1 / 0", "SELECT * FROM shop.salaries"):
        if user != "admin" or "salaries" not in sql:
            with pytest.raises(psqlpy.exceptions.Error):
                await connection.execute(sql)
    assert (await connection.execute("SELECT count(*) AS n FROM shop.customers")).result() == [{"n": COUNTS[user]}]
    pool.close()
