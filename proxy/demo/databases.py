"""Makes the databases that the embedded PostgreSQL must have. It must not know what they hold."""

from __future__ import annotations

import psycopg
from psycopg import sql


def ensure_database(dsn: str, name: str) -> bool:
    """Makes the database `name` on the server behind `dsn` unless it is there; True when it was made."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_catalog.pg_database WHERE datname = %s", (name,)).fetchone():
            return False
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return True
