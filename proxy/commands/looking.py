"""What `pgwarden check --database` looks through: snapshot, stored code, and names as `serve` knows them."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

from policies.catalog import Catalog
from policies.coverage import Finding, coverage
from policies.known_names import follow
from policies.load import load_folder
from policies.model import Circumstances, PolicySet
from policies.stored_code import StoredCode
from proxy.commands.outcome import CommandError
from proxy.commands.snapshots import database_names
from proxy.config import Config
from proxy.net.introspect import CatalogReadError, read_catalog, read_stored_code
from proxy.net.names_file import FILE_NAME, NamesFileError, read_names
from proxy.places import SHOP_DATABASE, embedded_dsn


def look_through(config: Config, folder: Path, database: str) -> list[Finding]:
    """Of one database, for all principals as of now. Raises CommandError when it can't be read."""
    if database not in database_names(config):
        raise CommandError(
            f"there is no database {database!r}; the configuration has {', '.join(database_names(config))}"
        )
    policies = load_folder(folder, os.environ, database_names(config))
    if config.databases is not None:
        catalog, code = _read(config.databases[database].server.url(), database)
    else:
        with embedded_dsn(config, SHOP_DATABASE) as dsn:
            catalog, code = _read(dsn, database)
    filled = with_known_names(config, policies, catalog)
    return coverage(policies, filled, code, Circumstances("", datetime.now(UTC)))


def _read(dsn: str, database: str) -> tuple[Catalog, StoredCode]:
    async def read() -> tuple[Catalog, StoredCode]:
        return await read_catalog(dsn, database=database), await read_stored_code(dsn, database=database)

    try:
        return asyncio.run(read())
    except CatalogReadError as error:
        raise CommandError(str(error)) from None


def with_known_names(config: Config, policies: PolicySet, catalog: Catalog) -> Catalog:
    """The snapshot as `serve` with this configuration sees it: with renames and newcomers. Writes nothing."""
    try:
        known = read_names(config.audit.directory / FILE_NAME)
    except NamesFileError as error:
        raise CommandError(str(error)) from None
    memory = known.get(catalog.database)
    return follow(memory, policies, catalog)[1] if memory is not None else catalog
