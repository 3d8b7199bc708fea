"""PostgreSQL's regression and isolation suites, from Debian's source package, with the programs of -server-dev."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Final

from tests.compat.outcomes import Run
from tests.compat.pg_regress import PGXS, SOURCE_PACKAGE, run_regress
from tests.compat.processes import require_program
from tests.compat.sources import SourceMissing, Sources
from tests.compat.stand import Endpoint, Needs
from tests.compat.suite import Workplace

# What pg_regress sets on a database that it makes itself.
_DATABASE: Final = tuple(
    f"ALTER DATABASE {{}} SET {setting}"
    for setting in (
        "lc_messages TO 'C'",
        "lc_monetary TO 'C'",
        "lc_numeric TO 'C'",
        "lc_time TO 'C'",
        "bytea_output TO 'hex'",
        "timezone_abbreviations TO 'Default'",
    )
)


def _setup(database: str) -> dict[str, list[str]]:
    return {"postgres": [statement.format(database) for statement in _DATABASE]}


class Regression:
    name = "regression"
    needs = Needs(
        databases=("regression",),
        setup=_setup("regression"),
        settings={"max_prepared_transactions": "2", "wal_level": "replica", "allow_in_place_tablespaces": "on"},
    )

    def prepare(self, sources: Sources) -> str:
        version = _version(sources)
        _libraries(sources)
        return version

    def run(self, place: Workplace, endpoint: Endpoint, only: Collection[str] = ()) -> Run:
        """`only` doesn't count: later tests of the schedule need the tables of earlier ones."""
        folder = _copied(place, endpoint, "regress")
        arguments = [f"--schedule={folder}/parallel_schedule", f"--dlpath={_libraries(place.sources)}"]
        arguments.append("--max-connections=8")
        return run_regress(PGXS / "regress" / "pg_regress", arguments, place, endpoint, folder, "regression")


class Isolation:
    name = "isolation"
    needs = Needs(databases=("isolation_regression",), setup=_setup("isolation_regression"))

    def prepare(self, sources: Sources) -> str:
        return _version(sources)

    def run(self, place: Workplace, endpoint: Endpoint, only: Collection[str] = ()) -> Run:
        folder = _copied(place, endpoint, "isolation")
        chosen = sorted(only) or [f"--schedule={folder}/isolation_schedule"]
        program = PGXS / "isolation" / "pg_isolation_regress"
        return run_regress(program, chosen, place, endpoint, folder, "isolation_regression")


def _version(sources: Sources) -> str:
    if not (PGXS / "regress" / "pg_regress").exists():
        raise SourceMissing("postgresql-server-dev-15 isn't installed")
    return sources.debian(*SOURCE_PACKAGE).name.rpartition("-")[2]


def _copied(place: Workplace, endpoint: Endpoint, name: str) -> Path:
    """The suite's folder, given to the server's user: the server itself writes into it."""
    folder = place.folder / name
    shutil.copytree(place.sources.debian(*SOURCE_PACKAGE) / "src" / "test" / name, folder)
    user = endpoint.server.user
    if user is not None:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, user.uid, user.gid)
    return folder


def _libraries(sources: Sources) -> Path:
    """regress.so, built from the suite's own source, and two modules that the suite loads."""
    folder = sources.folder / "regress-libraries"
    if not (folder / "regress.so").exists():
        folder.mkdir(parents=True, exist_ok=True)
        source = sources.debian(*SOURCE_PACKAGE) / "src" / "test" / "regress" / "regress.c"
        for name in ("autoinc", "refint"):
            shutil.copy(Path(_pg_config("--pkglibdir")) / f"{name}.so", folder)
        command = ["gcc", "-O1", "-fPIC", "-shared", f"-I{_pg_config('--includedir-server')}"]
        require_program([*command, "-o", folder / "regress.so", source], folder / "log", folder=folder)
    return folder


def _pg_config(option: str) -> str:
    command = ["/usr/lib/postgresql/15/bin/pg_config", option]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
