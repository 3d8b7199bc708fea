"""`pgwarden explain`: what would this user get for this statement, and by which rules?"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Annotated

import typer

from policies.catalog import Catalog, Namespace
from policies.compile import Compiler
from policies.explain import explain as explain_text
from policies.explain import explain_data
from policies.load import load_folder
from policies.model import EffectivePolicy
from policies.resolve import resolve
from proxy.commands.options import ConfigOption, read_config
from proxy.commands.outcome import CommandError, clear_errors, print_out
from proxy.config import Config
from proxy.net.introspect import CatalogReadError, read_catalog
from proxy.places import SHOP_DATABASE, embedded_dsn


def explain(
    user: Annotated[str, typer.Option("--user", "-u", help="A principal of the policy folder.")],
    sql: Annotated[str, typer.Option("--sql", help="The statement, as the client would send it.")],
    config: ConfigOption = None,
    database: Annotated[
        str | None, typer.Option("--database", "-d", help="As clients name it; left out: the only one there is.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Shows the effective policy, the rules that made it with their places, and the statement that goes upstream.

    Nothing is run and nothing is recorded; the database is only asked for its catalog. A refusal is an answer: the
    command ends with 0.

    \b
    Examples:
      pgwarden explain --config pgwarden.yaml --user ada --sql 'SELECT email FROM shop.customers'
      pgwarden explain -c pgwarden.yaml -u ada -d shop --sql 'SELECT 1' --json | jq .decision
    """
    with clear_errors():
        read = read_config(config)
        name = _database(read, database)
        policy = _policy(read, user, name)
        catalog = _catalog(read, name)
        decision = Compiler().decide(sql, policy, catalog, Namespace(catalog.search_path, catalog.search_path))
    if as_json:
        print_out(json.dumps(explain_data(decision, policy, sql, catalog), ensure_ascii=False))
    else:
        print_out(explain_text(decision, policy, sql, catalog))


def _database(config: Config, wanted: str | None) -> str:
    names = [SHOP_DATABASE] if config.databases is None else list(config.databases)
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted not in names:
        asked = "name one with --database" if wanted is None else f"there is no database {wanted!r}"
        raise CommandError(f"{asked}; the configuration has {', '.join(names)}")
    return wanted


def _policy(config: Config, user: str, database: str) -> EffectivePolicy:
    names = [SHOP_DATABASE] if config.databases is None else list(config.databases)
    policies = load_folder(config.policies, os.environ, names)
    policy = resolve(policies, user, database)
    if policy is None:
        known = ", ".join(sorted(policies.principals)) or "nobody"
        raise CommandError(f"no principal is called {user!r}; the policy folder knows {known}")
    return policy


def _catalog(config: Config, database: str) -> Catalog:
    if config.databases is not None:
        return _read(config.databases[database].server.url(), database)
    with embedded_dsn(config, SHOP_DATABASE) as dsn:
        return _read(dsn, database)


def _read(dsn: str, database: str) -> Catalog:
    try:
        return asyncio.run(read_catalog(dsn, database=database))
    except CatalogReadError as error:
        raise CommandError(str(error)) from None
