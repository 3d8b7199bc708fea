"""The planners of real servers, asked over connections that are kept, lost and slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import psycopg
import pytest

from proxy.dsn import Upstream, parse_dsn
from proxy.net.estimates import CONNECTIONS, Estimates
from proxy.session.ports import CostQuery
from tests.fix_servers import TestServer

SETUP = """
CREATE SCHEMA app; CREATE TABLE app.t (id integer PRIMARY KEY, x text);
INSERT INTO app.t SELECT i, 'row ' || i FROM generate_series(1, 10000) AS i; ANALYZE app.t;
CREATE DOMAIN app.d AS integer;
CREATE FUNCTION app.slow() RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM pg_sleep(60); RETURN 1; END';
"""
SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgwarden planner' AND datname = current_database()"
)


@dataclass
class Stage:
    dsn: str
    estimates: Estimates
    counted: list[str] = field(default_factory=list)
    now_s: float = 0.0

    def run(self, sql: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []


@asynccontextmanager
async def staged(server: TestServer, patience_s: float = 6.0) -> AsyncIterator[Stage]:
    dsn = server.dsn(server.empty())
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SETUP)
    made = Stage(dsn, Estimates({}, lambda _: None, lambda: 0.0))
    made.estimates = Estimates({"shop": lambda: parse_dsn(dsn)}, made.counted.append, lambda: made.now_s, patience_s)
    try:
        yield made
    finally:
        await made.estimates.close()


@pytest.fixture
async def stage(server18: TestServer) -> AsyncIterator[Stage]:
    async with staged(server18) as made:
        yield made


def query(text: str, *types: int, index: int = 0, version: int = 1) -> CostQuery:
    return CostQuery("shop", version, ("app",), text, index, types)


KINDS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("SELECT * FROM t", ()),
    ("SELECT * FROM t WHERE x = $1", (25,)),
    ("SELECT * FROM t WHERE x = $1 OR x = $2", (0, 25)),
    ("SELECT * FROM t WHERE x LIKE $1 AND id::d > $2", ()),
    ("INSERT INTO t SELECT id + 20000, x FROM t ON CONFLICT DO NOTHING RETURNING id", ()),
    ("UPDATE t SET x = 'a' WHERE id > 5", ()),
    ("SELECT * FROM t FOR UPDATE", ()),
    ("PREPARE p (text) AS SELECT * FROM t WHERE x = $1", ()),
    ("DECLARE c CURSOR FOR SELECT * FROM t", ()),
    ("COPY (SELECT * FROM t) TO STDOUT", ()),
    ("CREATE TABLE u AS SELECT * FROM t", ()),
    ("EXPLAIN (ANALYZE) SELECT * FROM t", ()),
)


async def test_statements_of_all_kinds_have_a_cost(server: TestServer) -> None:
    async with staged(server) as stage:
        for text, types in KINDS * 2:  # what one left must not be in another's way
            estimate = await stage.estimates.make(query(text, *types))
            assert estimate.problem == ""
            assert estimate.units is not None
            assert 50 < estimate.units < 5000
        assert stage.run("SELECT count(*) FROM app.t WHERE x = 'a'") == [(0,)]
        assert stage.run("SELECT to_regclass('app.u')") == [(None,)]


async def test_the_server_plans_as_the_plain_statement(stage: Stage) -> None:
    dear = await stage.estimates.make(query("SELECT * FROM t AS a, t AS b"))
    cheap = await stage.estimates.make(query("SELECT * FROM t WHERE id = 5"))
    assert dear.units is not None
    assert cheap.units is not None
    assert dear.units > 1000 * cheap.units


async def test_utility_statements_cost_nothing_and_ask_nobody(stage: Stage) -> None:
    assert (await stage.estimates.make(query("COPY t FROM STDIN"))).units == 0.0
    assert (await stage.estimates.make(query("SELECT 1; COMMIT", index=1))).units == 0.0
    assert stage.run(SESSIONS) == [(0,)]


async def test_an_estimate_is_remembered_for_minutes_and_one_catalog(stage: Stage) -> None:
    asked = query("SELECT * FROM t")
    assert stage.estimates.known(asked) is None
    made = await stage.estimates.make(asked)
    assert stage.estimates.known(asked) == made
    assert stage.estimates.known(replace(asked, catalog_version=2)) is None
    assert stage.estimates.known(replace(asked, search_path=("public",))) is None
    stage.now_s += 301
    assert stage.estimates.known(asked) is None
    assert stage.counted == ["made", "known"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SELECT * FROM nobody", "42P01"),
        ("SELECT y FROM t", "42703"),
        ("SELECT 'canary'::integer FROM t", "22P02"),
        ("SELECT 1/0 FROM t", "22012"),
    ],
)
async def test_what_the_planner_refuses_is_told_by_its_code_alone(stage: Stage, text: str, code: str) -> None:
    estimate = await stage.estimates.make(query(text))
    assert estimate.units is None
    assert estimate.problem == f"the planner refuses it ({code})"
    assert "canary" not in f"{estimate}"
    assert stage.estimates.known(query(text)) is None
    assert (await stage.estimates.make(query("SELECT * FROM t"))).units is not None


async def test_connections_are_few_and_kept(stage: Stage) -> None:
    texts = [f"SELECT * FROM t WHERE id = {number}" for number in range(20)]
    found = await asyncio.gather(*(stage.estimates.make(query(text)) for text in texts))
    assert all(estimate.units is not None for estimate in found)
    ((count,),) = stage.run(SESSIONS)
    assert 1 <= int(str(count)) <= CONNECTIONS


async def test_a_lost_connection_is_replaced(stage: Stage) -> None:
    await asyncio.gather(*(stage.estimates.make(query(f"SELECT {n} FROM t")) for n in range(4)))
    stage.run(SESSIONS.replace("count(*)", "pg_terminate_backend(pid)"))
    await asyncio.sleep(0)
    assert (await stage.estimates.make(query("SELECT * FROM t"))).units is not None


async def test_a_server_that_is_away_is_told(stage: Stage) -> None:
    def nowhere() -> Upstream:
        return parse_dsn("postgresql://nobody@127.0.0.1:1/nothing")

    estimates = Estimates({"shop": nowhere}, stage.counted.append, lambda: 0.0)
    estimate = await estimates.make(query("SELECT 1"))
    assert (estimate.units, estimate.problem) == (None, "the planner can't be reached")
    assert stage.counted == ["failed"]


async def test_a_planner_that_takes_too_long_is_not_waited_for(server18: TestServer) -> None:
    async with staged(server18, patience_s=0.5) as stage:
        slow = [stage.estimates.make(query(f"SELECT slow() + {n}")) for n in range(3)]
        for estimate in await asyncio.gather(*slow):
            assert estimate.problem == "the planner took too long"
        # The connections were given up, so that others needn't wait for them.
        assert (await stage.estimates.make(query("SELECT * FROM t"))).units is not None


async def test_one_user_does_not_hold_up_another(server18: TestServer) -> None:
    async with staged(server18, patience_s=2.0) as stage:
        greedy = [asyncio.create_task(stage.estimates.make(query(f"SELECT slow() + {n}"), "sam")) for n in range(3)]
        await asyncio.sleep(0.2)
        assert (await stage.estimates.make(query("SELECT * FROM t"), "ada")).units is not None
        assert not any(task.done() for task in greedy)
        await asyncio.gather(*greedy)


async def test_a_locked_table_is_not_waited_for_for_long(stage: Stage) -> None:
    with psycopg.connect(stage.dsn) as connection:
        connection.execute("LOCK TABLE app.t IN ACCESS EXCLUSIVE MODE")
        estimate = await stage.estimates.make(query("SELECT * FROM t"))
    assert estimate.problem == "the planner took too long"
    assert (await stage.estimates.make(query("SELECT * FROM t"))).units is not None
