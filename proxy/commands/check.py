"""`pgwarden check`: is a policy folder good, before anybody relies on it?"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from policies.advice import advise
from policies.errors import PolicyFileError, Problem, Severity
from policies.load import check_against_catalog, load_folder
from policies.model import PolicySet
from proxy.commands.options import ConfigOption, read_config
from proxy.commands.outcome import ExitCode, clear_errors, print_error, print_out
from proxy.config import Config
from proxy.installation import EmbeddedError
from proxy.net.introspect import CatalogReadError, read_catalog
from proxy.places import SHOP_DATABASE, embedded_dsn


def check(
    folder: Annotated[Path | None, typer.Argument(help="The policy folder; left out: the configuration's.")] = None,
    config: ConfigOption = None,
) -> None:
    """Reads a policy folder as `serve` would, and prints each problem as file:line:column.

    With --config, tables and columns are also looked up in the databases, and masks held against the columns' types;
    a database that can't be reached is said and left out.
    Ends with 0 when all is well, with 3 when there are problems.

    \b
    Examples:
      pgwarden check policies/
      pgwarden check --config pgwarden.yaml
    """
    if folder is None and config is None:
        raise typer.BadParameter("name a policy folder or a --config")
    with clear_errors():
        read = read_config(config) if config is not None else None
        path = folder if folder is not None else read.policies if read else Path()
        problems = _problems(path, read)
    for problem in problems:
        print_out(str(_placed(problem, path)))
    if any(problem.severity is Severity.ERROR for problem in problems):
        raise typer.Exit(ExitCode.FINDINGS)
    print_out(f"{path}: everything holds")


def _problems(folder: Path, config: Config | None) -> list[Problem]:
    known = _database_names(config)
    try:
        policies = load_folder(folder, os.environ, known)
    except PolicyFileError as error:
        return list(error.problems)
    advice = advise(policies)
    return advice if config is None else sorted({*advice, *_catalog_problems(policies, config)})


def _database_names(config: Config | None) -> list[str] | None:
    if config is None:
        return None
    return [SHOP_DATABASE] if config.databases is None else list(config.databases)


def _catalog_problems(policies: PolicySet, config: Config) -> list[Problem]:
    if config.databases is None:
        return _embedded_problems(policies, config)
    found = [_against(policies, name, database.server.url()) for name, database in config.databases.items()]
    return sorted(set().union(*found))


def _embedded_problems(policies: PolicySet, config: Config) -> list[Problem]:
    try:
        with embedded_dsn(config, SHOP_DATABASE) as dsn:
            return _against(policies, SHOP_DATABASE, dsn)
    except EmbeddedError as error:
        print_error(f"{error}: names were not looked up")
        return []


def _against(policies: PolicySet, database: str, dsn: str) -> list[Problem]:
    try:
        catalog = asyncio.run(read_catalog(dsn, database=database))
    except CatalogReadError as error:
        print_error(f"{error}: names were not looked up there")
        return []
    return check_against_catalog(policies, catalog)


def _placed(problem: Problem, folder: Path) -> str:
    """With the folder before the file name, so that editors and terminals can jump to it."""
    return f"{folder}/{problem}" if not problem.source.file.startswith("/") else str(problem)
