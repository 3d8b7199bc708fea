"""Runs a suite with pytest in a venv, with a limit per test, and reads its junit report."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.compat.outcomes import Run
from tests.compat.processes import run_program
from tests.compat.readers import read_junit

TEST_LIMIT_S: Final = 60
PYTEST: Final = ("pytest<9", "pytest-timeout<3")


def run_pytest(
    python: Path,
    arguments: Sequence[str | Path],
    *,
    folder: Path,
    output: Path,
    environment: Mapping[str, str],
    limit_s: float = 1500,
) -> Run:
    """`folder` is where the tests are; `output` takes the report and the log."""
    output.mkdir(parents=True, exist_ok=True)
    report = output / "junit.xml"
    report.unlink(missing_ok=True)
    command: list[str | Path] = [python, "-m", "pytest", "-q", f"--timeout={TEST_LIMIT_S}"]
    command += [f"--junit-xml={report}", *arguments]
    begin = time.monotonic()
    finished = run_program(command, output / "log", folder=folder, limit_s=limit_s, environment=environment)
    return Run(read_junit(report), time.monotonic() - begin, finished.code is None)


def selection(only: Iterable[str]) -> list[str]:
    """pytest's arguments for junit names such as ``tests.test_x.TestX::test_y``."""
    return [_node(name) for name in only]


def _node(name: str) -> str:
    """The module ends where the first capitalized part, a class, begins."""
    place, _, test = name.partition("::")
    parts = place.split(".")
    classes = next((i for i, part in enumerate(parts) if part[:1].isupper()), len(parts))
    return "::".join(["/".join(parts[:classes]) + ".py", *parts[classes:], test])
