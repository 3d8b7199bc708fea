"""What a fence is for, class by class, on real servers: an error of a hidden row without it, none with it.

And what it costs: conditions that need none use the guarded table's indexes as plain SQL does.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from policies.compile import Compiler
from policies.load import load_folder
from policies.resolve import resolve
from proxy.net.introspect import read_catalog
from tests.fix_servers import TestServer
from tests.rules.conftest import Guarded

POLICY = """
principals: [{user: ada, roles: [a]}]
policies:
  - name: p
    subjects: {any: true}
    statements: [select]
    tables: {allow: ["app.*"]}
    rows:
      - {table: app.t, filter: "app.mine(owner)"}
      - {table: app.orders, filter: "tenant = 1"}
      - {table: app.customers, filter: "tenant = 1"}
"""
# Of t, one row is hidden, and it holds what makes each condition fail. The filter costs more than the conditions do, so
# the planner runs it last.
SCHEMA = r"""
CREATE SCHEMA app;
CREATE TYPE app.mood AS ENUM ('calm', 'cross');
CREATE TABLE app.t (id int PRIMARY KEY, owner text, name text, big bigint, amount numeric, day date, at timestamp,
  tags text[], doc json, span int4range, mood app.mood);
INSERT INTO app.t SELECT i, 'me', 'calm', i, i, '2024-01-01', '2024-01-01', '{a}', '{"a": 1}', '[1,2)', 'calm'
  FROM generate_series(1, 100) i WHERE i <> 5;
INSERT INTO app.t VALUES (5, 'other', 'canary', 5000000000, 1e400, '5000000-01-01', '294276-12-31 23:59:59', '{5}',
  '{"a": "\u0000"}', 'empty', 'cross');
CREATE FUNCTION app.mine(text) RETURNS boolean LANGUAGE plpgsql COST 100000 AS $$ BEGIN RETURN $1 = 'me'; END $$;
CREATE TABLE app.customers (id int PRIMARY KEY, tenant int NOT NULL, name text, meta jsonb);
INSERT INTO app.customers SELECT i, i % 2, 'name ' || i, '{}' FROM generate_series(1, 5000) i;
CREATE TABLE app.orders (id int PRIMARY KEY, tenant int NOT NULL, customer int NOT NULL,
  placed timestamptz, total numeric);
INSERT INTO app.orders SELECT i, i % 2, i, '2024-01-01'::timestamptz + i * interval '1 hour', i
  FROM generate_series(1, 5000) i;
