"""`pgwarden check`: is a policy folder good, before anybody relies on it?"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from policies.advice import advise, advise_on_prices
from policies.coverage import Finding, Level
from policies.errors import PolicyFileError, Problem, Severity
from policies.load import check_against_catalog, load_folder
from policies.model import PolicySet
from proxy.commands.looking import look_through
from proxy.commands.options import ConfigOption, read_config
from proxy.commands.outcome import ExitCode, clear_errors, print_error, print_out
from proxy.config import Config
from proxy.installation import EmbeddedError
from proxy.net.introspect import CatalogReadError, read_catalog
from proxy.places import SHOP_DATABASE, embedded_dsn


def check(
    folder: Annotated[Path | None, typer.Argument(help="The policy folder; left out: the configuration's.")] = None,
    config: ConfigOption = None,
    database: Annotated[
        list[str] | None,
        typer.Option(
            "--database", "-d", help="Also look through this database for data under other names; repeatable."
        ),
    ] = None,
    is_strict: Annotated[bool, typer.Option("--strict", help="Warnings count as findings.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Reads a policy folder as `serve` would, and prints each problem as file:line:column.

    With --config, tables and columns are also looked up in the databases, and masks held against the columns' types;
    a database that can't be reached is said and left out. With --database its views, functions, triggers and columns
    are looked through: what shows protected data under other names, and columns that no tag or rule covers although
    their names are those of personal data.
    Ends with 0 when all is well, with 3 when there are problems or open findings, with --strict also for warnings.

    \b
    Examples:
      pgwarden check policies/
      pgwarden check --config pgwarden.yaml
      pgwarden check --config pgwarden.yaml --database shop --strict
    """
    if folder is None and config is None:
        raise typer.BadParameter("name a policy folder or a --config")
    if database and config is None:
        raise typer.BadParameter("--database needs a --config")
    with clear_errors():
        read = read_config(config) if config is not None else None
        path = folder if folder is not None else read.policies if read else Path()
        problems = _problems(path, read)
        is_sound = all(problem.severity is not Severity.ERROR for problem in problems)
        findings = {name: look_through(read, path, name) for name in database or () if read and is_sound}
    if as_json:
        print_out(json.dumps(_data(problems, findings), ensure_ascii=False))
    else:
        _print(path, problems, findings)
    if not _is_well(problems, findings, is_strict=is_strict):
        raise typer.Exit(ExitCode.FINDINGS)
    if not as_json:
        print_out(f"{path}: everything holds")


def _print(path: Path, problems: list[Problem], findings: Mapping[str, list[Finding]]) -> None:
    for problem in problems:
        print_out(str(_placed(problem, path)))
    for name, found in findings.items():
        print_out(f"database {name}: {len(found)} findings")
        for finding in found:
            print_out(f"  {finding}")


def _data(problems: list[Problem], findings: Mapping[str, list[Finding]]) -> dict[str, Any]:
    return {
        "problems": [
            {"source": str(one.source), "severity": one.severity.value, "message": one.message} for one in problems
        ],
        "databases": {
            name: [
                {"level": one.level.value, "about": one.about, "message": one.message, "users": list(one.users)}
                for one in found
            ]
            for name, found in findings.items()
        },
    }


def _is_well(problems: list[Problem], findings: Mapping[str, list[Finding]], *, is_strict: bool) -> bool:
    levels = {one.level for found in findings.values() for one in found}
    has_warning = Level.WARNING in levels or any(one.severity is Severity.WARNING for one in problems)
    has_error = Level.OPEN in levels or any(one.severity is Severity.ERROR for one in problems)
    return not has_error and not (is_strict and has_warning)


def _problems(folder: Path, config: Config | None) -> list[Problem]:
    known = _database_names(config)
    try:
        policies = load_folder(folder, os.environ, known)
    except PolicyFileError as error:
        return list(error.problems)
    advice = advise(policies) + advise_on_prices(policies, datetime.now(UTC))
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
