"""Where the databases and the audit store of a configuration are: those it names, or the embedded PostgreSQL.

A command that only looks (`audit query`, `explain`) joins an embedded server that is already running, and otherwise
runs one for as long as it looks. It must not know what the databases hold, except that the sample shop is made by
`proxy.demo.shop`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from proxy.config import Config, ConfigError
from proxy.dsn import Upstream, parse_dsn
from proxy.embedded import EmbeddedServer
from proxy.installation import EmbeddedError

STORE_DATABASE: Final = "pgwarden"
SHOP_DATABASE: Final = "shop"


def embedded_directory(config: Config) -> Path:
    """Beside the journal, so that one folder holds all state of one sidecar."""
    return config.audit.directory.parent / "postgres"


def needs_embedded(config: Config) -> bool:
    return config.databases is None or needs_embedded_store(config)


def needs_embedded_store(config: Config) -> bool:
    """Who sends records to a bus leaves the store to its shippers."""
    return config.audit.store is None and config.audit.bus is None


def upstreams_of(config: Config, shop_dsn: str) -> dict[str, Callable[[], Upstream]]:
    """By the name that clients use. Called anew for each connection: passwords may have been rotated."""
    if config.databases is None:
        shop = parse_dsn(shop_dsn)
        return {SHOP_DATABASE: lambda: shop}
    return {name: database.read_server for name, database in config.databases.items()}


@contextmanager
def store_dsn(config: Config) -> Generator[str, None, None]:
    """A URL of the audit store that works inside the block. Raises EmbeddedError; ConfigError where none is named."""
    if config.audit.store is not None:
        yield config.audit.store
        return
    if config.audit.bus is not None:
        raise ConfigError(["audit.store: records go to a bus here; name the store that they are shipped to"])
    with embedded_dsn(config, STORE_DATABASE) as dsn:
        yield dsn


@contextmanager
def embedded_dsn(config: Config, database: str) -> Generator[str, None, None]:
    """A superuser's URL of one database of the embedded server, running already or started for this block."""
    server = EmbeddedServer(embedded_directory(config))
    running = _running_port(server)
    if running is not None:
        yield f"postgresql://postgres:{server.password}@127.0.0.1:{running}/{database}"
        return
    if not server.data.exists():
        raise EmbeddedError(f"there is no embedded PostgreSQL in {server.directory} yet; `pgwarden serve` makes it")
    with server:
        yield server.dsn(database)


def _running_port(server: EmbeddedServer) -> int | None:
    """The port that the server's pid file names, if somebody answers there (manual, 20.1: line 4 is the port)."""
    try:
        port = int((server.data / "postmaster.pid").read_text("utf-8").splitlines()[3])
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except (OSError, IndexError, ValueError):
        return None
    return port
