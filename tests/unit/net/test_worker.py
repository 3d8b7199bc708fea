"""A worker with real sockets before real servers: links, cancels, reloads, drains."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import psycopg
import pytest

from policies.errors import PolicyFileError
from tests.fix_pgwarden import POLICIES, password_of
from tests.fix_servers import TestServer
from tests.unit.net.worker_stage import WorkerStage, worker_before

REDACTED = "REDACTED   "  # shop.customers.ssn is char(11)


async def until(look, patience_s: float = 20.0):  # type: ignore[no-untyped-def]
    async with asyncio.timeout(patience_s):
        while not (found := look()):
            await asyncio.sleep(0.02)
    return found


async def connect(stage: WorkerStage, user: str = "ada", **options: str) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(stage.dsn(user, **options), autocommit=True)


async def one(connection: psycopg.AsyncConnection, query: str, *parameters: object, binary: bool = False) -> object:
    cursor = await connection.execute(query.encode(), parameters or None, binary=binary)
    row = await cursor.fetchone()
    assert row is not None
    return row[0]


async def test_psycopg_in_text_binary_and_pipeline(server: TestServer, tmp_path: Path) -> None:
    async with worker_before(server, tmp_path) as stage, await connect(stage) as ada:
        query = "SELECT ssn FROM shop.customers WHERE id = %s"
        first = await one(ada, "SELECT min(id) FROM shop.customers")
        for binary in (False, True):
            assert await one(ada, query, first, binary=binary) == REDACTED
        async with ada.pipeline():
            cursors = [await ada.execute(query, (first,)) for _ in range(20)]
            rows = [await cursor.fetchone() for cursor in cursors]
        assert rows == [(REDACTED,)] * 20
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await ada.execute("DELETE FROM shop.customers WHERE id = %s", (first,))
        assert await one(ada, "SELECT 1") == 1


async def test_a_refusal_inside_a_pipeline_aborts_what_follows(server: TestServer, tmp_path: Path) -> None:
    async with worker_before(server, tmp_path) as stage, await connect(stage) as ada:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with ada.pipeline():
                before = await ada.execute("SELECT 1")
                await ada.execute("DELETE FROM shop.customers")
                after = await ada.execute("SELECT 3")
        assert await before.fetchone() == (1,)
        with pytest.raises(psycopg.Error):
            await after.fetchone()
        assert await one(ada, "SELECT 2") == 2


async def test_asyncpg_prepares_iterates_and_is_given_back(server: TestServer, tmp_path: Path) -> None:
    async with worker_before(server, tmp_path) as stage:
        ada = await asyncpg.connect(
            host="127.0.0.1", port=stage.port, user="ada", password=password_of("ada"), database="shop"
        )
        try:
            statement = await ada.prepare("SELECT id, ssn FROM shop.customers WHERE id > $1 ORDER BY id")
            rows = await statement.fetch(0)
            assert {row["ssn"] for row in rows} == {REDACTED}
            async with ada.transaction():
                seen = [row["id"] async for row in ada.cursor("SELECT id FROM shop.customers", prefetch=7)]
            assert sorted(seen) == sorted(row["id"] for row in rows)
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await ada.fetch("UPDATE shop.customers SET ssn = $1", "x")
            await ada.reset()
            assert await ada.fetchval("SELECT 1") == 1
        finally:
            await ada.close()


async def test_a_client_cancels_with_our_key(server: TestServer, tmp_path: Path) -> None:
    async with worker_before(server, tmp_path) as stage, await connect(stage, "admin") as admin:
        assert await one(admin, "SELECT pg_backend_pid()") == admin.info.backend_pid
        running = asyncio.create_task(admin.execute("SELECT pg_sleep(30)"))
        await asyncio.sleep(0.3)
        await admin.cancel_safe()
        with pytest.raises(psycopg.errors.QueryCanceled):
            await running
        assert await one(admin, "SELECT 1") == 1


async def test_caps_cut_rows_and_time_and_the_session_goes_on(server: TestServer, tmp_path: Path) -> None:
    async with worker_before(server, tmp_path) as stage, await connect(stage, "tim") as tim:
        with pytest.raises(psycopg.errors.QueryCanceled, match="limits"):
            await tim.execute("SELECT id FROM shop.customers")
        with pytest.raises(psycopg.errors.QueryCanceled, match="limits"):
            await tim.execute("SELECT count(*) FROM shop.orders a, shop.orders b, shop.orders c, shop.orders d")
        assert await one(tim, "SELECT 1") == 1
        await tim.set_autocommit(False)
        with pytest.raises(psycopg.errors.QueryCanceled):
            await tim.execute("SELECT id FROM shop.customers")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            await tim.execute("SELECT 1")
        await tim.rollback()


async def test_an_edit_counts_for_open_sessions_and_a_bad_one_does_not(server: TestServer, tmp_path: Path) -> None:
    async with worker_before(server, tmp_path) as stage, await connect(stage) as ada:
        query = "SELECT ssn FROM shop.customers ORDER BY id LIMIT 1"
        for _ in range(6):
            await ada.execute(query, prepare=True)
        good = stage.worker.policy_fingerprint
        stage.write_policies(POLICIES.read_text().replace("mask: {kind: redact}", "mask: {kind: redcat}"))
        await until(lambda: stage.worker.policy_problem)
        assert "p.yaml:" in stage.worker.policy_problem
        assert stage.worker.policy_fingerprint == good
        assert await one(ada, query) == REDACTED
        stage.write_policies(POLICIES.read_text().replace("ssn, mask: {kind: redact}", "ssn, mask: {kind: nullify}"))
        await until(lambda: stage.worker.policy_fingerprint != good)
        cursor = await ada.execute(query, prepare=True)
        assert await cursor.fetchone() == (None,)
        assert not stage.worker.policy_problem
        assert stage.tallies.policy_loads_failed == 1
        assert stage.tallies.policy_loads_ok == 2


async def test_a_new_table_is_known_after_its_ddl(server: TestServer, tmp_path: Path) -> None:
    dsn = server.dsn(server.shop())  # the shop's gateway may not make tables
    async with (
        worker_before(dsn, tmp_path) as stage,
        await connect(stage, "admin") as admin,
        await connect(stage) as ada,
    ):
        await admin.execute("CREATE TABLE shop.novelty AS SELECT 7 AS x")

        async def seen() -> bool:
            try:
                return await one(ada, "SELECT x FROM shop.novelty") == 7
            except psycopg.errors.UndefinedTable:
                return False

        async with asyncio.timeout(20):
            while not await seen():
                await asyncio.sleep(0.05)


async def test_draining_waits_for_transactions(server: TestServer, tmp_path: Path) -> None:
    async with worker_before(server, tmp_path) as stage:
        idle, busy = await connect(stage), await connect(stage)
        await busy.execute("BEGIN")
        draining = asyncio.create_task(stage.worker.drain(30))
        with pytest.raises(psycopg.OperationalError):
            async with asyncio.timeout(10):
                while True:
                    await idle.execute("SELECT 1")
                    await asyncio.sleep(0.05)
        assert await one(busy, "SELECT 1") == 1
        with pytest.raises(psycopg.OperationalError):
            await connect(stage)
        await busy.execute("COMMIT")
        await asyncio.wait_for(draining, 10)
        await idle.close()
        await busy.close()


async def test_a_slow_reader_stops_the_server(server18: TestServer, tmp_path: Path) -> None:
    async with worker_before(server18, tmp_path) as stage:
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port, limit=1024)
        connection = await connect(stage, "admin")
        copy = "COPY (SELECT repeat('x', 10000) FROM generate_series(1, 20000)) TO STDOUT"
        async with connection.cursor() as cursor, cursor.copy(copy.encode()) as stream:
            total = 0
            await asyncio.sleep(0.5)
            async for block in stream:
                total += len(block)
        assert total == 20_000 * 10_001
        writer.close()
        await connection.close()
        assert not reader.at_eof()


async def test_strict_durability_syncs_before_the_server_hears(server18: TestServer, tmp_path: Path) -> None:
    audit = {"durability": "strict"}
    async with worker_before(server18, tmp_path, audit=audit) as stage, await connect(stage) as ada:
        for number in range(5):
            assert await one(ada, "SELECT %s::int", number) == number
        assert stage.journal.synced_position > 0


async def test_a_dangling_name_is_told_and_the_last_good_set_stays(server18: TestServer, tmp_path: Path) -> None:
    async with worker_before(server18, tmp_path) as stage:
        good = stage.worker.policy_fingerprint
        stage.write_policies(POLICIES.read_text().replace("shop.customers.ssn", "shop.customers.snn"))
        await until(lambda: stage.worker.policy_problem)
        assert "snn" in stage.worker.policy_problem
        assert stage.worker.policy_fingerprint == good


async def test_a_bad_folder_stops_the_start(server18: TestServer, tmp_path: Path) -> None:
    with pytest.raises(PolicyFileError):
        async with worker_before(server18, tmp_path, policies=tmp_path / "nowhere"):
            pass
