"""Makes the sample shop of the demo and the tests in a database, once. It must not know pgwarden's policies.

Two roles come with it: `shop_owner`, who owns everything and can't log in, and `gateway`, the login that pgwarden
uses upstream. `gateway` may read and write rows and is no superuser: what pgwarden failed to stop, PostgreSQL
still would.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import LiteralString

import psycopg
from psycopg import sql

from proxy.embedded import EmbeddedServer

SHOP_DATABASE = "shop"
OWNER = "shop_owner"
GATEWAY = "gateway"
# The schema's comment tells which edition stands; it is written in the transaction that makes the shop.
MARKER = "pgwarden's sample shop, edition 1"
MARKER_START = "pgwarden's sample shop"


class ShopError(Exception):
    """The database holds a schema `shop` that isn't ours; nothing was changed."""


def ensure_shop(server: EmbeddedServer, database: str = SHOP_DATABASE) -> str:
    """Make database and shop on a running server unless they stand; the URL with which pgwarden connects."""
    password = gateway_password(server)
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
        if found is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    create_shop(server.dsn(database), password)
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        # So that psql's \dt and unqualified names find the shop.
        form = sql.SQL("ALTER ROLE {} IN DATABASE {} SET search_path = shop, public")
        connection.execute(form.format(sql.Identifier(GATEWAY), sql.Identifier(database)))
    return server.dsn(database, GATEWAY, password)


def gateway_password(server: EmbeddedServer) -> str:
    """Derived from the superuser's, so that a restart finds the same one and no second secret is kept."""
    return hashlib.sha256(f"{GATEWAY}:{server.password}".encode()).hexdigest()[:32]


def create_shop(dsn: str, password: str) -> bool:
    """Make the shop in the database that the superuser's `dsn` names; False if this edition stands already.

    `password` becomes the one of the role `gateway`, which all databases of the server share. An older edition is
    replaced. Raises ShopError for a schema `shop` of somebody else.
    """
    with psycopg.connect(dsn) as connection:
        # Roles belong to the whole server: two makers at once, in two databases, must wait for each other.
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('pgwarden shop'))")
        _make_roles(connection, password)
        if not _needs_shop(connection):
            return False
        connection.execute("SET LOCAL client_min_messages = warning")
        connection.execute("SET LOCAL search_path = ''")
        connection.execute(_script())
        _hand_over(connection)
        connection.execute(sql.SQL("COMMENT ON SCHEMA shop IS {}").format(MARKER))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return True


def _script() -> LiteralString:
    return files(__package__).joinpath("shop.sql").read_text(encoding="utf-8")


def _make_roles(connection: psycopg.Connection, password: str) -> None:
    existing = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
    if OWNER not in existing:
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(OWNER)))
    verb = sql.SQL("ALTER" if GATEWAY in existing else "CREATE")
    form = sql.SQL("{} ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}")
    connection.execute(form.format(verb, sql.Identifier(GATEWAY), password))


def _needs_shop(connection: psycopg.Connection) -> bool:
    found = connection.execute(
        "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = 'shop'"
    ).fetchone()
    if found is None or found[0] == MARKER:
        return found is None
    if not found[0].startswith(MARKER_START):
        raise ShopError("the schema `shop` exists and isn't pgwarden's sample; choose another database")
    connection.execute("DROP SCHEMA shop CASCADE")
    return True


def _hand_over(connection: psycopg.Connection) -> None:
    """Everything to `shop_owner`; to `gateway` what a proxy needs, on what is added later as well."""
    owner, gateway = sql.Identifier(OWNER), sql.Identifier(GATEWAY)
    for kind, name in _objects(connection):
        form = sql.SQL("ALTER {} {} OWNER TO {}")
        connection.execute(form.format(sql.SQL(kind), sql.SQL(name), owner))
    for grant in (
        "GRANT USAGE ON SCHEMA shop TO {gateway}",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shop TO {gateway}",
        "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA shop TO {gateway}",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA shop "
        "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {gateway}",
    ):
        connection.execute(sql.SQL(grant).format(owner=owner, gateway=gateway))


def _objects(connection: psycopg.Connection) -> list[tuple[str, str]]:
    """Kind and quoted name of what the script made; identity sequences follow their tables."""
    rows = connection.execute(
        "SELECT 'SCHEMA', 'shop' "
        "UNION ALL SELECT CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, oid::regclass::text "
        "FROM pg_class WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'p', 'v') "
        "UNION ALL SELECT 'TYPE', oid::regtype::text "
        "FROM pg_type WHERE typnamespace = 'shop'::regnamespace AND typtype = 'e' "
        "UNION ALL SELECT 'FUNCTION', oid::regprocedure::text "
        "FROM pg_proc WHERE pronamespace = 'shop'::regnamespace"
    )
    return [(str(kind), str(name)) for kind, name in rows]
