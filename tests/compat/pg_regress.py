"""Runs pg_regress or pg_isolation_regress against a server that exists, and compares results folders.

A test counts as passed directly when it came to an end, whatever the expected file says (Debian's build differs
from it here and there), and as passed through pgwarden when its output is the one of the direct run, or the expected.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.compat.outcomes import Outcome, Run
from tests.compat.processes import run_program
from tests.compat.stand import Endpoint
from tests.compat.suite import Workplace

PGXS: Final = Path("/usr/lib/postgresql/15/lib/pgxs/src/test")
SOURCE_PACKAGE: Final = ("postgresql-15", "bookworm")
LIMIT_S: Final = 2400
_VERDICT: Final = re.compile(r"^(?:test|ok|not ok)?\s*(\S+)\s+\.\.\.\s+(ok|FAILED)", re.MULTILINE)
# What is another in every run: port numbers, process ids.
_NOISE: Final = re.compile(r"(?<=port )\d+|(?<=PID )\d+|(?<=\"\$user\"@)\S+")


def run_regress(
    program: Path, arguments: Sequence[str | Path], place: Workplace, endpoint: Endpoint, folder: Path, database: str
) -> Run:
    """`folder` is the input: sql or specs, expected, the schedule. Results go to results/ there."""
    command = [
        program,
        "--use-existing",
        f"--dbname={database}",
        f"--host={endpoint.host}",
        f"--port={endpoint.port}",
        f"--user={endpoint.user}",
        f"--inputdir={folder}",
        f"--outputdir={folder}",
        f"--bindir={place.installation.bin_directory}",
        *arguments,
    ]
    begin = time.monotonic()
    finished = run_program(
        command,
        place.folder / "log",
        folder=folder,
        limit_s=LIMIT_S,
        environment={"PGPASSWORD": endpoint.password},
        user=endpoint.server.user,
    )
    verdicts = dict(_VERDICT.findall(finished.text))
    note = (
        f"{sum(verdict == 'ok' for verdict in verdicts.values())} of {len(verdicts)} match the files of expected output"
    )
    outcomes = {test: _outcome(test, verdict, folder, place) for test, verdict in verdicts.items()}
    return Run(outcomes, time.monotonic() - begin, finished.code is None, note)


def _outcome(test: str, verdict: str, folder: Path, place: Workplace) -> Outcome:
    output = _output(folder, test)
    if output is None:
        return Outcome.FAILED
    direct = _output(place.folder.parent / "direct" / folder.relative_to(place.folder), test)
    return Outcome.PASSED if verdict == "ok" or output == direct else Outcome.FAILED


def _output(folder: Path, test: str) -> str | None:
    file = folder / "results" / f"{test}.out"
    return _NOISE.sub("N", file.read_text("utf-8", "replace")) if file.exists() else None