CREATE INDEX ON app.orders (customer);
CREATE INDEX ON app.orders (placed);
CREATE INDEX ON app.customers (lower(name));
ANALYZE;
"""
# Each is true or false for the rows that may be seen.
ORACLES = {
    "division": ("1 / (id - 5) > -9", "22012"),
    "cast of text": ("name::app.mood = 'calm'", "22P02"),
    "cast to a smaller type": ("big::int > 0", "22003"),
    "overflow": ("big * 2000000000 > 0 OR big * 2000000000 < 0", "22003"),
    "a silent cast to a float": ("amount > sqrt(2)", "22003"),
    "a silent cast to a float array": ("amount = ANY ('{1}'::_float8)", "22003"),
    "a silent cast to an OID": ("big = pg_my_temp_schema()", "22003"),
    "a silent cast of a date": ("coalesce(day, now()) > '2020-01-01'", "22008"),
    "a silent cast of a timestamp": ("least(at, now()) > '2020-01-01'", "22008"),
    "LIKE's escape": (r"name LIKE 'canar\'", "22025"),
    "a regular expression": ("'x' ~ CASE name WHEN 'canary' THEN '(' ELSE 'x' END", "2201B"),
    "to_date": ("to_date(CASE name WHEN 'canary' THEN 'x' ELSE '2024' END, 'YYYY') > '2020-01-01'", "22007"),
    "an array's index": ("tags[CASE name WHEN 'canary' THEN big ELSE 1 END] = 'a'", "22003"),
    "a number in an array": ("(tags[1] = '5')::int / (tags[1] <> '5')::int >= 0", "22012"),
    "json": ("doc ->> 'a' = '1'", "22P05"),
    "the field of a date": ("date_part('year', day) = 2024", "22008"),
    "a subquery of two rows": ("(SELECT g FROM generate_series(1, 1 + (id = 5)::int) g) = 1", "21000"),
    "substring": ("substring(name, 1, 5 - length(name) + 0) <> 'x'", "22011"),
}  # fmt: skip
# With the plain statement's plan, whatever names and costs are.
LOOK_UPS = (
    "SELECT name FROM {customers} WHERE id = 7",
    "SELECT name FROM {customers} WHERE id IN (1, 7, 9)",
    "SELECT total FROM {orders} WHERE placed BETWEEN '2024-01-02' AND '2024-01-03'",
    "SELECT id FROM {customers} WHERE lower(name) = 'name 7'",
    "SELECT o.total FROM {customers} c JOIN {orders} o ON o.customer = c.id WHERE c.id = 7",
    "SELECT id, name FROM {customers} ORDER BY id LIMIT 3",
    "SELECT id FROM {customers} WHERE id > 4990 AND meta ->> 'a' IS NULL AND id % 2 = 1",
    "SELECT extract(year FROM placed), count(*) FROM {orders} WHERE placed::date = '2024-01-05' AND id < 9 GROUP BY 1",
)


@pytest.fixture(scope="module")
def world(server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    database = server.empty()
    with psycopg.connect(server.dsn(database), autocommit=True) as connection:
        connection.execute(SCHEMA.encode())
    folder = tmp_path_factory.mktemp("policies")
    (Path(folder) / "p.yaml").write_text(POLICY)
    catalog = asyncio.run(read_catalog(server.dsn(database), database=database))
    policy = resolve(load_folder(folder, {}), "ada", database)
    found = Guarded(server.dsn(database), Compiler(), policy, catalog)
    found.connection.execute("SET TimeZone = 'America/Los_Angeles'")  # where the end of time is out of it
    yield found
    found.connection.close()


@pytest.mark.parametrize("oracle", ORACLES)
def test_an_error_oracle_works_without_the_fence_and_fails_with_it(world: Guarded, oracle: str) -> None:
    condition, sqlstate = ORACLES[oracle]
    text = world.text(f"SELECT count(*) FROM app.t WHERE {condition}")
    assert "OFFSET 0" in text
    with pytest.raises(psycopg.Error) as leak:
        world.run(text.replace("OFFSET 0", ""))
    assert leak.value.sqlstate == sqlstate
    world.run(text)


@pytest.mark.parametrize("look_up", LOOK_UPS)
def test_a_look_up_through_a_guard_has_the_plain_plan(world: Guarded, look_up: str) -> None:
    """Compared with what a client would write who filters by hand."""
    guarded = world.text(look_up.format(customers="app.customers", orders="app.orders"))
    plain = look_up.format(customers="app.customers", orders="app.orders")
    own = "o.tenant = 1 AND c.tenant = 1" if "JOIN" in plain else "tenant = 1"
    if "WHERE" not in plain:
        plain = plain.replace(" ORDER", f" WHERE {own} ORDER")
    else:
        plain = plain.replace("WHERE", f"WHERE {own} AND")
    assert "OFFSET 0" not in guarded
    assert _shape(world, guarded) == _shape(world, plain)
    assert any("Index" in step for step in _shape(world, guarded))


def _shape(world: Guarded, sql: str) -> list[str]:
    """The plan's steps, outermost first: node, relation, index, how far in."""
    ((explained,),) = world.run(f"EXPLAIN (FORMAT json) {sql}")
    steps: list[str] = []

    def walk(node: dict, depth: int) -> None:  # type: ignore[type-arg]
        keys = ("Node Type", "Join Type", "Relation Name", "Index Name", "Index Cond")
        steps.append(f"{depth} " + " ".join(re.sub(r"\w+\.", "", str(node.get(key, ""))) for key in keys))
        for inner in node.get("Plans", ()):
            walk(inner, depth + 1)

    walk(explained[0]["Plan"], 0)
    return steps
