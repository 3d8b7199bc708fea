"""The PostgreSQL that all contestants stand before: one instance of our own on loopback with pgbench's tables.

Durability is off: the proxies are measured, not the disk. It must not know the proxies.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from proxy.embedded import EmbeddedServer
from proxy.installation import find_installation

DATABASE = "bench"
LOGIN = "bench"
PASSWORD = "bench-secret"
SCALE = 10
STREAMED_ROWS = 1_000_000
MAX_CONNECTIONS = 1300
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
    "shared_buffers": "512MB",
    "max_connections": str(MAX_CONNECTIONS),
}
# Balances differ, so that masking one changes something; the table of 5 columns is what is streamed.
_TABLES = f"""
UPDATE pgbench_accounts SET abalance = aid::bigint * 7919 % 10000;
CREATE TABLE people (
    id int PRIMARY KEY, name text NOT NULL, email text NOT NULL, phone text NOT NULL, joined timestamptz NOT NULL);
INSERT INTO people SELECT n, 'Person number ' || n, 'person.' || n || '@example.com', '+44 20 ' || 70000000 + n,
    timestamptz '2020-01-01' + n * interval '1 minute' FROM generate_series(1, {STREAMED_ROWS}) AS n;
CREATE TABLE arrivals (LIKE people);
ALTER TABLE people OWNER TO {LOGIN};
ALTER TABLE arrivals OWNER TO {LOGIN};
"""


@dataclass(frozen=True, slots=True)
class Server:
    """The running instance. `dsn` logs in as the proxies' upstream login, the owner of the tables."""

    embedded: EmbeddedServer

    @property
    def port(self) -> int:
        return self.embedded.port

    @property
    def version(self) -> str:
        return f"{self.embedded.installation.version} ({self.embedded.installation.origin})"

    @property
    def dsn(self) -> str:
        return self.dsn_at(self.port)

    def dsn_at(self, port: int) -> str:
        """The same login through a door that changes nothing in it."""
        return f"postgresql://{LOGIN}:{PASSWORD}@127.0.0.1:{port}/{DATABASE}"

    def new_store(self, name: str) -> str:
        """The superuser's URL of a new, empty database for audit records."""
        self._execute(f"CREATE DATABASE {name}")
        return self.embedded.dsn(name)

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.embedded.dsn(), autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def run_server(folder: Path, pgbench: str) -> Iterator[Server]:
    with EmbeddedServer(folder / "server", find_installation(), settings=_SETTINGS) as embedded:
        server = Server(embedded)
        server._execute(f"CREATE ROLE {LOGIN} LOGIN PASSWORD '{PASSWORD}'")
        server._execute(f"CREATE DATABASE {DATABASE} OWNER {LOGIN}")
        _fill(server, pgbench)
        yield server


def _fill(server: Server, pgbench: str) -> None:
    subprocess.run([pgbench, "-i", "-q", "-s", str(SCALE), server.dsn], check=True, capture_output=True)
    with psycopg.connect(server.embedded.dsn(DATABASE), autocommit=True) as connection:
        connection.execute(_TABLES)
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
