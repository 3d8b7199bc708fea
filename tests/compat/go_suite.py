"""Runs the tests of Go packages that Debian installs, without modules: GOPATH is Debian's folder."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.compat.outcomes import Run
from tests.compat.processes import run_program
from tests.compat.readers import read_go
from tests.compat.sources import SourceMissing
from tests.compat.suite import Workplace

GOPATH: Final = Path("/usr/share/gocode")
LIMIT_S: Final = 900


def go_version(package: str) -> str:
    """The upstream version of a package's source, as Debian's changelog has it. Raises SourceMissing."""
    status = Path("/var/lib/dpkg/status").read_text("utf-8") if Path("/var/lib/dpkg/status").exists() else ""
    for paragraph in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Package") == package and "installed" in fields.get("Status", "").split():
            return fields["Version"].partition("-")[0]
    raise SourceMissing(f"Debian's package {package} isn't installed")


def run_go(
    packages: Sequence[str], place: Workplace, environment: Mapping[str, str], only: Collection[str] = ()
) -> Run:
    """One package after the other: they share a database. `only` holds names as `read_go` gives them."""
    command: list[str | Path] = ["go", "test", "-json", "-p=1", "-count=1", f"-timeout={LIMIT_S}s"]
    if only:
        tests = sorted({name.partition("::")[2].partition("/")[0] for name in only})
        packages = sorted({name.partition("::")[0] for name in only})
        command.append(f"-run=^({'|'.join(tests)})$")
    go = {"GO111MODULE": "off", "GOPATH": str(GOPATH), "GOCACHE": str(place.sources.folder / "go-build")}
    begin = time.monotonic()
    finished = run_program(
        [*command, *packages],
        place.folder / "log",
        folder=GOPATH / "src",
        limit_s=LIMIT_S * 2,
        environment={**go, **environment},
    )
    return Run(read_go(finished.text), time.monotonic() - begin, finished.code is None)
