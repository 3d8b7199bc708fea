"""Snapshots that follow DDL: who asks for a reading gets one that began after the asking."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import psycopg
import pytest

from proxy.dsn import Upstream, parse_dsn
from proxy.embedded import find_free_port
from proxy.net.catalog_watch import CatalogWatch
from proxy.net.catalogs import Catalogs
from tests.fix_servers import TestServer


@pytest.fixture
def dsn(server18: TestServer) -> str:
    return server18.dsn(server18.empty())


def catalogs_of(dsn: str) -> Catalogs:
    def upstream() -> Upstream:
        return parse_dsn(dsn)

    return Catalogs({"shop": upstream})


def run(dsn: str, sql: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.encode())


async def test_what_was_committed_before_the_call_is_known_after_it(dsn: str) -> None:
    catalogs = catalogs_of(dsn)
    await catalogs.ready("shop")
    for number in range(3):
        run(dsn, f"CREATE TABLE t{number} (id int)")
        await catalogs.read_anew("shop")
        catalog = catalogs.get("shop")
        assert catalog is not None
        assert catalog.find("public", f"t{number}") is not None


async def test_callers_that_wait_share_a_reading(dsn: str) -> None:
    catalogs = catalogs_of(dsn)
    await catalogs.ready("shop")
    running = asyncio.create_task(catalogs.read("shop"))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(catalogs.read_anew("shop")) for _ in range(5)]
    await asyncio.sleep(0)
    run(dsn, "CREATE TABLE late (id int)")
    await asyncio.gather(running, *waiting)
    catalog = catalogs.get("shop")
    assert catalog is not None
    assert catalog.find("public", "late") is not None
    assert catalog.version == 2


async def test_a_reading_that_takes_too_long_is_not_waited_for(dsn: str) -> None:
    catalogs = catalogs_of(dsn)
    await catalogs.ready("shop")
    run(dsn, "CREATE TABLE t (id int); CREATE VIEW v AS SELECT id FROM t")
    with psycopg.connect(dsn) as connection:
        connection.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        await catalogs.read_anew("shop", 0.2)
    catalog = catalogs.get("shop")
    assert catalog is not None
    assert catalog.find("public", "v") is None
    await catalogs.read_anew("shop")
    assert catalogs.get("shop") is not catalog


async def test_what_nobody_waits_for_is_read_when_somebody_comes(dsn: str) -> None:
    catalogs = catalogs_of(dsn)
    await catalogs.ready("shop")
    run(dsn, "CREATE TABLE t (id int)")
    await catalogs.ready("shop")
    before = catalogs.get("shop")
    catalogs.request("shop")
    await catalogs.ready("shop")
    after = catalogs.get("shop")
    assert before is not None
    assert after is not None
    assert (before.find("public", "t"), after.find("public", "t") is None) == (None, False)


async def test_what_is_filled_in_has_a_version_of_its_own(dsn: str) -> None:
    added: dict[str, frozenset[str]] = {}
    catalogs = Catalogs({"shop": lambda: parse_dsn(dsn)}, fill=lambda one: replace(one, user_functions=dict(added)))
    await catalogs.ready("shop")
    first = catalogs.get("shop")
    assert first is not None
    catalogs.refill()
    assert catalogs.get("shop") is first
    added["f"] = frozenset({"s"})
    catalogs.refill()
    second = catalogs.get("shop")
    assert second is not None
    assert (second.version, second.user_functions) == (first.version + 1, added)
    run(dsn, "CREATE TABLE t (id int)")
    await catalogs.read("shop")
    third = catalogs.get("shop")
    assert third is not None
    assert (third.version, third.user_functions) == (first.version + 2, added)
    await catalogs.read("shop")
    assert catalogs.get("shop") is third


CHANGES = (
    "CREATE TABLE more (id int)",
    "ALTER TABLE t RENAME TO u",
    "ALTER TABLE u SET SCHEMA s",
    "ALTER TABLE s.u ADD extra int",
    "ALTER TABLE s.u RENAME extra TO other",
    "CREATE OR REPLACE VIEW v AS SELECT id FROM parent WHERE id > 5",
    "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
    "CREATE TABLE child (id int) INHERITS (parent)",
    "ALTER TABLE child NO INHERIT parent",
    "ALTER SCHEMA s RENAME TO r",
    "DROP TABLE more",
)


async def test_a_look_sees_each_change_and_nothing_else(dsn: str) -> None:
    run(
        dsn,
        "CREATE SCHEMA s; CREATE TABLE t (id int); CREATE TABLE parent (id int);"
        "CREATE VIEW v AS SELECT id FROM parent; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    )
    watch = CatalogWatch(lambda: asyncio.to_thread(parse_dsn, dsn))
    assert await watch.has_changed()  # nobody looked before
    assert not await watch.has_changed()
    for change in CHANGES:
        run(dsn, change)
        assert await watch.has_changed(), change
        assert not await watch.has_changed(), change
    run(dsn, "INSERT INTO r.u VALUES (1); ANALYZE r.u; CREATE TEMP TABLE x (id int)")
    assert not await watch.has_changed()
    await watch.close()
    assert not await watch.has_changed()  # over a new connection
    await watch.close()


async def test_what_others_change_is_read_before_the_timer(dsn: str) -> None:
    catalogs = Catalogs({"shop": lambda: parse_dsn(dsn)}, look_s=0.05)
    await catalogs.ready("shop")
    keeping = asyncio.create_task(catalogs.keep_reading("shop"))
    try:
        run(dsn, "CREATE TABLE t (id int)")
        async with asyncio.timeout(20):
            while (found := catalogs.get("shop")) is None or found.find("public", "t") is None:
                await asyncio.sleep(0.02)
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


async def test_a_look_at_a_server_that_is_away_sees_nothing() -> None:
    watch = CatalogWatch(lambda: asyncio.to_thread(parse_dsn, f"postgresql://ada@127.0.0.1:{find_free_port()}/x"))
    assert not await watch.has_changed()
