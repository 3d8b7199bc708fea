"""The sample shop, and two copies of it that show what the rules of `ada` and `wes` leave.

Both copies are databases of the same server, made from the shop itself, so OIDs and column numbers are the same in all
three. The *sanitized* copy has every hidden row, column and table removed and every mask applied; keys that couldn't
hold any longer are gone. The *plain* copy, for questions about metadata, lacks only what may not be known to exist.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import psycopg
from psycopg import sql

from policies.load import load_texts
from policies.resolve import resolve
from proxy.net.introspect import read_catalog
from tests.fix_canaries import sanitize
from tests.fix_pgwarden import policy_text
from tests.fix_servers import TestServer

_HIDDEN = ("TABLE shop.salaries", "FUNCTION shop.safe_report(date)")
_BLOCKED = "ALTER TABLE shop.payments DROP COLUMN card_number"
# The default of a masked column is a value of it; catalogs don't show it.
_DEFAULTS = "ALTER TABLE shop.customers ALTER preferences DROP DEFAULT, ALTER tags DROP DEFAULT"
# Rows lie in the order of their keys, as in a table that was never updated: LIMIT without ORDER BY gives the same ones.
_CLUSTERED = "customers orders order_items payments products employees support_tickets tenants"


@dataclass(frozen=True, slots=True)
class Copies:
    """Names of databases."""

    shop: str
    sanitized: str
    plain: str


def make_copies(server: TestServer) -> Copies:
    name = server.shop()
    copies = Copies(name, f"{name}_sanitized", f"{name}_plain")
    with psycopg.connect(server.dsn(name), autocommit=True) as connection:
        _cluster(connection)
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for database in (copies.sanitized, copies.plain):
            admin.execute(f"CREATE DATABASE {database} TEMPLATE {name}".encode())
        for database in (name, copies.sanitized, copies.plain):
            _configure(admin, database)
    with psycopg.connect(server.dsn(copies.sanitized), autocommit=True) as connection:
        _sanitize(connection, server.dsn(name))
    with psycopg.connect(server.dsn(copies.plain), autocommit=True) as connection:
        for statement in (*(f"DROP {thing} CASCADE" for thing in _HIDDEN), _BLOCKED, _DEFAULTS):
            connection.execute(statement.encode())
    return copies


def _configure(admin: psycopg.Connection[tuple[object, ...]], database: str) -> None:
    for setting in ("search_path = shop, public", "statement_timeout = '20s'", "max_parallel_workers_per_gather = 0"):
        admin.execute(f"ALTER DATABASE {database} SET {setting}".encode())


def _cluster(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    partitions = [f"events_2025_{month:02}" for month in range(1, 13)]
    for table in (*_CLUSTERED.split(), *partitions):
        form = sql.SQL("CLUSTER {} USING {}")
        connection.execute(form.format(sql.Identifier("shop", table), sql.Identifier(f"{table}_pkey")))
    connection.execute("VACUUM ANALYZE")


def _sanitize(connection: psycopg.Connection[tuple[object, ...]], dsn: str) -> None:
    policy = resolve(load_texts({"policies.yaml": policy_text().encode()}, {}), "ada", "shop")
    assert policy is not None
    keys = connection.execute(
        "SELECT conrelid::regclass::text, quote_ident(conname) FROM pg_constraint WHERE contype = 'f'"
    ).fetchall()
    for table, key in keys:
        connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {key}".encode())
    catalog = asyncio.run(read_catalog(dsn, database="shop"))
    sanitize(connection, catalog, policy, _HIDDEN)
    _cluster(connection)
