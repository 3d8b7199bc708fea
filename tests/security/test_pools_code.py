"""Code of a database's own that no call in a text names: links that sessions share are asked whether there is any."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from proxy.session.link_greeting import ASK_ABOUT_CODE
from tests.fix_servers import TestServer

_LEAVES = "LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('my.own', 'secret', false); RETURN 1; END $$"
NOTHING, WRITES, READS, BOTH = (False, False), (False, True), (True, False), (True, True)
# What is made, and whether reading or writing may run it.
CODE = {
    "nothing": ("CREATE TABLE t (id serial PRIMARY KEY, a text DEFAULT upper('a') CHECK (length(a) > 0))", NOTHING),
    "a view": ("CREATE VIEW v AS SELECT lower(relname::text) FROM pg_class", NOTHING),
    "a function that is only called": (f"CREATE FUNCTION own(int) RETURNS int {_LEAVES}", NOTHING),
    "a view that sets": ("CREATE VIEW v AS SELECT set_config('my.own', '7', false) AS a", BOTH),
    "a view that counts": ("CREATE SEQUENCE s; CREATE VIEW v AS SELECT nextval('s') AS a", BOTH),
    "a view that locks": ("CREATE VIEW v AS SELECT pg_try_advisory_lock(7)", BOTH),
    "a view that locks until the end": ("CREATE VIEW v AS SELECT pg_try_advisory_xact_lock(7)", NOTHING),
    "a view that runs a text": ("CREATE VIEW v AS SELECT query_to_xml('SELECT 1', true, false, '') AS a", BOTH),
    "a view of a function": (f"CREATE FUNCTION own(int) RETURNS int {_LEAVES}; CREATE VIEW v AS SELECT own(1)", BOTH),
    "a policy": (
        "CREATE TABLE t (a text); CREATE POLICY p ON t USING (set_config('my.own', a, false) <> '')",
        BOTH,
    ),
    "a policy of writes": (
        "CREATE TABLE t (a text); CREATE POLICY p ON t FOR INSERT WITH CHECK (set_config('my.own', a, false) <> '')",
        WRITES,
    ),
    "a default": ("CREATE TABLE t (a text DEFAULT set_config('my.own', '7', false))", WRITES),
    "a check": ("CREATE TABLE t (a text CHECK (set_config('my.own', a, false) <> ''))", WRITES),
    "a trigger": (
        "CREATE TABLE t (a int); CREATE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER own BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION own()",
        WRITES,
    ),
    "a rule": ("CREATE TABLE t (a int); CREATE RULE r AS ON INSERT TO t DO ALSO NOTIFY bell", WRITES),
    "a domain": ("CREATE DOMAIN d AS text CHECK (set_config('my.own', VALUE, false) <> '')", BOTH),
    "a domain's function": (
        f"CREATE FUNCTION own(int) RETURNS int {_LEAVES}; CREATE DOMAIN d AS int CHECK (own(VALUE) = 1)",
        BOTH,
    ),
    "an operator": (
        f"CREATE FUNCTION own(int, int) RETURNS int {_LEAVES};"
        "CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = own)",
        BOTH,
    ),
    "a cast": (
        f"CREATE TYPE pair AS (a int); CREATE FUNCTION own(int, pair) RETURNS int {_LEAVES};"
        "CREATE FUNCTION made(pair) RETURNS int LANGUAGE sql AS 'SELECT own(1, $1)';"
        "CREATE CAST (pair AS int) WITH FUNCTION made(pair)",
        BOTH,
    ),
    "an overload of a built-in": (f"CREATE FUNCTION upper(int) RETURNS int {_LEAVES}", READS),
    "a column that is a function": (
        f"CREATE TABLE t (a int); CREATE FUNCTION computed(t) RETURNS int {_LEAVES}",
        READS,
    ),
    "a column of any row": (f"CREATE FUNCTION computed(anyelement) RETURNS int {_LEAVES}", READS),
    "an index": (
        "CREATE FUNCTION own(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';"
        "CREATE TABLE t (a int); CREATE INDEX ON t (own(a))",
        BOTH,
    ),
}


@pytest.fixture(scope="module")
def database(server: TestServer) -> Iterator[str]:
    name = server.empty()
    yield name
    server.drop(name)


@pytest.mark.parametrize("name", CODE)
def test_it_is_found(server: TestServer, database: str, name: str) -> None:
    make, expected = CODE[name]
    with psycopg.connect(server.dsn(database)) as connection:
        connection.execute(make.encode())
        assert connection.execute(ASK_ABOUT_CODE).fetchone() == expected
        connection.rollback()
