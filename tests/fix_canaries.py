"""The canary shop on each PostgreSQL there is, its sanitized copy, and a running pgwarden before it.

The sanitized copy is the same database with the policy applied to the data itself: hidden rows deleted, blocked columns
and tables dropped, masked columns overwritten. What a client sees through pgwarden must be what it sees there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from tests.security.canaries import Canaries
from tests.security.raw_client import RawClient
from tests.security.shop_rows import TableRows, all_rows

from policies.catalog import Catalog, Relation
from policies.expressions import bind_expression
from policies.load import load_texts
from policies.masks import sql_form
from policies.model import EffectivePolicy, TableRule
from policies.resolve import resolve
from proxy.embedded import EmbeddedServer
from proxy.installation import Installation, find_system, find_wheel
from proxy.net.introspect import read_catalog
from proxy.wire.scram import make_verifier

SECURITY = Path(__file__).parent / "security"
INSTALLATIONS = [found for found in (find_wheel(), find_system()) if found is not None]
USERS = ("ada", "max", "root")
_NOT_IN_COPY = ("MATERIALIZED VIEW shop.takings", "TABLE shop.salaries", "SCHEMA vault", "SEQUENCE shop.numbers")


def password_of(user: str) -> str:
    return f"{user}-secret"


def policy_text() -> str:
    """The policy file of tests/security, with verifiers for `password_of` filled in."""
    text = (SECURITY / "policies.yaml").read_text("utf-8")
    for user in USERS:
        text = text.replace(f"@{user}@", make_verifier(password_of(user), 4096, b"0123456789abcdef"))
    return text


@dataclass(frozen=True, slots=True)
class CanaryShop:
    """`dsn` and `copy_dsn` are superuser URLs; `user_oid` lists nothing but what was made by DDL."""

    dsn: str
    copy_dsn: str
    canaries: Canaries
    catalog: Catalog

    def policy(self, user: str) -> EffectivePolicy:
        found = resolve(load_texts({"policies.yaml": policy_text().encode()}, {}), user, "shop")
        assert found is not None
        return found

    def direct(self) -> RawClient:
        """A client of the database itself."""
        return connect(self.dsn)

    def copy(self) -> RawClient:
        """A client of the sanitized copy."""
        return connect(self.copy_dsn)


def connect(dsn: str, options: dict[str, str] | None = None) -> RawClient:
    url = urlsplit(dsn)
    assert url.hostname
    assert url.port
    return RawClient(url.hostname, url.port, url.username or "", url.password or "", url.path[1:], options)


@pytest.fixture(scope="session", params=INSTALLATIONS, ids=lambda found: f"pg{found.version.split('.')[0]}")
def canary_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedServer]:
    installation: Installation = request.param
    directory = tmp_path_factory.mktemp("canaries")
    settings = {"fsync": "off", "synchronous_commit": "off", "max_connections": "60", "autovacuum": "off", "statement_timeout": "20s"}
    with EmbeddedServer(directory, installation, settings=settings) as server:
        yield server


@pytest.fixture(scope="session")
def canary_shop(canary_server: EmbeddedServer) -> CanaryShop:
    """The shop, filled; its catalog snapshot; and the copy as the policy of `ada` leaves it."""
    canaries = Canaries()
    with psycopg.connect(canary_server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE shop TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'")
    dsn = canary_server.dsn("shop")
    with psycopg.connect(dsn, autocommit=True) as connection:
        fill(connection, canaries)
    with psycopg.connect(canary_server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE copy TEMPLATE shop")
        admin.execute("ALTER DATABASE shop SET search_path = shop, public")
        admin.execute("ALTER DATABASE copy SET search_path = shop, public")
    catalog = asyncio.run(read_catalog(dsn, database="shop"))
    shop = CanaryShop(dsn, canary_server.dsn("copy"), canaries, catalog)
    with psycopg.connect(shop.copy_dsn, autocommit=True) as connection:
        sanitize(connection, catalog, shop.policy("ada"))
    return shop


def fill(connection: psycopg.Connection[tuple[object, ...]], canaries: Canaries) -> None:
    """Schema and rows, statistics (they hold values), a large object and a comment with canaries."""
    connection.execute((SECURITY / "shop_schema.sql").read_text("utf-8"))
    for table in all_rows(canaries):
        _insert(connection, table)
    connection.execute("SELECT lo_from_bytea(424242, %s)", (canaries.octets("large object"),))
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
    connection: psycopg.Connection[tuple[object, ...]], catalog: Catalog, policy: EffectivePolicy
) -> None:
    """Applies the policy to the data. Filters first, children before parents, since filters read other tables."""
    connection.execute("SET timezone = 'UTC'")
    for thing in _NOT_IN_COPY:
        connection.execute(sql.SQL("DROP " + thing + " CASCADE"))
    tables = [r for r in catalog.relations if r.kind in "rp" and r.schema == "shop" and r.name != "salaries"]
    rules = [(table, policy.table_rule(table.schema, table.name)) for table in tables]
    for table, rule in sorted(rules, key=lambda pair: pair[0].name != "order_items"):
        for condition in rule.filters:
            bound = bind_expression(condition.expression, policy.principal.attributes, None)
            connection.execute(f"DELETE FROM shop.{table.name} WHERE ({bound}) IS NOT TRUE".encode())
    for table, rule in rules:
        _sanitize_columns(connection, table, rule, policy)


def _sanitize_columns(
    connection: psycopg.Connection[tuple[object, ...]], table: Relation, rule: TableRule, policy: EffectivePolicy
) -> None:
    hidden = set(rule.blocked_columns) | set(rule.masks)
    generated = [column.name for column in table.columns if hidden & set(column.generated_from)]
    for name in {*generated, *rule.blocked_columns}:
        connection.execute(f'ALTER TABLE shop.{table.name} DROP COLUMN IF EXISTS "{name}" CASCADE'.encode())
    if not rule.masks:
        return
    constraints = connection.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = %s AND contype IN ('c', 'u')", (table.oid,)
    ).fetchall()
    found = connection.execute("SELECT to_regclass(%s)::oid", (f"shop.{table.name}",)).fetchone()
    assert found == (table.oid,)
    for (name,) in constraints:
        connection.execute(f'ALTER TABLE shop.{table.name} DROP CONSTRAINT "{name}"'.encode())
    changes = ", ".join(
        f'"{name}" = {_masked(table, name, mask_rule.mask, policy)}' for name, mask_rule in rule.masks.items()
    )
    connection.execute(f"UPDATE shop.{table.name} SET {changes}".encode())


def _masked(table: Relation, name: str, mask: object, policy: EffectivePolicy) -> str:
    column = table.column(name)
    assert column is not None
    return sql_form(mask, column.type_oid, column.type_name, f'"{name}"', policy.principal.attributes)  # type: ignore[arg-type]
