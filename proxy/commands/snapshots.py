"""Catalogs for commands: of a database of the configuration, or of the embedded one."""

from __future__ import annotations

import asyncio

from policies.catalog import Catalog
from proxy.commands.outcome import CommandError
from proxy.config import Config
from proxy.net.introspect import CatalogReadError, read_catalog
from proxy.places import SHOP_DATABASE, embedded_dsn


def database_names(config: Config) -> list[str]:
    """As clients name them."""
    return [SHOP_DATABASE] if config.databases is None else list(config.databases)


def catalog_of(config: Config, database: str) -> Catalog:
    """A snapshot of now. Raises CommandError when the database can't be read."""
    if config.databases is not None:
        return _read(config.databases[database].server.url(), database)
    with embedded_dsn(config, SHOP_DATABASE) as dsn:
        return _read(dsn, database)


def _read(dsn: str, database: str) -> Catalog:
    try:
        return asyncio.run(read_catalog(dsn, database=database))
    except CatalogReadError as error:
        raise CommandError(str(error)) from None
