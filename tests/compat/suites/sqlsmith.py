"""Random statements of sqlsmith with a fixed seed on the sample shop: each must fare as it fares directly."""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

from proxy.demo.shop import create_shop, gateway_password
from proxy.embedded import EmbeddedServer
from tests.compat.outcomes import Outcome, Outcomes, Run
from tests.compat.processes import run_program
from tests.compat.sources import SourceMissing, Sources
from tests.compat.stand import PASSWORD, Endpoint, Needs
from tests.compat.suite import Workplace

PROGRAM: Final = Path("/usr/bin/sqlsmith")
STATEMENTS: Final = 3000
SEED: Final = 42
# One letter per statement: fine, syntax error, time-out, connection lost, other error.
_PROGRESS: Final = re.compile(r"^[.StCe]+$", re.MULTILINE)
_SUMMARY: Final = re.compile(r"^(\d+)\s+((?:ERROR|FATAL|PANIC).*)$", re.MULTILINE)


class Sqlsmith:
    name = "sqlsmith"
    needs = Needs(databases=("shop",), settings={"statement_timeout": "5s"})

    def prepare(self, sources: Sources) -> str:
        if not PROGRAM.exists():
            raise SourceMissing("Debian's package sqlsmith isn't installed")
        return f"seed {SEED}"

    def run(self, place: Workplace, endpoint: Endpoint, only: Collection[str] = ()) -> Run:
        """`only` doesn't count: what a statement finds depends on those before it."""
        _make_shop(endpoint.server)
        target = f"host={endpoint.host} port={endpoint.port} user={endpoint.user} password={endpoint.password}"
        command: list[str | Path] = [
            PROGRAM,
            f"--target={target} dbname=shop",
            f"--seed={SEED}",
            "--exclude-catalog",
            "--verbose",
        ]
        begin = time.monotonic()
        finished = run_program(
            [*command, f"--max-queries={STATEMENTS}"], place.folder / "log", folder=place.folder, limit_s=900
        )
        direct = place.folder.parent / "direct" / "log"
        outcomes = compare_fates(read_fates(direct.read_text("utf-8", "replace")), read_fates(finished.text))
        return Run(outcomes, time.monotonic() - begin, finished.code is None)


def _make_shop(server: EmbeddedServer) -> None:
    create_shop(server.dsn("shop", password=PASSWORD), gateway_password(server))


def read_fates(text: str) -> dict[str, str]:
    """What became of each statement, by its number, and how often each error came, by its text."""
    letters = "".join(_PROGRESS.findall(text))
    fates = {f"statement {number}": letter for number, letter in enumerate(letters, 1)}
    return fates | {message: count for count, message in _SUMMARY.findall(text)}


def compare_fates(direct: dict[str, str], now: dict[str, str]) -> Outcomes:
    """Passed is what fares as it fared directly."""
    return {name: Outcome.PASSED if direct.get(name) == now.get(name) else Outcome.FAILED for name in {**direct, **now}}
