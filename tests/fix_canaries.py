"""The canary shop on each PostgreSQL there is, its sanitized copy, and a running pgwarden before it.

The sanitized copy is the same database with the policy applied to the data itself: hidden rows deleted, blocked columns
and tables dropped, masked columns overwritten. What a client sees through pgwarden must be what it sees there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from policies.catalog import Catalog, Relation
from policies.expressions import bind_expression
from policies.masks import sql_form
from policies.model import EffectivePolicy, MaskSpec, TableRule
from policies.resolve import resolve_table
from proxy.net.introspect import read_catalog
from tests.fix_pgwarden import Pgwarden, run_pgwarden
from tests.fix_servers import TestServer
from tests.security.asking import Asker
from tests.security.canaries import Canaries
from tests.security.canary_shop import SECURITY, CanaryShop, connect, policy_text
from tests.security.shop_rows import TableRows, all_rows

_NOT_IN_COPY = ("MATERIALIZED VIEW shop.takings", "TABLE shop.salaries", "SCHEMA vault", "SEQUENCE shop.numbers")


@pytest.fixture(scope="session")
def canary_shop(server: TestServer) -> CanaryShop:
    """The shop on each server in turn, filled; its catalog snapshot; and the copy as the policy of `ada` leaves it."""
    canaries = Canaries()
    name = server.empty()
    copy_name = f"{name}_copy"
    with psycopg.connect(server.dsn(name), autocommit=True) as connection:
        fill(connection, canaries)
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {copy_name} TEMPLATE {name}".encode())
        for database in (name, copy_name):
            admin.execute(f"ALTER DATABASE {database} SET search_path = shop, public".encode())
            admin.execute(f"ALTER DATABASE {database} SET statement_timeout = '20s'".encode())
    catalog = asyncio.run(read_catalog(server.dsn(name), database="shop"))
    shop = CanaryShop(server.dsn(name), server.dsn(copy_name), canaries, catalog)
    with psycopg.connect(shop.copy_dsn, autocommit=True) as connection:
        sanitize(connection, catalog, shop.policy("ada"))
    return shop


@pytest.fixture(scope="session")
def canary_gateway(
    server: TestServer, canary_shop: CanaryShop, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pgwarden]:
    """pgwarden before the shop, as the database's superuser: nothing but pgwarden hides anything."""
    databases = {"shop": {"upstream": canary_shop.dsn}}
    folder = tmp_path_factory.mktemp("canary-gateway")
    with run_pgwarden(folder, server, policies=policy_text(), databases=databases) as instance:
        yield instance


@pytest.fixture(scope="session")
def asker(canary_shop: CanaryShop, canary_gateway: Pgwarden) -> Iterator[Asker]:
    """Asks through pgwarden and on the copy."""
    found = Asker(canary_shop, lambda user: connect(canary_gateway.dsn(user)))
    yield found
    found.close()


def fill(connection: psycopg.Connection[tuple[object, ...]], canaries: Canaries) -> None:
    """Schema and rows, statistics (they hold values), a large object and a comment with canaries."""
    connection.execute((SECURITY / "shop_schema.sql").read_text("utf-8"))
    for table in all_rows(canaries):
        _insert(connection, table)
    connection.execute("SELECT lo_from_bytea(424242, %s)", (canaries.octets("large object"),))
    connection.execute("SELECT setval('shop.numbers', 713577331)")
    connection.execute("REFRESH MATERIALIZED VIEW shop.takings")
    connection.execute("ANALYZE")


def _insert(connection: psycopg.Connection[tuple[object, ...]], table: TableRows) -> None:
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(*table.table.split(".")),
        sql.SQL(", ").join(map(sql.Identifier, table.columns)),
        sql.SQL(", ").join([sql.Placeholder()] * len(table.columns)),
    )
    with connection.cursor() as cursor:
        cursor.execute("SET timezone = 'UTC'")
        cursor.executemany(statement, table.rows)


def sanitize(
    connection: psycopg.Connection[tuple[object, ...]],
    catalog: Catalog,
    policy: EffectivePolicy,
    not_in_copy: tuple[str, ...] = _NOT_IN_COPY,
) -> None:
    """Applies the policy to the data. Filters first, children before parents, since filters read other tables."""
    connection.execute("SET timezone = 'UTC'")
    for thing in not_in_copy:
        connection.execute(sql.SQL("DROP " + thing + " CASCADE"))
    tables = [r for r in catalog.relations if r.kind in "rp" and r.schema == "shop" and r.name != "salaries"]
    rules = [(table, resolve_table(policy, table.schema, table.name)) for table in tables]
    for table, rule in sorted(rules, key=lambda pair: pair[0].name != "order_items"):
        for condition in rule.filters:
            bound = bind_expression(condition.expression, policy.principal.attributes, None)
            connection.execute(f'DELETE FROM shop."{table.name}" WHERE ({bound}) IS NOT TRUE'.encode())
    for table, rule in rules:
        _sanitize_columns(connection, table, rule, policy)
    connection.execute("ANALYZE")  # the planner tries conditions on values that statistics hold


def _sanitize_columns(
    connection: psycopg.Connection[tuple[object, ...]], table: Relation, rule: TableRule, policy: EffectivePolicy
) -> None:
    hidden = set(rule.blocked_columns) | set(rule.masks)
    generated = [column.name for column in table.columns if hidden & set(column.generated_from)]
    for name in {*generated, *rule.blocked_columns}:
        connection.execute(f'ALTER TABLE shop."{table.name}" DROP COLUMN IF EXISTS "{name}" CASCADE'.encode())
    if not rule.masks:
        return
    constraints = connection.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = %s AND contype IN ('c', 'u')", (table.oid,)
    ).fetchall()
    found = connection.execute("SELECT to_regclass(%s)::oid", (f'shop."{table.name}"',)).fetchone()
    assert found == (table.oid,)
    for (constraint,) in constraints:
        connection.execute(f'ALTER TABLE shop."{table.name}" DROP CONSTRAINT "{constraint}"'.encode())
    changes = ", ".join(
        f'"{name}" = {_masked(table, name, mask_rule.mask, policy)}' for name, mask_rule in rule.masks.items()
    )
    connection.execute(f'UPDATE shop."{table.name}" SET {changes}'.encode())


def _masked(table: Relation, name: str, mask: MaskSpec, policy: EffectivePolicy) -> str:
    column = table.column(name)
    assert column is not None
    return sql_form(mask, column.type_oid, column.type_name, f'"{name}"', policy.principal.attributes)
