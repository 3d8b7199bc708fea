"""Random statements of sqlsmith with a fixed seed on the sample shop: each must fare as it fares directly.

They are made once per comparison, from the shop as it is, and played on both sides: sqlsmith itself would make other
statements at every run, since it learns from what failed and from the order in which catalogs are read.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

import psycopg

from proxy.demo.shop import create_shop, gateway_password
from tests.compat.outcomes import Outcome, Outcomes, Run
from tests.compat.processes import run_program
from tests.compat.sources import SourceMissing, Sources
from tests.compat.stand import PASSWORD, Endpoint, Needs
from tests.compat.suite import Workplace

PROGRAM: Final = Path("/usr/bin/sqlsmith")
STATEMENTS: Final = 3000
SEED: Final = 42
FINE: Final = "00000"
FATES: Final = "fates.json"
LOST: Final = "the connection was lost"

Fates = Mapping[str, str]  # SQLSTATE or LOST, by "statement 17"


class Sqlsmith:
    name = "sqlsmith"
    needs = Needs(databases=("shop",), settings={"statement_timeout": "10s"})

    def prepare(self, sources: Sources) -> str:
        if not PROGRAM.exists():
            raise SourceMissing("Debian's package sqlsmith isn't installed")
        return f"seed {SEED}"

    def run(self, place: Workplace, endpoint: Endpoint, only: Collection[str] = ()) -> Run:
        """`only` doesn't count: all of them take no longer than finding the place of a few."""
        create_shop(endpoint.server.dsn("shop", password=PASSWORD), gateway_password(endpoint.server))
        script, direct = place.folder.parent / "statements.sql", place.folder.parent / "direct" / FATES
        begin = time.monotonic()
        if endpoint.pgwarden is None:
            _generate(endpoint, place, script)
        fates = play(endpoint.dsn("shop"), split(script.read_text("utf-8")))
        (place.folder / FATES).write_text(json.dumps(fates))
        outcomes = compare_fates(json.loads(direct.read_text()), fates)
        fine = sum(fate == FINE for fate in fates.values())
        return Run(outcomes, time.monotonic() - begin, note=f"{fine} of {len(fates)} without an error")


def _generate(endpoint: Endpoint, place: Workplace, script: Path) -> None:
    target = f"host={endpoint.host} port={endpoint.port} user={endpoint.user} password={endpoint.password} dbname=shop"
    command = [PROGRAM, f"--target={target}", f"--seed={SEED}", "--exclude-catalog", "--dry-run"]
    finished = run_program(
        [*map(str, command), f"--max-queries={STATEMENTS}"], place.folder / "log", folder=place.folder, limit_s=300
    )
    script.write_text(finished.text, "utf-8")


def split(text: str) -> list[str]:
    """What follows sqlsmith's own progress lines; it ends each statement with a semicolon and a new line."""
    statements = text.rpartition("...done.\n")[2].split(";\n")
    return [statement.strip() for statement in statements if statement.strip()]


def play(dsn: str, statements: Sequence[str]) -> dict[str, str]:
    """What became of each, every one in a transaction that is rolled back."""
    fates: dict[str, str] = {}
    connection = psycopg.connect(dsn, autocommit=True)
    for number, statement in enumerate(statements, 1):
        if connection.closed:
            connection = psycopg.connect(dsn, autocommit=True)
        fates[f"statement {number}"] = _fate(connection, statement)
    connection.close()
    return fates


def _fate(connection: psycopg.Connection[tuple[object, ...]], statement: str) -> str:
    try:
        connection.execute("BEGIN")
        connection.execute(statement.encode())
    except psycopg.Error as error:
        if connection.closed:
            return LOST
        connection.execute("ROLLBACK")
        return error.sqlstate or str(error)
    connection.execute("ROLLBACK")
    return FINE


def compare_fates(direct: Fates, now: Fates) -> Outcomes:
    """Passed is what fares as it fared directly."""
    return {name: Outcome.PASSED if direct.get(name) == now.get(name) else Outcome.FAILED for name in {**direct, **now}}
