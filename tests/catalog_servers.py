"""Real servers with a small schema for tests of the lists: what PostgreSQL itself has, and what a user made."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from proxy.installation import Installation, find_system, find_wheel
from tests.fix_servers import passing_server

SCHEMA = """
CREATE SCHEMA shop;
CREATE DOMAIN shop.mail AS varchar(60) CHECK (value ~ '@');
CREATE DOMAIN shop.mail2 AS shop.mail;
CREATE TYPE shop.mood AS ENUM ('calm', 'cross');
CREATE TYPE shop.pair AS (a int, b text);
CREATE TABLE shop.customers (
    id int PRIMARY KEY, gone int, email shop.mail2, name text NOT NULL,
    upper_name text GENERATED ALWAYS AS (upper(name)) STORED,
    canary_ssn text CHECK (canary_ssn <> 'canary check'));
ALTER TABLE shop.customers DROP COLUMN gone;
ALTER TABLE shop.customers ADD COLUMN note text DEFAULT 'canary default';
COMMENT ON COLUMN shop.customers.canary_ssn IS 'canary comment';
CREATE INDEX canary_index ON shop.customers (canary_ssn);
CREATE INDEX by_name ON shop.customers (name) WHERE canary_ssn <> 'canary predicate';
CREATE TABLE shop.parts (id int, year int, PRIMARY KEY (year, id)) PARTITION BY RANGE (year);
CREATE TABLE shop.parts_1 PARTITION OF shop.parts FOR VALUES FROM (1) TO (10);
COMMENT ON TABLE shop.parts IS 'the parts';
CREATE TABLE shop.canary_salaries (id serial PRIMARY KEY, amount numeric(10,2), who int REFERENCES shop.customers);
CREATE VIEW shop.names AS SELECT c.id, upper(c.name) AS n FROM shop.customers c WHERE canary_ssn <> 'canary view';
CREATE MATERIALIZED VIEW shop.canary_totals AS SELECT count(*) FROM shop.canary_salaries;
CREATE FUNCTION shop.twice(int) RETURNS int LANGUAGE sql AS $$ SELECT $1 * 2 + length('canary source') $$;
CREATE OPERATOR shop.### (leftarg = int, rightarg = int, function = int4pl);
CREATE FUNCTION shop.more(int, int) RETURNS int LANGUAGE sql AS 'SELECT $1';
CREATE OPERATOR shop.@#@ (leftarg = int, rightarg = int, function = shop.more);
CREATE TABLE shop.open_things AS SELECT i AS id, 'kind ' || i % 3 AS kind FROM generate_series(1, 50) AS i;
INSERT INTO shop.customers (id, name) VALUES (1, 'ada');
ANALYZE shop.customers;
"""
INSTALLATIONS = [found for found in (find_wheel(), find_system()) if found is not None]


@pytest.fixture(scope="session", params=INSTALLATIONS, ids=lambda found: found.version)
def catalog_dsn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A superuser's DSN of a database with SCHEMA, on each PostgreSQL that this machine has."""
    installation: Installation = request.param
    directory = tmp_path_factory.mktemp(f"catalog-{installation.version}")
    with passing_server(directory, installation, settings={"fsync": "off"}) as server:
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute(SCHEMA)
        yield server.dsn()
